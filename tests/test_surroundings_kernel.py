"""What others set up, on the kernel: the finding is true for a packet, and what it says mends it."""

import re
from pathlib import Path

import legacy
import pytest
from networks import INTERNET, SECOND_GATEWAY, Networks, setting
from running import ONE, start
from test_daemon_place import NOBODY, UNIT, nobodys

from natnetd.host import Finding, State
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ABSENCE, tcp
from natnetd.lab.world import FIRST, SECOND, Guest, World
from natnetd.linux import xtables

VMBR1 = "\n  vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}"
BRIDGED = "bridge.bridge-nf-call-iptables"
COMMANDS = re.compile(r"[:;] ((?:nft|sysctl|ip) [^;:]+)")


@pytest.fixture
def guest(net: Networks) -> Guest:
    """Build the network, plug one guest in, and let bridges be bridges."""
    setting(BRIDGED, "0")
    net.become(VMBR1)
    return net.guest("web", "vmbr1", "10.0.0.2/16")


def found(net: Networks, networks: str = VMBR1) -> list[Finding]:
    """Look as a pass does; what is found here never changes a network's state."""
    findings = [f for f in net.become(networks).findings if not f.text.startswith("uplink")]
    assert all(f.state is State.IN_SYNC for f in findings)
    return findings


def reaches(guest: Guest, address: str = INTERNET) -> bool:
    try:
        return tcp(guest.ns, address, deadline=ABSENCE) is not None
    except ConnectionRefusedError:  # by the other end
        return True
    except OSError:  # a router on the way refuses
        return False


def obey(host: Namespace, finding: Finding) -> None:
    """Type what a finding says."""
    commands = COMMANDS.findall(finding.text)
    assert commands, finding
    for command in commands:
        host.check(["sh", "-ec", command])


PROHIBIT = "reject with icmp type admin-prohibited"  # TCP takes a port unreachable for an answer
WALLS = {
    "policy": "type filter hook forward priority 0; policy drop;",
    "late policy": "type filter hook forward priority 300; policy drop;",
    "last rule": f"type filter hook forward priority 0; ct state established,related accept; {PROHIBIT};",
    "map of states": "type filter hook forward priority 0; policy drop;"
    " ct state vmap { established : accept, related : accept, invalid : drop };",
    "others only": 'type filter hook forward priority 0; policy drop; iifname { "vmbr7", "vmbr8" } accept;'
    ' iifname "tap*" accept; iif lo accept; meta nfproto ipv6 accept; ct status dnat accept;',
    "only pings accepted": "type filter hook forward priority 0; policy drop; icmp type echo-request accept;"
    " ip protocol icmp accept; meta l4proto { icmp, udp } accept; udp dport 53 accept;",
    "answers only dropped": 'type filter hook forward priority 0; policy drop; iifname "vmbr1" accept;',
}


@pytest.mark.parametrize("family", ["ip", "inet"])
@pytest.mark.parametrize("wall", WALLS)
def test_a_table_that_drops_is_told_and_the_command_mends_it(
    net: Networks, guest: Guest, family: str, wall: str
) -> None:
    host = net.world.host
    text = WALLS[wall].replace(
        "meta nfproto ipv6 accept;", "" if family == "ip" else "meta nfproto ipv6 accept;"
    )
    host.check(["nft", "-f", "-"], stdin=f"table {family} mine {{ chain forward {{ {text} }}; }}\n")
    assert not reaches(guest)
    (finding,) = found(net)
    assert finding.network == "vmbr1"
    assert f"chain forward of nft's table {family} mine drops what vmbr1 sends out" in finding.text
    obey(host, finding)
    assert reaches(guest)
    assert found(net) == []


PASSES = {
    "accepts all": "policy accept; ct state invalid drop;",
    "accepts by name": 'policy drop; iifname "vmbr1" accept; ct state established accept;',
    "accepts by set": "policy drop; iifname { vmbr0, vmbr1 } oifname { vmbr0, vmbr1 } accept;",
    "accepts by prefix": 'policy drop; iifname "vmbr*" accept;',
    "accepts by exclusion": 'policy drop; iifname != "eno9" accept;',
    "accepts the subnet": "policy drop; ip saddr 10.0.0.0/16 accept; ct state established accept;",
    "drops others": 'policy accept; iifname "vmbr7" drop; ip saddr 10.7.0.0/16 drop; tcp dport 25 reject;',
    "accepts TCP": "policy drop; meta l4proto tcp accept;",
    "drops all but TCP": "policy accept; meta l4proto != tcp drop; ip protocol udp drop;",
    "returns first": 'policy accept; iifname "vmbr1" return; ct state established return; reject;',
}


