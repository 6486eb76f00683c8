"""Reads interfaces(5) as ifupdown does, and remembers where everything stood.

Blank lines and comments leave a stanza open, a backslash joins lines, indentation means nothing. Proxmox VE
ends a stanza at a blank line (PVE::Network::Interfaces), which is noted; it shows `#` lines of a stanza as
the bridge's comment, so those that follow a line of the stanza without a gap are taken for that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from natnetd.moving.places import Item, Place

COMMANDS = {  # up and down are old names (interfaces(5))
    "pre-up": "up",
    "up": "up",
    "post-up": "up",
    "down": "down",
    "pre-down": "down",
    "post-down": "down",
}
SOURCES = ("source", "source-directory", "source-dir")
ENDS = ("auto", "mapping", "rename", "no-auto-down", "no-scripts", "vlan", "template")
TEMPLATE = re.compile(r"\{\{|\{%|<%")
RENDER = "holds a template's words; render the file first, and import what comes out"


@dataclass(frozen=True, slots=True)
class Option:
    """One line of a stanza; underscores in its key are dashes, as ifupdown has it."""

    place: Place
    key: str
    value: str


@dataclass(slots=True)
class Stanza:
    """One `iface` and what belongs to it."""

    name: str
    family: str  # inet, inet6, or nothing as ifupdown2 allows
    method: str
    place: Place
    options: list[Option] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # as Proxmox VE shows them
    last: int = 0  # the last line that belongs to it
    gap: Place | None = None  # the first blank line that something follows

    @property
    def whole(self) -> Place:
        """Return where it stands, all of it."""
        return Place(self.place.file, self.place.first, max(self.place.last, self.last))


@dataclass(frozen=True, slots=True)
class Words:
    """A line outside of stanzas: `auto vmbr1`, `source interfaces.d/*`."""

    place: Place
    key: str
    names: tuple[str, ...]


@dataclass(slots=True)
class Page:
    """One file."""

    file: str
    stanzas: list[Stanza] = field(default_factory=list)
    autos: list[Words] = field(default_factory=list)
    sources: list[Words] = field(default_factory=list)
    odd: list[Item] = field(default_factory=list)


def read(text: str, file: str) -> Page:
    """Read the text of a file."""
    reader = Reader(Page(file))
    for place, line in lines(text, file):
        reader.take(place, line)
    return reader.page


def lines(text: str, file: str) -> Iterator[tuple[Place, str]]:
    """Yield what ifupdown takes for a line: one, or several that backslashes join."""
    raw = iter(enumerate(text.split("\n"), 1))
    for number, found in raw:
        line, last = found.strip(), number
        while line.endswith("\\") and not line.startswith("#"):
            last, more = next(raw, (last, ""))
            line = f"{line[:-1]} {more.strip()}".strip()
        yield Place(file, number, last), line


class Reader:
    """Puts lines where they belong."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.stanza: Stanza | None = None
        self.blank = 0  # the first blank line since the stanza's beginning
        self.open = False  # Proxmox VE still takes remarks for the stanza's

    def take(self, place: Place, line: str) -> None:
        """Take the next line."""
        if not line:
            self.blank = self.blank or place.first
            self.open = False
        elif line.startswith("#"):
            self.remark(place, line)
        else:
            self.words(place, *line.split(None, 1))

    def remark(self, place: Place, line: str) -> None:
        """Take a comment."""
        if line.endswith("\\"):
            text = (
                "a comment that ends in a backslash: ifupdown2 takes the next line for part of it, ifupdown"
            )
            self.page.odd.append(Item(place, f"{text} does not; remove the backslash"))
        if self.stanza and self.open:
            self.stanza.remarks.append(line[1:].strip())
            self.stanza.last = place.last

    def words(self, place: Place, key: str, rest: str = "") -> None:
        """Take a line that says something."""
        if key == "iface":
            self.begin(place, rest)
        elif key in ENDS or key in SOURCES or key.startswith("allow-"):
            self.stanza = None
            if key == "auto" or key.startswith("allow-"):
                self.page.autos.append(Words(place, key, tuple(rest.split())))
            elif key in SOURCES:
                self.page.sources.append(Words(place, key, tuple(rest.split())))
            else:
                text = f"{key} {rest}".strip()
                self.page.odd.append(Item(place, f"{text}: natnetd knows nothing like it; it stays"))
        elif self.stanza is None:
            self.page.odd.append(Item(place, f"{key} {rest}".strip() + ": belongs to no stanza"))
        else:
            self.option(self.stanza, place, key, rest)

    def begin(self, place: Place, rest: str) -> None:
        """Open a stanza."""
        self.stanza, self.blank, self.open = None, 0, True
        if TEMPLATE.search(rest):
            self.page.odd.append(Item(place, f"iface {rest}: {RENDER}"))
            self.stanza = Stanza("", "", "", place, last=place.last)  # its lines are nobody's
            self.page.stanzas.append(self.stanza)
            return
        name, family, method, *more = (*rest.split(), "", "", "")
        if not name:
            self.page.odd.append(Item(place, "iface: names no interface"))
        if any(more):
            text = f"{' '.join(filter(None, more))}: not imported"
            self.page.odd.append(Item(place, f"iface {rest}: {text}"))
        self.stanza = Stanza(name, family, method, place, last=place.last)
        self.page.stanzas.append(self.stanza)

    def option(self, stanza: Stanza, place: Place, key: str, value: str) -> None:
        """Take a line of the open stanza."""
        stanza.last = place.last
        if self.blank and not stanza.gap:
            stanza.gap = Place(place.file, self.blank, self.blank)
        self.blank, self.open = 0, True
        key = key.replace("_", "-")
        stanza.options.append(Option(place, key, value))
