"""What `natnetd status` shows, made from reports."""

import json
from dataclasses import replace
from ipaddress import IPv6Interface, ip_address, ip_interface
from pathlib import Path

import pytest

from natnetd.cli.terminal import size, table
from natnetd.errors import HostError
from natnetd.host import Before, Finding, Snapshot, State, Trouble
from natnetd.model import Config, Nat, Network
from natnetd.report import Reason, Report, Traffic, states
from natnetd.rows import GROUP, Counter, Link
from natnetd.status import NetworkStatus, Status, networks, read, text, way_out

WAITING = Finding("vmbr1", State.WAITING, "uplink vmbr0")
NOTE = Finding("vmbr1", State.IN_SYNC, "worth knowing")
CONFLICT = Finding("vmbr1", State.CONFLICT, "is a veth")
FAILED = Trouble(3, "refused", 9.0, "vmbr1")
CONFIG = Config(
    {name: Network(name, (ip_interface("10.0.0.1/16"),), description="D") for name in ("vmbr1", "vmbr2")}
)
LINKS = {
    "vmbr1": Link(1, "vmbr1", "bridge", group=GROUP),
    "vmbr2": Link(2, "vmbr2", "bridge"),
    "tap0": Link(3, "tap0", master=1),
    "tap1": Link(4, "tap1", master=1),
}


@pytest.mark.parametrize(
    ("findings", "troubles", "state"),
    [
        ((), (), State.IN_SYNC),
        ((NOTE,), (), State.IN_SYNC),
        ((WAITING, NOTE), (), State.WAITING),
        ((WAITING,), (FAILED,), State.FAILED),
        ((CONFLICT, WAITING), (FAILED,), State.CONFLICT),
    ],
)
def test_the_weightiest_state_wins(
    findings: tuple[Finding, ...], troubles: tuple[Trouble, ...], state: State
) -> None:
    assert states(["vmbr1", "vmbr2"], findings, troubles) == {"vmbr1": state, "vmbr2": State.IN_SYNC}


def test_what_fails_for_the_host_fails_for_every_network() -> None:
    host_wide = Trouble(1, "cannot write sysctl net.ipv4.ip_forward", 0.0)
    assert set(states(["vmbr1", "vmbr2"], (), (host_wide,)).values()) == {State.FAILED}
    report = Report(Reason.EVENT, seen=Snapshot(before=Before(troubles={"x": host_wide})))
    assert [n.why for n in networks(CONFIG, report, LINKS, Traffic())] == [(host_wide.text,)] * 2


def test_a_network_is_described_by_the_file_the_links_and_the_totals() -> None:
    report = Report(Reason.EVENT, seen=Snapshot(before=Before(troubles={"x": FAILED})), findings=(WAITING,))
    total = Traffic({"tx vmbr1": Counter(1, 10), "rx vmbr1": Counter(2, 20)})
    first, second = networks(CONFIG, report, LINKS, total)
    assert first == NetworkStatus(
        "vmbr1",
        State.FAILED,
        "D",
        ("10.0.0.1/16",),
        "closed",
        guests=2,
        why=("uplink vmbr0", "refused"),
        sent=Counter(1, 10),
        received=Counter(2, 20),
    )
    assert (second.state, second.adopted, second.guests) == (State.IN_SYNC, True, 0)


def test_a_left_over_network_is_shown_and_a_conflict_is_no_adoption() -> None:
    left = Finding("old", State.IN_USE, "has ports")
    other = Finding("vmbr2", State.CONFLICT, "has a physical port")
    found = {
        n.name: n for n in networks(CONFIG, Report(Reason.START, findings=(left, other)), LINKS, Traffic())
    }
    assert found["old"].state is State.IN_USE
    assert (found["vmbr2"].state, found["vmbr2"].adopted) == (State.CONFLICT, False)


def test_a_blind_report_leaves_no_network_in_sync() -> None:
    found = networks(CONFIG, Report(Reason.EVENT, blind="cannot read"), LINKS, Traffic())
    assert {n.state for n in found} == {State.FAILED}


