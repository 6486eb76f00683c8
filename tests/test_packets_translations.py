"""Real packets: addresses and ports that translations take, and connections over an uplink that is narrow."""

import socket
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from networks import HOST, INTERNET, Networks, passed

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Sniffer
from natnetd.lab.traffic import Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World

WEB = "10.0.0.2"
POOL = tuple(f"203.0.113.{last}" for last in range(10, 14))
NETWORK = "\n      vmbr1: {{addresses: 10.0.0.1/16, nat: {{uplink: vmbr0, {nat}}}}}\n"


def pooled(world: World, net: Networks, nat: str) -> Namespace:
    """Make the network and a guest; outside finds the pool at the host."""
    world.host.ip(*(f"addr add {address}/24 dev vmbr0" for address in POOL))
    net.become(NETWORK.format(nat=nat))
    return net.guest("web", "vmbr1", f"{WEB}/16").ns


def seen(ns: Namespace, source_port: int, address: str = INTERNET) -> tuple[str, int]:
    """How somebody outside sees a UDP flow from a port."""
    answer = udp(ns, address, source_port=source_port)
    assert answer
    host, _, port = answer.rpartition(":")
    return host, int(port)


@pytest.mark.parametrize("source", ["203.0.113.10-203.0.113.13", "203.0.113.12/31"])
@pytest.mark.parametrize("more", ["", ", fully_random: true", ", ports: 1-65535"])
def test_a_pool_is_used_whole_and_nothing_else(world: World, net: Networks, source: str, more: str) -> None:
    for last in range(1, 33):  # each destination draws its own address of the pool
        world.outside.ip(f"addr add 198.51.100.{100 + last}/32 dev lo")
    ns = pooled(world, net, f"source: {source}{more}")
    pool = POOL if "-" in source else POOL[2:]
    with Echo(world.outside):
        found = Counter(seen(ns, 4000 + last, f"198.51.100.{100 + last}")[0] for last in range(1, 33))
        assert set(found) == set(pool)
        assert (tcp(ns, INTERNET) or "").partition(":")[0] in pool
        assert ping(ns, INTERNET)


@pytest.mark.parametrize("more", ["", ", fully_random: true"])
def test_a_guest_keeps_its_address_of_a_pool_if_told_so(world: World, net: Networks, more: str) -> None:
    for last in range(1, 17):
        world.outside.ip(f"addr add 198.51.100.{100 + last}/32 dev lo")
    ns = pooled(world, net, f"source: 203.0.113.10-203.0.113.13, persistent: true{more}")
    with Echo(world.outside):
        found = {seen(ns, 4000 + last, f"198.51.100.{100 + last}")[0] for last in range(1, 17)}
    assert len(found) == 1


@pytest.mark.parametrize("source", ["masquerade", "203.0.113.10"])
def test_low_ports_stay_inside_unless_all_are_allowed(world: World, net: Networks, source: str) -> None:
    ns = pooled(world, net, f"source: {source}")
    with Echo(world.outside):
        assert seen(ns, 4000)[1] == 4000
        assert seen(ns, 500)[1] >= 1024
        net.become(NETWORK.format(nat=f"source: {source}, ports: 1-65535"))
        assert seen(ns, 501)[1] == 501
        assert seen(ns, 500)[1] >= 1024  # an established flow keeps what it has
        assert not net.become(NETWORK.format(nat=f"source: {source}, ports: 1-65535")).changed


def test_ports_come_from_the_range_for_tcp_and_udp_and_pings_pass(world: World, net: Networks) -> None:
    ns = pooled(world, net, "source: 203.0.113.10-203.0.113.13, ports: 20000-20099")
    with Echo(world.outside):
        for _ in range(10):
            answers = (tcp(ns, INTERNET), udp(ns, INTERNET))
            assert all(a and 20000 <= int(a.rpartition(":")[2]) <= 20099 for a in answers)
        assert ping(ns, INTERNET)


@pytest.mark.parametrize("source", ["masquerade", "203.0.113.10"])
def test_ports_are_drawn_if_told_so(world: World, net: Networks, source: str) -> None:
    ns = pooled(world, net, f"source: {source}, fully_random: true")
    with Echo(world.outside):
        kept = [seen(ns, port)[1] == port for port in range(5000, 5010)]
        assert not all(kept)
        assert ping(ns, INTERNET)
        net.become(NETWORK.format(nat=f"source: {source}"))
        assert all(seen(ns, port)[1] == port for port in range(6000, 6010))


def test_a_flow_keeps_its_source_when_the_pool_changes(world: World, net: Networks) -> None:
    ns = pooled(world, net, "source: 203.0.113.10")
    with Echo(world.outside), Flow(ns, INTERNET, source_port=4000) as flow:
        assert flow.ask() == "203.0.113.10:4000"
        net.become(NETWORK.format(nat="source: 203.0.113.11-203.0.113.12"))
        assert flow.ask() == "203.0.113.10:4000"
        assert seen(ns, 4001)[0] in POOL[1:3]


def test_multicast_and_broadcast_are_never_translated(world: World, net: Networks) -> None:
    net.become(NETWORK.format(nat=""))
    guest = net.guest("web", "vmbr1", f"{WEB}/16").ns
    for name in ("all", "vmbr1"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/bc_forwarding").write_text("1", "ascii")
    with Sniffer(world.outside, "eth0") as wire, guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        with net.dropping("untranslated"):
            door.sendto(b"to all", ("203.0.113.255", 4000))
        net.become(NETWORK.format(nat="exempt: 203.0.113.255/32"))
        door.sendto(b"to all", ("203.0.113.255", 4001))
        wait_until(lambda: any(p.destination == "203.0.113.255" for p in passed(wire)), what="the broadcast")
        assert {p.source for p in passed(wire) if p.destination == "203.0.113.255"} == {WEB}


NARROW = 1280
SIZE = 300_000


@pytest.mark.parametrize("sender", ["guest", "outside"])
def test_a_connection_passes_a_narrow_uplink_whose_icmp_is_swallowed(
    world: World, net: Networks, sender: str
) -> None:
    """Outside's wire takes 1500 and the host's end 1280: nobody tells a sender what was too large."""
    net.become(NETWORK.format(nat=""))
    guest = net.guest("web", "vmbr1", f"{WEB}/16").ns
    world.host.ip(f"link set eno1 mtu {NARROW}", f"link set vmbr0 mtu {NARROW}")
    for ns in (guest, world.outside):
        ns.ip("link set eth0 gso_max_segs 1")  # what is cut up behind the wire is never too large for it
        ns.check(["nft", "-f", "-"], stdin=SWALLOW)
    with world.outside.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((INTERNET, 8080))
        listening.listen()
        with guest.socket(socket.AF_INET, socket.SOCK_STREAM) as near:
            near.settimeout(5)
            near.connect((INTERNET, 8080))
            far, who = listening.accept()
            assert who[0] == HOST
            with far:
                far.settimeout(5)
                ends = (near, far) if sender == "guest" else (far, near)
                assert carried(*ends) == SIZE


SWALLOW = """
table inet swallow {
    chain input {
        type filter hook input priority filter; policy accept
        icmp type destination-unreachable drop
    }
}
"""


def carried(here: socket.socket, there: socket.socket) -> int:
    """Send SIZE bytes from one end and tell how many came, before nothing did for the socket's timeout."""
    sent = got = 0
    here.setblocking(False)
    while got < SIZE:
        if sent < SIZE:
            with suppress(BlockingIOError):
                sent += here.send(b"x" * min(65536, SIZE - sent))
        try:
            got += len(there.recv(65536))
        except TimeoutError:
            break
    return got
