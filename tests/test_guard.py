"""Guards on a kernel that cannot tell bridges apart, and what they are made of."""

from pathlib import Path

import pytest
from fake import FakeHost
from networks import Networks
from running import natnetd, start

from natnetd import config
from natnetd.errors import HostError
from natnetd.guards import UNABLE
from natnetd.kinds import frames, guard
from natnetd.lab.world import World
from natnetd.linux.libnft import ABLE
from natnetd.reconcile import Pass, reconcile

FILE = """\
metrics: false
networks:
  vmbr1:
    addresses: [10.0.0.1/24, 10.0.1.1/24, "fd00:1::1/64"]
    mac: 02:00:00:00:00:01
    nat: {uplink: vmbr0}
    dhcp: {static_only: true, reservations: [{mac: 52:54:00:12:34:56, address: 10.0.0.2, name: web}]}
    dns: false
    guard: {strict: true, bogons: true, new_connections: 100/second, open_connections: 1000}
quarantine: [vmbr1/10.0.0.9, vmbr1/web, "vmbr1/fd00:1::9"]
"""


def test_what_a_guard_is_made_of() -> None:
    network = config.parse(FILE, "f").networks["vmbr1"]
    assert {f"{e.name} {e.value}".strip() for e in guard.elements(network)} == {
        "watched vmbr1",
        "cut4 vmbr1 . 10.0.0.9",
        "cut4 vmbr1 . 10.0.0.2",
        "cut_mac vmbr1 . 52:54:00:12:34:56",
        "cut6 vmbr1 . fd00:1::9",
        "honest vmbr1",
        "strict vmbr1",
        "reserved vmbr1 . 52:54:00:12:34:56",
        "reserved4 vmbr1 . 52:54:00:12:34:56 . 10.0.0.2",
        "wary vmbr1",
        "fresh vmbr1 jump fresh_100",
        "crowd vmbr1 jump crowd_1000",
    }
    assert {e.name for e in frames.elements(network, "")} == {
        "cutting vmbr1",
        "cutting4 vmbr1 . 10.0.0.9",
        "cutting4 vmbr1 . 10.0.0.2",
        "cutting_mac vmbr1 . 52:54:00:12:34:56",
        "cutting6 vmbr1 . fd00:1::9",
        "no_dhcp vmbr1",
        "no_router vmbr1",
        "truthful vmbr1",
        "gateway_mac vmbr1 . 02:00:00:00:00:01",
        "gateway6 vmbr1 . fe80::ff:fe00:1",
        "gateway6 vmbr1 . fd00:1::1",
        "gateway4 vmbr1 . 10.0.0.1",
        "gateway4 vmbr1 . 10.0.1.1",
        "own4 vmbr1 . 10.0.0.0/23",
        "own6 vmbr1 . fd00:1::/64",
        "listed vmbr1",
        "listed_mac vmbr1 . 52:54:00:12:34:56",
        "listed4 vmbr1 . 52:54:00:12:34:56 . 10.0.0.2",
    }


def test_a_network_without_a_guard_costs_nothing() -> None:
    network = config.parse("networks: {a: {addresses: 10.0.0.1/24, guard: false}}", "f").networks["a"]
    assert [*guard.elements(network), *frames.elements(network, "")] == []


@pytest.mark.parametrize("guardable", [True, False])
def test_the_table_of_the_bridges_is_there_while_it_is_needed(*, guardable: bool) -> None:
    host = FakeHost(guardable=guardable)
    wanted = config.parse(FILE, "f")
    report = reconcile(wanted, host, Pass())
    assert (host.frames is not None) is guardable
    assert [f.text for f in report.findings if f.network is None] == ([] if guardable else [UNABLE])
    plain = config.parse("networks: {vmbr1: {addresses: 10.0.0.1/24}}", "f")
    assert not [f for f in reconcile(plain, host, Pass()).findings if f.text == UNABLE]
    assert host.frames is None


def test_the_kernel_is_asked_by_a_dry_run_that_leaves_nothing(world: World, net: Networks) -> None:
    try:
        world.host.check(["nft", "-f", "-"], stdin=ABLE)
        able = True
    except HostError:
        able = False
    world.host.check(["nft", "flush", "ruleset"])
    assert net.host.guardable is able
    assert world.host.check(["nft", "list", "ruleset"]) == ""


def test_a_kernel_that_is_not_able_gets_one_note_and_all_the_rest(world: World, directory: Path) -> None:
    with start(world.host, directory, FILE.replace("static_only: true, ", "")) as service:
        able = any("+ frames table" in line for line in service.lines())
        told = natnetd(directory, "status")
        assert told.count(UNABLE) == (0 if able else 1)
        assert "i note vmbr1: cut off: 10.0.0.9, 52:54:00:12:34:56, 10.0.0.2, fd00:1::9" in told
        state = {"STATE_DIRECTORY": str(directory / "state")}
        assert natnetd(directory, "plan", **state).endswith("nothing to do\n")
