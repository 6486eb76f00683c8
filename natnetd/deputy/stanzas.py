"""/etc/network/interfaces: what natnetd writes there, and how a file is read and edited; pure.

Nothing but natnetd's own stanzas is ever changed: all other bytes stay as they are, whatever they are. A
stanza ends where it does for ifupdown (at the next keyword): by Proxmox VE's rule (at a blank line) options
behind a blank line would be left over, and then belong to the stanza before.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

KEYWORDS = frozenset(
    b"iface auto mapping source source-directory rename template no-auto-down no-scripts".split()
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What Proxmox VE is told of a network: at most one address of a family, as it knows no more."""

    name: str
    inet: str = ""
    inet6: str = ""
    comment: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """Its stanzas, as they stand in the file.

        No `auto`: ifup and ifreload leave it alone. The last two options are for the day somebody ticks
        Autostart: without them ifreload would take addresses and forwarding away. Comments are shown if last.
        """
        method = f"static\n\taddress {self.inet}" if self.inet else "manual"
        options = "bridge-ports none\n\tbridge-stp off\n\tbridge-fd 0\n\taddress-purge no\n\tip-forward on"
        text = f"iface {self.name} inet {method}\n\t{options}\n"
        text += "".join(f"#{line}\n" for line in self.comment)
        if self.inet6:
            text += f"\niface {self.name} inet6 static\n\taddress {self.inet6}\n"
        return text.encode("utf-8", "surrogateescape")

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines, as they are compared."""
        return Page.of(self.text).lines(self.name)


@dataclass(frozen=True, slots=True)
class Stanza:
    """An `iface` of a file, from line `start` up to, not including, line `end`; the first one is 0."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    """One file, understood: its stanzas by name.

    `marked` are names in `auto` and `allow-...` lines with that line, from 0 on; `sources` patterns of files.
    """

    rows: tuple[bytes, ...]
    stanzas: Mapping[str, tuple[Stanza, ...]]
    marked: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: bytes) -> "Page":
        """Understand a file; there is no file that cannot be read."""
        rows = split(raw)
        stanzas: list[Stanza] = []
        marked: dict[str, int] = {}
        sources: list[str] = []
        is_open = gap = False
        for start, end, words in logical(rows):
            if not words or words[0].startswith(b"#"):
                gap = gap or not words
                if is_open and words and not gap:
                    stanzas[-1] = Stanza(stanzas[-1].name, stanzas[-1].start, end)
            elif words[0] in KEYWORDS or words[0].startswith((b"allow-", b"allow_")):
                names = [os_text(word) for word in words[1:]]
                is_open, gap = words[0] == b"iface" and bool(names), False
                if is_open:
                    stanzas.append(Stanza(names[0], start, end))
                elif words[0].startswith(b"source"):
                    sources += names
                elif words[0] not in (b"iface", b"mapping", b"rename", b"template"):
                    marked |= {name: start for name in names if name not in marked}
            elif is_open:
                stanzas[-1] = Stanza(stanzas[-1].name, stanzas[-1].start, end)
                gap = False
        named: dict[str, tuple[Stanza, ...]] = {}
        for stanza in stanzas:
            named[stanza.name] = (*named.get(stanza.name, ()), stanza)
        return cls(rows, named, marked, tuple(sources))

    def of_name(self, name: str) -> tuple[Stanza, ...]:
        """The stanzas of an interface."""
        return self.stanzas.get(name, ())

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines of an interface's stanzas, with white space as it does not matter."""
        rows = (row for stanza in self.of_name(name) for row in self.rows[stanza.start : stanza.end])
        return tuple(plain(row) for row in rows)

    def claim(self, name: str) -> int | None:
        """The first line (from 1 on) that speaks of an interface; None: there is none."""
        lines = [stanza.start + 1 for stanza in self.of_name(name)]
        lines += [self.marked[name] + 1] if name in self.marked and not lines else []
        return lines[0] if lines else None


def split(raw: bytes) -> tuple[bytes, ...]:
    """Split at line feeds only: a carriage return alone ends no line."""
    rows = [row + b"\n" for row in raw.split(b"\n")]
    rows[-1] = rows[-1][:-1]
    return tuple(row for row in rows if row)


def logical(rows: tuple[bytes, ...]) -> Iterator[tuple[int, int, list[bytes]]]:
    """Yield lines with those that a backslash continues: where they begin and end, and their words."""
    index = 0
    while index < len(rows):
        start, words = index, rows[index].split()
        index += 1
        if words and not words[0].startswith(b"#"):
            while rows[index - 1].rstrip(b"\r\n").endswith(b"\\") and index < len(rows):
                words += rows[index].split()
                index += 1
        yield start, index, words


def os_text(word: bytes) -> str:
    """Bytes of a file as text, odd ones too."""
    return word.decode("utf-8", "surrogateescape")


def plain(row: bytes) -> str:
    """A line as it is compared: Proxmox VE writes other white space than people do."""
    row = row.strip()
    return os_text(row if row.startswith(b"#") else b" ".join(row.split()))


def cleaned(text: str) -> str:
    """A line of comment as it may stand in the file: nothing that ends or continues a line."""
    fit = "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"})
    return re.sub(r"[\s\\]+\Z", "", fit.lstrip())


def entry_of(name: str, lines: tuple[str, ...]) -> Entry:
    """Read an entry back from its lines."""
    found = {"inet": "", "inet6": ""}
    family, comment = "inet", []
    for line in lines:
        words = line.split(" ")
        if words[0] == "iface":
            family = words[2] if len(words) > 2 and words[2] in found else "inet"
        elif words[0] == "address" and len(words) > 1:
            found[family] = words[1]
        elif line.startswith("#"):
            comment.append(line[1:])
    return Entry(name, found["inet"], found["inet6"], tuple(comment))
