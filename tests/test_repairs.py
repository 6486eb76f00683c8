"""A row for each way to break what natnetd keeps: it is heard of, told in the log, and repaired."""

import re
import signal
from pathlib import Path

import pytest
from repair_rows import FORWARDING, HOST, NFT, NFT_NAMED, Row
from running import TWO, converged, reloaded, start, undone

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World

FOREIGN = """
table ip other { chain c { type filter hook forward priority 7; policy accept; counter comment "theirs"; }
    set s { type ifname; elements = { "vmbr1" }; }; }
table inet other { map m { type ifname : verdict; elements = { "vmbr1" : accept }; }; }
"""
USING = TWO.replace(
    "nat: {uplink: vmbr0}\n", "nat: {uplink: vmbr0, fully_random: true}\n    host_access: [22/tcp]\n"
)
"""More of the table is there: harm is done to it."""


@pytest.fixture
def service(world: World, directory: Path) -> Service:
    """Start the service on a host with two guests and with tables of others."""
    world.host.check(["nft", "-f", "-"], stdin=FOREIGN)
    service = start(world.host, directory, USING)
    world.guest("web", "vmbr1", "10.0.0.2/16")
    world.guest("db", "vmbr1", "10.0.0.3/16", kind="tap")
    converged(directory)
    return service


def foreign(host: Namespace) -> list[str]:
    tables = [line.split()[1:] for line in host.check(["nft", "list", "tables"]).splitlines()]
    theirs = [(family, name) for family, name in tables if name != "natnetd"]
    return [host.check(["nft", "list", "table", family, name]) for family, name in theirs]


def damage(service: Service, host: Namespace, row: Row) -> list[str]:
    """Do harm, wait until each line is told, and return those lines.

    The first one is drift; what hangs on it may have failed before it was repaired, and be tried again.
    """
    before = len(service.lines())
    host.check(["sh", "-ec", row.harm])
    first, *others = row.lines
    lines = [service.wait_line("drift: ", *first, "repaired in", after=before)]
    return lines + [service.wait_line(*words, " ms", after=before) for words in others]


def at_rest(service: Service, directory: Path) -> bool:
    """Say whether nothing is left to do, for a fresh look and for the service's own next one."""
    return converged(directory) and not [line for line in reloaded(service) if "natnetd: reload: " in line]


@pytest.mark.parametrize("row", NFT, ids=lambda row: row.name)
def test_harm_to_the_table_is_repaired_and_its_culprit_is_named(
    service: Service, world: World, directory: Path, row: Row
) -> None:
    before = foreign(world.host)
    with service:
        for line in damage(service, world.host, row):
            assert re.search(rf"\(was (deleted|changed|added) by {NFT_NAMED}", line), line
        assert at_rest(service, directory)
        assert not undone(directory)
    assert foreign(world.host) == (before if row.foreign_survive else [])


@pytest.mark.parametrize("row", HOST, ids=lambda row: row.name)
def test_harm_to_links_addresses_and_forwarding_is_repaired(
    service: Service, world: World, directory: Path, row: Row
) -> None:
    before = foreign(world.host)
    with service:
        damage(service, world.host, row)
        assert at_rest(service, directory)
        assert plugged(world.host) == {"veth100i0": "vmbr1", "tap101i0": "vmbr1"}
    assert foreign(world.host) == before


def test_ports_get_their_own_settings_back_with_their_bridge(service: Service, world: World) -> None:
    with service:
        world.host.check(
            ["bridge", "link", "set", "dev", "veth100i0", "isolated", "on", "learning", "off", "cost", "7"]
        )
        world.host.ip("link del vmbr1")
        service.wait_line("drift: ~ port veth100i0 on vmbr1", "repaired in")
        wait_until(lambda: "isolated on" in port_of(world.host), what="its settings")
        assert "learning off" in port_of(world.host)
        assert "cost 7" in port_of(world.host)


def port_of(host: Namespace) -> str:
    return host.check(["bridge", "-d", "link", "show", "dev", "veth100i0"])


def plugged(host: Namespace) -> dict[str, str]:
    lines = host.check(["ip", "-o", "link", "show", "type", "veth"]).splitlines()
    found = {line.split()[1].partition("@")[0]: re.search(r" master (\S+)", line) for line in lines}
    return {name: there[1] for name, there in found.items() if there and there[1] != "vmbr0"}


