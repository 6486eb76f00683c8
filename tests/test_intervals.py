"""Sets of intervals: what is in the way of a new element goes in the transaction in which that one comes."""

import pytest
from networks import Networks

from natnetd.intervals import in_the_way
from natnetd.lab.netns import Namespace
from natnetd.linux import open_host
from natnetd.rows import CATCH_ALL, Element

EXEMPT = "{addresses: 10.0.0.1/16, nat: {exempt: [%s]}}"
ACCESS = "{addresses: 10.0.0.1/16, host_access: [%s]}"
SUBNET = "{addresses: [%s], nat: {exempt: [192.0.2.0/24, '2001:db8::/32']}}"
GROWING = [
    (EXEMPT, "10.9.0.0/24", "10.9.0.0/23"),
    (EXEMPT, "10.9.0.0/23", "10.9.0.0/24"),
    (EXEMPT, "10.9.1.0/24", "10.9.0.0/16, 10.8.0.0/24"),
    (EXEMPT, "10.9.0.0/24, 10.9.2.0/24", "10.9.0.0/16"),
    (EXEMPT, "10.9.0.0/16", "10.9.0.0/24, 10.9.2.0/24"),
    (EXEMPT, "10.9.0.1/32", "10.9.0.0/31"),
    (SUBNET, "10.0.0.1/24", "10.0.0.1/23"),
    (SUBNET, "'fd00::1/64'", "'fd00::1/63'"),
    (SUBNET, "'fd00::1/63'", "'fd00::1/64'"),
    (ACCESS, "80/tcp", "80-90/tcp"),
    (ACCESS, "80-90/udp", "85/udp, 89-95/udp"),
    (ACCESS, "80/tcp, 82/tcp", "80-90/tcp"),
]


@pytest.mark.parametrize(("network", "before", "after"), GROWING)
def test_what_grows_or_shrinks_is_there_after_one_pass(
    host: Namespace,  # noqa: ARG001  # in it
    network: str,
    before: str,
    after: str,
) -> None:
    net = Networks(None, open_host())  # type: ignore[arg-type]  # without a world
    net.become(f"\n  vmbr1: {network % before}")
    assert net.become(f"\n  vmbr1: {network % after}").outcomes
    assert net.become(f"\n  vmbr1: {network % after}").outcomes == ()


def exempt(to: str, bridge: str = "vmbr1", subnet: str = "10.0.0.0/16") -> Element:
    return Element("exempt4", (bridge, subnet, to))


def span(at: str, protocol: str, ports: str) -> Element:
    return Element("span4", (at, protocol, ports), "10.0.0.5", owner="vmbr1")


NEW = (
    exempt("10.9.0.0/24"),
    span("203.0.113.2", "tcp", "90-99"),
    span("203.0.113.2", "udp", "7-9"),
    Element("host_tcp", ("vmbr1", "80")),
    Element("nets", ("vmbr1",)),
)


@pytest.mark.parametrize(
    ("row", "there"),
    [
        (exempt("10.9.0.0/16"), True),
        (exempt("10.9.0.255"), True),
        (exempt("10.8.255.0-10.9.0.0"), True),
        (exempt("10.9.1.0/24"), False),
        (exempt("10.9.0.0/24", bridge="vmbr2"), False),
        (exempt("10.9.0.0/24", subnet="10.1.0.0/16"), False),
        (exempt("10.9.0.0/24", subnet="10.0.128.0/17"), True),
        (Element("exempt4", CATCH_ALL, owner=""), False),
        (span("203.0.113.2", "tcp", "80-90"), True),
        (span("203.0.113.2", "tcp", "80-89"), False),
        (span("203.0.113.2", "tcp", "100-200"), False),
        (span("203.0.113.0/24", "6-17", "0-65535"), True),
        (span("203.0.113.2", "7-16", "0-65535"), False),
        (span("203.0.113.3", "tcp", "90-99"), False),
        (Element("host_tcp", ("vmbr1", "79-81")), True),
        (Element("host_udp", ("vmbr1", "79-81")), False),
        (Element("nets", ("vmbr1",)), False),
    ],
)
def test_what_meets_a_new_element_is_in_its_way(row: Element, there: bool) -> None:
    assert list(in_the_way([row], NEW)) == [row] * there
