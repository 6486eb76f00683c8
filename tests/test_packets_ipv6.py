"""IPv6 packets: unique-local prefixes leave translated, global ones as they are, by the same rules."""

from collections.abc import Callable
from socket import AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET

import pytest
from networks import INTERNET, Networks, passed, setting, shoot

from natnetd import config
from natnetd.flows import suspects
from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Packet, Sniffer
from natnetd.lab.traffic import Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import FIRST, SECOND, World


def bare(address: str) -> str:
    """An address without its prefix length."""
    return address.partition("/")[0]


HOST, GATEWAY, FAR = bare(FIRST.host[1]), bare(FIRST.gateway[1]), bare(FIRST.internet[1])
SECOND_HOST, SECOND_FAR = bare(SECOND.host[1]), bare(SECOND.internet[1])
WEB, GLOBAL, DB = "fd00:1::2", "2001:db8:1::2", "fd00:2::2"
ASKED: tuple[Callable[[Namespace, str], str | None], ...] = (tcp, udp)


def seen(ns: Namespace, address: str) -> set[str]:
    """Ask over TCP and UDP; return the addresses that the other side saw."""
    return {(ask(ns, address) or "[silence]").partition("]")[0].strip("[") for ask in ASKED}


def shoot6(ns: Namespace, destination: str, source: str = "") -> None:
    """Send one datagram, and wait for nothing."""
    with ns.socket(AF_INET6, SOCK_DGRAM) as door:
        door.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if source:
            door.bind((source, 4000))
        door.sendto(b"?", (destination, 7))


@pytest.mark.parametrize(
    "nat",
    [
        "true",
        "{uplink: vmbr0}",
        "{uplink: auto}",
        "{uplink: [vmbr9, vmbr0], ports: 1-65535}",
        "{fully_random: true}",
    ],
)
def test_a_unique_local_prefix_leaves_translated(world: World, net: Networks, nat: str) -> None:
    net.become(f"""
      vmbr1: {{addresses: [10.0.0.1/16, "fd00:1::1/64"], nat: {nat}}}
    """)
    web = net.guest("web", "vmbr1", "10.0.0.2/16", f"{WEB}/64")
    with Echo(world.outside), Sniffer(world.outside, "eth0") as wire:
        assert seen(web.ns, FAR) == seen(web.ns, GATEWAY) == {HOST}
        assert ping(web.ns, FAR)
        assert wire.packets()[Packet(HOST, FAR)]
        assert not {s for s in wire.sources() if s.startswith("fd")}
        assert (tcp(web.ns, INTERNET) or "").startswith("203.0.113.2:")
    assert net.drops() == {}
    sent, got = net.traffic("vmbr1")
    assert sent.packets > 8
    assert got.packets > 8


def test_a_network_of_ipv6_alone_leaves_translated(world: World, net: Networks) -> None:
    report = net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: {uplink: vmbr0}}
    """)
    assert report.findings == ()
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    with Echo(world.outside):
        assert seen(web.ns, FAR) == {HOST}


def test_ports_below_1024_stay_inside(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: {uplink: vmbr0}}
      vmbr2: {addresses: "fd00:2::1/64", nat: {uplink: vmbr0, ports: 1-65535}}
    """)
    web, db = net.guest("web", "vmbr1", f"{WEB}/64"), net.guest("db", "vmbr2", f"{DB}/64")
    with Echo(world.outside):
        assert int((udp(web.ns, FAR, source_port=500) or "").rpartition(":")[2]) >= 1024
        assert udp(db.ns, FAR, source_port=500) == f"[{HOST}]:500"


ROUTED = """
      vmbr1:
        addresses: [10.0.0.1/16, "fd00:1::1/64", "2001:db8:1::1/64"]
        nat: {uplink: vmbr0, ipv6: routed}
"""


def test_a_global_prefix_is_routed_both_ways_and_the_local_one_beside_it_is_translated(
    world: World, net: Networks
) -> None:
    net.become(ROUTED)
    world.let_outside_reach("2001:db8:1::/64")
    world.let_outside_reach("fd00:1::/64")
    web = net.guest("web", "vmbr1", "10.0.0.2/16", f"{GLOBAL}/64", f"{WEB}/64")
    with Echo(world.outside), Echo(web.ns), Sniffer(world.outside, "eth0") as wire:
        assert seen(web.ns, FAR) == {GLOBAL}
        assert seen(world.outside, GLOBAL) == {GATEWAY}
        web.ns.ip("addr del 2001:db8:1::2/64 dev eth0")
        assert seen(web.ns, FAR) == {HOST}
        assert not {s for s in wire.sources() if s.startswith("fd")}
        assert net.drops() == {}
        with net.dropping("inbound"):
            shoot6(world.outside, WEB)