def test_a_renamed_bridge_keeps_its_guests_and_a_new_one_takes_its_place(
    service: Service, world: World, directory: Path
) -> None:
    with service:
        world.host.ip("link set vmbr1 down", "link set vmbr1 name old", "link set old up")
        service.wait_line("drift: - address 10.0.0.1/16 on old", "repaired in")
        service.wait_line("! in use old: ", "tap101i0, veth100i0")
        assert at_rest(service, directory)
        assert plugged(world.host) == {"veth100i0": "old", "tap101i0": "old"}
        world.host.ip("link set veth100i0 master vmbr1", "link set tap101i0 master vmbr1")
        service.send(1)
        service.wait_line("- bridge old")
        assert at_rest(service, directory)


def test_a_guest_that_was_unplugged_stays_so_when_its_bridge_comes_back(
    service: Service, world: World, directory: Path
) -> None:
    with service:
        world.host.ip("link set veth100i0 nomaster")
        service.send(signal.SIGHUP)
        assert at_rest(service, directory)
        world.host.ip("link del vmbr1")
        service.wait_line("drift: ~ port tap101i0 on vmbr1", "repaired in")
        assert at_rest(service, directory)
        assert plugged(world.host) == {"tap101i0": "vmbr1"}


def test_a_guest_belongs_to_the_bridge_it_lost_last(service: Service, world: World, directory: Path) -> None:
    with service:
        service.send(signal.SIGSTOP)
        world.host.ip("link del vmbr1", "link set veth100i0 master vmbr2", "link del vmbr2")
        service.send(signal.SIGCONT)
        service.wait_line("drift: ~ port veth100i0 on vmbr2", "repaired in")
        assert at_rest(service, directory)
        assert plugged(world.host) == {"veth100i0": "vmbr2", "tap101i0": "vmbr1"}


def test_a_closed_networks_switch_counts_though_nobody_wants_that_for_all(
    world: World, directory: Path
) -> None:
    closed = "metrics: false\nnetworks: {vmbr1: {addresses: 10.0.0.1/16}, vmbr2: {addresses: 10.20.0.1/24}}\n"
    with start(world.host, directory, closed) as service:
        for path in (FORWARDING.format("all"), FORWARDING.format("vmbr2")):
            before = len(service.lines())
            world.host.check(["sh", "-ec", f"echo 1 >{path}; echo 0 >{path}"])
            service.wait_line("conf.vmbr2.forwarding value 0 → 1", "repaired in", after=before)
            assert at_rest(service, directory)


def test_the_default_routes_interface_is_watched_where_the_file_names_no_uplink(
    world: World, directory: Path
) -> None:
    text = TWO.replace("nat: {uplink: vmbr0}", "nat: true")
    second = "addr add 203.0.114.2/24 dev vmbr9", "route add default via 203.0.114.1 metric 900"
    world.host.ip("link add vmbr9 up type bridge", *second)  # packets take it when the first one fails
    with start(world.host, directory, text.replace("uplink: vmbr0, ", "")) as service:
        for link in ("vmbr0", "vmbr9"):
            world.host.check(["sh", "-ec", f"echo 0 >{FORWARDING.format(link)}"])
            service.wait_line("drift: ", f"conf.{link}.forwarding value 0 → 1", "repaired in")
        assert at_rest(service, directory)


def test_an_uplink_that_is_made_anew_forwards_where_the_file_names_none(
    world: World, directory: Path
) -> None:
    """It comes without the default route that makes it one, so its own news tells nothing."""
    text = TWO.replace("nat: {uplink: vmbr0}", "nat: true").replace("uplink: vmbr0, ", "")
    with start(world.host, directory, text) as service:
        world.host.check(["sh", "-ec", f"echo 0 >{FORWARDING.format('default')}"])
        world.host.ip("link del vmbr0")
        assert converged(directory)
        before = len(service.lines())
        world.host.ip("link add vmbr0 up type bridge", "addr add 203.0.113.2/24 dev vmbr0")
        assert converged(directory)
        world.host.ip("route add default via 203.0.113.1")
        service.wait_line("drift: ", "conf.vmbr0.forwarding value 0 → 1", "repaired in", after=before)
        assert at_rest(service, directory)


def test_other_peoples_bridges_addresses_and_tables_cause_no_change(
    service: Service, world: World, directory: Path
) -> None:
    with service:
        before = len(service.lines())
        world.host.ip(
            "link add docker0 up type bridge",
            "addr add 172.17.0.1/16 dev docker0",
            "addr add 10.0.0.77/16 dev vmbr1",
            "link add tap9 up type veth peer name eth9",
            "link set tap9 master vmbr1",
            "link del tap9",
        )
        world.host.check(["nft", "add table ip theirs"])
        assert at_rest(service, directory)
        assert [line for line in service.lines()[before:] if "drift" in line] == []
        assert "10.0.0.77/16" in world.host.check(["ip", "address", "show", "dev", "vmbr1"])
