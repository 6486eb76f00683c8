"""What tells that Proxmox VE's list of bridges may be another: changed files, an answer, the clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from natnetd.host import Layer, Scope
from natnetd.linux.alarm import Alarm
from natnetd.linux.files import FileWatch
from natnetd.linux.register import RegisterDoor
from natnetd.wake import Notice, Source

REGISTER_ONLY = Scope(None, frozenset({Layer.REGISTER}))


class PathWatch(FileWatch):
    """Tells when one of some files may have changed; watches nothing before it is told to follow."""

    def __init__(self, *paths: Path) -> None:
        self.paths: tuple[Path, ...] = ()
        super().__init__(paths[0])
        self.paths = paths

    def follow(self) -> None:
        """Watch where the ways lead now."""
        self.names = {}
        for path in self.paths:
            self.go(path)


@dataclass(slots=True)
class Interfaces:
    """The files: a change only sets the clock, for whoever writes them may not be done."""

    watch: PathWatch
    door: RegisterDoor

    def fileno(self) -> int:
        """Readable when something happened on the way to them."""
        return self.watch.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell nothing yet."""
        if any(list(self.watch.read())) and self.door.active:
            self.door.disturbed()
        yield from ()


@dataclass(slots=True)
class Answer:
    """The deputy's answer."""

    watch: PathWatch
    door: RegisterDoor

    def fileno(self) -> int:
        """Readable when something happened on the way to it."""
        return self.watch.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell that there is one."""
        if any(list(self.watch.read())) and self.door.active:
            yield Notice(REGISTER_ONLY)


@dataclass(slots=True)
class Clock:
    """What is due: files have settled, an answer is late."""

    alarm: Alarm
    door: RegisterDoor

    def fileno(self) -> int:
        """Readable when it rang."""
        return self.alarm.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell if there is something to look at."""
        self.alarm.hush()
        if self.door.rang():
            yield Notice(REGISTER_ONLY)


def sources(door: RegisterDoor) -> list[Source]:
    """Have a door wake the loop. Raises OSError: no more watches to be had; then only verify looks."""
    interfaces = PathWatch(door.places.interfaces, door.places.pending)
    answer = PathWatch(door.places.answer)
    alarm = Alarm()

    def follow() -> None:
        interfaces.follow()
        answer.follow()

    door.follow, door.wind = follow, alarm.set
    return [Interfaces(interfaces, door), Answer(answer, door), Clock(alarm, door)]
