"""Reads /etc/network/interfaces and the files it names, and whether a file of sysctl's forwards."""

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from natnetd.errors import NatnetdError
from natnetd.moving.interfaces import Page, Words, read
from natnetd.moving.places import Item, Place

SDN = "written by Proxmox VE's SDN, never imported; it stays"
LARGEST = 8 * 1024 * 1024  # bytes
NAMES = re.compile(r"[A-Za-z0-9_-]+")  # what source-directory takes (interfaces(5))
FORWARDS = re.compile(
    r"^\s*-?net[./]ipv4[./](?:ip_forward|conf[./]all[./]forwarding)\s*=\s*1\s*$", re.MULTILINE
)


@dataclass(slots=True)
class Gathered:
    """The pages in the order of reading, and what is to be said about their files."""

    pages: list[Page] = field(default_factory=list)
    missing: list[Item] = field(default_factory=list)
    notes: list[Item] = field(default_factory=list)


def gather(path: Path) -> Gathered:
    """Read a file and all that it sources. Raises NatnetdError: it cannot be read."""
    gathered = Gathered()
    take(path, text_of(path), gathered, frozenset())
    pending = path.with_name(f"{path.name}.new")
    if pending.exists():
        text = "Proxmox VE puts this file in place of the other with Apply or at boot; apply or revert first"
        gathered.notes.append(Item(Place(str(pending), 1, 1), text))
    return gathered


def text_of(path: Path) -> str:
    """Return a file's text. Raises NatnetdError."""
    try:
        if not path.exists():
            raise NatnetdError(f"{path}: there is no such file")
        if path.is_dir():
            raise NatnetdError(f"{path}: is a directory; name a file in it")
        with path.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise NatnetdError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST:
        raise NatnetdError(f"{path}: is larger than {LARGEST // 1024 // 1024} MiB; is it the right file?")
    return raw.decode("utf-8", "surrogateescape")


def take(path: Path, text: str, gathered: Gathered, above: frozenset[str]) -> None:
    """Read one file; `above` are those it is sourced from."""
    page = read(text, str(path))
    gathered.pages.append(page)
    above |= {os.path.realpath(path)}
    for words in page.sources:
        for pattern in words.names:
            for child in children(path, words, pattern, gathered):
                follow(child, words.place, gathered, above)


def children(path: Path, words: Words, pattern: str, gathered: Gathered) -> list[Path]:
    """Return the files that a line names, in ifupdown's order; relative ones stand beside the file."""
    full = os.path.join(path.parent, pattern)  # noqa: PTH118  a pattern is no path
    found = [Path(name) for name in sorted(glob.glob(full))]  # noqa: PTH207  it may be absolute
    if words.key == "source":
        if not found and not glob.has_magic(pattern):
            gathered.notes.append(Item(words.place, f"{words.key} {pattern}: there is no such file"))
        return [child for child in found if child.is_file()]
    inside = [child for directory in found if directory.is_dir() for child in sorted(directory.iterdir())]
    for child in inside:
        if child.is_file() and not NAMES.fullmatch(child.name):
            text = "ifupdown passes over it for its name (ifupdown2 does not); it was not read"
            gathered.missing.append(Item(Place(str(child), 1, 1), text))
    return [child for child in inside if child.is_file() and NAMES.fullmatch(child.name)]


def follow(child: Path, place: Place, gathered: Gathered, above: frozenset[str]) -> None:
    """Read a sourced file, unless it is Proxmox VE's own."""
    if os.path.realpath(child) in above or len(gathered.pages) > 1000:
        gathered.missing.append(Item(place, f"{child} is sourced in a circle; it is read once"))
        return
    try:
        text = text_of(child)
    except NatnetdError as error:
        gathered.missing.append(Item(place, str(error)))
        return
    if (child.parent.name, child.name) == ("interfaces.d", "sdn"):
        if read(text, str(child)).stanzas:
            gathered.missing.append(Item(Place(str(child), 1, max(1, text.count("\n"))), SDN))
        return
    take(child, text, gathered, above)


def forwards(path: Path) -> bool:
    """Whether sysctl's files of the same /etc switch forwarding on; only for DIR/network/interfaces."""
    if path.parent.name != "network":
        return False
    etc = path.parent.parent
    for file in (etc / "sysctl.conf", *sorted(etc.glob("sysctl.d/*.conf"))):
        try:
            if FORWARDS.search(text_of(file)):
                return True
        except NatnetdError:
            continue
    return False