@pytest.mark.parametrize("wall", PASSES)
def test_a_table_that_lets_our_packets_through_is_not_told(net: Networks, guest: Guest, wall: str) -> None:
    text = f"type filter hook forward priority 0; {PASSES[wall]}"
    net.world.host.check(["nft", "-f", "-"], stdin=f"table inet mine {{ chain forward {{ {text} }}; }}\n")
    assert reaches(guest)
    assert found(net) == []


def test_a_chain_that_is_jumped_to_is_followed(net: Networks, guest: Guest) -> None:
    text = """table inet mine {
      chain user { iifname "vmbr1" accept; oifname "vmbr1" accept; }
      chain last { reject with icmp type admin-prohibited; }
      chain forward { type filter hook forward priority 0; jump user; goto last; }
    }\n"""
    host = net.world.host
    host.check(["nft", "-f", "-"], stdin=text)
    assert reaches(guest)
    assert found(net) == []
    host.check(["nft", "flush", "chain", "inet", "mine", "user"])
    assert not reaches(guest)
    assert len(found(net)) == 1


def test_legacy_iptables_that_drops_is_told_though_nft_shows_nothing(net: Networks, guest: Guest) -> None:
    legacy.lay("filter", {}, {legacy.FORWARD: legacy.DROP})
    assert not reaches(guest)
    (finding,) = found(net)
    assert finding.text == (
        "chain FORWARD of iptables-legacy's table filter drops what vmbr1 sends out, or its answers:"
        " iptables-legacy -I FORWARD -i vmbr1 -j ACCEPT; iptables-legacy -I FORWARD -o vmbr1 -m conntrack"
        " --ctstate RELATED,ESTABLISHED -j ACCEPT"
    )
    accept = legacy.verdict(legacy.ACCEPT)
    for useless in (legacy.entry(accept, protocol=1), legacy.entry(accept, legacy.answers())):
        legacy.lay("filter", {legacy.FORWARD: [useless]}, {legacy.FORWARD: legacy.DROP})
        assert found(net) == [finding]
    mended = [legacy.entry(accept, iif="vmbr1"), legacy.entry(accept, legacy.answers(), oif="vmbr1")]
    legacy.lay("filter", {legacy.FORWARD: mended[:1]}, {legacy.FORWARD: legacy.DROP})
    assert not reaches(guest)
    assert found(net) == [finding]
    legacy.lay("filter", {legacy.FORWARD: mended}, {legacy.FORWARD: legacy.DROP})
    assert reaches(guest)
    assert found(net) == []


@pytest.mark.usefixtures("guest")
def test_a_look_makes_no_legacy_table(net: Networks) -> None:
    assert found(net) == []
    assert not Path("/proc/thread-self/net/ip_tables_names").read_text("ascii")


@pytest.mark.usefixtures("guest")
def test_the_how_tos_rule_is_told_as_a_leftover_in_legacy_iptables(net: Networks) -> None:
    rule = legacy.entry(legacy.masquerade(), oif="vmbr0", source="10.0.0.0/16")
    other = legacy.entry(legacy.masquerade(), oif="vmbr0", source="10.9.0.0/16")
    legacy.lay("nat", {legacy.POSTROUTING: [other, rule, rule]})
    assert [f.text.rpartition(": ")[2] for f in found(net)] == [
        "iptables-legacy -t nat -D POSTROUTING -s 10.0.0.0/16 -o vmbr0 -j MASQUERADE"
    ]
    legacy.lay("nat", {legacy.POSTROUTING: [other]})
    assert found(net) == []


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize("rule", ["oifname vmbr0 masquerade", "snat to 203.0.113.2"])
def test_the_how_tos_rule_is_told_as_a_leftover_in_nftables(net: Networks, rule: str) -> None:
    text = f"""table ip mine {{ chain out {{ type nat hook postrouting priority srcnat;
      ip saddr 10.9.0.0/16 {rule}; ip saddr 10.0.0.0/16 {rule}; }}; }}\n"""
    net.world.host.check(["nft", "-f", "-"], stdin=text)
    (finding,) = found(net)
    assert "nft's table ip mine translates 10.0.0.0/16 too" in finding.text
    obey(net.world.host, finding)
    assert found(net) == []
    assert "10.9.0.0/16" in net.world.host.check(["nft", "list", "table", "ip", "mine"])


