"""What a description of the file is made of: keys, and what a key takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from natnetd.file.shapes import Shape


@dataclass(frozen=True, slots=True)
class Many:
    """A list; a single value may stand for a list of one."""

    shape: Shape
    if_none: str = ""  # what to write in place of an empty list; empty where an empty list is fine


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with these keys."""

    keys: tuple["Key", ...]
    words: str
    refused: Mapping[str, str] = field(default_factory=dict)  # keys that belong elsewhere: where


@dataclass(frozen=True, slots=True)
class Feature:
    """`true`, `false`, or a mapping that turns it on and says more."""

    section: Section


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from the operator's own names to sections."""

    names: Shape
    section: Section
    words: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of mappings with these keys; a single mapping may stand for a list of one."""

    section: Section
    words: str


Takes = Shape | Many | Section | Feature | Named | Rows


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it takes, what holds without it, and what it does."""

    name: str
    takes: Takes
    doc: str
    default: str  # in words
    examples: tuple[Any, ...] = ()  # as in JSON
    value: Any = None  # the default as in JSON, where it has one
    shared: bool = True  # may stand under `defaults`
    required: bool = False
