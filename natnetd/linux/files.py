"""Watches the ways to the files (inotify(7)): editors write aside and rename, so no inode lasts."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from natnetd.file.sources import directory_of, is_drop_in, listed
from natnetd.wake import Notice

IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM = 0x4, 0x8, 0x40
IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x80, 0x100, 0x200
IN_Q_OVERFLOW, IN_ONLYDIR = 0x4000, 0x01000000
MASK = IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
EVENT = struct.Struct("iIII")
LINKS = 40  # symbolic links followed, as the kernel does


class FileWatch:
    """Tells when a file or its drop-ins may have changed, or a directory or link on the way to them."""

    def __init__(self, path: Path) -> None:
        """Watch. Raises OSError: no more watches to be had."""
        self.path = path
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.names: dict[int, set[str]] = {}
        self.drop_ins: int | None = None
        self.follow()

    def follow(self) -> None:
        """Watch where the ways lead now; a directory that is not there or closed to us is passed over."""
        self.names = {}
        self.go(self.path)
        around = directory_of(str(self.path))
        if around is None:
            return
        self.go(around)
        self.drop_ins = self.watch(around)
        with suppress(OSError):  # what cannot be listed is complained of by whoever reads it
            for path in listed(around):
                if path.is_symlink():
                    self.go(path)

    def go(self, path: Path) -> None:
        """Watch every step of the way to a path."""
        for directory, name in steps(path):
            watch = self.watch(directory)
            if watch is not None:
                self.names.setdefault(watch, set()).add(name)

    def watch(self, directory: Path) -> int | None:
        """Watch a directory; the same one has the same number each time."""
        watch: int = self.libc.inotify_add_watch(self.fd, os.fsencode(directory), MASK | IN_ONLYDIR)
        return watch if watch >= 0 else None

    def fileno(self) -> int:
        """Readable when something happened on the way."""
        return self.fd

    def read(self) -> Iterator[Notice]:
        """Tell once if it was about one of the files."""
        try:
            events = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return
        offset, about = 0, False
        while offset < len(events):
            watch, mask, _cookie, length = EVENT.unpack_from(events, offset)
            name = os.fsdecode(events[offset + 16 : offset + 16 + length].rstrip(b"\0"))
            about = about or self.concerns(watch, name) or bool(mask & IN_Q_OVERFLOW)
            offset += 16 + length
        if about:
            yield Notice(file=True)

    def concerns(self, watch: int, name: str) -> bool:
        """Whether what is called `name` there is one of the files, or on the way to one."""
        return name in self.names.get(watch, ()) or (watch == self.drop_ins and is_drop_in(name))

    def close(self) -> None:
        """Stop watching."""
        os.close(self.fd)


def steps(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each directory on the way to a file and the name looked up in it, symbolic links followed."""
    ahead, here, links = list(reversed(path.absolute().parts[1:])), Path("/"), 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            here = here.parent
            continue
        yield here, name
        try:
            target = (here / name).readlink()
        except OSError:  # no link
            here = here / name
            continue
        links += 1
        if links > LINKS:
            return
        here = Path("/") if target.is_absolute() else here
        ahead += reversed(target.parts[target.is_absolute() :])
