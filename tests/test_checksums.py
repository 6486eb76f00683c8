"""Checksums of DHCP's answers: what is wanted, what is said where the kernel cannot."""

from dataclasses import dataclass, replace
from errno import EINVAL, ENOENT, EPERM

import pytest
from fake import FakeHost
from networks import Networks

from natnetd import config
from natnetd.checksums import UNABLE
from natnetd.host import ALL, Before, Layer, Scope
from natnetd.linux import tc
from natnetd.reconcile import Pass, reconcile
from natnetd.rows import ANSWERS, Checksum

FILE = "networks: {a: {addresses: 10.0.0.1/24, dhcp: %s}, b: {addresses: 10.1.0.1/24, dns: true}}"
SERVED, SILENT = config.parse(FILE % "true", "f"), config.parse(FILE % "false", "f")


def notes(host: FakeHost, file: config.Config) -> list[str]:
    return [f.text for f in reconcile(file, host, Pass()).findings if f.text == UNABLE]


def test_they_are_completed_while_addresses_are_handed_out() -> None:
    host = FakeHost()
    reconcile(SERVED, host, Pass())
    assert host.checksums == {"a": Checksum()}
    assert notes(host, SERVED) == []
    reconcile(SILENT, host, Pass())
    assert host.checksums == {}


@pytest.mark.parametrize("other", [Checksum(("?",)), Checksum((ANSWERS, ANSWERS))])
def test_others_with_our_mark_are_put_right(other: Checksum) -> None:
    host = FakeHost()
    reconcile(SERVED, host, Pass())
    host.checksums = {"a": other}
    (done,) = reconcile(SERVED, host, Pass()).outcomes
    assert str(done.change) == "~ checksum a (altered)"
    assert host.checksums == {"a": Checksum()}


def test_a_narrow_look_is_at_that_network_only() -> None:
    host = FakeHost()
    reconcile(SERVED, host, Pass())
    host.checksums = {}
    narrow = Scope(frozenset({"b"}), frozenset({Layer.TRAFFIC}), host=False)
    assert reconcile(SERVED, host, Pass(scope=narrow)).outcomes == ()
    (done,) = reconcile(SERVED, host, Pass(scope=replace(narrow, networks=frozenset({"a"})))).outcomes
    assert str(done.change) == "+ checksum a"


def test_where_the_kernel_cannot_that_is_said_once_and_nothing_tried() -> None:
    host = FakeHost(checksums=None)
    assert notes(host, SERVED) == [UNABLE]
    assert not reconcile(SERVED, host, Pass()).outcomes
    assert notes(host, SILENT) == []


def test_our_filter_is_known_by_its_mark_and_by_what_it_does() -> None:
    described = tc.filter_(7)
    assert tc.ours(described) == (0, ANSWERS)
    assert tc.at_our_place(described)
    assert tc.ours(described.replace(tc.COOKIE, b"another")) is None
    other = described.replace(bytes.fromhex("00430044"), bytes.fromhex("00430035"))
    assert tc.ours(other) == (0, other[other.index(tc.WANTED[:16]) :][: len(tc.WANTED)].hex())
    parms = [tc.PARMS.pack(0, 0, tc.CARRY_ON, 0, 0, sums) for sums in (tc.CSUM_UDP, 1)]
    assert tc.ours(described.replace(*parms)) != (0, ANSWERS)


@dataclass
class Kernel:
    """What answers a request, and how often it was asked."""

    error: OSError
    asked: int = 0

    def batch(self, requests: list[tuple[int, int, bytes]]) -> list[OSError | None]:
        self.asked += len(requests)
        return [self.error]


@pytest.mark.parametrize(("error", "able"), [(EINVAL, True), (ENOENT, False), (EPERM, False)])
def test_the_kernel_is_asked_once_whether_it_can(error: int, *, able: bool) -> None:
    kernel = Kernel(OSError(error, "no"))
    door = tc.TrafficDoor(kernel)  # type: ignore[arg-type]  # as much of a socket as it needs
    assert door.look((), {}, wanted=False) == {}
    assert kernel.asked == 0  # it would load a module
    assert (door.able, door.able, kernel.asked) == (able, able, 1)
    assert door.look((), {}, wanted=True) == ({} if able else None)


THEIRS = "tc filter add dev vmbr1 egress prio 28257 u32 match ip dport 68 0xffff classid 1:1"


def test_filters_of_others_are_no_business_of_ours(net: Networks) -> None:
    """On any kernel: the mark is an action's, and a filter need not have one."""
    net.become("\n  vmbr1: {addresses: 10.0.0.1/24}")
    check = net.world.host.check
    check(["tc", "qdisc", "add", "dev", "vmbr1", "clsact"])
    check(THEIRS.split())
    links = net.host.look(ALL, Before()).links
    index, door = links["vmbr1"].index, tc.TrafficDoor(net.host.asker, [True])
    assert list(door.shared()) == [index]
    assert door.look(None, links, wanted=True) == {}
    assert door.look(frozenset({"vmbr1"}), links, wanted=True) == {}
    assert [tc.at_our_place(row) for row in door.all(index, tc.EGRESS)].count(True) == 1
    door.clear(index, last=True)
    assert "clsact" in check(["tc", "qdisc", "show", "dev", "vmbr1"])
    check(["tc", "filter", "del", "dev", "vmbr1", "egress"])
    door.clear(index, last=True)
    assert "clsact" not in check(["tc", "qdisc", "show", "dev", "vmbr1"])
