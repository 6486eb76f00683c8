"""What others do to our networks, judged from values: what is told, and above all what is not."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from natnetd import config
from natnetd.around import Around, Route, Rule, Translation, Wall
from natnetd.host import Before, Finding, Snapshot, State
from natnetd.judge import judge
from natnetd.model import Config
from natnetd.rows import Address, Link

TWO = """
networks:
  vmbr1: {addresses: 10.0.0.1/16, nat: {uplink: vmbr0}}
  vmbr2: {addresses: 10.2.0.1/24, routed: true}
"""
LINKS = {n: Link(i, n, kind="bridge") for i, n in enumerate(("vmbr0", "vmbr1", "vmbr2"), 1)}
PLACE = "chain forward of nft's table inet mine"
BRIDGED = {"net.bridge.bridge-nf-call-iptables": "1"}


def parsed(text: str = TWO) -> Config:
    return config.parse(text, "test.yaml")


def found(around: Around, text: str = TWO, **seen: Any) -> list[Finding]:
    host = Snapshot(**{"links": LINKS, "default_links": frozenset({"vmbr0"}), "around": around} | seen)
    judged = judge(parsed(text), host)
    assert not judged.conflicted
    return list(judged.findings)


def wall(*rules: Rule, policy: str = "drop", **chains: tuple[Rule, ...]) -> Wall:
    return Wall("nft", "inet mine", "forward", policy, {"forward": rules, **chains})


ACCEPT, DROP = Rule("accept"), Rule("drop")
OUT, BACK = Rule("accept", iif="vmbr1"), Rule("accept", oif="vmbr1", state="established")
OUT2, BACK2 = Rule("accept", iif="vmbr2"), Rule("accept", oif="vmbr2", state="established")

WALLS: Mapping[str, tuple[Wall, set[str]]] = {
    "nothing but a policy": (wall(), {"vmbr1", "vmbr2"}),
    "accepts by default": (wall(policy="accept"), set()),
    "drops at the end": (wall(DROP, policy="accept"), {"vmbr1", "vmbr2"}),
    "accepts first": (wall(ACCEPT, DROP), set()),
    "accepts one": (wall(OUT, BACK), {"vmbr2"}),
    "accepts only what goes out": (wall(OUT, OUT2, BACK2), {"vmbr1"}),
    "accepts only answers": (wall(BACK, OUT2, BACK2), {"vmbr1"}),
    "drops new ones": (wall(Rule("drop", state="new"), policy="accept"), {"vmbr1", "vmbr2"}),
    "drops another network": (wall(Rule("drop", iif="vmbr7"), policy="accept"), set()),
    "drops a prefix": (wall(Rule("drop", iif="vmbr*"), policy="accept"), {"vmbr1", "vmbr2"}),
    "drops all but one": (wall(Rule("drop", iif="!vmbr1", state="new"), policy="accept"), {"vmbr2"}),
    "drops by more than is known": (wall(Rule("drop", sure=False), policy="accept"), set()),
    "accepts by more than is known": (wall(Rule("accept", sure=False)), set()),
    "jumps": (wall(Rule("jump", "user"), user=(OUT, BACK)), {"vmbr2"}),
    "jumps to a drop": (wall(Rule("jump", "user"), policy="accept", user=(DROP,)), {"vmbr1", "vmbr2"}),
    "may jump to a drop": (wall(Rule("jump", "user", sure=False), policy="accept", user=(DROP,)), set()),
    "may jump to an accept": (wall(Rule("jump", "user", sure=False), user=(ACCEPT,)), set()),
    "returns from a jump": (wall(Rule("jump", "user"), ACCEPT, user=(Rule("return"), DROP)), set()),
    "does not come back from goto": (wall(Rule("goto", "user"), ACCEPT, user=()), {"vmbr1", "vmbr2"}),
    "returns to the policy": (wall(Rule("return"), DROP, policy="accept"), set()),
    "goes round in circles": (wall(Rule("jump", "user"), user=(Rule("jump", "user"),)), set()),
    "jumps to nowhere": (wall(Rule("jump", "gone"), policy="accept"), set()),
}


@pytest.mark.parametrize("name", WALLS)
def test_a_firewall_is_told_only_if_it_drops_for_certain(name: str) -> None:
    barrier, networks = WALLS[name]
    findings = found(Around(walls=(barrier,)))
    assert {f.network for f in findings} == networks
    for finding in findings:
        assert finding.state is State.IN_SYNC
        assert finding.text.startswith(f"{PLACE} drops what {finding.network} sends out, or its answers: ")


def test_a_closed_network_sends_nothing_out_that_could_be_dropped() -> None:
    closed = "networks: {vmbr1: {addresses: 10.0.0.1/16}, vmbr2: {addresses: 10.2.0.1/24, reach: vmbr1}}"
    assert found(Around(walls=(wall(),)), closed) == []


def test_no_networks_no_neighbours() -> None:
    full = {"net.netfilter.nf_conntrack_count": "100", "net.netfilter.nf_conntrack_max": "100"}
    assert found(Around(walls=(wall(),), settings=full), "networks: {}") == []


CURES = [
    (wall(), "nft insert rule inet mine forward iifname vmbr1 accept; nft insert rule inet mine forward"),
    (Wall("iptables-nft", "ip filter", "FORWARD", "drop"), "iptables-nft -I FORWARD -i vmbr1 -j ACCEPT; "),
    (
        Wall("iptables-legacy", "filter", "FORWARD", "drop", {"FORWARD": (), "DOCKER-USER": ()}),
        "-I DOCKER-USER -i vmbr1 -j ACCEPT; iptables-legacy -I DOCKER-USER -o vmbr1 -m conntrack"
        " --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ),
    (
        Wall("iptables-nft", "ip filter", "FORWARD", "drop", {"FORWARD": (), "ufw-user-forward": ()}),
        "ufw route allow in on vmbr1",
    ),
    (
        Wall("nft", "inet firewalld", "filter_FORWARD", "drop"),
        "firewall-cmd --permanent --zone=trusted --add-interface=vmbr1 && firewall-cmd --reload",
    ),
]
OWNERS = [PLACE, "chain FORWARD of iptables-nft", "Docker (chain", "ufw (chain", "firewalld (chain"]


@pytest.mark.parametrize(("barrier", "words", "owner"), [(*c, o) for c, o in zip(CURES, OWNERS, strict=True)])
def test_each_ones_own_command_mends_it(barrier: Wall, words: str, owner: str) -> None:
    finding = found(Around(walls=(barrier,)))[0]
    assert finding.network == "vmbr1"
    assert finding.text.startswith(owner)
    assert words in finding.text


def test_many_networks_make_one_line() -> None:
    rows = "".join(f"\n  n{i}: {{addresses: 10.{i}.0.1/24, nat: true}}" for i in range(9))
    (finding,) = found(Around(walls=(wall(),)), f"networks:{rows}")
    assert finding.network is None
    assert finding.text.startswith(f"n0 and 8 other networks: {PLACE} drops what n0 sends out")


def test_with_br_netfilter_guests_of_one_bridge_are_cut_apart() -> None:
    out = [Rule("accept", iif=n, oif="vmbr0") for n in ("vmbr1", "vmbr2")]
    barrier = wall(*out, Rule("accept", state="established"), Rule("accept", iif="vmbr2", oif="vmbr2"))
    assert found(Around(walls=(barrier,), settings={**BRIDGED, next(iter(BRIDGED)): "0"})) == []
    (finding,) = found(Around(walls=(barrier,), settings=BRIDGED))
    assert finding.network == "vmbr1"
    assert f"is 1, so {PLACE} drops what guests of vmbr1 send each other: sysctl -w net.bri" in finding.text


def test_with_br_netfilter_guests_with_a_firewall_are_dropped_on_their_own_bridges() -> None:
    barrier = wall(OUT, BACK, OUT2, BACK2)
    links = {**LINKS, "fwbr100i0": Link(9, "fwbr100i0", kind="bridge")}
    (finding,) = found(Around(walls=(barrier,), settings=BRIDGED), links=links)
    assert (finding.network, "(fwbr* bridges)" in finding.text) == (None, True)
    through = wall(OUT, BACK, OUT2, BACK2, Rule("accept", iif="fwbr*"))
    assert found(Around(walls=(through,), settings=BRIDGED), links=links) == []


@pytest.mark.parametrize(
    ("all_", "own", "told"),
    [
        (("0", "0"), ("0", "0"), True),
        (("2", "0"), ("0", "0"), False),
        (("0", "1"), ("0", "0"), False),
        (("0", "0"), ("1", "0"), False),
        (("0", "0"), ("0", "2"), False),
        (("0", "0"), None, False),
    ],
)
def test_firewall_bridges_that_answer_for_the_gateway(
    all_: tuple[str, str], own: tuple[str, str] | None, told: bool
) -> None:
    values = {"all": all_, "fwbr100i0": own}
    settings = {
        f"net.ipv4.conf.{link}.{key}": value
        for link, pair in values.items()
        for key, value in zip(("rp_filter", "arp_ignore"), pair or (), strict=False)
    }
    links = {**LINKS, "fwbr100i0": Link(9, "fwbr100i0", kind="bridge")}
    assert [f.network for f in found(Around(settings=settings), links=links)] == [None] * told
    assert found(Around(settings=settings)) == []


STRICT = {"all": "0", "vmbr9": "1"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, True),
        ({"rp": {"all": "1", "vmbr9": "0"}}, True),
        ({"rp": {"all": "1", "vmbr9": "2"}}, False),
        ({"rp": {"all": "0", "vmbr9": "0"}}, False),
        ({"rp": {"all": "0"}}, False),
        ({"by_mark": False}, False),
        ({"valid": "1"}, False),
        ({"defaults": {"vmbr9"}}, False),
        ({"defaults": set()}, False),
    ],
)
def test_a_strict_uplink_that_only_marked_packets_leave_by(change: dict[str, Any], told: bool) -> None:
    text = TWO.replace("uplink: vmbr0", "uplink: vmbr9")
    settings = {f"net.ipv4.conf.{n}.rp_filter": v for n, v in change.get("rp", STRICT).items()}
    settings["net.ipv4.conf.all.src_valid_mark"] = change.get("valid", "0")
    findings = found(
        Around(by_mark=change.get("by_mark", True), settings=settings),
        text,
        links={**LINKS, "vmbr9": Link(9, "vmbr9")},
        default_links=frozenset(change.get("defaults", {"vmbr0"})),
    )
    assert [f.text.rpartition(": ")[2] for f in findings] == [
        "sysctl -w net.ipv4.conf.vmbr9.rp_filter=2"
    ] * told


RULE = Translation("iptables-legacy", "nat", "POSTROUTING", "10.0.0.0/16", handle=7)
REMOVALS = [
    (RULE, "iptables-legacy -t nat -D POSTROUTING -s 10.0.0.0/16 -j MASQUERADE"),
    (replace(RULE, oif="eth+"), "-s 10.0.0.0/16 -o eth+ -j MASQUERADE"),
    (replace(RULE, oif="eth*"), "-s 10.0.0.0/16 -o eth+ -j MASQUERADE"),
    (replace(RULE, oif="!vmbr1"), "-s 10.0.0.0/16 ! -o vmbr1 -j MASQUERADE"),
    (replace(RULE, to="192.0.2.1"), "-s 10.0.0.0/16 -j SNAT --to-source 192.0.2.1"),
    (replace(RULE, sure=False), "find it by iptables-legacy -t nat -S POSTROUTING and remove it"),
    (replace(RULE, tool="nft", table="ip my"), "nft delete rule ip my POSTROUTING handle 7"),
]


@pytest.mark.parametrize(("rule", "words"), REMOVALS)
def test_a_leftover_of_the_how_to_is_told_with_the_command_that_removes_it(
    rule: Translation, words: str
) -> None:
    (finding,) = found(Around(translations=(rule, replace(rule, handle=7))))
    assert finding.network == "vmbr1"
    assert finding.text.endswith(words)


def test_translations_of_others_subnets_and_of_untranslated_networks_are_no_leftovers() -> None:
    others = tuple(replace(RULE, source=s) for s in ("10.0.0.0/17", "10.0.0.0/8", "10.2.0.0/24"))
    assert found(Around(translations=others)) == []


@pytest.mark.parametrize(
    ("destination", "link", "told"),
    [
        ("10.0.5.0/24", "wg0", True),
        ("10.0.0.0/16", "wg0", True),
        ("10.0.255.255/32", "wg0", True),
        ("10.0.0.0/8", "wg0", False),
        ("10.1.0.0/24", "wg0", False),
        ("9.255.255.0/24", "wg0", False),
        ("10.0.5.0/24", "vmbr1", False),
        ("10.2.0.128/25", "vmbr2", False),
    ],
)
def test_a_route_inside_a_subnet_that_leads_elsewhere(destination: str, link: str, told: bool) -> None:
    findings = found(Around(routes=(Route(destination, link),)))
    assert [(f.network, f.text.rpartition(": ")[2]) for f in findings] == [
        ("vmbr1", f"ip route del {destination} dev {link}")
    ] * told


@pytest.mark.parametrize(
    ("link", "address", "network"),
    [
        ("lan", "10.0.9.1/24", "vmbr1"),
        ("lan", "10.0.9.1/8", "vmbr1"),
        ("lan", "10.2.0.200/25", "vmbr2"),
        ("lan", "10.0.9.1/32", None),
        ("lan", "10.1.0.1/24", None),
        ("lan", "fd00::1/64", None),
        ("vmbr1", "10.0.9.1/24", None),
    ],
)
def test_an_interface_with_a_subnet_of_ours(link: str, address: str, network: str | None) -> None:
    rows = {link: (Address(link, address),)}
    names = {f.network for f in found(Around(), addresses=rows)}
    assert names - {"vmbr2" if address.endswith("/8") else None} == ({network} - {None})


def counted(count: int, before: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    settings = {"net.netfilter.nf_conntrack_count": str(count), "net.netfilter.nf_conntrack_max": "1000"}
    return tuple(found(Around(settings=settings), before=Before(findings=before)))


def test_a_crowded_connection_table_is_told_once_while_it_swings() -> None:
    assert counted(800) == ()
    first = counted(801)
    assert first == counted(999)
    assert "over 80 % full" in first[0].text
    assert "sysctl -w net.netfilter.nf_conntrack_max=2000" in first[0].text
    assert counted(701, first) == first
    assert counted(700, first) == ()
    assert counted(790) == ()
