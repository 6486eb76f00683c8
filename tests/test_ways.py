"""The way to the internet: what the kernel says of it, when it is told, and what follows from it."""

from collections.abc import Iterator
from socket import AF_INET6

import pytest
from networks import HOST, INTERNET, SECOND_GATEWAY, SECOND_HOST, Networks
from running import converged, start

from natnetd import config
from natnetd.errors import HostError
from natnetd.host import ALL, Before, Snapshot
from natnetd.judge import judge
from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import Flow, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import SECOND, World
from natnetd.linux.netlink import ROUTE, Asker
from natnetd.linux.ways import WayEvents, to_internet
from natnetd.rows import Link
from natnetd.ways import resolved

WEB = "10.0.0.2"
FILE = """
metrics: false
networks:
  vmbr1: {addresses: 10.0.0.1/16, mtu: auto, nat: {uplink: auto}}
"""
OVER_SECOND = (
    "route del default",
    f"route add default via {SECOND_GATEWAY}",
)


@pytest.fixture
def two(host: Namespace) -> Iterator[Asker]:
    """Give the host two ways out, one of them the default route."""
    host.ip(
        *(f"link add {name} up type veth peer name far{name}" for name in ("up1", "up2")),
        *(f"link set far{name} up" for name in ("up1", "up2")),
        "addr add 192.0.2.2/24 dev up1",
        "addr add 198.51.100.2/24 dev up2",
        "route add default via 192.0.2.1 metric 100",
        "route add default via 198.51.100.1 table 200",
    )
    asker = Asker(ROUTE)
    yield asker
    asker.close()


TURNS = {
    "another default route": (("route replace default via 198.51.100.1 metric 100",), {"up2"}),
    "no default route": (("route del default",), set()),
    "a better one": (("route add default via 198.51.100.1",), {"up2"}),
    "a worse one": (("route add default via 198.51.100.1 metric 200",), {"up1"}),
    "both": (
        ("route replace default metric 100 nexthop via 192.0.2.1 nexthop via 198.51.100.1",),
        {"up1", "up2"},
    ),
    "a VPN over two halves": (
        ("route add 0.0.0.0/1 via 198.51.100.1", "route add 128.0.0.0/1 via 198.51.100.1"),
        {"up2"},
    ),
    "a rule": (("route add default via 198.51.100.1 table 100", "rule add lookup 100"), {"up2"}),
    "a rule alone": (("rule add lookup 200",), {"up2"}),
    "a rule for marked packets": (
        ("route add default via 198.51.100.1 table 100", "rule add fwmark 1 lookup 100"),
        {"up1"},
    ),
    "a black hole": (("route add blackhole default",), set()),
    "a link that is switched off": (("link set up1 down",), set()),
    "a link that is gone": (("link del up1",), set()),
    "an address that is gone": (("addr del 192.0.2.2/24 dev up1",), set()),
    "a next hop that moves": (
        (
            "nexthop add id 7 via 192.0.2.1 dev up1",
            "route replace default metric 100 nhid 7",
            "nexthop replace id 7 via 198.51.100.1 dev up2",
        ),
        {"up2"},
    ),
    "routes to elsewhere": (("route add 203.0.113.0/24 via 198.51.100.1",), {"up1"}),
}


TURNS6 = {
    "another default route": (("route replace default via 2001:db8:2::1 metric 100",), {"up2"}),
    "no default route": (("route del default via 2001:db8:1::1",), set()),
    "a VPN": (("route add 2000::/3 via 2001:db8:2::1",), {"up2"}),
    "a rule": (("route add default via 2001:db8:2::1 table 100", "-6 rule add lookup 100"), {"up2"}),
    "a link that is gone": (("link del up1",), set()),
    "an address that is gone": (("addr flush dev up1",), {"up1"}),
    "routes to elsewhere": (("route add 2001:db8:7::/48 via 2001:db8:2::1",), {"up1"}),
}


@pytest.mark.parametrize("turn", TURNS6)
def test_the_kernel_tells_of_ipv6_too(two: Asker, host: Namespace, turn: str) -> None:
    host.ip("route del default", "link set lo up")
    host.ip(
        "addr add 2001:db8:1::2/64 dev up1 nodad",
        "addr add 2001:db8:2::2/64 dev up2 nodad",
        "route add default via 2001:db8:1::1 metric 100",
    )
    steps, after = TURNS6[turn]
    events = WayEvents()
    assert not events.follow(frozenset(), frozenset({"up1"}))
    for step in steps:
        host.check(["ip", *step.split()])
    assert to_internet(two, AF_INET6) == after
    assert [notice.scope for notice in events.read()] == ([ALL] if after != {"up1"} else [])
    assert events.known == (set(), after)
    events.socket.close()
    events.asker.close()


