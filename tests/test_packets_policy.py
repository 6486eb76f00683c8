"""Real packets between networks, and from outside: who may open connections to whom."""

from contextlib import ExitStack
from socket import AF_INET, SO_BINDTODEVICE, SO_BROADCAST, SOCK_DGRAM, SOL_SOCKET

import pytest
from networks import (
    ANY_PROTOCOL,
    GATEWAY,
    HOST,
    INTERNET,
    SECOND_GATEWAY,
    Networks,
    passed,
    setting,
    shoot,
)

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Packet, Sniffer
from natnetd.lab.traffic import ABSENCE, Connection, Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import SECOND, World

WEB, DB, VAULT = "10.0.0.2", "10.20.0.2", "10.30.0.2"


def talks(ns: Namespace, address: str, source: str) -> bool:
    """Ask over TCP and UDP whether the other side sees `source`, and ping."""
    answers = (tcp(ns, address), udp(ns, address))
    assert [a.partition(":")[0] for a in answers if a] == [source, source]
    return ping(ns, address)


CLOSED = """
      vmbr1: {addresses: 10.0.0.1/16, nat: true}
      vault: {addresses: 10.30.0.1/24}
"""


def test_a_closed_network_has_no_way_out(world: World, net: Networks) -> None:
    net.become(CLOSED)
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Sniffer(world.outside, "eth0") as wire:
        for what in (*ANY_PROTOCOL, "rst"):
            with net.dropping("closed"):
                shoot(vault.ns, VAULT, INTERNET, what)
        assert passed(wire) == set()


def test_a_closed_network_reaches_only_itself_and_the_host(net: Networks) -> None:
    net.become(CLOSED)
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    other = net.guest("other", "vault", "10.30.0.3/24")
    with Echo(other.ns):
        assert talks(vault.ns, "10.30.0.3", VAULT)
    assert ping(vault.ns, "10.30.0.1")
    assert net.drops() == {}


@pytest.mark.parametrize("address", [WEB, VAULT], ids=["nat", "closed"])
def test_nobody_outside_opens_a_connection_even_with_a_route(
    world: World, net: Networks, address: str
) -> None:
    world.let_outside_reach("10.0.0.0/8")
    net.become(CLOSED)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Sniffer(web.ns, "eth0") as wire, Sniffer(vault.ns, "eth0") as second_wire:
        for what in (*ANY_PROTOCOL, "rst", "syn-ack", "pong"):
            with net.dropping("inbound"):
                shoot(world.outside, GATEWAY, address, what)
        assert passed(wire) == passed(second_wire) == set()


def test_a_routed_network_is_open_both_ways_untranslated(world: World, net: Networks) -> None:
    world.let_outside_reach("10.20.0.0/24")
    net.become("""
      vmbr2: {addresses: 10.20.0.1/24, routed: true}
    """)
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Echo(world.outside), Echo(db.ns):
        assert talks(db.ns, INTERNET, DB)
        assert talks(world.outside, DB, GATEWAY)
    assert net.drops() == {}


def test_any_protocol_passes_a_routed_network_out_of_nowhere(world: World, net: Networks) -> None:
    world.let_outside_reach("10.20.0.0/24")
    net.become("""
      vmbr2: {addresses: 10.20.0.1/24, routed: true}
    """)
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Sniffer(world.outside, "eth0") as wire:
        shoot(db.ns, DB, GATEWAY, "rst")
        assert ping(db.ns, INTERNET)
        assert passed(wire) == {Packet(DB, GATEWAY), Packet(DB, INTERNET), Packet(INTERNET, DB)}


REACHING = """
      vmbr1: {addresses: 10.0.0.1/16, nat: true}
      vmbr2: {addresses: 10.20.0.1/24, nat: true, reach: [vmbr1, vault]}
      vault: {addresses: 10.30.0.1/24, reach: vmbr1}
"""


def test_reach_opens_one_way_with_the_real_source(net: Networks) -> None:
    net.become(REACHING)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Echo(web.ns), Echo(vault.ns):
        assert talks(db.ns, WEB, DB)
        assert talks(db.ns, VAULT, DB)
        assert talks(vault.ns, WEB, VAULT)
    assert net.drops() == {}
    for ns, source, to in ((web.ns, WEB, DB), (web.ns, WEB, VAULT), (vault.ns, VAULT, DB)):
        for what in ANY_PROTOCOL:
            with net.dropping("isolation"):
                shoot(ns, source, to, what)


