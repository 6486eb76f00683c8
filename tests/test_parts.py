"""Parts of the packet path that nobody uses are left out, with the rules that ask them."""

import re

import pytest
from networks import Networks

from natnetd.host import Layer
from natnetd.lab.netns import Namespace
from natnetd.linux import open_host
from natnetd.linux.nft import NftDoor
from natnetd.page import PAGE, PARTS, counting_on, mentioned, page_with, part
from natnetd.plan import Change
from natnetd.rows import TABLE, Counter, Table

STEPS = {part(name) for name in PAGE if (part(name) or "").startswith(("fresh_", "crowd_"))}
ALL = frozenset({*PARTS, *STEPS} - {None})
COUNTING = {name.split()[1] for name, block in PAGE.items() if block.header[1:] == ("counter",)}
PLAIN = "addresses: [10.0.0.1/16, 'fd00:1::1/64'], nat: {uplink: vmbr0}"
OTHERS = """
  vmbr1: {%s}
  vmbr2: {addresses: 10.20.0.1/24, %s}
"""
USING = {
    "routed": "routed: true",
    "inbound": "inbound: wg0",
    "exempt": "nat: {exempt: [192.168.0.0/16]}",
    "closed4": "nat: {ipv4: false}",
    "closed6": "nat: {ipv6: false}",
    "routed6": "nat: {ipv6: routed}",
    "pools": "nat: {source: 192.0.2.10, ports: 2000-2999}",
    "persistent": "nat: {source: 192.0.2.10, persistent: true}",
    "random": "nat: {fully_random: true}",
    "persistent and random": "nat: {source: 192.0.2.10, persistent: true, fully_random: true}",
    "walls": "host_access: [22/tcp]",
    "watch": "guard: true",
    "bogons": "guard: {anti_spoof: false, bogons: true}",
    "fresh": "guard: {anti_spoof: false, new_connections: 10/second}",
    "crowd": "guard: {anti_spoof: false, open_connections: 100}",
    "forwards": "forwards: [{listen: 80/tcp, to: 10.20.0.5}]",
    "guests": "count_guests: true",
}
"""A key that brings each part, of a network beside a plain one."""


def test_every_part_is_on_the_page_and_nothing_is_in_two() -> None:
    names = [name for names in PARTS.values() for name in names.split()]
    assert len(names) == len(set(names))
    assert set(names) <= {name.split()[1] for name in PAGE}
    assert page_with(ALL) == PAGE
    assert set(USING) == set(PARTS)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_rule_that_is_left_out_says_no_to_everybody(name: str) -> None:
    """An empty set answers "no", and nobody jumps to a chain for a set that is not there."""
    there = page_with(ALL - {name})
    gone = {block.split()[1] for block in PAGE.keys() - there.keys()}
    assert gone
    for block, now in there.items():
        for rule in PAGE[block].rules:
            if rule not in now.rules:
                assert mentioned(rule) & gone
                assert not mentioned(rule) & COUNTING
                assert not {unless for unless in re.findall(r"!= @(\w+)", rule) if unless in gone}, rule
            else:
                assert mentioned(rule) <= {other.split()[1] for other in there}


@pytest.mark.parametrize("used", [frozenset[str](), *(frozenset({name}) for name in sorted(ALL)), ALL])
def test_the_kernel_takes_every_part_by_itself(host: Namespace, used: frozenset[str]) -> None:  # noqa: ARG001  # in it
    if limit := next((name.partition("_")[0] for name in used if name in STEPS), None):
        used |= {limit}
    door = NftDoor()
    try:
        change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(page_with(used)))
        assert door.apply([change]) == [None]
        seen = door.look()
        assert seen is not None
        assert seen.blocks == page_with(used)
    finally:
        door.asker.close()


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_part_comes_with_who_uses_it_and_goes_with_him(host: Namespace, name: str) -> None:  # noqa: ARG001  # in it
    net = Networks(None, open_host())  # type: ignore[arg-type]  # without a world
    for text in (OTHERS % (PLAIN, "nat: true"), OTHERS % (PLAIN, USING[name]), OTHERS % (PLAIN, "nat: true")):
        net.become(text)
        assert net.become(text).outcomes == ()
    net.become(f"\n  vmbr1: {{{PLAIN}}}")
    table = net.host.nft.look()
    assert table is not None
    assert table.blocks == page_with(frozenset())
    assert len(table.blocks) < 20


def test_a_table_with_all_parts_becomes_a_plain_one_in_one_pass(host: Namespace) -> None:  # noqa: ARG001  # in it
    """As an older natnetd left it: what it counted goes on."""
    net = Networks(None, open_host())  # type: ignore[arg-type]  # without a world
    had = {"exit leave": Counter(7, 900), "spoofed leave": Counter(3, 100)}
    whole = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(counting_on(PAGE, had)))
    assert net.host.nft.apply([whole]) == [None]
    net.become(f"\n  vmbr1: {{{PLAIN}}}")
    assert net.become(f"\n  vmbr1: {{{PLAIN}}}").outcomes == ()
    assert {key: count for key, count in net.host.sample().drops.items() if count.packets} == had