def test_br_netfilter_with_a_wall_cuts_guests_of_one_bridge_apart(net: Networks, guest: Guest) -> None:
    neighbour = net.guest("db", "vmbr1", "10.0.0.3/16")
    accept = 'iifname "vmbr1" oifname "vmbr0" accept; ct state established accept;'
    wall = f"chain forward {{ type filter hook forward priority 0; policy drop; {accept} }};"
    net.world.host.check(["nft", "-f", "-"], stdin=f"table inet mine {{ {wall} }}\n")
    assert reaches(guest, "10.0.0.3")
    assert found(net) == []
    setting(BRIDGED, "1")
    assert not reaches(neighbour, "10.0.0.2")
    (finding,) = found(net)
    assert "drops what guests of vmbr1 send each other: sysctl -w net.bridge" in finding.text
    net.world.host.check(["sh", "-ec", COMMANDS.findall(finding.text)[0].partition(",")[0]])
    assert reaches(neighbour, "10.0.0.2")
    assert found(net) == []


@pytest.mark.usefixtures("guest")
def test_a_guests_firewall_bridge_that_answers_for_the_gateway_is_told(net: Networks) -> None:
    net.world.host.ip("link add fwbr100i0 up type bridge")
    (finding,) = found(net)
    assert finding.network is None
    assert "(fwbr*)" in finding.text
    obey(net.world.host, finding)
    assert found(net) == []
    setting("ipv4.conf.all.arp_ignore", "0")
    assert found(net) == [finding]
    setting("ipv4.conf.fwbr100i0.rp_filter", "2")
    assert found(net) == []


SECOND_OUT = "\n  vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr9}}"


def test_strict_rp_filter_with_routing_by_marks_drops_the_answers(net: Networks) -> None:
    world = net.world
    world.add_uplink(SECOND).ip(f"addr add {INTERNET}/32 dev lo")
    net.become(SECOND_OUT)
    guest = net.guest("web", "vmbr1", "10.0.0.2/16")
    world.host.ip(
        f"route add default via {SECOND_GATEWAY} table 100",
        "rule add fwmark 7 lookup 100",
    )
    mark = 'chain c { type filter hook prerouting priority mangle; iifname "vmbr1" meta mark set 7; };'
    world.host.check(["nft", "-f", "-"], stdin=f"table inet mine {{ {mark} }}\n")
    assert reaches(guest)
    assert found(net, SECOND_OUT) == []
    setting("ipv4.conf.vmbr9.rp_filter", "1")
    assert not reaches(guest)
    (finding,) = found(net, SECOND_OUT)
    assert "rp_filter is strict on vmbr9" in finding.text
    obey(world.host, finding)
    assert reaches(guest)
    assert found(net, SECOND_OUT) == []


def test_a_route_inside_a_subnet_takes_guests_away(net: Networks, guest: Guest) -> None:
    world = net.world
    world.host.ip(f"route add 10.0.0.0/24 via {FIRST.gateway[0].partition('/')[0]}")
    assert not reaches(guest)
    (finding,) = found(net)
    assert "its subnet 10.0.0.0/16 overlaps 10.0.0.0/24, which the host finds at vmbr0" in finding.text
    obey(world.host, finding)
    assert reaches(guest)
    assert found(net) == []


@pytest.mark.usefixtures("guest")
def test_an_interface_with_the_same_subnet_is_told(net: Networks) -> None:
    net.world.host.ip(
        "link add lan type bridge", "addr add 10.0.7.1/24 dev lan", "route add 10.0.0.0/8 dev vmbr0"
    )
    (finding,) = found(net)
    assert "overlaps 10.0.7.0/24, which the host finds at lan" in finding.text
    net.world.host.ip("addr del 10.0.7.1/24 dev lan")
    assert found(net) == []


def test_the_service_tells_it_without_being_root(world: World, directory: Path) -> None:
    setting(BRIDGED, "0")
    wall = "chain forward { type filter hook forward priority 0; policy drop; };"
    world.host.check(["nft", "-f", "-"], stdin=f"table inet mine {{ {wall} }}\n")
    with start(world.host, nobodys(directory), ONE, command=UNIT) as service:
        assert Path(f"/proc/{service.process.pid}").stat().st_uid == NOBODY
        service.wait_line("i note vmbr1: chain forward of nft's table inet mine drops what vmbr1 sends out")


def test_without_root_modules_tell_of_legacy_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Sealed:
        def read_text(self, _encoding: str) -> str:
            raise PermissionError

    monkeypatch.setattr(xtables, "NAMES", Sealed())
    monkeypatch.setattr(xtables, "MODULES", tmp_path)
    assert xtables.tables() == frozenset()
    (tmp_path / "iptable_nat").mkdir()
    assert xtables.tables() == {"nat"}
