"""Where something stands, and what is to be said about it."""

import re
from dataclasses import dataclass

UNSEEN = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029\ufeff]")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Lines of a file, from 1."""

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        lines = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.file}:{lines}"


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing to be told."""

    place: Place
    text: str

    def __str__(self) -> str:
        return visible(f"{self.place}: {self.text}")


def visible(text: str) -> str:
    """Return `text` as one line that a terminal and YAML can bear."""
    return UNSEEN.sub("?", text)
