"""Real packets of guests that are honest, too quick or too many, and of what is nobody's on the internet."""

from contextlib import ExitStack, suppress

import pytest
from networks import INTERNET, Networks, setting, shoot

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Sniffer
from natnetd.lab.traffic import ABSENCE, Connection, Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Uplink, World

WEB, APP = "10.0.0.2", "10.0.0.3"
MAC = "52:54:00:12:34:56"
NETWORKS = """
      vmbr1: {{addresses: 10.0.0.1/16, nat: {{uplink: vmbr0}}, guard: {guard}}}
      vmbr2: {{addresses: 10.20.0.1/24, nat: true, reach: vmbr1}}
"""
STRICT = f"""
      vmbr1:
        addresses: 10.0.0.1/16
        nat: {{uplink: vmbr0}}
        dhcp: {{static_only: true, reservations: [{{mac: {MAC}, address: {WEB}}}]}}
        dns: false
        guard: {{strict: true}}
"""
PUBLIC = Uplink("vmbr8", "eno8", ("9.1.1.2/24", "2001:db8:9::2/64"), ("9.1.1.1/24", "2001:db8:9::1/64"),
                ("198.51.100.9/32", "2001:db8:198::9/128"), default=False)  # fmt: skip


def burst(ns: Namespace, count: int, first_port: int = 20000) -> None:
    """Begin many flows at once, each with its first packet."""
    with ExitStack() as open_:
        for number in range(count):
            open_.enter_context(Flow(ns, INTERNET, source_port=first_port + number)).send()


def arrived(wire: Sniffer) -> int:
    """Count what a wire outside has seen of guests."""
    return sum(packet.destination == INTERNET for packet in wire.packets().elements())


def test_a_guest_that_begins_too_much_keeps_what_it_has(world: World, net: Networks) -> None:
    net.become(NETWORKS.format(guard="{anti_spoof: false, new_connections: 10/second}"))
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    app = net.guest("app", "vmbr1", f"{APP}/16").ns
    with Echo(world.outside), Connection(web, INTERNET) as flow:
        assert flow.ask()
        burst(web, 200)
        wait_until(lambda: net.drops()["new_connections"] >= 100, what="drops of new connections")
        for _ in range(20):
            assert flow.ask()
        assert udp(app, INTERNET)
    assert net.drops().keys() == {"new_connections"}
    assert not net.become(NETWORKS.format(guard="{anti_spoof: false, new_connections: 10/second}")).changed


def test_a_flow_that_nobody_answers_is_counted_once(net: Networks) -> None:
    net.become(
        NETWORKS.format(guard="{anti_spoof: false, new_connections: 10/second, open_connections: 100}")
    )
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    with Flow(web, INTERNET) as flow:
        for _ in range(500):
            with suppress(ConnectionRefusedError):  # said of an earlier one
                flow.send()
    assert not net.drops()


@pytest.mark.parametrize("limit", [100, 500])
def test_a_guest_that_has_too_much_keeps_it(world: World, net: Networks, limit: int) -> None:
    net.become(NETWORKS.format(guard=f"{{anti_spoof: false, open_connections: {limit}}}"))
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    app = net.guest("app", "vmbr1", f"{APP}/16").ns
    with Echo(world.outside), ExitStack() as open_:
        flows = [open_.enter_context(Connection(web, INTERNET, deadline=10)) for _ in range(limit)]
        with pytest.raises(TimeoutError):
            Connection(web, INTERNET, deadline=ABSENCE)
        assert net.drops().keys() == {"open_connections"}
        assert all(flow.ask() for flow in (flows[0], flows[-1]))
        assert tcp(app, INTERNET)
        net.become(NETWORKS.format(guard="{anti_spoof: false, open_connections: 1000}"))
        assert tcp(web, INTERNET)


@pytest.mark.parametrize(("guard", "honest"), [("true", True), ("{anti_spoof: false}", False)])
def test_a_guest_uses_addresses_of_its_network_only(
    world: World, net: Networks, guard: str, honest: bool
) -> None:
    setting("bridge.bridge-nf-call-iptables", "0")
    net.become(NETWORKS.format(guard=guard))
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    net.guest("db", "vmbr2", "10.20.0.2/24")
    with Sniffer(world.host, "vmbr1") as wire:
        for source in ("192.168.7.7", "10.20.0.9"):
            shoot(web, source, "10.0.0.1", "ping")
            shoot(web, source, INTERNET, "ping")
            wait_until(lambda s=source: wire.sources()[s] >= 2, what="the packets")  # type: ignore[misc]
    assert net.drops() == ({"spoofed": 4} if honest else {"spoofed": 2})
    with Echo(world.outside):
        assert tcp(web, INTERNET)
    assert ping(web, "10.0.0.1")


def test_only_reserved_guests_pass_where_strict_says_so(world: World, net: Networks) -> None:
    net.become(STRICT)
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    with Echo(world.outside):
        assert not ping(web, "10.0.0.1", deadline=ABSENCE)  # another MAC address
        web.ip(f"link set eth0 address {MAC}", "route replace default via 10.0.0.1")
        assert ping(web, "10.0.0.1")
        assert tcp(web, INTERNET)
        before = net.drops()["spoofed"]
        web.ip("addr flush dev eth0", f"addr add {APP}/16 dev eth0", "route add default via 10.0.0.1")
        assert not ping(web, "10.0.0.1", deadline=ABSENCE)  # another address
        assert not ping(web, INTERNET, deadline=ABSENCE)
    assert net.drops()["spoofed"] > before
    assert not net.become(STRICT).changed


BOGONS = ("10.99.0.1", "100.64.1.1", "192.168.1.1", "198.51.100.9", "169.254.1.1", "240.0.0.1")


@pytest.mark.parametrize("guard", ["{bogons: true}", "true"])
def test_what_is_nobodys_on_the_internet_does_not_go_to_a_public_gateway(
    world: World, net: Networks, guard: str
) -> None:
    outside = world.add_uplink(PUBLIC)
    world.host.ip("route replace default via 9.1.1.1", "route add 192.168.9.0/24 via 203.0.113.1")
    outside.ip("addr add 8.8.8.8/32 dev lo")
    text = NETWORKS.format(guard=guard).replace("uplink: vmbr0", "exempt: 172.16.5.0/24")
    net.become(text)
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    with Sniffer(outside, "eth0") as wire, Sniffer(world.outside, "eth0") as private_wire:
        for address in (*BOGONS, "172.16.5.5", "8.8.8.8"):
            shoot(web, WEB, address, "ping")
        shoot(web, WEB, "192.168.9.9", "ping")  # behind a router with a private address
        wait_until(lambda: any(p.destination == "8.8.8.8" for p in wire.packets()), what="the last ping")
        wait_until(
            lambda: any(p.destination == "192.168.9.9" for p in private_wire.packets()),
            what="the private one",
        )
        seen = {packet.destination for packet in wire.packets()} & {*BOGONS, "172.16.5.5", "8.8.8.8"}
    if guard == "true":
        assert "10.99.0.1" in seen
        assert not net.drops()["bogon"]
    else:
        assert seen == {"8.8.8.8", "172.16.5.5"}
        assert net.drops()["bogon"] >= len(BOGONS) - 1  # the kernel has no route to 240.0.0.0/4