def test_answers_flow_where_reach_does_not_lead(net: Networks) -> None:
    net.become(REACHING)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Echo(web.ns), Flow(db.ns, WEB, source_port=4000) as flow:
        assert flow.ask() == f"{DB}:4000"
        with net.dropping("isolation"):
            shoot(web.ns, WEB, DB, "syn")
        assert flow.ask() == f"{DB}:4000"


@pytest.mark.parametrize("second", ["nat: true", "routed: true", "nat: false"])
@pytest.mark.parametrize("first", ["nat: {uplink: vmbr0}", "routed: true", "nat: false"])
def test_networks_are_isolated_unless_told_otherwise(net: Networks, first: str, second: str) -> None:
    net.become(f"""
      vmbr1: {{addresses: 10.0.0.1/16, {first}}}
      vmbr2: {{addresses: 10.20.0.1/24, {second}}}
    """)
    setting("ipv4.ip_forward", "1")  # two closed networks alone do not ask for it
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Sniffer(db.ns, "eth0") as wire, net.dropping("isolation", 6):
        for what in (*ANY_PROTOCOL, "rst", "fin", "pong"):
            shoot(web.ns, WEB, DB, what)
        assert passed(wire) == set()


@pytest.mark.parametrize("bridged_calls", ["0", "1"])
def test_several_subnets_of_a_bridge_talk_through_the_gateway(net: Networks, bridged_calls: str) -> None:
    setting("bridge.bridge-nf-call-iptables", bridged_calls)
    net.become("""
      vmbr2: {addresses: [10.20.0.1/24, 10.20.1.1/24], nat: {uplink: vmbr0}}
    """)
    db = net.guest("db", "vmbr2", f"{DB}/24")
    mail = net.guest("mail", "vmbr2", "10.20.1.2/24")
    with Echo(db.ns), Echo(mail.ns):
        assert talks(db.ns, "10.20.1.2", DB)
        assert talks(mail.ns, DB, "10.20.1.2")
    assert net.drops() == {}


