"""Looks at /etc/network/interfaces and its neighbours, and reads them again only if they are others."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from natnetd.deputy import files
from natnetd.deputy.places import Places
from natnetd.deputy.register import recorded
from natnetd.deputy.stanzas import Page, entry_of
from natnetd.errors import HostError
from natnetd.linux.desk import Version, version_of
from natnetd.registered import stanza
from natnetd.rows import Register, Stanza

PVE = "/etc/pve"


def on_proxmox(places: Places) -> bool:
    """Whether this is a Proxmox VE host: pmxcfs, a FUSE file system, is mounted (proc(5), mountinfo)."""
    try:
        mounts = places.mounts.read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    for line in mounts.splitlines() if f" {PVE} " in mounts else ():
        place, _, kind = line.partition(" - ")
        if place.split(" ")[4:5] == [PVE] and kind.startswith("fuse"):
            return True
    return False


@dataclass(slots=True)
class Listed:
    """What was read last, and of which versions of the files."""

    places: Places
    versions: Mapping[Path, Version] = field(default_factory=dict)
    record: Mapping[str, bytes] = field(default_factory=dict)
    record_version: Version = None
    seen: Register = field(default_factory=Register)

    def known(self) -> Mapping[str, bytes]:
        """What the deputy has recorded as ours: texts by network."""
        now = version_of(self.places.record)
        if now != self.record_version:
            self.record, self.record_version = recorded(self.places) if now else {}, now
            self.versions = {}
        return self.record

    def look(self) -> Register:
        """See the files, again only if one of them is another. What keeps them from being read is told."""
        known = self.known()
        if self.versions and all(version_of(path) == was for path, was in self.versions.items()):
            return self.seen
        main, pending = self.places.interfaces, self.places.pending
        self.versions = {path: version_of(path) for path in (main, pending)}
        try:
            pages = {path: Page.of(text.raw) for path in (main, pending) if (text := files.read(path))}
            around = files.sourced(main, pages[main]) if main in pages else []
        except HostError as error:
            self.seen = Register(recorded=frozenset(known), trouble=str(error))
            return self.seen
        self.versions |= {path: version_of(path) for path in {*around, *(path.parent for path in around)}}
        self.seen = Register(
            files=tuple(path.name for path in pages),
            stanzas=dict(rows(pages, known)),
            recorded=frozenset(known),
            strange=dict(strange(pages, around, known)),
        )
        return self.seen


def rows(pages: Mapping[Path, Page], known: Mapping[str, bytes]) -> Iterator[tuple[str, Stanza]]:
    """Yield every stanza, with its key."""
    for path, page in pages.items():
        for name in page.stanzas:
            told, place = entry_of(name, page.lines(name)), f"{path}:{page.claim(name)}"
            row = replace(stanza(told, recorded=name in known, place=place), lines=page.lines(name))
            yield f"{name} in {path.name}", row


def strange(
    pages: Mapping[Path, Page], around: Iterable[Path], known: Mapping[str, bytes]
) -> Iterator[tuple[str, str]]:
    """Yield names that others speak of elsewhere, and where: in sourced files, or in `auto` lines alone."""
    others: dict[Path, Page] = {}
    for path in around:
        with suppress(HostError):
            text = files.read(path)
            others |= {path: Page.of(text.raw)} if text else {}
    for path, page in (*others.items(), *pages.items()):
        alone = page.marked.keys() - page.stanzas.keys()
        for name in alone if path in pages else alone | page.stanzas.keys():
            if name not in known:
                yield name, f"{path}:{page.claim(name)}"