SIX = (IPv6Interface("fd00:1::1/64"),)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network("a", routed=True), "routed"),
        (Network("a"), "closed"),
        (Network("a", nat=Nat()), "masquerade by any uplink"),
        (Network("a", nat=Nat(("x", "y"))), "masquerade by x, y"),
        (Network("a", SIX, nat=Nat(("x",))), "masquerade by x"),
        (Network("a", SIX, nat=Nat(("x",), routed6=True)), "masquerade by x, IPv6 routed"),
        (Network("a", SIX, nat=Nat(("x",), ipv6=False)), "masquerade by x, no IPv6"),
        (Network("a", nat=Nat(("x",), ipv6=False)), "masquerade by x"),
        (Network("a", SIX, nat=Nat(("x",), ipv4=False)), "masquerade by x, no IPv4"),
        (Network("a", nat=Nat(("x",), ip_address("192.0.2.1"))), "source 192.0.2.1 by x"),  # type: ignore[arg-type]
    ],
)
def test_the_way_out_is_told_in_a_few_words(network: Network, words: str) -> None:
    assert way_out(network) == words


GOOD, BAD = NetworkStatus("vmbr1", State.IN_SYNC), NetworkStatus("vmbr2", State.IN_USE)


@pytest.mark.parametrize(
    ("status", "line", "in_sync"),
    [
        (Status(networks=(GOOD,)), "1 network in sync", True),
        (Status(), "0 networks in sync", True),
        (Status(networks=(GOOD, BAD)), "2 networks, 1 not in sync: vmbr2 in use", False),
        (Status(networks=(GOOD,), blind="why"), "cannot look at the host: why", False),
        (Status(file_error="x"), "the file is bad", False),
        (Status(file="F", file_error="x", waiting=True), "no good configuration: waiting for F", False),
        (
            Status(file="F", file_error="F:1:2: x", waiting=True),
            "no good configuration: waiting for F",
            False,
        ),
        (
            Status(file="F", file_error="F.d/a:1:2: x", waiting=True),
            "no good configuration: waiting for F.d/a",
            False,
        ),
        (Status(file="F", file_error="F.d/a:1:2: x\nF.d/b:3:4: y"), "F.d/a is bad", False),
        (
            Status(pid=1, file="F", networks=(GOOD,), file_error="F.d/a:1:2: x"),
            "1 network in sync; F.d/a is bad, the last good one is in force",
            False,
        ),
        (
            Status(pid=1, file="F", networks=(GOOD,), file_error="F:1:2: x"),
            "1 network in sync; the file is bad, the last good one is in force",
            False,
        ),
        (
            Status(pid=1, networks=(GOOD,), file_error="x"),
            "1 network in sync; the file is bad, the last good one is in force",
            False,
        ),
        (
            Status(networks=tuple(replace(BAD, name=f"n{i}") for i in range(7))),
            "7 networks, 7 not in sync: n0 in use, n1 in use, n2 in use, n3 in use, n4 in use",
            False,
        ),
    ],
)
def test_one_line_says_it_all(status: Status, line: str, in_sync: bool) -> None:  # a row
    assert (status.line, status.in_sync) == (line, in_sync)


def test_what_is_published_is_read_back_and_anything_else_is_refused(tmp_path: Path) -> None:
    path, status = (
        tmp_path / "status.json",
        Status(pid=7, networks=(GOOD, BAD), findings=(NOTE,), dropped={"exit": 3}),
    )
    path.write_text(text(status), "utf-8")
    assert read(path) == status
    assert json.loads(text(status))["blind"] == ""  # every key is there for other programs
    for broken in ("", "[]", '{"pid": "x"}', '{"networks": [{}]}'):
        path.write_text(broken, "utf-8")
        with pytest.raises(HostError, match="cannot understand"):
            read(path)
    path.unlink()
    with pytest.raises(HostError, match="No such file"):
        read(path)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (102400, "100 KiB"),
        (3 << 40, "3.0 TiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_sizes_are_written_with_binary_prefixes(count: int, words: str) -> None:
    assert size(count) == words


def test_columns_are_aligned_and_lines_end_without_blanks() -> None:
    assert table([("A", "B"), ("long", "")]) == "A     B\nlong"
