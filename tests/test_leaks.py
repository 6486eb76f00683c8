"""Flows that slipped out while NAT was away are forgotten; nobody else's are."""

import signal
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from networks import Networks

from natnetd import config
from natnetd.flows import suspects
from natnetd.lab.echo import Echo
from natnetd.lab.service import Service
from natnetd.lab.sniffer import Sniffer
from natnetd.lab.traffic import ABSENCE, Connection, Flow
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.linux.conntrack import CT_GET, ORIG_SOURCE
from natnetd.linux.netlink import NETFILTER, Asker

INTERNET = "198.51.100.7"
NETWORKS = """
  vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0, exempt: 198.51.100.64/26}}
  vmbr2: {addresses: 10.20.0.1/24, routed: true}
"""
TEXT = f"metrics: false\nnetworks:{NETWORKS}"
OTHER_NAT = (  # a chain alone switches no connection tracking on
    "add table ip other; add chain ip other nat { type nat hook postrouting priority 100; };"
    "add rule ip other nat ip saddr 192.0.2.99 masquerade"
)


def entries(source: str = "10.") -> int:
    """Count conntrack entries of guests, or those whose source begins like this."""
    asker = Asker(NETFILTER)
    found = asker.dump(CT_GET, struct.pack(">BBH", socket.AF_INET, 0, 0))
    asker.close()
    sources = [socket.inet_ntoa(payload[ORIG_SOURCE]) for payload in found]
    return sum(one.startswith(source) and not one.endswith(".1") for one in sources)


def purge(net: Networks) -> int:
    walk = net.host.purge(suspects(config.parse(TEXT, "test.yaml")))
    while walk.step():
        pass
    return walk.purged


def test_a_flow_begun_in_a_gap_goes_on_translated_after_the_purge(world: World, net: Networks) -> None:
    net.become(NETWORKS)
    guest = world.guest("a", "vmbr1", "10.0.0.2/16", "10.0.0.1")
    with Echo(world.outside), Flow(guest.ns, INTERNET) as flow:
        world.host.check(["nft", "flush", "ruleset"])
        world.host.check(["nft", OTHER_NAT])
        flow.send()
        wait_until(lambda: entries() > 0, what="the flow's entry")
        net.become(NETWORKS)
        with Sniffer(world.outside, "eth0") as sniffer:
            assert flow.ask(deadline=0.1) is None
            assert purge(net) == 1
            assert flow.ask() == f"203.0.113.2:{flow.port}"
            assert not [source for source in sniffer.sources() if source.startswith("10.")]


def test_only_leaked_flows_are_forgotten(world: World, net: Networks) -> None:
    net.become(NETWORKS)
    world.let_outside_reach("10.20.0.0/24")
    world.let_outside_reach("10.0.0.0/16")
    world.outside.ip("addr add 198.51.100.65/32 dev lo")
    nat = world.guest("nat", "vmbr1", "10.0.0.2/16", "10.0.0.1")
    routed = world.guest("routed", "vmbr2", "10.20.0.2/24", "10.20.0.1")
    with (
        Echo(world.outside),
        Echo(world.host),
        Connection(nat.ns, INTERNET) as translated,
        Connection(routed.ns, INTERNET) as plain,
        Flow(nat.ns, "10.0.0.1") as to_host,
        Flow(nat.ns, "198.51.100.65") as exempt,
    ):
        flows = [translated, plain, to_host, exempt]
        assert all(flow.ask() for flow in flows)
        before = entries()
        assert purge(net) == 0
        assert entries() == before
        assert all(flow.ask() for flow in flows)


def test_the_service_forgets_them_by_itself(world: World, tmp_path: Path) -> None:
    file = tmp_path / "natnetd.yaml"
    file.write_text(TEXT)
    with Service(world.host, file, tmp_path).wait_ready() as service:
        guest = world.guest("a", "vmbr1", "10.0.0.2/16", "10.0.0.1")
        world.host.check(["nft", OTHER_NAT])
        with Echo(world.outside), Flow(guest.ns, INTERNET) as flow:
            service.send(signal.SIGSTOP)  # a gap as long as it takes
            world.host.check(["nft", "delete", "table", "inet", "natnetd"])
            flow.send()
            wait_until(lambda: entries() > 0, what="the flow's entry")
            service.send(signal.SIGCONT)
            service.wait_line("forgot 1 flows that were against the rules")
            assert flow.ask() == f"203.0.113.2:{flow.port}"


def test_a_flow_that_new_rules_do_not_let_live_is_cut(world: World, tmp_path: Path) -> None:
    file = tmp_path / "natnetd.yaml"
    file.write_text(TEXT)
    with Service(world.host, file, tmp_path).wait_ready() as service:
        guest = world.guest("a", "vmbr1", "10.0.0.2/16", "10.0.0.1")
        with Echo(world.outside), Connection(guest.ns, INTERNET) as flow:
            assert flow.ask() == f"203.0.113.2:{flow.port}"
            file.write_text("metrics: false\nnetworks: {vmbr1: {addresses: 10.0.0.1/16}}")
            service.wait_line("forgot 1 flows that were against the rules")
            flow.send()
            assert flow.receive(ABSENCE) is None


@pytest.mark.parametrize(
    ("source", "destination", "translated", "wrong"),
    [
        ("10.0.0.2", "198.51.100.7", False, True),
        ("10.0.0.2", "198.51.100.7", True, False),
        ("10.0.0.2", "198.51.100.65", False, False),  # exempt
        ("10.0.0.2", "10.0.7.7", False, False),  # its own network
        ("10.0.0.2", "10.20.0.2", False, True),  # another one, not to be reached
        ("10.30.0.2", "10.20.0.2", False, False),  # to be reached
        ("10.30.0.2", "198.51.100.7", True, True),  # closed
        ("10.0.0.2", "203.0.113.2", False, False),  # the host
        ("10.0.0.2", "224.0.0.251", False, False),  # multicast
        ("10.0.0.2", "255.255.255.255", False, False),
        ("10.20.0.2", "198.51.100.7", False, False),  # routed
        ("192.168.1.1", "198.51.100.7", False, False),  # somebody else's
    ],
)
def test_which_flows_are_against_the_rules(
    source: str, destination: str, translated: bool, wrong: bool
) -> None:
    text = TEXT + "  vault: {addresses: 10.30.0.1/24, reach: vmbr2}\n"
    own = frozenset({int.from_bytes(socket.inet_aton("203.0.113.2"), "big")})
    found = replace(suspects(config.parse(text, "test.yaml")), own=own)
    origin = found.origin(int.from_bytes(socket.inet_aton(source), "big"))
    there = int.from_bytes(socket.inet_aton(destination), "big")
    assert (origin is not None and found.wrong(origin, there, translated=translated)) is wrong
