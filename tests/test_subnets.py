"""The kernel's own routes to our subnets: lost, taken by somebody, and not ours."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from networks import Networks

from natnetd import config
from natnetd.host import Layer
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ping
from natnetd.linux import dumps
from natnetd.linux.events import RouteEvents
from natnetd.linux.losses import RouteLoss
from natnetd.linux.netlink import ROUTE, Asker
from natnetd.plan import Change
from natnetd.reconcile import Pass, reconcile
from natnetd.rows import GROUP, Address
from natnetd.wake import Notice

FILE = """
      vmbr1: {addresses: [10.0.0.1/24, 10.0.0.2/24, "fd00:1::1/64"], nat: {uplink: vmbr0}}
"""


def routes(host: Namespace, *words: str) -> list[str]:
    """The lines of ip(8), without what it adds where nobody is plugged in."""
    lines = host.check(["ip", *words, "route", "show", "dev", "vmbr1"]).splitlines()
    return sorted(" ".join(line.split()).removesuffix(" linkdown") for line in lines)


@pytest.mark.parametrize(
    ("lost", "line"),
    [
        ("route del 10.0.0.0/24 dev vmbr1", "~ address 10.0.0.1/24 on vmbr1 routed off → on"),
        ("route del fd00:1::/64 dev vmbr1", "~ address fd00:1::1/64 on vmbr1 routed off → on"),
    ],
)
def test_a_lost_route_is_given_back_as_the_kernel_made_it(
    net: Networks, host: Namespace, lost: str, line: str
) -> None:
    net.become(FILE)
    guest = net.guest("web", "vmbr1", "10.0.0.9/24")
    before = routes(host), routes(host, "-6")
    host.check(["ip", *lost.split()])
    assert (routes(host), routes(host, "-6")) != before
    report = net.become(FILE)
    assert line in [str(outcome.change) for outcome in report.outcomes]
    assert not [o.error for o in report.outcomes if o.error]
    assert (routes(host), routes(host, "-6")) == before
    assert ping(guest.ns, "10.0.0.1")
    assert net.become(FILE).outcomes == ()


def test_the_route_goes_with_the_address(net: Networks, host: Namespace) -> None:
    net.become(FILE)
    host.ip("route del 10.0.0.0/24 dev vmbr1", "route del fd00:1::/64 dev vmbr1")
    net.become(FILE)
    net.become("\n      vmbr1: {addresses: 10.5.0.1/24, nat: {uplink: vmbr0}}\n")
    assert [line for line in routes(host) + routes(host, "-6") if not line.startswith("fe80:")] == [
        "10.5.0.0/24 proto kernel scope link src 10.5.0.1"
    ]


def test_a_route_of_somebody_in_its_place_is_told_of_and_left_alone(net: Networks, host: Namespace) -> None:
    net.become(FILE)
    host.ip("route replace 10.0.0.0/24 dev vmbr0")
    report = reconcile(config.parse(f"networks:{FILE}", "f"), net.host, Pass())
    why = "another route is there: see `ip route`, and remove it"
    expected = [f"cannot route 10.0.0.{n}/24 to vmbr1: {why}" for n in (1, 2)]
    assert [outcome.error for outcome in report.outcomes] == expected
    assert "10.0.0.0/24 dev vmbr0 scope link" in host.check(["ip", "route"])
    host.ip("route del 10.0.0.0/24 dev vmbr0")
    assert not [o.error for o in net.become(FILE).outcomes if o.error]
    assert "10.0.0.0/24 proto kernel scope link src 10.0.0.1" in routes(host)


def test_a_bridge_that_is_gone_by_then_is_an_error_and_no_end(net: Networks) -> None:
    lost = Address("vmbr1", "10.0.0.1/24", marked=True, routed=False)
    change = Change(Layer.ADDRESS, "address", "vmbr1", "x", lost, replace(lost, routed=True))
    (error,) = net.host.doors[Layer.ADDRESS].apply([change])
    assert str(error) == "cannot route 10.0.0.1/24 to vmbr1: no interface with this name"


def test_one_that_somebody_makes_instead_will_do(net: Networks, host: Namespace) -> None:
    net.become(FILE)
    host.ip("route del 10.0.0.0/24 dev vmbr1", "route add 10.0.0.0/24 dev vmbr1 proto static metric 5")
    assert net.become(FILE).outcomes == ()


def test_of_a_bridge_of_somebody_no_route_is_ours(net: Networks, host: Namespace) -> None:
    host.ip("link add vmbr1 up type bridge", "addr add 10.0.0.1/24 dev vmbr1 noprefixroute")
    for _ in range(2):
        net.become("\n      vmbr1: {addresses: 10.0.0.1/24, nat: {uplink: vmbr0}}\n")
    assert routes(host) == []


@pytest.fixture
def losses(host: Namespace) -> Iterator[RouteLoss]:
    """Listen on a host with a network and an interface of somebody else."""
    host.ip(
        f"link add vmbr1 up group {GROUP} type bridge",
        "link add other up type bridge",
        "addr add 10.0.0.1/24 dev vmbr1",
        "addr add fd00::1/64 dev vmbr1 nodad",
        "addr add 10.1.0.1/24 dev other",
        "route add 10.2.0.0/24 dev vmbr1",
        "route add 10.3.0.0/24 dev vmbr1 table 99",
    )
    events, asker = RouteEvents(), Asker(ROUTE)
    events.watch(["vmbr1"], [], dumps.links(asker))
    losses = RouteLoss(events)
    yield losses
    for one in (losses, events):
        one.socket.close()
    asker.close()


@pytest.mark.parametrize("lost", ["route del 10.0.0.0/24 dev vmbr1", "route del fd00::/64 dev vmbr1"])
def test_a_loss_is_told_with_its_network(losses: RouteLoss, host: Namespace, lost: str) -> None:
    host.ip(lost)
    (notice,) = losses.read()
    assert notice.scope.networks == {"vmbr1"}
    assert notice.scope.layers == {Layer.ADDRESS}
    assert not notice.scope.host


@pytest.mark.parametrize(
    "deed",
    [
        "route del 10.1.0.0/24 dev other",
        "route del 10.2.0.0/24 dev vmbr1",
        "route del 10.3.0.0/24 dev vmbr1 table 99",
        "route add 10.4.0.0/24 dev vmbr1",
    ],
)
def test_other_routes_are_nobodys_business(losses: RouteLoss, host: Namespace, deed: str) -> None:
    host.ip(deed)
    none: list[Notice] = []
    assert list(losses.read()) == none
