"""Instances that the deputy starts for a natnetd that is not root: what is asked, and what counts as done."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from natnetd.deputy import asks
from natnetd.deputy import places as deputy
from natnetd.host import Layer, Scope
from natnetd.linux.asking import SILENT, ByDeputy, sources
from natnetd.linux.desk import AGAIN, PATIENCE
from natnetd.linux.service import ServiceDoor
from natnetd.linux.starting import Nobody, Places
from natnetd.plan import Change
from natnetd.rows import Server
from natnetd.wake import Notice

A, B, OLD = (f"{name}.{digit * 12}" for name, digit in (("a", "1"), ("b", "2"), ("old", "0")))
OTHER = f"a.{'3' * 12}"


class Desk:
    """A starter, a clock that is moved by hand, and a deputy that answers when it is told to."""

    def __init__(self, root: Path) -> None:
        self.now = 100.0
        self.places = deputy.Places.under(root)
        self.starter = ByDeputy(lambda: self.now, self.places)

    def asked(self) -> tuple[list[str], list[str], list[str]]:
        told = asks.parse(self.starter.desk.asks.read_bytes(), ("dnsmasq",))["dnsmasq"]
        return told["run"], told["restart"], told["reload"]

    def answer(self, error: str = "", **errors: str) -> None:
        path = self.starter.desk.answer
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name("fresh")
        asked = asks.digest(self.starter.desk.asks.read_bytes())
        fresh.write_text(json.dumps({"asked": asked, "error": error, "errors": errors}), "utf-8")
        fresh.replace(path)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def conf(instance: str) -> Path:
    return Path("/x", f"{instance}.conf")


def test_all_that_shall_run_is_asked_for(desk: Desk) -> None:
    it = desk.starter
    it.know({"old": OLD})
    assert it.start({"a": conf(A)}) == {}
    assert desk.asked() == ([A, OLD], [], [])
    assert it.asked() == {"a": A}
    desk.answer()
    it.know({"old": OLD, "a": A})
    assert it.asked() == {}
    assert it.reload({"a": 5}) == {}
    assert desk.asked() == ([A, OLD], [], [A])
    assert it.stop({"old": 5}) == {}
    assert desk.asked() == ([A], [], [A]), "an ask that nobody has answered lasts"
    it.know({"old": OLD, "a": A})
    assert it.asked() == {"old": None}
    desk.answer()
    it.know({"a": A})
    assert it.start({"b": conf(B)}) == {}
    assert desk.asked() == ([A, B], [], [])


def test_the_same_text_anew_is_a_restart_and_another_text_is_not(desk: Desk) -> None:
    it = desk.starter
    it.know({"a": A, "b": B})
    it.stop({"a": 5, "b": 6})
    assert it.start({"a": conf(A), "b": conf(f"b.{'4' * 12}")}) == {}
    assert desk.asked() == ([A, f"b.{'4' * 12}"], [A], [])
    it.know({"a": A, "b": B})
    assert it.asked() == {"a": A, "b": f"b.{'4' * 12}"}
    desk.answer()
    it.know({"a": A, "b": f"b.{'4' * 12}"})
    assert it.asked() == {}


def test_what_did_not_start_is_told_and_asked_for_again(desk: Desk) -> None:
    it = desk.starter
    it.start({"a": conf(A), "b": conf(B)})
    desk.answer(a="port 53 is taken")
    it.know({"b": B})
    assert it.asked() == {}
    for _ in range(2):
        assert it.start({"a": conf(A)}) == {"a": "port 53 is taken"}
        assert it.asked() == {}, "it fails until it has come"
    desk.answer("refused: no")
    it.know({"b": B})
    assert it.start({"a": conf(A)}) == {"a": "refused: no"}
    assert it.start({"a": conf(OTHER)}) == {}
    assert it.asked() == {"a": OTHER}


def test_an_ask_is_repeated_and_then_late(desk: Desk) -> None:
    it = desk.starter
    it.start({"a": conf(A)})
    first = it.desk.asks.read_bytes()
    desk.now += AGAIN
    assert not it.rang()
    assert it.desk.asks.read_bytes() != first
    desk.now += PATIENCE - AGAIN
    assert it.rang()
    assert it.asked() == {}
    assert it.start({"a": conf(A)}) == {"a": SILENT}
    desk.answer()
    it.know({"a": A})
    assert it.start({"b": conf(B)}) == {}


def test_asks_that_cannot_be_written_are_told_of_each(desk: Desk) -> None:
    desk.starter.desk.asks.parent.parent.write_text("in the way", "utf-8")
    assert "cannot be written" in desk.starter.start({"a": conf(A)})["a"]


def test_an_answer_wakes_the_loop_also_in_a_new_directory(desk: Desk) -> None:
    desk.starter.start({"a": conf(A)})
    answer, clock = sources(desk.starter)
    assert list(answer.read()) == []
    desk.answer()
    assert list(answer.read()) == [Notice(Scope(frozenset({"a"}), frozenset({Layer.SERVICE}), host=False))]
    desk.starter.know({"a": A})
    desk.starter.desk.answer.touch()
    assert list(answer.read()) == [], "nobody waits for it"
    assert list(clock.read()) == []


BRIDGE = "lo"  # it must be there
WANT = Server(("interface=lo",), ("52:54:00:00:00:01,10.0.0.9",), ("10.0.0.9 web",))


@pytest.fixture
def door(tmp_path: Path, desk: Desk) -> Iterator[ServiceDoor]:
    made = ServiceDoor(Places(tmp_path / "files", tmp_path / "pids", tmp_path / "leases", units=True))
    made.starter = desk.starter
    yield made
    made.close()


def changed(have: Any, want: Any) -> Change[Server]:
    return Change(Layer.SERVICE, "dhcp", BRIDGE, BRIDGE, have, want)


def test_what_was_asked_for_counts_as_done_for_ten_seconds(
    door: ServiceDoor, desk: Desk, tmp_path: Path
) -> None:
    assert door.apply([changed(None, WANT)]) == [None]
    assert door.look(None, {}, {}).servers == {BRIDGE: WANT}
    (path,) = (tmp_path / "files").glob("*.conf")
    assert desk.asked() == ([path.stem], [], [])
    assert not (tmp_path / "leases").exists()
    another = replace(WANT, config=("interface=lo", "no-hosts"))
    assert door.apply([changed(WANT, another)]) == [None]
    assert door.look(None, {}, {}).servers == {BRIDGE: another}
    desk.now += PATIENCE
    assert door.look(None, {}, {}).servers == {}
    (error,) = door.apply([changed(None, WANT)])
    assert str(error) == SILENT


def test_nothing_is_asked_for_where_there_is_no_bridge(door: ServiceDoor) -> None:
    (error,) = door.apply([Change(Layer.SERVICE, "dhcp", "gone", "gone", None, WANT)])
    assert str(error) == "there is no gone"


def test_without_a_deputy_it_is_said(door: ServiceDoor) -> None:
    door.starter = Nobody()
    (error,) = door.apply([changed(None, WANT)])
    assert "run natnetd as root" in str(error)
