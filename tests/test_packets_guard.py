"""Real packets that must not leave: nothing of ours goes out under a private source."""

from socket import AF_INET6, SOCK_DGRAM

import pytest
from networks import (
    ANY_PROTOCOL,
    GATEWAY,
    HOST,
    INTERNET,
    Networks,
    passed,
    private,
    setting,
    shoot,
)

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Packet, Sniffer
from natnetd.lab.traffic import Connection, Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest, World

WEB, APP, VAULT = "10.0.0.2", "10.0.0.3", "10.30.0.2"
NAT = """
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
      vault: {addresses: 10.30.0.1/24}
"""


@pytest.fixture
def web(net: Networks) -> Guest:
    """Give the host a network with a guest."""
    net.become(NAT)
    return net.guest("web", "vmbr1", f"{WEB}/16")


TRACKED = ("filter hook forward priority filter", "ct state new counter")
"""Somebody else's rule that keeps conntrack going while our table is missing, as any firewall does."""


def foreign(world: World, hook: str, rule: str) -> None:
    """Load somebody else's table with one rule."""
    text = f"table ip foreign {{\nchain foreign {{\ntype {hook}\n{rule}\n}}\n}}\n"
    world.host.check(["nft", "-f", "-"], stdin=text)


@pytest.mark.parametrize("what", ["rst", "syn-ack", "fin", "null", "pong"])
def test_what_belongs_to_no_flow_does_not_leave(world: World, net: Networks, web: Guest, what: str) -> None:
    with Sniffer(world.outside, "eth0") as wire:
        with net.dropping("invalid"):
            shoot(web.ns, WEB, INTERNET, what)
        assert passed(wire) == set()


def test_a_flow_that_slipped_out_while_the_table_was_missing_is_stopped(
    world: World, net: Networks, web: Guest
) -> None:
    foreign(world, *TRACKED)
    with Sniffer(world.outside, "eth0") as wire, Flow(web.ns, INTERNET, source_port=4000) as flow:
        world.host.check(["nft", "delete", "table", "inet", "natnetd"])
        flow.send()
        wait_until(lambda: private(wire) == {WEB: 1}, what="the packet to slip out")
        net.become(NAT)
        for _ in range(3):
            with net.dropping("untranslated"):
                flow.send()
        with Echo(world.outside):
            assert udp(web.ns, INTERNET, source_port=4001) == f"{HOST}:4001"
        assert private(wire) == {WEB: 1}


def test_a_flow_that_nobody_tracked_while_the_table_was_missing_is_translated_afterwards(
    world: World, net: Networks, web: Guest
) -> None:
    with Sniffer(world.outside, "eth0") as wire, Flow(web.ns, INTERNET, source_port=4000) as flow:
        world.host.check(["nft", "delete", "table", "inet", "natnetd"])
        flow.send()
        wait_until(lambda: private(wire) == {WEB: 1}, what="the packet to slip out")
        net.become(NAT)
        with Echo(world.outside):
            assert flow.ask() == f"{HOST}:4000"
        assert private(wire) == {WEB: 1}


@pytest.mark.parametrize("address", [WEB, VAULT], ids=["nat", "closed"])
def test_a_flow_that_slipped_in_while_the_table_was_missing_gets_no_more_answers(
    world: World, net: Networks, web: Guest, address: str
) -> None:
    foreign(world, *TRACKED)
    world.let_outside_reach("10.0.0.0/8")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with (
        Echo(web.ns),
        Echo(vault.ns),
        Sniffer(world.outside, "eth0") as wire,
        Flow(world.outside, address, source_port=4000) as flow,
    ):
        world.host.check(["nft", "delete", "table", "inet", "natnetd"])
        assert flow.ask() == f"{GATEWAY}:4000"
        assert private(wire) == {address: 1}
        net.become(NAT)
        with net.dropping("untranslated"):
            flow.send()
        assert private(wire) == {address: 1}


def test_what_somebody_hides_from_conntrack_does_not_leave(world: World, net: Networks, web: Guest) -> None:
    foreign(world, "filter hook prerouting priority raw", 'iifname "vmbr1" notrack')
    with Sniffer(world.outside, "eth0") as wire:
        for what in (*ANY_PROTOCOL, "rst"):
            with net.dropping("untranslated"):
                shoot(web.ns, WEB, INTERNET, what)
        assert passed(wire) == set()


@pytest.mark.parametrize("bridged_calls", ["0", "1"])
@pytest.mark.parametrize("victim", [APP, VAULT], ids=["neighbour", "closed"])
def test_a_feigned_question_draws_no_answer_out(
    world: World, net: Networks, victim: str, bridged_calls: str
) -> None:
    setting("bridge.bridge-nf-call-iptables", bridged_calls)
    net.become(NAT.replace("nat: {uplink: vmbr0}", "nat: {uplink: vmbr0}, reach: vault"))
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    app = net.guest("app", "vmbr1", f"{APP}/16")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with (
        Echo(app.ns) as echo,
        Echo(vault.ns) as second_echo,
        Sniffer(world.outside, "eth0") as wire,
        Sniffer(world.host, "vmbr1" if victim == APP else "vault") as bridge,
    ):
        for what in ("udp", "ping"):
            shoot(web.ns, INTERNET, victim, what)
        answer = Packet(victim, INTERNET)
        wait_until(lambda: bridge.packets()[answer] == 2, what="the victim's answers")
        assert echo.asked + second_echo.asked == [f"{INTERNET}:4000"]
        assert ping(app.ns, INTERNET)
        assert private(wire) == {}


