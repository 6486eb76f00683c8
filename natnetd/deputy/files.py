"""Reading and replacing files as root: whole or not at all, and only if nobody else did meanwhile."""

import errno
import fcntl
import glob
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from natnetd.deputy.stanzas import Page
from natnetd.errors import HostError

LARGEST = 8 << 20  # bytes
MANY = 200  # sourced files
PAUSE = 0.02  # seconds between two tries to get the lock


class ChangedError(Exception):
    """Somebody else has written the file since it was read."""


@dataclass(frozen=True, slots=True)
class Text:
    """A file as it was read: `path` is the real one, behind symbolic links."""

    path: Path
    raw: bytes
    state: os.stat_result

    @property
    def version(self) -> tuple[int, ...]:
        """What is another after every change."""
        return version(self.state)


def version(state: os.stat_result) -> tuple[int, ...]:
    """What tells one version of a file from another."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def read(path: Path) -> Text | None:
    """Read a file, behind symbolic links; None: there is none. Raises HostError."""
    try:
        real = path.resolve(strict=True)
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            state = os.fstat(fd)
            raw = b"" if stat.S_ISDIR(state.st_mode) else os.read(fd, LARGEST + 1)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, until Python 3.13
        raise HostError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(state.st_mode):
        raise HostError(f"{path}: is no regular file")
    if len(raw) > LARGEST:
        raise HostError(f"{path}: is larger than {LARGEST} bytes; is it the right file?")
    return Text(real, raw, state)


def replace(text: Text, raw: bytes) -> None:
    """Put new bytes in a file's place, with its mode and owner. Raises HostError, ChangedError."""
    try:
        fresh = aside(text.path, raw, text.state)
        try:
            unchanged(text)
            fresh.replace(text.path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise
        sync(text.path.parent)
    except FileNotFoundError as error:
        raise ChangedError from error
    except OSError as error:
        raise HostError(f"{text.path}: cannot be replaced: {error.strerror}{advice(error)}") from error


def unchanged(text: Text) -> None:
    """Make sure that a file is still the one that was read. Raises ChangedError, OSError.

    Proxmox VE's Apply renames without its lock, and people take none: so this is asked as late as can be.
    """
    if version(text.path.lstat()) != text.version:
        raise ChangedError


def aside(path: Path, raw: bytes, like: os.stat_result) -> Path:
    """Write a file beside another, and have it on the disk. Raises OSError."""
    fresh = path.with_name(f".{path.name}.natnetd-new")
    with suppress(FileNotFoundError):
        fresh.unlink()  # of one that was killed
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(raw)
            stream.flush()
            made = os.fstat(fd)
            if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
                os.fchown(fd, like.st_uid, like.st_gid)
            os.fchmod(fd, stat.S_IMODE(like.st_mode))
            os.fsync(fd)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    return fresh


def sync(directory: Path) -> None:
    """Have a rename on the disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def advice(error: OSError) -> str:
    """What can be done about a refusal."""
    if error.errno == errno.EPERM:
        return " (is it immutable? see lsattr; chattr -i makes it writable)"
    if error.errno == errno.EROFS:
        return " (the deputy writes below /etc/network only)"
    return ""


def keep(path: Path, raw: bytes, mode: int = 0o644) -> None:
    """Write a file of our own, as a whole or not at all. Raises HostError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        with suppress(FileNotFoundError):
            fresh.unlink()
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        fresh.replace(path)
        sync(path.parent)
    except OSError as error:
        raise HostError(f"{path}: cannot be written: {error.strerror}{advice(error)}") from error


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold a lock that others take too, after `patience` seconds at most. Raises HostError."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HostError(f"{path}: cannot be opened: {error.strerror}{advice(error)}") from error
    try:
        end = time.monotonic() + patience
        while not got(fd):
            if time.monotonic() > end:
                raise HostError(f"{path}: somebody holds this lock for more than {patience:g} seconds")
            time.sleep(PAUSE)
        yield
    finally:
        os.close(fd)


def got(fd: int) -> bool:
    """Try to get a lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sourced(path: Path, page: Page) -> list[Path]:
    """The files that a page sources, one level deep; relative ones stand beside it (interfaces(5))."""
    found: list[Path] = []
    for pattern in (pattern for pattern in page.sources if "\0" not in pattern):
        for name in sorted(glob.glob(os.path.join(path.parent, pattern))):  # noqa: PTH118, PTH207
            child = Path(name)
            with suppress(OSError):
                found += sorted(child.iterdir()) if child.is_dir() else [child]
    return found[:MANY]