def test_a_global_prefix_keeps_to_the_uplinks_too(world: World, net: Networks) -> None:
    second = world.add_uplink(SECOND)
    second.ip("route add 2001:db8:1::/64 via 2001:db8:918::2")
    net.become(ROUTED)
    web = net.guest("web", "vmbr1", f"{GLOBAL}/64")
    with Sniffer(second, "eth0") as wire:
        with net.dropping("exit"):
            shoot6(web.ns, SECOND_FAR)
        with net.dropping("inbound"):
            shoot6(second, GLOBAL)
        assert GLOBAL not in wire.sources()


@pytest.mark.parametrize("prefix", ["fd00:1::", "2001:db8:1::"])
def test_a_routed_network_is_routed_with_whatever_prefix(world: World, net: Networks, prefix: str) -> None:
    net.become(f"""
      vmbr1: {{addresses: "{prefix}1/64", routed: true}}
    """)
    world.let_outside_reach(f"{prefix}/64")
    web = net.guest("web", "vmbr1", f"{prefix}2/64")
    with Echo(world.outside), Echo(web.ns):
        assert seen(web.ns, FAR) == {f"{prefix}2"}
        assert seen(world.outside, f"{prefix}2") == {GATEWAY}
    assert net.drops() == {}


@pytest.mark.parametrize(
    ("nat", "addresses", "six"),
    [
        ("{ipv6: false}", '"fd00:1::1/64"', False),
        ("{ipv6: false}", '"2001:db8:1::1/64"', False),
        ("{ipv4: false}", '"fd00:1::1/64"', True),
    ],
)
def test_a_family_that_is_off_does_not_leave(
    world: World, net: Networks, nat: str, addresses: str, six: bool
) -> None:
    net.become(f"""
      vmbr1: {{addresses: [10.0.0.1/16, {addresses}], nat: {nat}}}
    """)
    web = net.guest("web", "vmbr1", "10.0.0.2/16", addresses.strip('"').replace("::1/", "::2/"))
    with Echo(world.outside), Sniffer(world.outside, "eth0") as wire:
        with net.dropping("closed"):
            if six:
                shoot(web.ns, "10.0.0.2", INTERNET, "udp")
            else:
                shoot6(web.ns, FAR)
        assert passed(wire) == set()
        assert seen(web.ns, FAR) == {HOST} if six else udp(web.ns, INTERNET)


def test_a_closed_network_is_closed_to_ipv6_both_ways(world: World, net: Networks) -> None:
    net.become("""
      vault: {addresses: "2001:db8:1::1/64"}
      vmbr2: {addresses: "fd00:2::1/64", nat: true}
    """)
    world.let_outside_reach("2001:db8:1::/64")
    world.let_outside_reach("fd00:2::/64")
    vault, db = net.guest("vault", "vault", f"{GLOBAL}/64"), net.guest("db", "vmbr2", f"{DB}/64")
    with Sniffer(world.outside, "eth0") as wire, Sniffer(db.ns, "eth0") as inner:
        with net.dropping("closed"):
            shoot6(vault.ns, FAR)
        with net.dropping("inbound", 2):
            shoot6(world.outside, GLOBAL)
            shoot6(world.outside, DB)
        with net.dropping("isolation"):
            shoot6(db.ns, GLOBAL)
        assert {GLOBAL, DB} & set(wire.sources()) == set()
        assert GATEWAY not in inner.sources()