def test_somebody_elses_translation_before_ours_passes(world: World, net: Networks, web: Guest) -> None:
    world.host.ip("addr add 203.0.113.50/24 dev vmbr0")
    foreign(world, "nat hook postrouting priority srcnat - 20", 'oifname "vmbr0" snat to 203.0.113.50')
    with Echo(world.outside):
        assert (tcp(web.ns, INTERNET) or "").startswith("203.0.113.50:")
        assert ping(web.ns, INTERNET)
    assert net.drops() == {}


def test_somebody_elses_translation_after_ours_passes(world: World, net: Networks, web: Guest) -> None:
    foreign(world, "nat hook postrouting priority srcnat + 20", 'oifname "vmbr0" masquerade')
    world.host.check(["nft", "delete", "table", "inet", "natnetd"])
    with (
        Echo(world.outside),
        Connection(web.ns, INTERNET) as connection,
        Flow(web.ns, INTERNET) as flow,
        Sniffer(world.outside, "eth0") as wire,
    ):
        before = [connection.ask(), flow.ask()]
        net.become(NAT)
        assert [connection.ask(), flow.ask()] == before == [f"{HOST}:{t.port}" for t in (connection, flow)]
        assert private(wire) == {}
    assert net.drops() == {}


def test_our_translation_wins_over_a_later_one(world: World, web: Guest) -> None:
    world.host.ip("addr add 203.0.113.50/24 dev vmbr0")
    foreign(world, "nat hook postrouting priority srcnat", 'oifname "vmbr0" snat to 203.0.113.50')
    with Echo(world.outside):
        assert (tcp(web.ns, INTERNET) or "").startswith(f"{HOST}:")


SIX = "fd00:1::2"


def test_ipv6_between_networks_obeys_reach(net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: [10.0.0.1/16, "fd00:1::1/64"], nat: true, reach: vmbr2}
      vmbr2: {addresses: "fd00:2::1/64"}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16", f"{SIX}/64")
    db = net.guest("db", "vmbr2", "fd00:2::2/64")
    with Echo(db.ns):
        assert udp(web.ns, "fd00:2::2", source_port=4000) == f"[{SIX}]:4000"
        assert (tcp(web.ns, "fd00:2::2") or "").startswith(f"[{SIX}]:")
        assert net.drops() == {}
        with net.dropping("isolation"), db.ns.socket(AF_INET6, SOCK_DGRAM) as door:
            door.sendto(b"?", (SIX, 7))


def firewalled(world: World) -> Guest:
    """Make a guest behind a bridge of Proxmox's firewall: tap, fwbr, fwln, its peer fwpr, vmbr1."""
    world.host.ip(
        "link add fwbr100i0 up type bridge",
        "link add fwln100i0 up type veth peer name fwpr100p0",
        "link set fwln100i0 master fwbr100i0",
        "link set fwpr100p0 up master vmbr1",
    )
    guest = world.guest("vm", "fwbr100i0", f"{WEB}/16", "10.0.0.1", kind="tap")
    wait_until(lambda: all(map(world.host.running, FIREWALL)), what="the firewall's bridge to carry packets")
    return guest


FIREWALL = ("fwbr100i0", "fwln100i0", "fwpr100p0", "vmbr1")


@pytest.fixture(params=["0", "1"])
def firewall(request: pytest.FixtureRequest, world: World, net: Networks) -> Guest:
    """Put a guest behind Proxmox's firewall, on or off, with its rp_filter."""
    setting("bridge.bridge-nf-call-iptables", request.param)
    setting("bridge.bridge-nf-call-ip6tables", "0")  # or what neighbours say would be counted
    setting("ipv4.conf.all.rp_filter", "2")
    net.become(NAT)
    return firewalled(world)


def open_and_close(ns: Namespace) -> None:
    """Make a TCP connection and close it, and ask over UDP."""
    assert (tcp(ns, INTERNET) or "").startswith(f"{HOST}:")
    assert udp(ns, INTERNET, source_port=4000) == f"{HOST}:4000"


def test_a_guest_behind_proxmox_firewall_leaves_translated(
    world: World, net: Networks, firewall: Guest
) -> None:
    with Echo(world.outside), Sniffer(world.outside, "eth0") as wire:
        open_and_close(firewall.ns)
        assert ping(firewall.ns, INTERNET)
        with Connection(firewall.ns, INTERNET) as connection:
            assert connection.ask() == connection.ask() == f"{HOST}:{connection.port}"
        assert passed(wire) == {Packet(HOST, INTERNET), Packet(INTERNET, HOST)}
    assert net.drops() == {}


def test_a_guest_behind_proxmox_firewall_is_guarded_and_counted_once(
    world: World, net: Networks, firewall: Guest
) -> None:
    with Echo(world.outside), Sniffer(world.outside, "eth0") as wire:
        with Flow(firewall.ns, INTERNET) as flow:
            for _ in range(4):
                assert flow.ask() == f"{HOST}:{flow.port}"
        assert [count.packets for count in net.traffic("vmbr1")] == [4, 4]
        with net.dropping("invalid"):
            shoot(firewall.ns, WEB, INTERNET, "rst")
        with net.dropping("spoofed"):
            shoot(firewall.ns, VAULT, INTERNET, "udp")
        with net.dropping("isolation"):
            shoot(firewall.ns, WEB, VAULT, "udp")
        app = net.guest("app", "vmbr1", f"{APP}/16")
        with Echo(app.ns):
            assert udp(firewall.ns, APP, source_port=4000) == f"{WEB}:4000"
        assert private(wire) == {}
