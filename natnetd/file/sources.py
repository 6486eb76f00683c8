"""The files that make up the configuration: NAME.yaml, and its drop-ins NAME.d/*.yaml."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from natnetd.file.plaintext import LARGEST

ENDINGS = ("yaml", "yml")  # of a main file that has drop-ins; a pipe such as /dev/fd/63 has none
READINGS = 5  # at most; whoever writes without a pause is heard by the watch, and read again
MISSING = "there is no such file; write it, or name another with --config FILE"
CLOSED = "may not be read by this user; run as root, or let the user natnetd read the {}"


class Text(NamedTuple):
    """What one file says, or what keeps it from being read; `file` is the name that complaints bear."""

    file: str
    raw: bytes = b""
    trouble: str = ""


Texts = tuple[Text, ...]  # the main file comes first, its drop-ins in the order of their names


def gather(path: str | os.PathLike[str]) -> Texts:
    """Read the file at `path` and its drop-ins; raises nothing, what cannot be read says so itself."""
    file = os.fsdecode(path)
    once = directory_of(file) is None or not os.path.isfile(file)  # noqa: PTH113  that one may raise
    if once:  # a pipe
        return (read_main(path), *read_drop_ins(file))
    return settled(lambda: (read_main(path), *read_drop_ins(file)))


def settled(read: Callable[[], Texts]) -> Texts:
    """Read until two readings agree: what is moved to another file meanwhile may be in neither."""
    texts = read()
    for _ in range(READINGS):
        again = read()
        if again == texts:
            break
        texts = again
    return texts


def read_main(path: str | os.PathLike[str]) -> Text:
    """Read a file as it is, also one that is no regular file."""
    file = fit(os.fsdecode(path))
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  the path may be a descriptor's: /dev/fd/63
            return Text(file, stream.read(LARGEST + 1))
    except FileNotFoundError:
        return Text(file, trouble=MISSING)
    except IsADirectoryError:
        return Text(file, trouble="is a directory; name a file in it with --config FILE")
    except (OSError, ValueError) as error:
        return Text(file, trouble=unreadable(error))


def directory_of(path: str) -> Path | None:
    """Return where the drop-ins of the file at `path` stand, whether or not there are any."""
    stem, _, ending = path.rpartition(".")
    named = stem and not stem.endswith("/") and ending in ENDINGS
    return Path(f"{stem}.d") if named else None


def is_drop_in(name: str) -> bool:
    """Whether a file of this name is read: editors' backups, and what packages leave behind, are not."""
    return name.endswith(".yaml") and not name.startswith(".")


def listed(directory: Path) -> list[Path]:
    """Return the drop-ins in a directory, in the order of the bytes of their names.

    Raises OSError, but not if there is no such directory.
    """
    try:
        paths = [path for path in directory.iterdir() if is_drop_in(path.name)]
    except FileNotFoundError:
        return []
    return sorted(paths, key=os.fsencode)


def read_drop_ins(path: str) -> Iterator[Text]:
    """Read every drop-in of the file at `path`."""
    directory = directory_of(path)
    if directory is None:
        return
    try:
        paths = listed(directory)
    except (OSError, ValueError) as error:
        # A path that leads nowhere, through a file for instance, is told of the main file.
        if os.path.lexists(directory):
            yield Text(fit(str(directory)), trouble=unlisted(error))
        return
    for found in paths:
        text = read_drop_in(found)
        if text is not None:
            yield text


def read_drop_in(path: Path) -> Text | None:
    """Read one drop-in; there is none if it was removed meanwhile."""
    file = fit(str(path))
    try:
        with open(path, "rb", opener=at_once) as stream:
            if stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
                return Text(file, trouble="is a pipe; a drop-in is a file")
            return Text(file, stream.read(LARGEST + 1) or b"")
    except FileNotFoundError:
        lost = "is a link that leads nowhere; remove it, or write the file it names"
        return Text(file, trouble=lost) if path.is_symlink() else None
    except IsADirectoryError:
        return Text(file, trouble="is a directory; a drop-in is a file")
    except OSError as error:
        return Text(file, trouble=unreadable(error))


def at_once(path: str, flags: int) -> int:
    """Open without waiting: nobody may ever write into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def unreadable(error: Exception) -> str:
    """Say why a file cannot be read."""
    if isinstance(error, PermissionError):
        return CLOSED.format("file")
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def unlisted(error: Exception) -> str:
    """Say why the names of the drop-ins cannot be had."""
    if isinstance(error, PermissionError):
        return CLOSED.format("directory")
    if isinstance(error, NotADirectoryError):
        return "is no directory; the drop-ins of a configuration stand in one, remove this file"
    return f"cannot be listed: {getattr(error, 'strerror', None) or error}"


def fit(name: str) -> str:
    """Return the name of a file fit for one line of a message."""
    return name if name.isprintable() else json.dumps(name)
