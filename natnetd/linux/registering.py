"""What tells that Proxmox VE's list of bridges may be another: changed files, an answer, the clock."""

from collections.abc import Iterator

from natnetd.host import Layer, Scope
from natnetd.linux.alarm import Alarm
from natnetd.linux.register import RegisterDoor
from natnetd.linux.told import PathWatch, on_files, on_time
from natnetd.wake import Notice, Source

REGISTER_ONLY = Scope(None, frozenset({Layer.REGISTER}))


def sources(door: RegisterDoor) -> list[Source]:
    """Have a door wake the loop. Raises OSError: no more watches to be had; then only verify looks."""
    interfaces = PathWatch(door.places.interfaces, door.places.pending)
    answer = PathWatch(door.places.answer)
    alarm = Alarm()

    def follow() -> None:
        interfaces.follow()
        answer.follow()

    def disturbed() -> Iterator[Notice]:
        """Tell nothing yet, only set the clock: whoever writes the files may not be done."""
        if door.active:
            door.disturbed()
        yield from ()

    def answered() -> Iterator[Notice]:
        if door.active:
            yield Notice(REGISTER_ONLY)

    door.follow, door.wind = follow, alarm.set
    return [
        on_files(interfaces, disturbed),
        on_files(answer, answered),
        on_time(alarm, door.rang, lambda: [Notice(REGISTER_ONLY)]),
    ]
