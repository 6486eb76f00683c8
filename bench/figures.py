"""Figures and the rows they stand in: natnetd's median beside the alternative's, and what was aimed at."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """What a number of runs came to."""

    runs: int
    median: float
    p90: float

    @classmethod
    def of(cls, values: Iterable[float], scale: float = 1.0) -> Self:
        """Sum runs up; `scale` turns seconds into the unit that is shown."""
        found = sorted(value * scale for value in values)
        return cls(len(found), statistics.median(found), found[min(len(found) - 1, len(found) * 9 // 10)])

    def __str__(self) -> str:
        return short(self.median)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page. `most` is the target for the median, `times` the target for the ratio."""

    topic: str
    what: str
    networks: int
    unit: str
    ours: Spread
    beside: str = ""
    other: Spread | None = None
    most: float | None = None
    times: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How often natnetd's median holds the alternative's."""
        return self.ours.median / self.other.median if self.other and self.other.median else None

    @property
    def verdicts(self) -> Sequence[tuple[bool, str]]:
        """Say of each target whether it was met."""
        name = f"{self.topic}: {self.what}, {networks(self.networks)}"
        found: list[tuple[bool, str]] = []
        if self.most is not None:
            words = f"{name}: {self.ours} {self.unit} (≤ {short(self.most)})"
            found.append((self.ours.median <= self.most, words))
        if self.times is not None and self.ratio is not None:
            words = f"{name}: {short(self.ratio)} of {self.beside} (≤ {short(self.times)})"
            found.append((self.ratio <= self.times, words))
        return found


def short(value: float) -> str:
    """Write a figure with three digits that mean something."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def networks(number: int) -> str:
    """Say how many networks."""
    return f"{number:,} network{'' if number == 1 else 's'}"
