"""What a pass found and did: the one source for log, metrics and status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from natnetd.host import ALL, Finding, Scope, Snapshot, State, Trouble
from natnetd.page import REASONS
from natnetd.plan import Change
from natnetd.rows import Counter

ORDER = tuple(State)


class Reason(StrEnum):
    """Why a pass ran."""

    START = "start"
    RELOAD = "reload"
    EVENT = "event"
    VERIFY = "verify"
    RETRY = "retry"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change that was tried; `error` says why it failed; `after` seconds of the pass it was done.

    `overtaken`: what it was about went away meanwhile, which an event will tell.
    """

    change: Change[Any]
    error: str | None = None
    after: float = 0.0
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who caused a drift, as far as the kernel tells."""

    name: str
    pid: int | None = None
    command: str = ""
    unit: str = ""

    def __str__(self) -> str:
        pid = f"[{self.pid}]" if self.pid else ""
        more = self.command or self.unit
        return f"{self.name}{pid}" + (f" ({more})" if more else "")


@dataclass(frozen=True, slots=True)
class Report:
    """One pass: why, what was seen, what was found, what was tried, and how long it took (seconds).

    `blind` says why the look failed; then nothing was tried. `late` are changes held back by back-off.
    """

    reason: Reason
    scope: Scope = ALL
    seen: Snapshot = field(default_factory=Snapshot)
    findings: tuple[Finding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    late: tuple[Change[Any], ...] = ()
    culprits: tuple[Culprit, ...] = ()
    took: float = 0.0
    blind: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing is held back."""
        return self.blind is None and not self.late and all(o.error is None for o in self.outcomes)

    @property
    def changed(self) -> bool:
        """Whether anything was tried."""
        return bool(self.outcomes)


def states(
    names: Iterable[str],
    findings: Iterable[Finding],
    troubles: Iterable[Trouble],
) -> dict[str, State]:
    """Give each network the weightiest state it was found in; what fails host-wide fails for all."""
    found = dict.fromkeys(names, State.IN_SYNC)

    def at_least(name: str | None, state: State) -> None:
        if name is not None:
            found[name] = max(found.get(name, State.IN_SYNC), state, key=ORDER.index)

    for finding in findings:
        everyone = finding.network is None and finding.state is State.CONTESTED
        for name in tuple(found) if everyone else (finding.network,):
            at_least(name, finding.state)
    for trouble in troubles:
        for name in tuple(found) if trouble.network is None else (trouble.network,):
            at_least(name, trouble.state)
    return found


@dataclass(frozen=True, slots=True)
class Traffic:
    """Figures of one sample: elements' counters by name, drops by reason and chain ("spoofed leave")."""

    elements: Mapping[str, Counter] = field(default_factory=dict)
    drops: Mapping[str, Counter] = field(default_factory=dict)

    @property
    def dropped(self) -> dict[str, int]:
        """Packets dropped, by reason; every reason there is."""
        found = dict.fromkeys(REASONS, 0)
        for key, count in self.drops.items():
            reason = key.partition(" ")[0]
            found[reason] = found.get(reason, 0) + count.packets
        return found
