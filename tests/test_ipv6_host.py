"""The host as a router of IPv6: its own default route stays, and no guest gives it one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from networks import Networks, setting
from routers import advertise, defaults, own
from running import converged, start, undone

from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ping
from natnetd.lab.wait import wait_until
from natnetd.lab.world import FIRST, World

SIX = """
      vmbr1: {addresses: ["fd00:1::1/64"], nat: {uplink: vmbr0}}
"""
FILE = f"metrics: false\nnetworks:{SIX}      vmbr2: {{addresses: 10.2.0.1/24, nat: true}}\n"


def switch(name: str) -> str:
    return Path("/proc/sys/net/ipv6/conf", name).read_text("ascii").strip()


@contextmanager
def router(world: World, directory: Path, prefix: str) -> Iterator[None]:
    """Have dnsmasq be the router outside, for a prefix of its own."""
    world.outside.ip(f"addr replace {prefix}1/64 dev eth0 nodad")
    words = ["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--port=0", "--user=root"]
    words += ["--interface=eth0", "--enable-ra", f"--dhcp-range={prefix},ra-only,64", "--ra-param=eth0,4,60"]
    words += [f"--pid-file={directory}/router.pid", f"--dhcp-leasefile={directory}/router.leases"]
    with (directory / "router.log").open("w") as log:
        process = world.outside.popen(words, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def learned(world: World) -> World:
    """Take the host's own route away: it has to learn one."""
    world.host.ip("route del default via 2001:db8:203::1")
    return world


@pytest.mark.parametrize("uplink", ["{uplink: vmbr0}", "true"])
def test_the_host_goes_on_learning_its_default_route(
    learned: World, net: Networks, directory: Path, uplink: str
) -> None:
    with router(learned, directory, "2001:db8:77::"):
        wait_until(lambda: ("vmbr0", "ra") in defaults(learned.host), 15, what="a route to be learned")
    net.become(f"\n      vmbr1: {{addresses: 'fd00:1::1/64', nat: {uplink}}}\n")
    assert (switch("all/forwarding"), switch("vmbr0/accept_ra")) == ("1", "2")
    assert defaults(learned.host) == [("vmbr0", "ra")]
    with router(learned, directory, "2001:db8:78::"):
        wait_until(
            lambda: {a for a in own(learned.host, "vmbr0") if a.startswith("2001:db8:78:")},
            15,
            what="the host to hear the router still",
        )
    assert defaults(learned.host) == [("vmbr0", "ra")]


def test_an_administrator_who_wants_no_advertisements_gets_none(learned: World, net: Networks) -> None:
    setting("ipv6.conf.vmbr0.accept_ra", "0")
    net.become(SIX)
    assert (switch("all/forwarding"), switch("vmbr0/accept_ra")) == ("1", "0")
    advertise(learned.outside, "2001:db8:77::/64")
    assert ping(learned.outside, "2001:db8:203::2")
    assert defaults(learned.host) == []


@pytest.mark.parametrize("networks", [SIX, "\n      vmbr1: {addresses: 10.0.0.1/24}\n"])
def test_a_guest_gives_the_host_no_route(learned: World, net: Networks, networks: str) -> None:
    net.become(networks)
    web = net.guest("web", "vmbr1", "fd00:1::2/64", "10.0.0.2/24")
    before = own(learned.host, "vmbr1")
    advertise(web.ns, "2001:db8:66::/64")
    assert ping(web.ns, "10.0.0.1" if "10.0" in networks else "fd00:1::1")
    assert own(learned.host, "vmbr1") == before
    assert defaults(learned.host) == []
    setting("ipv6.conf.vmbr1.accept_ra", "2")  # it would have
    advertise(web.ns, "2001:db8:66::/64")
    wait_until(lambda: ("vmbr1", "ra") in defaults(learned.host), what="the route")
    assert [str(o.change) for o in net.become(networks).outcomes] == [
        "~ router net.ipv6.conf.vmbr1.accept_ra value 2 → 0"
    ]


def test_without_ipv6_networks_the_switch_is_left_alone(world: World, net: Networks) -> None:
    net.become("""
      vmbr1: {addresses: 10.0.0.1/24, nat: true}
      vault: {addresses: "fd00:2::1/64"}
      tiny: {addresses: 10.1.0.1/24, mtu: 1000}
    """)
    assert (switch("all/forwarding"), switch("vmbr0/accept_ra")) == ("0", "1")
    assert switch("vault/forwarding") == "1"
    assert world.host.up("tiny")


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("all/forwarding", "~ router net.ipv6.conf.all.forwarding value 0 → 1"),
        ("vmbr1/forwarding", "~ router net.ipv6.conf.vmbr1.forwarding value 0 → 1"),
    ],
)
def test_a_switch_that_goes_off_is_repaired_at_once(
    world: World, directory: Path, harm: str, line: str
) -> None:
    with start(world.host, directory, FILE) as service:
        Path("/proc/sys/net/ipv6/conf", harm).write_text("0", "ascii")  # it may be 1 again at once
        service.wait_line(f"drift: {line}", "repaired in")
        assert converged(directory)
        assert switch("vmbr0/accept_ra") == "2"


def test_a_bridge_that_comes_back_is_a_router_and_hears_none(world: World, directory: Path) -> None:
    with start(world.host, directory, FILE) as service:
        world.host.ip("link del vmbr1")
        service.wait_line("+ router net.ipv6.conf.vmbr1.accept_ra", "repaired in")
        assert converged(directory)
        assert (switch("vmbr1/forwarding"), switch("vmbr1/accept_ra")) == ("1", "0")


def test_a_way_out_that_no_network_names_hears_routers_again(world: World, directory: Path) -> None:
    """It goes for long enough to be forgotten, and comes back before its route does."""
    file = FILE.replace("nat: true", "nat: {uplink: vmbr9}").replace("vmbr0", "vmbr9")
    with start(world.host, directory, file) as service:
        assert switch("vmbr0/accept_ra") == "2"
        world.host.ip("link del vmbr0")
        service.wait_line("host has no default route of IPv6")
        world.host.ip("link add vmbr0 up type bridge", f"link set {FIRST.port} master vmbr0 up")
        world.host.ip("addr add 2001:db8:203::2/64 dev vmbr0 nodad", "route add default via 2001:db8:203::1")
        service.wait_line("~ router net.ipv6.conf.vmbr0.accept_ra value 1 → 2", "repaired in")


def test_an_uplink_that_comes_later_hears_routers(host: Namespace, directory: Path) -> None:
    with start(host, directory, FILE), World(host):
        assert converged(directory)
        wait_until(lambda: switch("vmbr0/accept_ra") == "2", what="the uplink to hear routers")
        assert undone(directory) == ()


NOTE = "i note vmbr1: the host has no default route of IPv6: by that, guests reach nobody outside"


def test_a_host_without_a_way_out_by_ipv6_is_told_of(learned: World, net: Networks) -> None:
    assert [str(finding) for finding in net.become(SIX).findings] == [NOTE]
    assert net.become(SIX.replace("{uplink: vmbr0}", "{ipv6: false}")).findings == ()
    learned.host.ip("route add default via 2001:db8:203::1")
    assert net.become(SIX).findings == ()
