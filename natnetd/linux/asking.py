"""Instances of dnsmasq started by the root deputy: units natnetd-dnsmasq@NETWORK.DIGEST.service."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from natnetd.deputy import asks
from natnetd.deputy.places import Places
from natnetd.errors import HostError
from natnetd.host import Layer, Scope
from natnetd.linux.alarm import Alarm
from natnetd.linux.desk import Desk
from natnetd.linux.told import PathWatch, on_files, on_time
from natnetd.wake import Notice, Source

SILENT = "natnetd-dnsmasq.service has not answered: systemctl status natnetd-dnsmasq.path"
VERB = "dnsmasq"

Errors = dict[str, str]  # by network


class ByDeputy:
    """We are not root: all that shall run is asked for, and what must start anew or read its lists again.

    These two last until the deputy has answered: a later ask replaces an earlier one, read or not. What did
    not start fails each time it is asked for, so that patience grows, until it has come.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, places: Places | None = None) -> None:
        mine = (places or Places.of()).of_verb(VERB)
        self.desk = Desk(mine.asks, mine.answer, clock)
        self.wanted: dict[str, str] = {}
        self.started: set[str] = set()  # networks that were asked for, and do not run yet
        self.stopped: dict[str, str] = {}
        self.anew: set[str] = set()
        self.again: set[str] = set()
        self.refused: Errors = {}

    def know(self, running: Mapping[str, str], /) -> None:
        """Learn what runs, and what was answered; what we did not ask for was so by an earlier natnetd."""
        errors = self.desk.hear()
        if errors is not None:
            self.anew, self.again, self.stopped = set(), set(), {}
            self.refused = dict.fromkeys(self.started, errors[""]) if "" in errors else dict(errors)
        known = {name: one for name, one in running.items() if name not in self.stopped}
        self.wanted = {**known, **self.wanted}
        came = {name for name, instance in running.items() if self.wanted.get(name) == instance}
        came -= {instance.rpartition(".")[0] for instance in self.anew}
        self.started -= came
        self.refused = {name: text for name, text in self.refused.items() if name not in came}
        self.wind()

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Ask for these too."""
        self.anew |= {path.stem for name, path in files.items() if self.stopped.get(name) == path.stem}
        for name, path in files.items():
            if self.wanted.get(name) != path.stem:
                self.refused.pop(name, None)
            self.wanted[name] = path.stem
        self.started |= files.keys()
        return self.tell(files)

    def stop(self, running: Mapping[str, int], /) -> Errors:
        """Ask for all but these; one that is started anew with the same text is asked for by `start`."""
        for name in running:
            if name in self.wanted:
                self.stopped[name] = self.wanted.pop(name)
            self.started.discard(name)
        return self.tell(running)

    def reload(self, running: Mapping[str, int], /) -> Errors:
        """Ask for the same, and for a reload."""
        self.again |= {self.wanted[name] for name in running if name in self.wanted}
        return self.tell(running)

    def tell(self, names: Collection[str]) -> Errors:
        """Ask if it is about any network; says what went wrong with them the last time."""
        if not names:
            return {}
        late = self.desk.late
        try:
            if not (late and self.desk.fresh):
                self.desk.put(self.written)
        except HostError as error:
            return dict.fromkeys(names, str(error))
        self.wind()
        if late:
            return dict.fromkeys(names, SILENT)
        return {name: self.refused[name] for name in names if name in self.refused}

    def written(self, serial: int) -> bytes:
        """Write the asks."""
        run = set(self.wanted.values())
        return asks.written_instances(run, self.anew & run, self.again & run, serial)

    def rang(self) -> bool:
        """Repeat what is due; says whether the answer is late."""
        late = self.desk.rang()
        if not late:
            self.wind()
        return late

    def wind(self) -> None:
        """Set the clock."""
        self.desk.wind(self.desk.due())

    def asked(self) -> Mapping[str, str | None]:
        """What was asked for a short time ago; None: that it stops."""
        if not self.desk.waiting():
            return {}
        coming = {name: self.wanted[name] for name in self.started if name not in self.refused}
        return {**dict.fromkeys(self.stopped, None), **coming}

    def concerned(self) -> frozenset[str]:
        """Networks that an answer is about."""
        return frozenset({*self.started, *self.stopped})


def sources(starter: object) -> list[Source]:
    """Have answers wake the loop. Raises OSError: no more watches to be had; then only verify looks."""
    if not isinstance(starter, ByDeputy):
        return []
    answer, alarm = PathWatch(starter.desk.answer), Alarm()
    answer.follow()
    starter.desk.wind = alarm.set

    def say() -> Iterator[Notice]:
        answer.follow()  # its directory may be new
        names = starter.concerned()
        if names:
            yield Notice(Scope(names, frozenset({Layer.SERVICE}), host=False))

    return [on_files(answer, say), on_time(alarm, starter.rang, say)]
