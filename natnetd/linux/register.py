"""The door to Proxmox VE's list of bridges: root edits the files, everybody else asks the deputy to.

Asking blocks nothing: what was asked for counts as done until the deputy has answered or ten seconds went by.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from natnetd.deputy import asks, files
from natnetd.deputy import register as deputy
from natnetd.deputy.places import Places
from natnetd.deputy.stanzas import Entry, Page, entry_of
from natnetd.errors import HostError
from natnetd.linux.listed import Listed, Version, on_proxmox, version_of
from natnetd.plan import Change
from natnetd.registered import stanza
from natnetd.rows import Register, Stanza

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds for an answer
AGAIN = 4.0  # seconds until an ask is repeated: the path unit may have been deaf just then
SETTLE = 0.5  # seconds the files are left alone after a change: whoever writes them may not be done
LOCK_PATIENCE = 5.0  # seconds that root waits for Proxmox VE's lock
SILENT = "natnetd-deputy has not answered: systemctl status natnetd-deputy.path"

Wanted = dict[str, Entry]


@dataclass(slots=True)
class Asked:
    """What the deputy was asked last: which asks, for what, and when (monotonic seconds)."""

    digest: str
    wanted: Wanted
    at: float
    repeated: bool = False


@dataclass(slots=True)
class RegisterDoor:
    """Looks and asks; `direct`: we are root, and do it ourselves."""

    places: Places = field(default_factory=Places.of)
    direct: bool = field(default_factory=lambda: os.geteuid() == 0)
    clock: Callable[[], float] = time.monotonic
    follow: Callable[[], None] = lambda: None  # watch where the ways to the files lead now
    wind: Callable[[float | None], None] = lambda _: None  # set the clock that calls `rang`
    listed: Listed = field(init=False)
    active: bool = False
    asked: Asked | None = None
    late: bool = False  # the deputy did not answer in time
    refused: dict[str, str] = field(default_factory=dict)  # by network; "" stands for all
    answer_version: Version = None
    settles: float | None = None
    last: Register | None = None

    def __post_init__(self) -> None:
        self.listed = Listed(self.places)

    # --- looking

    def look(self, register: bool | None, /) -> Register:  # noqa: FBT001  # what the file says
        """See what is registered; where it is turned off and nothing of ours is left, only that."""
        proxmox = register is not False and on_proxmox(self.places)
        self.active = bool(register) or proxmox or bool(self.listed.known())
        if not self.active:
            return Register()
        self.follow()
        heard = self.hear()
        if self.last is None or self.settles is None or self.clock() >= self.settles:
            self.settles = None
            last, self.last = self.last, self.listed.look()
            if self.last is not last and not heard:
                self.refused = {}  # the files are others, and the reason may be gone
        seen = self.as_asked(replace(self.last, proxmox=proxmox))
        self.wind(self.due())
        return seen

    def hear(self) -> bool:
        """Read the deputy's answer; says whether there is another one, and it is to what was asked last."""
        now = version_of(self.places.answer)
        if self.asked is None or now is None or now == self.answer_version:
            return False
        with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
            told = asks.read_json(self.places.answer)
            self.answer_version = now
            if told["asked"] == self.asked.digest:
                self.refused = {str(name): str(text) for name, text in told["errors"].items()}
                self.refused |= {"": str(told["error"])} if told["error"] else {}
                self.asked, self.late = None, False
                self.settles = None  # the deputy has just had it under its lock
                return True
        return False

    def as_asked(self, seen: Register) -> Register:
        """What was asked for counts as done, unless it was refused before or the answer is late."""
        if self.asked is None or self.late or "" in self.refused or seen.trouble:
            return seen
        if self.clock() - self.asked.at >= PATIENCE:
            self.late = True
            return seen
        wanted = {name: e for name, e in self.asked.wanted.items() if name not in self.refused}
        names = (seen.recorded | wanted.keys()) - self.refused.keys()
        kept = {k: row for k, row in seen.stanzas.items() if k.partition(" in ")[0] not in names}
        done = {f"{name} in {file}": stanza(e) for name, e in wanted.items() for file in seen.files}
        recorded = (seen.recorded - names) | wanted.keys()
        return replace(seen, stanzas=kept | done, recorded=recorded)

    # --- changing

    def apply(self, changes: Sequence[Change[Stanza]], /) -> list[HostError | None]:
        """Ask for the changes, or make them."""
        wanted = self.standing()
        for change in changes:
            name = change.network or ""
            wanted.pop(name, None)
            if change.want is not None:
                wanted[name] = entry_of(name, change.want.lines)
        try:
            return self.make(wanted, changes) if self.direct else self.ask(wanted, changes)
        except HostError as error:
            return [error] * len(changes)

    def standing(self) -> Wanted:
        """What was asked last, or what is recorded."""
        if self.asked:
            return dict(self.asked.wanted)
        known = {name: Page.of(text) for name, text in self.listed.known().items()}
        return {name: entry_of(name, page.lines(name)) for name, page in known.items()}

    def make(self, wanted: Wanted, changes: Sequence[Change[Any]]) -> list[HostError | None]:
        """Do what the deputy would, as root. Raises HostError."""
        errors = deputy.register(tuple(wanted.values()), self.places, LOCK_PATIENCE)
        self.settles = None
        return [HostError(errors[n]) if (n := c.network or "") in errors else None for c in changes]

    def ask(self, wanted: Wanted, changes: Sequence[Change[Any]]) -> list[HostError | None]:
        """Write the asks. Raises HostError."""
        if not (self.late and self.asked and self.clock() - self.asked.at < PATIENCE):
            self.write(wanted)
        if self.late:
            raise HostError(SILENT)
        if "" in self.refused:
            raise HostError(self.refused[""])
        return [
            HostError(self.refused[n]) if (n := c.network or "") in self.refused else None for c in changes
        ]

    def write(self, wanted: Wanted) -> None:
        """Write down all that is wanted. Raises HostError."""
        raw = asks.written(wanted.values(), time.time_ns())
        files.keep(self.places.asks, raw)
        self.asked = Asked(asks.digest(raw), wanted, self.clock())
        self.wind(self.due())

    # --- waking up

    def disturbed(self) -> None:
        """Note that somebody writes the files."""
        self.settles = self.clock() + SETTLE
        self.wind(self.due())

    def due(self) -> float | None:
        """When there is something to do next, in monotonic seconds."""
        times = [self.settles] if self.settles is not None else []
        if self.asked and not self.late:
            times.append(self.asked.at + (PATIENCE if self.asked.repeated else AGAIN))
        return min(times, default=None)

    def rang(self) -> bool:
        """Do what is due; says whether the files are to be looked at, which winds the clock again."""
        now = self.clock()
        if self.asked and not self.late and not self.asked.repeated and now >= self.asked.at + AGAIN:
            at = self.asked.at
            with suppress(HostError):
                self.write(self.asked.wanted)
            self.asked = replace(self.asked, at=at, repeated=True)
        settled = self.settles is not None and now >= self.settles
        late = self.asked is not None and not self.late and now >= self.asked.at + PATIENCE
        if not (settled or late):
            self.wind(self.due())
        return settled or late
