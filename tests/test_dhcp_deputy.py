"""Instances that the deputy starts for a natnetd that is not root: what is asked, and what counts as done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from natnetd.errors import HostError
from natnetd.host import Layer
from natnetd.linux.service import ServiceDoor
from natnetd.linux.starting import ByDeputy, Places, alone
from natnetd.plan import Change
from natnetd.rows import Server


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_deputy_is_asked_for_all_that_shall_run() -> None:
    asked: list[tuple[frozenset[str], frozenset[str]]] = []
    clock = Clock()
    starter = ByDeputy(lambda wanted, again: asked.append((wanted, again)), clock)
    starter.know({"old": "old.0"})
    assert starter.start({"a": Path("/x/a.1.conf")}) == {}
    assert asked[-1] == (frozenset({"old.0", "a.1"}), frozenset())
    assert starter.awaited() == {"a": "a.1"}
    starter.know({"a": "a.1"})
    assert starter.awaited() == {}
    assert starter.reload({"a": 5}) == {}
    assert asked[-1] == (frozenset({"old.0", "a.1"}), frozenset({"a.1"}))
    assert starter.stop({"old": 5}) == {}
    assert asked[-1] == (frozenset({"a.1"}), frozenset())
    starter.start({"b": Path("/x/b.1.conf")})
    clock.now += 11
    assert starter.awaited() == {}
    assert "natnetd-deputy has not started it" in starter.start({"b": Path("/x/b.1.conf")})["b"]


def test_a_deputy_that_cannot_be_asked_is_told_of_each() -> None:
    def refuse(_wanted: frozenset[str], _again: frozenset[str]) -> None:
        raise HostError("no")

    assert ByDeputy(refuse).start({"a": Path("/x/a.1.conf")}) == {"a": "no"}


WANT = Server(("interface=a",), ("52:54:00:00:00:01,10.0.0.9",), ("10.0.0.9 web",))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[ServiceDoor]:
    made = ServiceDoor(Places(tmp_path / "files", tmp_path / "pids", tmp_path / "leases", units=True))
    yield made
    made.close()


def test_what_was_asked_for_counts_as_done_for_ten_seconds(door: ServiceDoor, tmp_path: Path) -> None:
    asked: list[frozenset[str]] = []
    clock = Clock()
    door.starter = ByDeputy(lambda wanted, _again: asked.append(wanted), clock)
    add = Change(Layer.SERVICE, "dhcp", "a", "a", None, WANT)
    assert door.apply([add]) == [None]
    assert door.look(None, {}, {}).servers == {"a": WANT}
    (conf,) = (tmp_path / "files").glob("*.conf")
    assert asked == [frozenset({conf.stem})]
    assert not (tmp_path / "leases").exists()
    clock.now += 11
    assert door.look(None, {}, {}).servers == {}
    (error,) = door.apply([add])
    assert error
    assert "natnetd-deputy" in str(error)


def test_without_a_deputy_it_is_said(door: ServiceDoor) -> None:
    door.starter = ByDeputy(alone)
    (error,) = door.apply([Change(Layer.SERVICE, "dhcp", "a", "a", None, WANT)])
    assert "run natnetd as root" in str(error)
