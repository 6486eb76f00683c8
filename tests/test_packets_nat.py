"""Real packets of networks that leave translated: masquerade, fixed source, exemptions, uplinks."""

from collections.abc import Callable
from socket import AF_INET, SOCK_DGRAM

import pytest
from networks import (
    ANY_PROTOCOL,
    GATEWAY,
    HOST,
    INTERNET,
    SECOND_GATEWAY,
    SECOND_HOST,
    SECOND_INTERNET,
    Networks,
    passed,
    private,
    shoot,
)

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Packet, Sniffer
from natnetd.lab.traffic import Connection, Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import SECOND, World

WEB = "10.0.0.2"
ASKED: tuple[Callable[[Namespace, str], str | None], ...] = (tcp, udp)


def seen(ns: Namespace, address: str) -> set[str]:
    """Ask over TCP and UDP; return the addresses that the other side saw."""
    return {(ask(ns, address) or "silence").partition(":")[0] for ask in ASKED}


@pytest.mark.parametrize("nat", ["true", "{uplink: vmbr0}", "{uplink: [vmbr9, vmbr0]}"])
def test_the_outside_sees_the_uplinks_address(world: World, net: Networks, nat: str) -> None:
    net.become(f"""
      vmbr1: {{addresses: 10.0.0.1/16, nat: {nat}}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(world.outside), Sniffer(world.outside, "eth0") as wire:
        assert seen(web.ns, INTERNET) == seen(web.ns, GATEWAY) == {HOST}
        assert ping(web.ns, INTERNET)
        assert wire.packets()[Packet(HOST, INTERNET)]
        assert private(wire) == {}
    assert net.drops() == {}


def test_guests_may_use_the_same_port(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: true}
      vmbr2: {addresses: 10.20.0.1/24, nat: true}
    """)
    guests = [net.guest("web", "vmbr1", f"{WEB}/16"), net.guest("db", "vmbr2", "10.20.0.2/24")]
    with Echo(world.outside):
        answers = [udp(guest.ns, INTERNET, source_port=4000) for guest in guests]
    assert answers[0] == f"{HOST}:4000"
    assert answers[1] not in (None, answers[0])


def test_the_outside_sees_a_fixed_source(world: World, net: Networks) -> None:
    world.host.ip("addr add 203.0.113.50/24 dev vmbr0")
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: {source: 203.0.113.50}}
      vmbr2: {addresses: 10.20.0.1/24, nat: {source: 203.0.113.50, uplink: vmbr0}}
      vmbr3: {addresses: 10.30.0.1/24, nat: true}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", "10.20.0.2/24")
    plain = net.guest("plain", "vmbr3", "10.30.0.2/24")
    with Echo(world.outside), Sniffer(world.outside, "eth0") as wire:
        assert seen(web.ns, INTERNET) == seen(db.ns, INTERNET) == {"203.0.113.50"}
        assert passed(wire) == {Packet("203.0.113.50", INTERNET), Packet(INTERNET, "203.0.113.50")}
        assert ping(web.ns, GATEWAY)
        assert wire.packets()[Packet("203.0.113.50", GATEWAY)]
        assert seen(plain.ns, INTERNET) == {HOST}
    assert net.drops() == {}


EXEMPTING = """
      vmbr1: {addresses: [10.0.0.1/16, 10.1.0.1/24], nat: {exempt: [198.51.100.0/24, 198.51.100.7/32]}}
      vmbr2: {addresses: 10.20.0.1/24, nat: true}
"""


def test_an_exempt_destination_is_reached_untranslated_by_that_network_only(
    world: World, net: Networks
) -> None:
    world.let_outside_reach("10.0.0.0/8")
    net.become(EXEMPTING)
    guests = [
        net.guest("web", "vmbr1", f"{WEB}/16"),
        net.guest("mail", "vmbr1", "10.1.0.2/24"),
        net.guest("db", "vmbr2", "10.20.0.2/24"),
    ]
    with Echo(world.outside):
        assert [seen(guest.ns, INTERNET) for guest in guests] == [{WEB}, {"10.1.0.2"}, {HOST}]
        assert [seen(guest.ns, GATEWAY) for guest in guests] == [{HOST}] * 3
    assert net.drops() == {}


def test_only_the_networks_own_prefixes_are_exempt(world: World, net: Networks) -> None:
    net.become(EXEMPTING)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    world.host.ip("route add 10.99.0.0/24 via 10.0.0.2")  # so it is not spoofed
    with Sniffer(world.outside, "eth0") as wire:
        shoot(web.ns, "10.99.0.5", INTERNET, "ping")
        wait_until(lambda: Packet(INTERNET, HOST) in passed(wire), what="the answer")
        assert passed(wire) == {Packet(HOST, INTERNET), Packet(INTERNET, HOST)}


def test_an_exempt_destination_may_lie_behind_another_uplink(world: World, net: Networks) -> None:
    second = world.add_uplink(SECOND)
    second.ip("route add 10.0.0.0/16 via 198.18.0.2")
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0, exempt: 198.51.100.9/32}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(second):
        assert seen(web.ns, SECOND_INTERNET) == {WEB}
        with net.dropping("exit"):
            shoot(web.ns, WEB, SECOND_GATEWAY, "udp")


