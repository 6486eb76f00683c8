"""Real packets while the file changes: the policy follows in one pass, counters tell, strangers stay."""

from itertools import permutations
from pathlib import Path
from socket import if_nameindex

import pytest
from networks import (
    ANY_PROTOCOL,
    HOST,
    INTERNET,
    SECOND_HOST,
    SECOND_INTERNET,
    Networks,
    passed,
    setting,
    shoot,
)

from natnetd.lab.echo import Echo
from natnetd.lab.sniffer import Sniffer
from natnetd.lab.traffic import Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import SECOND, Guest, World
from natnetd.page import REASONS
from natnetd.rows import Counter

WEB, DB = "10.0.0.2", "10.20.0.2"


def test_counters_tell_what_went_through(world: World, net: Networks) -> None:
    setting("bridge.bridge-nf-call-ip6tables", "0")  # or what neighbours say would be counted
    networks = """
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}, reach: vmbr2}
      vmbr2: {addresses: 10.20.0.1/24, nat: true}
    """
    net.become(networks)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    assert net.traffic("vmbr1") == net.traffic("vmbr2") == (Counter(), Counter())
    answers: list[str] = []
    with Echo(world.outside), Flow(web.ns, INTERNET, source_port=4000) as flow:
        answers += [flow.ask() or "" for _ in range(5)]
    asked = Counter(5, 5 * (20 + 8 + 1))
    answered = Counter(5, 5 * (20 + 8 + len(f"{HOST}:4000")))
    assert set(answers) == {f"{HOST}:4000"}
    assert net.traffic("vmbr1") == (asked, answered)
    assert net.traffic("vmbr2") == (Counter(), Counter())
    net.become(networks)
    for _ in range(3):
        shoot(web.ns, WEB, DB, "ping")
    pings = Counter(3, 3 * (20 + 8))
    wait_until(lambda: net.traffic("vmbr2") == (pings, pings), what="three pings and their answers")
    assert net.traffic("vmbr1") == (Counter(8, asked.bytes + 84), Counter(8, answered.bytes + 84))
    with net.dropping("isolation"):
        shoot(db.ns, DB, WEB, "udp")
    assert net.traffic("vmbr2") == (pings, pings)


def test_drops_are_told_by_reason_with_their_bytes(net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr9}}
      vault: {addresses: 10.30.0.1/24}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    vault = net.guest("vault", "vault", "10.30.0.2/24")
    with net.dropping("exit", 2):
        shoot(web.ns, WEB, INTERNET, "udp")
        shoot(web.ns, WEB, INTERNET, "ping")
    with net.dropping("closed"):
        shoot(vault.ns, "10.30.0.2", INTERNET, "ping")
    told = net.host.sample()
    assert {why: count for why, count in told.drops.items() if count.packets} == {
        "exit leave": Counter(2, 32 + 28),
        "closed leave": Counter(1, 28),
    }
    assert told.dropped == dict.fromkeys(REASONS, 0) | {"exit": 2, "closed": 1}


MODES = {
    "nat": "nat: {uplink: vmbr0}",
    "other-uplink": "nat: {uplink: vmbr9}",
    "source": "nat: {uplink: vmbr0, source: 203.0.113.50}",
    "exempt": "nat: {uplink: vmbr0, exempt: 198.51.100.7/32}",
    "routed": "routed: true",
    "closed": "nat: false",
}
SEEN = {
    "nat": (HOST, "exit"),
    "other-uplink": ("exit", SECOND_HOST),
    "source": ("203.0.113.50", "exit"),
    "exempt": (WEB, "exit"),
    "routed": (WEB, WEB),
    "closed": ("closed", "closed"),
}
"""How somebody behind either uplink sees a new flow of the network: its source, or why it is dropped."""


def seen(net: Networks, guest: Guest, address: str) -> str:
    """Tell the source of a new flow, or why it is dropped."""
    before = net.drops()
    with Flow(guest.ns, address) as flow:
        flow.send()
        answer = ""

        def outcome() -> bool:
            nonlocal answer
            answer = answer or flow.receive(deadline=0.01) or ""
            return bool(answer or net.drops() - before)

        wait_until(outcome, what="an answer or a drop")
    dropped = net.drops() - before
    return answer.partition(":")[0] or " ".join(dropped.elements())


@pytest.mark.parametrize(("before", "after"), permutations(MODES, 2))
def test_the_policy_follows_in_one_pass(world: World, net: Networks, before: str, after: str) -> None:
    second = world.add_uplink(SECOND)
    world.host.ip("addr add 203.0.113.50/24 dev vmbr0")
    world.let_outside_reach("10.0.0.0/16")
    second.ip("route add 10.0.0.0/16 via 198.18.0.2")
    guest = None
    with Echo(world.outside), Echo(second):
        for mode in (before, after):
            networks = f"""
      vmbr1: {{addresses: 10.0.0.1/16, {MODES[mode]}}}
      vmbr2: {{addresses: 10.20.0.1/24, nat: true}}
            """
            net.become(networks)
            guest = guest or net.guest("web", "vmbr1", f"{WEB}/16")
            assert (seen(net, guest, INTERNET), seen(net, guest, SECOND_INTERNET)) == SEEN[mode]
            if mode == "routed":
                with Echo(guest.ns):
                    assert udp(world.outside, WEB) is not None
            else:
                with net.dropping("inbound"):
                    shoot(world.outside, INTERNET, WEB, "udp")
            assert not net.become(networks).changed


