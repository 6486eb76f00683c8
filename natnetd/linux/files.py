"""Watches the way to a file (inotify(7)): editors write aside and rename, so no inode lasts."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from natnetd.wake import Notice

IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM = 0x4, 0x8, 0x40
IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x80, 0x100, 0x200
IN_Q_OVERFLOW, IN_ONLYDIR = 0x4000, 0x01000000
MASK = IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
EVENT = struct.Struct("iIII")
LINKS = 40  # symbolic links followed, as the kernel does


class FileWatch:
    """Tells when a file may have changed, or a directory or symbolic link on the way to it."""

    def __init__(self, path: Path) -> None:
        """Watch. Raises OSError: no more watches to be had."""
        self.path = path
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.names: dict[int, set[str]] = {}
        self.follow()

    def follow(self) -> None:
        """Watch where the way leads now; a directory that is not there or closed to us is passed over."""
        self.names = {}
        for directory, name in steps(self.path):
            watch = self.libc.inotify_add_watch(self.fd, os.fsencode(directory), MASK | IN_ONLYDIR)
            if watch >= 0:
                self.names.setdefault(watch, set()).add(name)

    def fileno(self) -> int:
        """Readable when something happened on the way."""
        return self.fd

    def read(self) -> Iterator[Notice]:
        """Tell once if it was about the file."""
        try:
            events = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return
        offset, about = 0, False
        while offset < len(events):
            watch, mask, _cookie, length = EVENT.unpack_from(events, offset)
            name = os.fsdecode(events[offset + 16 : offset + 16 + length].rstrip(b"\0"))
            about = about or name in self.names.get(watch, ()) or bool(mask & IN_Q_OVERFLOW)
            offset += 16 + length
        if about:
            yield Notice(file=True)

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
