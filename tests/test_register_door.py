"""The door to Proxmox VE's list without rights: it asks, blocks nothing, and says what became of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from deputies import HOST
from test_registration import MAIN, TEXT, TOLD, WANT

from natnetd.deputy import __main__ as program
from natnetd.deputy import asks
from natnetd.deputy.places import Places
from natnetd.host import Snapshot
from natnetd.kinds import registration
from natnetd.linux.desk import AGAIN, PATIENCE
from natnetd.linux.register import SETTLE, SILENT, RegisterDoor
from natnetd.model import Config
from natnetd.plan import Plan


@dataclass
class Desk:
    """A door whose clock stands still until it is moved, and a deputy that comes when it is called."""

    places: Places
    now: float = 100.0
    rings: float | None = None

    def __post_init__(self) -> None:
        self.door = RegisterDoor(self.places, direct=False, clock=lambda: self.now)
        self.door.wind = self.wind

    def wind(self, at: float | None) -> None:
        self.rings = at

    def plan(self, config: Config = TOLD) -> Plan:
        return tuple(registration.plan(config, Snapshot(register=self.door.look(True))))

    def errors(self) -> list[str | None]:
        return [error and str(error) for error in self.door.apply(self.plan())]

    def asked(self) -> list[str]:
        return [row["name"] for row in json.loads(self.places.asks.read_bytes())["register"]]

    def wait(self, seconds: float) -> bool:
        """Let time pass, and the clock ring if it is due; says whether it wants a look."""
        self.now += seconds
        return self.rings is not None and self.now >= self.rings and self.door.rang()

    def deputy(self) -> None:
        program.main(self.places, linger=0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    places = Places.under(tmp_path)
    places.interfaces.parent.mkdir(parents=True)
    places.interfaces.write_bytes(HOST)
    return Desk(places)


def test_what_was_asked_counts_as_done_and_is_so_in_the_end(desk: Desk) -> None:
    assert desk.errors() == [None]
    assert desk.plan() == ()
    assert desk.places.interfaces.read_bytes() == HOST
    desk.deputy()
    assert desk.plan() == ()
    assert desk.places.interfaces.read_bytes() == HOST + b"\n" + TEXT + b"\n"
    assert desk.door.desk.asked is None
    assert desk.rings is None


def test_an_ask_is_repeated_once_before_it_is_late(desk: Desk) -> None:
    desk.errors()
    first = desk.places.asks.read_bytes()
    assert not desk.wait(AGAIN - 0.1)
    assert desk.places.asks.read_bytes() == first
    assert not desk.wait(0.2)
    second = desk.places.asks.read_bytes()
    assert second != first
    assert desk.rings == pytest.approx(100 + PATIENCE)
    assert desk.plan() == ()
    assert desk.wait(PATIENCE - AGAIN)
    assert desk.places.asks.read_bytes() == second


def test_without_an_answer_it_fails_until_there_is_one(desk: Desk) -> None:
    desk.errors()
    desk.wait(AGAIN)
    assert desk.wait(PATIENCE - AGAIN)
    for _ in range(3):
        assert desk.errors() == [SILENT]
    desk.now += PATIENCE
    assert desk.errors() == [SILENT]
    assert desk.asked() == ["vmbr1"]
    desk.deputy()
    assert desk.plan() == ()


def test_what_was_refused_fails_with_the_reason(desk: Desk) -> None:
    desk.plan()
    # Written between the look and the deputy.
    desk.door.disturbed()
    assert desk.errors() == [None]
    desk.places.interfaces.write_bytes(HOST + b"\nauto vmbr1\n")
    desk.deputy()
    assert desk.plan() == ()  # it is somebody else's now, and a note says so
    told = f"{desk.places.interfaces}:11 speaks of vmbr1, and is not natnetd's"
    assert desk.door.refused == {"vmbr1": told}
    # Once that is gone, the reason is too.
    desk.places.interfaces.write_bytes(HOST)
    assert desk.errors() == [None]
    desk.deputy()
    assert desk.places.interfaces.read_bytes() == HOST + b"\n" + TEXT + b"\n"


def test_an_error_of_all_fails_all_and_is_asked_again(desk: Desk) -> None:
    desk.errors()
    desk.places.interfaces.rename(desk.places.interfaces.with_name("x"))
    desk.deputy()
    told = f"{desk.places.interfaces}: there is no such file"
    before = desk.places.asks.read_bytes()
    assert desk.errors() == [told]
    assert desk.places.asks.read_bytes() != before
    assert desk.errors() == [told]
    desk.places.interfaces.with_name("x").rename(desk.places.interfaces)
    desk.deputy()
    assert desk.plan() == ()


def test_files_are_left_alone_until_they_have_settled(desk: Desk) -> None:
    """An editor has emptied the file and not written it yet."""
    desk.errors()
    desk.deputy()
    assert desk.plan() == ()
    desk.places.interfaces.write_bytes(b"")
    desk.door.disturbed()
    assert desk.plan() == ()
    assert not desk.wait(SETTLE / 2)
    desk.door.disturbed()
    assert not desk.wait(SETTLE / 2)
    assert desk.plan() == ()
    assert desk.wait(SETTLE)
    assert [str(change) for change in desk.plan()] == [f"+ registration {MAIN}"]


def test_other_networks_stay_asked_for(desk: Desk) -> None:
    """A change of one network says nothing of the others, and the asks are the whole list."""
    desk.errors()
    desk.deputy()
    vault = TOLD.networks["vmbr1"].__class__("vault")
    both = Config({**TOLD.networks, "vault": vault}, proxmox=TOLD.proxmox)
    assert desk.door.apply(desk.plan(both)) == [None]
    assert sorted(desk.asked()) == ["vault", "vmbr1"]
    desk.deputy()
    assert desk.plan(both) == ()
    assert desk.door.look(True).stanzas[MAIN] == WANT


def test_an_answer_to_somebody_else_is_none(desk: Desk) -> None:
    desk.errors()
    desk.places.answer.parent.mkdir(parents=True)
    for text in ("{", "[]", json.dumps({"asked": asks.digest(b"x"), "error": "no", "errors": {}})):
        desk.places.answer.write_text(text, "utf-8")
        assert desk.plan() == ()
        assert desk.door.desk.asked


def test_asks_that_cannot_be_written_are_an_error(desk: Desk) -> None:
    desk.places.asks.parent.parent.write_text("in the way", "utf-8")
    (error,) = desk.errors()
    assert error
    assert str(desk.places.asks) in error