def test_inbound_lets_in_and_answers_leave(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: {uplink: vmbr0}, inbound: vmbr0}
    """)
    world.let_outside_reach("fd00:1::/64")
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    with Echo(web.ns), Echo(world.outside):
        assert seen(world.outside, WEB) == {GATEWAY}
        assert seen(web.ns, FAR) == {HOST}


def test_an_exempt_destination_is_reached_untranslated(world: World, net: Networks) -> None:
    world.let_outside_reach("fd00:1::/64")
    net.become("""
      vmbr1: {addresses: ["fd00:1::1/64", 10.0.0.1/16], nat: {exempt: ["2001:db8:198::/48", 192.168.0.0/16]}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    with Echo(world.outside):
        assert seen(web.ns, FAR) == {WEB}
        assert seen(web.ns, GATEWAY) == {HOST}
    assert net.drops() == {}
    assert not net.become("""
      vmbr1: {addresses: ["fd00:1::1/64", 10.0.0.1/16], nat: {exempt: ["2001:db8:198::/48", 192.168.0.0/16]}}
    """).changed


@pytest.mark.parametrize("source", [DB, "fd77::7", "2001:db8:198::99"])
@pytest.mark.parametrize("leaving", ["nat: true", "routed: true"])
def test_a_spoofed_source_is_dropped(world: World, net: Networks, source: str, leaving: str) -> None:
    net.become(f"""
      vmbr1: {{addresses: "fd00:1::1/64", {leaving}}}
      vmbr2: {{addresses: "fd00:2::1/64", nat: true}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    web.ns.ip(f"addr add {source}/128 dev eth0 nodad")
    with Sniffer(world.outside, "eth0") as wire:
        with net.dropping("spoofed"):
            shoot6(web.ns, FAR, source)
        assert {p.destination for p in passed(wire)} & {FAR} == set()


def test_a_flow_that_slipped_out_is_stopped_and_forgotten(world: World, net: Networks) -> None:
    text = """
      vmbr1: {addresses: ["fd00:1::1/64", "2001:db8:1::1/64"], nat: {uplink: vmbr0, ipv6: routed}}
    """
    net.become(text)
    world.let_outside_reach("fd00:1::/64")
    world.let_outside_reach("2001:db8:1::/64")
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    chain = "type filter hook forward priority filter\nct state new counter"
    world.host.check(["nft", "-f", "-"], stdin=f"table ip6 foreign {{\nchain f {{\n{chain}\n}}\n}}\n")
    with Echo(world.outside), Flow(web.ns, FAR, source_port=4000) as flow:
        world.host.check(["nft", "delete", "table", "inet", "natnetd"])
        assert flow.ask() == f"[{WEB}]:4000"
        net.become(text)
        with net.dropping("untranslated"):
            flow.send()
        web.ns.ip("addr add 2001:db8:1::2/64 dev eth0 nodad")
        with Flow(web.ns, FAR) as fine:  # routed: it is as it should be
            assert fine.ask() == f"[{GLOBAL}]:{fine.port}"
            walk = net.host.purge(suspects(config.parse(f"networks:{text}", "f")))
            while walk.step():
                pass
            assert walk.purged == 1
        assert flow.ask() == f"[{HOST}]:4000"


def test_multicast_is_not_forwarded_untranslated(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: true}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    with Sniffer(world.outside, "eth0") as wire:
        shoot6(web.ns, "ff0e::7")
        assert ping(web.ns, FAR)
        assert "ff0e::7" not in {p.destination for p in wire.packets()}


def test_a_refusal_comes_back_and_one_leaves_translated(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: {uplink: vmbr0}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    for ask in ASKED:
        with pytest.raises(ConnectionRefusedError):
            ask(web.ns, FAR)
    with world.outside.socket(AF_INET6, SOCK_DGRAM) as server, Sniffer(world.outside, "eth0") as wire:
        server.bind((FAR, 7000))
        server.settimeout(2)
        with Flow(web.ns, FAR, 7000) as flow:
            flow.send()
            _, peer, *_ = server.recvfrom(99)
        server.connect(peer)
        server.send(b"too late")
        with pytest.raises(ConnectionRefusedError):
            server.recv(99)
        assert not {s for s in wire.sources() if s.startswith("fd")}


def test_a_connection_is_told_the_size_that_fits(world: World, net: Networks) -> None:
    world.host.ip("link set vmbr0 mtu 1320", "link set eno1 mtu 1320")
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: {uplink: vmbr0}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    with world.outside.socket(AF_INET6, 1) as server:
        server.bind((FAR, 7001))
        server.listen()
        with web.ns.socket(AF_INET6, 1) as client:
            client.settimeout(3)
            client.connect((FAR, 7001))
            peer, _ = server.accept()
            with peer:
                assert peer.getsockopt(6, 2) <= 1320 - 60  # TCP_MAXSEG
                assert client.getsockopt(6, 2) <= 1320 - 60


def test_a_guest_reaches_the_host_itself_as_far_as_it_may(net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: true, host_access: 7/tcp}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/64")
    with Echo(net.world.host):
        assert tcp(web.ns, "fd00:1::1")
        assert tcp(web.ns, HOST)
        assert ping(web.ns, "fd00:1::1")
        with net.dropping("host"):
            shoot6(web.ns, "fd00:1::1")


def test_bridged_packets_of_one_network_pass(world: World, net: Networks) -> None:
    setting("bridge.bridge-nf-call-ip6tables", "1")
    net.become("""
      vmbr1: {addresses: "fd00:1::1/64", nat: {uplink: vmbr0}}
    """)
    web, app = net.guest("web", "vmbr1", f"{WEB}/64"), net.guest("app", "vmbr1", "fd00:1::3/64")
    with Echo(app.ns), Echo(world.outside):
        assert seen(web.ns, "fd00:1::3") == {WEB}
        assert seen(web.ns, FAR) == {HOST}
    wait_until(lambda: net.drops() == {}, what="no drops")
