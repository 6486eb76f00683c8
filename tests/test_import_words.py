"""`natnetd import`: one line of shell, one rule, rules in force, and any text at all."""

import shlex
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from imports import LEGACY, NAT, NFT, imported, live, stanza, way

from natnetd.config import parse
from natnetd.linux.saved import in_force
from natnetd.moving.commands import PROGRAMS, understand
from natnetd.moving.facts import Forwarding, Nothing, Ruled, Unclear
from natnetd.moving.rules import Broken
from natnetd.moving.rules import parse as parse_rule
from natnetd.moving.shell import CONDITIONS, ENTITY, split
from natnetd.moving.told import told

SPEC = "-s 10.0.0.0/24 -o vmbr0 -j MASQUERADE"

# --- the words of a shell and of iptables


@pytest.mark.parametrize(
    "line",
    [
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        'echo "1" >/proc/sys/net/ipv4/ip_forward # on',
        "echo 1 | sudo tee /proc/sys/net/ipv4/ip_forward > /dev/null",
        "/sbin/sysctl -q -w net.ipv4.ip_forward=1 || true",
        "sysctl net/ipv4/conf/all/forwarding=1",
        "sh -c 'bash -c \"echo 1 > /proc/sys/net/ipv4/ip_forward\"'",
        "printf 1 >> /proc/sys/net/ipv4/ip_forward 2>&1",
    ],
)
def test_ways_to_switch_forwarding_on(line: str) -> None:
    facts = [fact for fact in understand(line, "vmbr1") if fact != Nothing()]
    assert facts == [Forwarding(on=True)]


@pytest.mark.parametrize(
    "line",
    [
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE",
        "/usr/sbin/iptables -w 5 --table=nat --append POSTROUTING --source '10.0.0.5/255.255.255.0' "
        '--out-interface "vmbr0" --jump MASQUERADE 2>/dev/null',
        "iptables -t nat -I POSTROUTING 1 -j MASQUERADE -o vmbr0 -s 10.0.0.0/24 -m comment --comment 'a b'",
        "sudo iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE",
        "iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE --random-fully",
    ],
)
def test_ways_to_say_one_rule(line: str) -> None:
    (fact,) = understand(line, "vmbr1")
    plain = parse_rule(("iptables", "-t", "nat", "-D", "POSTROUTING", *SPEC.split()))
    assert isinstance(fact, Ruled)
    assert fact.rule.same == plain.same


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("-s 10.0.1.0/24 -o vmbr0 -j MASQUERADE", False),
        ("-s 10.0.0.0/24 -o vmbr1 -j MASQUERADE", False),
        ("-s 10.0.0.0/24 ! -o vmbr0 -j MASQUERADE", False),
        ("-s 10.0.0.0/24 -o vmbr0 -j SNAT --to-source 192.0.2.1", False),
        ("-s 10.0.0.0/24 -o vmbr0 -p tcp -j MASQUERADE", False),
        ("-s 10.0.0.0/24 -o vmbr0 -m mark --mark 1 -j MASQUERADE", False),
        ("-d 0.0.0.0/0 -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE", True),
    ],
)
def test_rules_are_told_apart(other: str, same: bool) -> None:
    one, two = (
        parse_rule(("iptables", "-t", "nat", "-A", "POSTROUTING", *spec.split())).same
        for spec in (SPEC, other)
    )
    assert (one == two) == same


@pytest.mark.parametrize(
    "words", ["", "-A", "-t", "-t nat", "-A FORWARD -j", "-A X -s", "-A X -j DROP !", "X"]
)
def test_half_a_rule_is_broken(words: str) -> None:
    with pytest.raises(Broken):
        parse_rule(("iptables", *words.split()))


@pytest.mark.parametrize(
    "line",
    ["a 'b", 'a "b', "a `b`", "a <<E", "a > ", "( a )", "if a; then b; fi", "X=1 a", "a &gt; b", "a \\"],
)
def test_what_only_a_shell_understands_is_unclear(line: str) -> None:
    assert [fact for fact in understand(line, "vmbr1") if not isinstance(fact, Unclear)] == []


@given(st.lists(st.text(min_size=1)))
def test_words_are_what_a_shell_makes_of_them(words: list[str]) -> None:
    line = shlex.join(["x", *words])
    assume(not ENTITY.search(line))
    assert [command.words for command in split(line, "vmbr1")] == [("x", *words)]


@given(st.from_regex(r"[a-z]{3,9}( [a-z0-9./-]{1,9}){0,4}", fullmatch=True))
def test_a_program_that_is_not_known_is_listed(line: str) -> None:
    program = line.partition(" ")[0]
    assume(program not in PROGRAMS and program not in CONDITIONS)
    assume(program not in ("sysctl", "sudo", "exec", "command", "nohup", "sh", "bash", "dash"))
    found = imported(stanza(f"post-up {line}", NAT, f"down {line}"))
    assert [item.place.first for item in found.missing] == [5, 7]


# --- rules in force


def test_each_copy_in_force_gets_a_command_for_its_backend() -> None:
    found = imported(stanza(NAT), live(legacy=LEGACY, nft=NFT))
    delete = "-t nat -D POSTROUTING -s 10.0.0.0/24 -o vmbr0"
    assert found.commands == [
        f"iptables-legacy {delete} -j MASQUERADE",
        f"iptables-legacy {delete} -m comment --comment 'the \"lab\"' -j MASQUERADE",
        f"iptables-nft {delete} -j MASQUERADE",
    ]
    assert found.missing == []
    assert imported(stanza(NAT), ()).commands == []
    assert imported(stanza(NAT)).commands == [f"iptables {delete} -j MASQUERADE"]


