"""What a file says, with the place of every word; knows neither YAML nor our keys.

A node carries its own mark and path, so a value that came by way of `defaults` still points at the line
where it was written, in the file where it was written.
"""

import json
from dataclasses import dataclass, field
from typing import NamedTuple

from natnetd.errors import Complaint

LONGEST_SHOWN = 60
NULLS = frozenset({"", "~", "null", "Null", "NULL"})  # YAML 1.2 core schema


class Mark(NamedTuple):
    """A place in a file; lines and columns count from 1, columns in characters.

    `order` is the file's among those of one document: the main file's is 0.
    """

    order: int
    file: str
    line: int
    column: int

    def seen_from(self, other: "Mark") -> str:
        """Say where this is, for a message that stands at `other`."""
        return f"line {self.line}" if self.file == other.file else f"{self.file}:{self.line}"


class Scalar(NamedTuple):
    """One value as text; only a `plain` one (no quotes, no block sign) can mean true, 5 or null."""

    mark: Mark
    path: str
    text: str
    plain: bool

    @property
    def empty(self) -> bool:
        """Whether nothing, or null, stands there."""
        return self.plain and self.text in NULLS


class Unusable(NamedTuple):
    """Something that was complained about already; readers pass over it."""

    mark: Mark
    path: str


@dataclass(slots=True)
class Sequence:
    """A list."""

    mark: Mark
    path: str
    items: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Values by key, in the order of the file; `keys` holds the keys' own places."""

    mark: Mark
    path: str
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, "Node"] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping | Unusable


def complaint(node: Node, text: str) -> Complaint:
    """Return the complaint `text` about `node`."""
    _, file, line, column = node.mark
    return Complaint(file, line, column, node.path, text)


def shown(text: str) -> str:
    """Return `text` fit for one line of a message: cut, and escaped where a terminal would not show it."""
    if len(text) > LONGEST_SHOWN:
        text = text[: LONGEST_SHOWN - 1] + "…"
    return text if text and text.isprintable() and text.strip() == text else json.dumps(text)
