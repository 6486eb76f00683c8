"""What the root deputy does for DHCP: units, and nothing that is not named exactly like one of ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from natnetd.deputy import asks, instances
from natnetd.deputy.places import Places
from natnetd.deputy.work import answer
from natnetd.errors import HostError

A, B, C = (f"{name}.{digit * 12}" for name, digit in (("vmbr1", "a"), ("net-2.x", "b"), ("c", "c")))


class Systemd:
    """Units and their states, and what was asked of systemd."""

    def __init__(self, *broken: str, **states: str) -> None:
        self.states = {A: states.get("a", ""), B: states.get("b", ""), C: states.get("c", "")}
        self.broken = broken
        self.did: list[tuple[str, ...]] = []

    def run(self, *words: str) -> str:
        program, verb, *rest = words
        if program == "journalctl":
            return "dnsmasq: failed to create listening socket for 10.0.0.1: Address already in use\nFailed\n"
        if verb == "list-units":
            rows = [(instances.unit(n), s.split() * 2) for n, s in self.states.items() if s]
            return "".join(f"{unit} loaded {s[0]} {s[1]} DHCP and DNS\n" for unit, s in rows)
        names = [word.removeprefix(instances.UNIT).removesuffix(".service") for word in rest]
        self.did.append((verb, *(name for name in names if not name.startswith("-"))))
        for name in names:
            if name in self.states:
                up = "failed" if name in self.broken else "active"
                self.states[name] = {"stop": "", "start": up, "restart": up}.get(verb, self.states[name])
        return ""


def done(systemd: Systemd, **told: list[str]) -> dict[str, str]:
    asked = instances.read({"run": [], "restart": [], "reload": []} | told)
    return instances.work(asked, Places(), systemd.run)


def test_exactly_what_is_asked_for_runs() -> None:
    systemd = Systemd(a="active", b="failed", c="inactive")
    assert done(systemd, run=[A, C]) == {}
    assert systemd.did == [("stop", B), ("reset-failed", B), ("start", C)]
    assert systemd.states == {A: "active", B: "", C: "active"}


def test_what_is_right_is_left_alone() -> None:
    systemd = Systemd(a="active", b="activating")
    assert done(systemd, run=[A, B]) == {}
    assert systemd.did == []


def test_one_that_systemd_will_try_again_has_failed() -> None:
    systemd = Systemd(A, a="activating auto-restart", b="activating start")
    assert done(systemd, run=[A, B]).keys() == {"vmbr1"}
    assert systemd.did == [("start", A)]


def test_restarts_and_reloads_are_for_those_that_run() -> None:
    systemd = Systemd(a="active", b="active")
    assert done(systemd, run=[A, B, C], restart=[A], reload=[A, B, C]) == {}
    assert systemd.did == [("restart", A), ("start", C), ("kill", B)]


def test_what_does_not_start_says_why() -> None:
    systemd = Systemd(A)
    told = "dnsmasq does not start: failed to create listening socket for 10.0.0.1: Address already in use"
    assert done(systemd, run=[A, B]) == {"vmbr1": told}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([], "has not exactly the keys"),
        ({"run": []}, "has not exactly the keys"),
        ({"run": "x", "restart": [], "reload": []}, "run: is no list"),
        ({"run": ["ssh"], "restart": [], "reload": []}, "'ssh' is no NETWORK.DIGEST"),
        ({"run": [7], "restart": [], "reload": []}, "7 is no NETWORK.DIGEST"),
        ({"run": [f"../x.{'a' * 12}"], "restart": [], "reload": []}, "is no NETWORK.DIGEST"),
        ({"run": [f"--x.{'a' * 12}"], "restart": [], "reload": []}, "is no NETWORK.DIGEST"),
        ({"run": [f"a*.{'a' * 12}"], "restart": [], "reload": []}, "is no NETWORK.DIGEST"),
        ({"run": [f"all.{'a' * 12}"], "restart": [], "reload": []}, "is no NETWORK.DIGEST"),
        ({"run": [A + "\n"], "restart": [], "reload": []}, "is no NETWORK.DIGEST"),
        ({"run": [A, f"vmbr1.{'b' * 12}"], "restart": [], "reload": []}, "a network stands there twice"),
        ({"run": [A], "restart": [B], "reload": []}, "what shall not run"),
        ({"run": [A], "restart": [], "reload": [B]}, "what shall not run"),
    ],
    ids=lambda told: str(told)[:30],
)
def test_what_is_odd_is_refused(told: Any, words: str) -> None:
    with pytest.raises(HostError, match=words):
        instances.read(told)


def test_a_desk_answers_its_own_verb_only(tmp_path: Path) -> None:
    places = Places.under(tmp_path).of_verb("dnsmasq")
    assert places.asks != Places.under(tmp_path).asks
    assert not answer(json.dumps({"serial": 1, "register": []}).encode(), places, "dnsmasq")
    told = json.loads(places.answer.read_bytes())
    assert told["error"] == "refused: the asks have an unknown verb: 'register'"
    raw = asks.written_instances({A}, {A}, (), 5)
    assert instances.read(asks.parse(raw, ("dnsmasq",))["dnsmasq"]) == instances.Asked((A,), (A,))