@pytest.mark.parametrize("bridged_calls", ["0", "1"])
@pytest.mark.parametrize("leaving", ["nat: {uplink: vmbr0}", "routed: true", "nat: false"])
def test_neighbours_on_one_bridge_are_left_alone(net: Networks, leaving: str, bridged_calls: str) -> None:
    for family in ("ip", "ip6"):
        setting(f"bridge.bridge-nf-call-{family}tables", bridged_calls)
    net.become(f"""
      vmbr1: {{addresses: [10.0.0.1/16, "fd00:1::1/64"], {leaving}}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16", "172.16.0.2/24", "fd00:1::2/64")
    app = net.guest("app", "vmbr1", "10.0.0.3/16", "172.16.0.3/24", "fd00:1::3/64")
    new = net.guest("new", "vmbr1")
    with Echo(app.ns), Sniffer(app.ns, "eth0") as wire:
        assert talks(web.ns, "10.0.0.3", WEB)
        assert talks(web.ns, "172.16.0.3", "172.16.0.2")  # a subnet that the host knows nothing of
        assert udp(web.ns, "fd00:1::3", source_port=4000) == "[fd00:1::2]:4000"
        assert ping(web.ns, "fd00:1::1")
        assert ping(web.ns, WEB)
        shoot(web.ns, WEB, "10.0.0.3", "syn-ack")
        with new.ns.socket(AF_INET, SOCK_DGRAM) as door:  # as DHCP asks
            door.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
            door.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
            door.sendto(b"discover", ("255.255.255.255", 67))
        asked = Packet("0.0.0.0", "255.255.255.255")
        wait_until(lambda: asked in passed(wire), what="a neighbour to hear a guest without an address")
    assert net.drops() == {}


def test_the_host_and_its_guests_reach_each_other(world: World, net: Networks) -> None:
    net.become(CLOSED)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Echo(world.host), Echo(web.ns), Echo(vault.ns):
        assert talks(web.ns, "10.0.0.1", WEB)
        assert talks(web.ns, HOST, WEB)
        assert talks(vault.ns, "10.30.0.1", VAULT)
        assert talks(world.host, WEB, "10.0.0.1")
        assert talks(world.host, VAULT, "10.30.0.1")
    assert net.drops() == {}


@pytest.mark.parametrize("leaving", ["nat: {uplink: vmbr0}", "nat: false"])
def test_an_inbound_interface_may_open_connections(world: World, net: Networks, leaving: str) -> None:
    second = world.add_uplink(SECOND)
    second.ip("route add 10.0.0.0/16 via 198.18.0.2")
    world.let_outside_reach("10.0.0.0/16")
    net.become(f"""
      vmbr1: {{addresses: 10.0.0.1/16, {leaving}, inbound: vmbr9}}
      vmbr2: {{addresses: 10.20.0.1/24, nat: true}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(web.ns), Sniffer(second, "eth0") as wire:
        assert talks(second, WEB, SECOND_GATEWAY)
        assert passed(wire) == {Packet(WEB, SECOND_GATEWAY), Packet(SECOND_GATEWAY, WEB)}
        with pytest.raises(ConnectionRefusedError):
            udp(second, WEB, port=9)
        assert net.drops() == {}
        with net.dropping("inbound"):
            shoot(world.outside, GATEWAY, WEB, "syn")
        with net.dropping("exit" if "uplink" in leaving else "closed"):
            shoot(web.ns, WEB, SECOND_GATEWAY, "udp")


FORWARDS = f"""
table ip foreign {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        iifname "vmbr0" meta l4proto {{ tcp, udp }} th dport 8001 dnat to {WEB}:7
        iifname "vmbr0" meta l4proto {{ tcp, udp }} th dport 8002 dnat to {WEB}:9
        iifname "vmbr0" meta l4proto {{ tcp, udp }} th dport 8003 dnat to {VAULT}:7
    }}
}}
"""


def test_a_forward_leads_into_a_network_that_leaves_translated(world: World, net: Networks) -> None:
    net.become(CLOSED)
    world.host.check(["nft", "-f", "-"], stdin=FORWARDS)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(web.ns), Sniffer(world.outside, "eth0") as wire:
        for ask in (tcp, udp):
            assert (ask(world.outside, HOST, 8001) or "").startswith(f"{GATEWAY}:")
            with pytest.raises(ConnectionRefusedError):
                ask(world.outside, HOST, 8002)
        assert passed(wire) == {Packet(GATEWAY, HOST), Packet(HOST, GATEWAY)}
    assert net.drops() == {}


def test_a_forward_does_not_lead_into_a_closed_network(world: World, net: Networks) -> None:
    net.become(CLOSED)
    world.host.check(["nft", "-f", "-"], stdin=FORWARDS)
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Sniffer(vault.ns, "eth0") as wire, Flow(world.outside, HOST, 8003) as flow:
        with net.dropping("inbound"):
            flow.send()
        with net.dropping("inbound"):
            assert tcp(world.outside, HOST, 8003, deadline=ABSENCE) is None
        assert passed(wire) == set()


def test_flows_of_every_direction_stay_open_over_passes(world: World, net: Networks) -> None:
    second = world.add_uplink(SECOND)
    second.ip("route add 10.0.0.0/8 via 198.18.0.2")
    networks = REACHING.replace("vault: {", "vault: {inbound: vmbr9, ")
    net.become(networks)
    world.host.check(["nft", "-f", "-"], stdin=FORWARDS)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Echo(world.outside), Echo(web.ns), Echo(vault.ns), ExitStack() as stack:
        flows = [
            stack.enter_context(kind(ns, address, port))
            for kind in (Flow, Connection)
            for ns, address, port in (
                (web.ns, INTERNET, 7),
                (db.ns, WEB, 7),
                (second, VAULT, 7),
                (world.outside, HOST, 8001),
            )
        ]
        before = [flow.ask() for flow in flows]
        assert None not in before
        for text in (networks, f"{networks}  vmbr3: {{addresses: 10.40.0.1/24, nat: true}}", networks):
            net.become(text.replace("\n  vmbr3", "\n      vmbr3"))
            assert [flow.ask() for flow in flows] == before
    assert net.drops() == {}
