"""The door to Proxmox VE's list of bridges: root edits the files, everybody else asks the deputy to.

What was asked for counts as done for a while, see natnetd.linux.desk.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from natnetd.deputy import asks
from natnetd.deputy import register as deputy
from natnetd.deputy.places import Places
from natnetd.deputy.stanzas import Entry, Page, entry_of
from natnetd.errors import HostError
from natnetd.linux.desk import Desk
from natnetd.linux.listed import Listed, on_proxmox
from natnetd.plan import Change
from natnetd.registered import stanza
from natnetd.rows import Register, Stanza

log = logging.getLogger(__name__)

SETTLE = 0.5  # seconds the files are left alone after a change: whoever writes them may not be done
LOCK_PATIENCE = 5.0  # seconds that root waits for Proxmox VE's lock
SILENT = "natnetd-deputy has not answered: systemctl status natnetd-deputy.path"

Wanted = dict[str, Entry]


@dataclass(slots=True)
class RegisterDoor:
    """Looks and asks; `direct`: we are root, and do it ourselves."""

    places: Places = field(default_factory=Places.of)
    direct: bool = field(default_factory=lambda: os.geteuid() == 0)
    clock: Callable[[], float] = time.monotonic
    follow: Callable[[], None] = lambda: None  # watch where the ways to the files lead now
    wind: Callable[[float | None], None] = lambda _: None  # set the clock that calls `rang`
    listed: Listed = field(init=False)
    desk: Desk = field(init=False)
    active: bool = False
    wanted: Wanted = field(default_factory=dict)  # what the deputy was asked for last
    refused: dict[str, str] = field(default_factory=dict)  # by network; "" stands for all
    settles: float | None = None
    last: Register | None = None

    def __post_init__(self) -> None:
        self.listed = Listed(self.places)
        self.desk = Desk(self.places.asks, self.places.answer, self.clock)

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
        """Read the deputy's answer; says whether there is one to what was asked last."""
        errors = self.desk.hear()
        if errors is None:
            return False
        self.refused = dict(errors)
        self.settles = None  # the deputy has just had it under its lock
        return True

    def as_asked(self, seen: Register) -> Register:
        """What was asked for counts as done, unless it was refused before or the answer is late."""
        if "" in self.refused or seen.trouble or not self.desk.waiting():
            return seen
        wanted = {name: e for name, e in self.wanted.items() if name not in self.refused}
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
        if self.desk.asked:
            return dict(self.wanted)
        known = {name: Page.of(text) for name, text in self.listed.known().items()}
        return {name: entry_of(name, page.lines(name)) for name, page in known.items()}

    def make(self, wanted: Wanted, changes: Sequence[Change[Any]]) -> list[HostError | None]:
        """Do what the deputy would, as root. Raises HostError."""
        errors = deputy.register(tuple(wanted.values()), self.places, LOCK_PATIENCE)
        self.settles = None
        return [HostError(errors[n]) if (n := c.network or "") in errors else None for c in changes]

    def ask(self, wanted: Wanted, changes: Sequence[Change[Any]]) -> list[HostError | None]:
        """Write the asks. Raises HostError."""
        if not (self.desk.late and self.desk.fresh):
            self.desk.put(lambda serial: asks.written(wanted.values(), serial))
            self.wanted = wanted
            self.wind(self.due())
        if self.desk.late:
            raise HostError(SILENT)
        if "" in self.refused:
            raise HostError(self.refused[""])
        return [
            HostError(self.refused[n]) if (n := c.network or "") in self.refused else None for c in changes
        ]

    # --- waking up

    def disturbed(self) -> None:
        """Note that somebody writes the files."""
        self.settles = self.clock() + SETTLE
        self.wind(self.due())

    def due(self) -> float | None:
        """When there is something to do next, in monotonic seconds."""
        return min((at for at in (self.settles, self.desk.due()) if at is not None), default=None)

    def rang(self) -> bool:
        """Do what is due; says whether the files are to be looked at, which winds the clock again."""
        late = self.desk.rang()
        settled = self.settles is not None and self.clock() >= self.settles
        if not (settled or late):
            self.wind(self.due())
        return settled or late