def test_a_rule_in_force_that_no_line_adds_says_how_a_network_leaves() -> None:
    found = imported(stanza(), live(legacy=LEGACY))
    assert way(parse(found.text, "f").networks["vmbr1"]) == "vmbr0"
    assert str(found.notes[0]).startswith("iptables-legacy-save:5: -A POSTROUTING -s 10.0.0.0/24")
    assert len(found.commands) == 2
    assert not [item for item in found.missing if "172.17" in item.text]


def test_a_rule_in_force_that_cannot_be_imported_is_listed() -> None:
    odd = "*nat\n-A POSTROUTING -s 10.0.0.0/24 -p tcp -j MASQUERADE\nCOMMIT\n"
    found = imported(stanza(), live(nft=odd))
    assert way(parse(found.text, "f").networks["vmbr1"]) == "routed"
    assert [item.place.file for item in found.missing] == ["iptables-nft-save"]


def test_the_lines_win_over_rules_in_force() -> None:
    other = "*nat\n-A POSTROUTING -s 10.0.0.0/24 -o wg0 -j MASQUERADE\nCOMMIT\n"
    found = imported(stanza(NAT), live(nft=other))
    assert way(parse(found.text, "f").networks["vmbr1"]) == "vmbr0"
    assert found.commands == []


def program(directory: Path, name: str, text: str) -> None:
    """Write a program that must be called without arguments."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n[ $# = 0 ] || exit 9\n{text}\n", "utf-8")
    path.chmod(0o755)


def test_both_backends_are_asked_and_a_failing_one_says_nothing(tmp_path: Path) -> None:
    assert in_force(str(tmp_path)) is None
    program(tmp_path, "iptables-save", f"printf %s {shlex.quote(NFT)}")
    assert [saved.tool for saved in in_force(str(tmp_path)) or ()] == ["iptables"]
    program(tmp_path, "iptables-legacy-save", f"printf %s {shlex.quote(LEGACY)}")
    program(tmp_path, "iptables-nft-save", "exit 1")
    assert {saved.tool for saved in in_force(str(tmp_path)) or ()} == {"iptables-legacy"}
    program(tmp_path, "iptables-nft-save", f"printf %s {shlex.quote(NFT)}")
    found = in_force(str(tmp_path)) or ()
    assert [saved.tool for saved in found] == ["iptables-legacy"] * 4 + ["iptables-nft"]
    program(tmp_path, "iptables-legacy-save", "exit 1")
    program(tmp_path, "iptables-nft-save", "exit 1")
    assert in_force(str(tmp_path)) is None


# --- whatever the input

KEYS = [
    "iface",
    "auto",
    "source",
    "allow-hotplug",
    "address",
    "netmask",
    "bridge-ports",
    "bridge_fd",
    "bridge-stp",
]
KEYS += ["mtu", "hwaddress", "post-up", "up", "down", "pre-up", "#", "mapping", "gateway", "bridge-vids", ""]
VALUES = [
    "vmbr1 inet static",
    "vmbr1",
    "vmbr2 inet6 static",
    "eno1 inet manual",
    "none",
    "10.0.0.1/24",
    "24",
    "1500",
]
VALUES += [
    "10.0.0.1",
    "fd00::1/64",
    "255.255.0.0",
    "on",
    "52:54:00:12:34:56",
    "Über: \u2028 'x'",
    "\\",
    "{{ x }}",
]
VALUES += [
    NAT[3:],
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "true",
    "null",
    '"',
    "iptables -t nat -A",
    "a\udcff",
]
LINES = st.builds(lambda key, *rest: " ".join((key, *rest)), st.sampled_from(KEYS), st.sampled_from(VALUES))
WORDS = [
    "-t",
    "nat",
    "-A",
    "-D",
    "-I",
    "POSTROUTING",
    "-s",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "-o",
    "vmbr0",
]
WORDS += [
    "!",
    "-d",
    "-j",
    "MASQUERADE",
    "SNAT",
    "--to-source",
    "192.0.2.1",
    "10.0.0.3",
    "vmbr2",
    "-p",
    "tcp",
    "-i",
]
WORDS += [
    "ACCEPT",
    "|",
    "||",
    ";",
    ">",
    "'",
    '"',
    "$IFACE",
    "true",
    "no",
    "vmbr1",
    "a b",
    "fd00::/64",
    "x:1",
    "eth+",
]
RULE = st.lists(st.sampled_from(WORDS), max_size=9).map(
    lambda words: " ".join(["post-up iptables -t nat -A POSTROUTING", *words])
)
TEXTS = st.one_of(
    st.text(),
    st.lists(st.one_of(LINES, RULE), max_size=25).map("\n".join),
    st.tuples(st.lists(RULE, max_size=4), st.lists(st.one_of(LINES, RULE), max_size=8)).map(
        lambda both: stanza(*both[0]) + stanza(*both[1], name="vmbr2", address="10.2.0.1/24")
    ),
)


@given(TEXTS, st.booleans())
@example(stanza(NAT.replace("vmbr0", "true")), True)
@example(stanza(NAT.replace("vmbr0", "'a\"b'")), True)
@example(stanza(NAT.replace("MASQUERADE", "SNAT --to 10.0.0.3")), True)
@example(stanza("hwaddress ether 52:54:00:12:34:56", name="010"), False)
def test_no_text_makes_it_stumble_and_what_it_prints_is_good(text: str, forwarding: bool) -> None:
    for rules in (None, live(legacy=LEGACY)):
        found = imported(text, rules, forwarding=forwarding)
        assert all("\n" not in line for line in told(found))
        for name in parse(found.text, "f").networks:
            assert [item for item in found.goes if name in item.text]
        for command in found.commands:
            assert "-D" in shlex.split(command)