@pytest.mark.parametrize("turn", TURNS)
def test_the_kernel_tells_and_is_asked_once_for_each_burst(two: Asker, host: Namespace, turn: str) -> None:
    steps, after = TURNS[turn]
    events = WayEvents()
    assert to_internet(two) == {"up1"}
    assert not events.follow(frozenset({"up1"}))
    host.ip(*steps)
    assert to_internet(two) == after
    assert [notice.scope for notice in events.read()] == ([ALL] if after != {"up1"} else [])
    assert events.known == (after, set())
    assert list(events.read()) == []
    events.socket.close()
    events.asker.close()


def test_what_happened_before_it_listened_is_told(two: Asker, host: Namespace) -> None:
    events = WayEvents()
    seen = to_internet(two)
    host.ip("route replace default via 198.51.100.1 metric 100")
    assert list(events.read()) == []
    assert events.follow(seen)
    assert not events.follow(to_internet(two))


def test_routes_to_elsewhere_cost_no_lookup(two: Asker, host: Namespace) -> None:
    events = WayEvents()
    events.follow(to_internet(two))
    lookups = events.asker.sequence
    host.ip(*(f"route add 203.0.113.{n}/32 via 198.51.100.1" for n in range(200)))
    host.ip("link add br0 up type bridge", "link add tap0 master br0 type veth", "link del tap0")
    assert not list(events.read())
    spent = events.asker.sequence - lookups
    host.ip(*(f"route {verb} 198.41.0.4 via 192.0.2.1" for verb in ("add", "del") * 100))
    assert not list(events.read())
    assert events.asker.sequence - lookups - spent == 3, "one barrier and two lookups for a burst"
    assert spent <= 3, "a bridge that was made is a link of its own"


def test_an_overrun_costs_one_lookup(two: Asker, host: Namespace) -> None:
    events = WayEvents()
    events.follow(to_internet(two))
    events.socket.setsockopt(1, 8, 2304)  # SO_RCVBUF
    host.ip(*(f"route add 203.0.113.{n}/32 via 198.51.100.1" for n in range(250)))
    host.ip("route replace default via 198.51.100.1 metric 100")
    assert [notice.scope for notice in events.read()] == [ALL]


def test_an_unknown_refusal_is_no_missing_route(two: Asker) -> None:
    two.socket.close()
    with pytest.raises(HostError):
        to_internet(two)


def words(text: str, links: dict[str, Link], auto: frozenset[str]) -> list[str]:
    wanted = config.parse(text, "f")
    seen = Snapshot(links=links, auto=auto)
    return [str(f) for f in judge(resolved(wanted, auto, links), seen).findings]


def test_findings_say_what_is_waited_for() -> None:
    up = {
        "vmbr0": Link(1, "vmbr0", "bridge", mtu=1400),
        "vmbr1": Link(2, "vmbr1", "bridge", group=0x6E617464),
    }
    assert words(FILE, up, frozenset({"vmbr0"})) == []
    assert words(FILE, up, frozenset()) == ["? waiting vmbr1: uplink auto: no default route"]
    assert words(FILE, up, frozenset({"vmbr1"})) == [
        "? waiting vmbr1: uplink auto: the default route leads to vmbr1, a network of ours"
    ]


def test_ports_of_another_size_are_noted() -> None:
    links = {
        "vmbr0": Link(1, "vmbr0", "bridge", mtu=1400),
        "vmbr1": Link(2, "vmbr1", "bridge", group=0x6E617464),
        **{f"tap{n}": Link(n, f"tap{n}", "tun", mtu=1400 + n % 2, master=2) for n in range(10, 24)},
    }
    assert words(FILE, links, frozenset({"vmbr0"})) == [
        "i note vmbr1: ports have another MTU than vmbr1 (1400): tap11 (1401), tap13 (1401), tap15 (1401), "
        "tap17 (1401), tap19 (1401) and 2 more: larger packets are lost in between"
    ]