def test_reach_and_inbound_follow_in_one_pass(world: World, net: Networks) -> None:
    world.let_outside_reach("10.20.0.0/24")
    networks = """
      vmbr1: {{addresses: 10.0.0.1/16, nat: true, {reach}}}
      vmbr2: {{addresses: 10.20.0.1/24, nat: true, {inbound}}}
    """
    without = networks.format(reach="reach: []", inbound="inbound: []")
    net.become(without)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Echo(db.ns):
        for _ in range(2):
            for what in ANY_PROTOCOL:
                with net.dropping("isolation"):
                    shoot(web.ns, WEB, DB, what)
                with net.dropping("inbound"):
                    shoot(world.outside, INTERNET, DB, what)
            net.become(networks.format(reach="reach: vmbr2", inbound="inbound: vmbr0"))
            assert udp(web.ns, DB)
            assert udp(world.outside, DB)
            net.become(without)


def test_nothing_is_left_of_a_network_that_was_removed(world: World, net: Networks) -> None:
    one = """
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
    """
    two = """
      vmbr2:
        addresses: [10.20.0.1/24, "fd00:2::1/64"]
        nat: {uplink: vmbr0, source: 203.0.113.2, exempt: 198.51.100.7/32}
        reach: vmbr1
        inbound: vmbr0
    """
    net.become(one)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    ruleset = world.host.check(["nft", "-s", "list", "ruleset"])
    net.become(one.rstrip() + two)
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Echo(world.outside), Flow(web.ns, INTERNET, source_port=4000) as flow:
        assert flow.ask() == f"{HOST}:4000"
        assert udp(db.ns, "203.0.113.1", source_port=4001) == f"{HOST}:4001"
        db.unplug()
        net.become(one)
        assert world.host.check(["nft", "-s", "list", "ruleset"]) == ruleset
        assert "vmbr2" not in [name for _, name in if_nameindex()]
        assert flow.ask() == f"{HOST}:4000"
        web.unplug()
        net.become("")
        assert world.host.check(["nft", "list", "ruleset"]) == ""
        assert Path("/proc/sys/net/ipv4/ip_forward").read_text("ascii") == "1\n"  # never switched off
        assert {name for _, name in if_nameindex()} == {"lo", "vmbr0", "eno1", web.port, db.port}


STRANGERS = """
table inet filter {
    set blocked {
        type ipv4_addr
        flags interval
        elements = { 198.51.100.64/26 }
    }
    counter seen {
    }
    chain forward {
        type filter hook forward priority filter + 10; policy accept
        iifname "vmbr1" ip daddr @blocked counter drop comment "natnetd has no business here"
        iifname "vmbr1" udp dport 9999 counter name seen drop
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept
        iifname "vmbr0" tcp dport 8001 dnat to 10.0.0.2:7
    }
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept
        oifname "vmbr9" masquerade
    }
}
table bridge natnetd-like {
    chain forward {
        type filter hook forward priority 0
        meta mark 0x6e617464 drop
    }
}
table ip6 natnetd {
    chain input {
        type filter hook input priority 0; policy accept
    }
}
"""


def test_tables_of_others_work_on_untouched(world: World, net: Networks) -> None:
    world.host.check(["nft", "-f", "-"], stdin=STRANGERS)

    def strangers() -> list[str]:
        tables = world.host.check(["nft", "list", "tables"]).splitlines()
        return [
            world.host.check(["nft", "-s", *f"list {table}".split()])
            for table in tables
            if table != "table inet natnetd"
        ]

    before = strangers()
    assert len(before) == 4
    networks = """
      vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
    """
    net.become(networks)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(world.outside), Echo(web.ns), Sniffer(world.outside, "eth0") as wire:
        for text in (networks, networks.replace("uplink: vmbr0", ""), networks):
            net.become(text)
            assert strangers() == before
            assert ping(web.ns, INTERNET)
            assert tcp(world.outside, HOST, 8001) is not None
            with Flow(web.ns, INTERNET, 9999) as blocked:
                blocked.send()
            shoot(web.ns, WEB, "198.51.100.65", "udp")
            world.host.check(["nft", "delete", "table", "inet", "natnetd"])
            net.become(text)
            assert strangers() == before
        assert "packets 3 " in world.host.check(["nft", "list", "counter", "inet", "filter", "seen"])
        assert "packets 3 bytes 96 drop" in world.host.check(["nft", "list", "table", "inet", "filter"])
        assert {p.source for p in passed(wire)} == {HOST, INTERNET, "203.0.113.1"}
    web.unplug()
    net.become("")
    assert strangers() == before