def test_an_exemption_opens_no_door_inwards(world: World, net: Networks) -> None:
    world.let_outside_reach("10.0.0.0/8")
    net.become(EXEMPTING)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Sniffer(web.ns, "eth0") as wire:
        for what in ANY_PROTOCOL:
            with net.dropping("inbound"):
                shoot(world.outside, INTERNET, WEB, what)
        assert passed(wire) == set()


SPOOFED = {
    "of another network": "10.20.0.2",
    "private": "192.168.66.6",
    "of somebody outside": "198.51.100.99",
}


@pytest.mark.parametrize("source", SPOOFED.values(), ids=SPOOFED)
@pytest.mark.parametrize("destination", [GATEWAY, INTERNET], ids=["translated", "exempt"])
@pytest.mark.parametrize("bridge", ["vmbr1", "vmbr3"], ids=["nat", "routed"])
def test_a_spoofed_source_is_dropped(
    world: World, net: Networks, source: str, destination: str, bridge: str
) -> None:
    net.become(f"""
      {EXEMPTING.strip()}
      vmbr3: {{addresses: 10.30.0.1/16, routed: true}}
    """)
    address = {"vmbr1": WEB, "vmbr3": "10.30.0.2"}[bridge]
    web = net.guest("web", bridge, f"{address}/16")
    shots = (*ANY_PROTOCOL, "rst", "pong")
    with Sniffer(world.outside, "eth0") as wire:
        with net.dropping("spoofed", len(shots)):
            for what in shots:
                shoot(web.ns, source, destination, what)
        assert passed(wire) == set()


def test_a_guest_leaves_by_the_chosen_uplink_only(world: World, net: Networks) -> None:
    second = world.add_uplink(SECOND)
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
      vmbr2: {addresses: 10.20.0.1/24, nat: {uplink: vmbr9}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", "10.20.0.2/24")
    with (
        Echo(world.outside),
        Echo(second),
        Sniffer(world.outside, "eth0") as wire,
        Sniffer(second, "eth0") as second_wire,
    ):
        assert seen(web.ns, INTERNET) == {HOST}
        assert seen(db.ns, SECOND_INTERNET) == {SECOND_HOST}
        for what in ANY_PROTOCOL:
            with net.dropping("exit", 2):
                shoot(web.ns, WEB, SECOND_INTERNET, what)
                shoot(db.ns, "10.20.0.2", INTERNET, what)
        assert passed(wire) == {Packet(HOST, INTERNET), Packet(INTERNET, HOST)}
        there = Packet(SECOND_HOST, SECOND_INTERNET)
        assert passed(second_wire) == {there, Packet(*reversed(there))}


@pytest.mark.parametrize("uplink", ["any", "[vmbr0, vmbr9]"])
def test_a_guest_leaves_by_whichever_of_several_uplinks_the_route_says(
    world: World, net: Networks, uplink: str
) -> None:
    second = world.add_uplink(SECOND)
    net.become(f"""
      vmbr1: {{addresses: 10.0.0.1/16, nat: {{uplink: {uplink}}}}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(world.outside), Echo(second):
        assert seen(web.ns, INTERNET) == {HOST}
        assert seen(web.ns, SECOND_INTERNET) == {SECOND_HOST}
    assert net.drops() == {}


def test_an_uplink_may_come_later(world: World, net: Networks) -> None:
    networks = """
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr9}}
    """
    net.become(networks)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with net.dropping("exit"):
        shoot(web.ns, WEB, SECOND_INTERNET, "udp")
    second = world.add_uplink(SECOND)
    net.become(networks)
    with Echo(second):
        assert seen(web.ns, SECOND_INTERNET) == {SECOND_HOST}


def test_refusals_from_outside_come_back_translated(net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    for ask in ASKED:
        with pytest.raises(ConnectionRefusedError):
            ask(web.ns, INTERNET)


def test_a_guests_refusal_leaves_translated(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with world.outside.socket(AF_INET, SOCK_DGRAM) as server, Sniffer(world.outside, "eth0") as wire:
        server.bind((INTERNET, 7000))
        server.settimeout(2)
        with Flow(web.ns, INTERNET, 7000) as flow:
            flow.send()
            _, peer = server.recvfrom(99)
        server.connect(peer)
        server.send(b"too late")
        with pytest.raises(ConnectionRefusedError):
            server.recv(99)
        assert private(wire) == {}


def test_a_connection_stays_open_over_passes(world: World, net: Networks) -> None:
    networks = """
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
    """
    net.become(networks)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(world.outside), Connection(web.ns, INTERNET) as connection:
        for more in ("", "  vmbr2: {addresses: 10.20.0.1/24}", ""):
            assert connection.ask() == f"{HOST}:{connection.port}"
            net.become(networks + more)
        assert connection.ask() == f"{HOST}:{connection.port}"
