"""Asking the root deputy: one file of asks, one of answers. Asking blocks nothing.

What was asked for counts as done until there is an answer, or ten seconds went by without one. An ask is
repeated once: a path unit is deaf while its service runs.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from natnetd.deputy import asks, files
from natnetd.errors import HostError

Version = tuple[int, ...] | None

PATIENCE = 10.0  # seconds for an answer
AGAIN = 4.0  # seconds until an ask is repeated


def version_of(path: Path) -> Version:
    """What tells this version of a file from others; None: there is none."""
    with suppress(OSError):
        return files.version(path.stat())
    return None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked last: which asks, how they are written down, and when (monotonic seconds)."""

    digest: str
    write: Callable[[int], bytes]
    at: float
    repeated: bool = False


@dataclass(slots=True)
class Desk:
    """Where asks are left and answers are found; `wind` sets the clock that calls `rang`."""

    asks: Path
    answer: Path
    clock: Callable[[], float] = time.monotonic
    wind: Callable[[float | None], None] = lambda _: None
    asked: Asked | None = None
    late: bool = False  # the deputy did not answer in time
    heard: Version = None

    def put(self, write: Callable[[int], bytes]) -> None:
        """Write asks down, which `write` makes with a serial number. Raises HostError."""
        raw = write(time.time_ns())
        files.keep(self.asks, raw)
        self.asked = Asked(asks.digest(raw), write, self.clock())

    def hear(self) -> Mapping[str, str] | None:
        """Read the answer to what was asked last: errors by network, "" for all. None: there is none yet."""
        now = version_of(self.answer)
        if self.asked is None or now is None or now == self.heard:
            return None
        with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
            told = asks.read_json(self.answer)
            self.heard = now
            if told["asked"] == self.asked.digest:
                errors = {str(name): str(text) for name, text in told["errors"].items()}
                self.asked, self.late = None, False
                return errors | ({"": str(told["error"])} if told["error"] else {})
        return None

    @property
    def fresh(self) -> bool:
        """Whether something was asked so short a time ago that no answer is no answer yet."""
        return self.asked is not None and self.clock() - self.asked.at < PATIENCE

    def waiting(self) -> bool:
        """Whether what was asked for counts as done."""
        if self.asked is None or self.late:
            return False
        self.late = not self.fresh
        return not self.late

    def due(self) -> float | None:
        """When an ask is to be repeated, or is late, in monotonic seconds."""
        if self.asked is None or self.late:
            return None
        return self.asked.at + (PATIENCE if self.asked.repeated else AGAIN)

    def rang(self) -> bool:
        """Repeat what is due; says whether the answer is late."""
        if self.asked is None or self.late:
            return False
        if not self.asked.repeated and self.clock() >= self.asked.at + AGAIN:
            at = self.asked.at
            with suppress(HostError):
                self.put(self.asked.write)
            self.asked = replace(self.asked, at=at, repeated=True)
        return not self.fresh