SIZES = {
    "nat: {uplink: [a, b]}": 1400,
    "nat: {uplink: b}": 1450,
    "nat: {uplink: auto}": 9000,
    "nat: true": 9000,
    "routed: true": 9000,
    "nat: {uplink: gone}": None,
    "nat: false": None,
}


@pytest.mark.parametrize("way", SIZES)
def test_the_size_is_that_of_the_smallest_uplink(way: str) -> None:
    links = {name: Link(1, name, mtu=mtu) for name, mtu in (("a", 1400), ("b", 1450), ("c", 9000))}
    wanted = config.parse(f"networks: {{n: {{addresses: 10.0.0.1/24, mtu: auto, {way}}}}}", "f")
    assert resolved(wanted, frozenset({"c"}), links).networks["n"].mtu == SIZES[way]


def test_ipv6_takes_its_least_size_whatever_the_uplink_takes() -> None:
    wanted = config.parse('networks: {n: {addresses: ["fd00::1/64"], mtu: auto, routed: true}}', "f")
    assert resolved(wanted, frozenset({"c"}), {"c": Link(1, "c", mtu=1000)}).networks["n"].mtu == 1280


def test_guests_follow_the_default_route(world: World, net: Networks) -> None:
    second = world.add_uplink(SECOND)
    second.ip(f"addr add {INTERNET}/32 dev lo")
    text = FILE.partition("networks:")[2]
    world.host.ip("link set vmbr9 mtu 1400")
    net.become(text)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(world.outside), Echo(second), Flow(web.ns, INTERNET, source_port=4000) as flow:
        assert flow.ask() == f"{HOST}:4000"
        assert mtu(world.host) == 1500
        world.host.ip(*OVER_SECOND)
        with net.dropping("exit"):  # the kernel ends a masqueraded flow that takes another way
            flow.send()
            flow.send()
        net.become(text)
        assert flow.ask() == f"{SECOND_HOST}:4000"
        assert mtu(world.host) == 1400
        world.host.ip("route del default")
        net.become(text)
        assert [str(f) for f in judge_now(net, text)] == ["? waiting vmbr1: uplink auto: no default route"]
        second.ip("route add 10.0.0.0/16 via 198.18.0.2")
        with net.dropping("exit"), Flow(web.ns, SECOND_GATEWAY) as other:
            other.send()


def judge_now(net: Networks, text: str) -> list[object]:
    seen = net.host.look(ALL, Before())
    wanted = resolved(config.parse(f"networks:{text}", "f"), seen.auto, seen.links)
    return [f for f in judge(wanted, seen).findings if "auto" in f.text]


def mtu(host: Namespace) -> int:
    return int(host.check(["cat", "/sys/class/net/vmbr1/mtu"]))


def test_the_service_follows_at_once(world: World, directory: object) -> None:
    second = world.add_uplink(SECOND)
    second.ip(f"addr add {INTERNET}/32 dev lo")
    with start(world.host, directory, FILE) as service:  # type: ignore[arg-type]
        web = world.guest("web", "vmbr1", f"{WEB}/16", "10.0.0.1")
        with Echo(world.outside), Echo(second):
            assert udp(web.ns, INTERNET, source_port=4000) == f"{HOST}:4000"
            for turn, host in (
                (OVER_SECOND, SECOND_HOST),
                (("route replace default via 203.0.113.1",), HOST),
            ):
                world.host.ip(*turn)
                wait_until(
                    lambda host=host: (udp(web.ns, INTERNET, deadline=0.1) or "").startswith(f"{host}:"),
                    5,
                    what=f"guests to leave by {host}",
                )
            world.host.ip("link set vmbr0 mtu 1400")
            wait_until(lambda: mtu(world.host) == 1400, 5, what="the bridge to follow its uplink's MTU")
            world.host.ip("link set vmbr1 mtu 1500")
            wait_until(lambda: mtu(world.host) == 1400, 5, what="the bridge to be what it was")
            world.host.ip("link set vmbr0 down")
            service.wait_line("vmbr1: uplink auto: no default route")
            world.host.ip("link set vmbr0 up", "route add default via 203.0.113.1")
            wait_until(
                lambda: (udp(web.ns, INTERNET, deadline=0.1) or "").startswith(f"{HOST}:"),
                5,
                what="guests to leave again",
            )
        assert converged(directory)  # type: ignore[arg-type]
