"""What the kernel tells of itself, and what is made of it; each kind of event alone, without a service."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from natnetd.host import Layer
from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until
from natnetd.linux import dumps
from natnetd.linux.events import NftEvents, RouteEvents
from natnetd.linux.netlink import ROUTE, Asker
from natnetd.rows import GROUP, Port
from natnetd.wake import Wakeup

FILTER = "tc qdisc add dev {0} clsact && tc filter add dev {0} egress u32 match u32 0 0 classid 1:1"
FORWARDING = "echo 0 >/proc/sys/net/ipv4/conf/{}/forwarding"


@pytest.fixture
def events(host: Namespace) -> Iterator[RouteEvents]:
    """Listen on a host with a network vmbr1 and an uplink vmbr0, when all is quiet."""
    host.ip(
        f"link add vmbr1 up group {GROUP} type bridge",
        "link add vmbr0 up type bridge",
        "link add other up type bridge",
        "link add tap0 type veth peer name tap1",
        "link set tap0 master vmbr1",
        "addr add 10.0.0.1/16 dev vmbr1",
    )
    host.check(["sh", "-ec", "echo 1 >/proc/sys/net/ipv4/ip_forward"])
    asker = Asker(ROUTE)
    listening = RouteEvents()
    listening.watch(["vmbr1"], ["vmbr0"], dumps.links(asker))
    wait_until(lambda: operstate("vmbr1") == "down", what="the news that vmbr1 has no carrier")
    heard(listening)
    yield listening
    listening.socket.close()
    asker.close()


def operstate(bridge: str) -> str:
    """Read what the kernel has told of a bridge's carrier, which it does a little later."""
    return Path(f"/sys/class/net/{bridge}/operstate").read_text("ascii").strip()


def heard(source: RouteEvents | NftEvents) -> Wakeup:
    """Tell all that was said up to now."""
    told = Wakeup()
    for notice in source.read():
        told |= notice
    return told


@pytest.mark.parametrize(
    ("harm", "layer", "named"),
    [
        ("ip address del 10.0.0.1/16 dev vmbr1", Layer.ADDRESS, True),
        ("ip address add 10.0.0.9/16 dev vmbr1", Layer.ADDRESS, True),
        ("ip link set vmbr1 mtu 1400", Layer.LINK, True),
        ("ip link set vmbr1 alias x", Layer.LINK, True),
        (FORWARDING.format("vmbr1"), Layer.SYSCTL, True),
        (FORWARDING.format("vmbr0"), Layer.SYSCTL, False),
        (FORWARDING.format("all"), Layer.SYSCTL, False),
        ("tc qdisc add dev vmbr1 clsact && tc qdisc del dev vmbr1 clsact", Layer.TRAFFIC, True),
        (FILTER.format("vmbr1"), Layer.TRAFFIC, True),
        ("ip link set vmbr0 mtu 1400", Layer.LINK, False),
        ("ip link set vmbr1 name old", Layer.LINK, False),
        ("ip link del vmbr1", Layer.LINK, True),
    ],
)
def test_what_matters_is_told_with_its_place(
    events: RouteEvents, host: Namespace, harm: str, layer: Layer, named: bool
) -> None:
    host.check(["sh", "-ec", harm])
    told = heard(events)
    assert layer in told.scope.layers
    if named:
        assert told.scope.networks is None or "vmbr1" in told.scope.networks
    else:
        assert told.scope.networks is None or told.scope.host


@pytest.mark.parametrize(
    "deed",
    [
        "ip address add 10.9.9.9/16 dev other",
        "ip link set other mtu 1400",
        "ip link add docker0 up type bridge",
        FORWARDING.format("other"),
        "ip link set tap1 up",
        FILTER.format("tap0"),
        FILTER.format("vmbr0"),
    ],
)
def test_what_is_nobodys_business_is_not_told(events: RouteEvents, host: Namespace, deed: str) -> None:
    host.check(["sh", "-ec", deed])
    assert not heard(events).look


@pytest.mark.parametrize("out", [True, False])
def test_another_way_out_of_the_host_is_told_once_where_it_matters(
    events: RouteEvents, host: Namespace, *, out: bool
) -> None:
    events.watch(["vmbr1"], [], dumps.links(events.asker), out=out)
    for deed in ("link add link tap1 name lan0 type macvlan", "link set lan0 master other"):
        host.ip(deed)
        assert heard(events).look == out
        host.ip("link set lan0 mtu 1400")
        assert not heard(events).look


def test_a_deleted_bridges_ports_are_named_and_one_that_found_another_is_not(
    events: RouteEvents, host: Namespace
) -> None:
    host.ip("link add tap2 type veth peer name tap3", "link set tap2 master vmbr1")
    index = int(Path("/sys/class/net/tap0/ifindex").read_text("ascii"))
    host.ip("link set tap2 master other", "link del vmbr1")
    assert heard(events).ports == {"vmbr1": (Port(index, "vmbr1"),)}


def test_a_port_that_was_unplugged_before_is_not_named(events: RouteEvents, host: Namespace) -> None:
    host.ip("link set tap0 nomaster")
    heard(events)
    host.ip("link del vmbr1")
    assert heard(events).ports == {}


def test_a_switch_for_all_is_urgent_and_what_follows_it_is_the_same_news(
    events: RouteEvents, host: Namespace
) -> None:
    host.check(["sh", "-ec", FORWARDING.format("all")])
    notices = events.read()
    assert next(iter(notices)).urgent
    del notices  # as the loop does, which repairs first
    assert heard(events) == Wakeup()
    host.check(["sh", "-ec", FORWARDING.format("vmbr1").replace("echo 0", "echo 1")])
    host.check(["sh", "-ec", FORWARDING.format("vmbr1")])
    assert heard(events).scope.networks == {"vmbr1"}


def test_the_ports_are_named_though_the_host_was_looked_at_meanwhile(
    events: RouteEvents, host: Namespace
) -> None:
    index = int(Path("/sys/class/net/tap0/ifindex").read_text("ascii"))
    host.ip("link del vmbr1")
    asker = Asker(ROUTE)
    events.watch(["vmbr1"], ["vmbr0"], dumps.links(asker))
    asker.close()
    assert heard(events).ports == {"vmbr1": (Port(index, "vmbr1"),)}


def test_events_that_were_lost_are_told_as_such_and_the_next_ones_are_heard(
    events: RouteEvents, host: Namespace
) -> None:
    lines = [f"link set vmbr1 alias {'x' * 200}{number}" for number in range(20_000)]
    host.ip(*lines)
    assert heard(events).overrun
    host.ip("link set vmbr1 alias y")
    told = heard(events)
    assert (told.look, told.overrun) == (True, False)


@pytest.fixture
def table(host: Namespace) -> Iterator[NftEvents]:
    """Listen to a host that has a table of ours and one of somebody else's."""
    host.check(["nft", "-f", "-"], stdin=TABLES)
    listening = NftEvents(lambda: 0)
    yield listening
    listening.socket.close()


TABLES = """
table inet natnetd { set nets { type ifname; }; chain forward { }; }
table inet other { set nets { type ifname; }; chain forward { }; }
"""


@pytest.mark.parametrize(
    "harm",
    [
        "flush ruleset",
        "delete table inet natnetd",
        'add element inet natnetd nets { "vmbr1" }',
        "add rule inet natnetd forward accept",
        "add chain inet natnetd evil",
    ],
)
def test_a_transaction_on_our_table_is_told_with_its_culprit(
    table: NftEvents, host: Namespace, harm: str
) -> None:
    host.check(["nft", harm])
    told = wait_until(lambda: heard(table), what="the transaction")
    assert told.scope.layers == {Layer.NFT}
    (culprit,) = told.culprits
    assert culprit.name == "nft"
    if culprit.pid is not None:  # not in a container, where it would be somebody else's
        assert culprit.pid != os.getpid()


def test_a_transaction_on_other_tables_is_not_told(table: NftEvents, host: Namespace) -> None:
    host.check(["nft", 'add element inet other nets { "vmbr1" }'])
    host.check(["nft", "add table ip natnetd"])
    host.check(["nft", "delete table inet other"])
    assert not heard(table).look


def test_what_the_last_look_covers_is_no_news(host: Namespace) -> None:
    host.check(["nft", "-f", "-"], stdin=TABLES)
    listening = NftEvents(lambda: 1 << 31)
    host.check(["nft", "flush", "chain", "inet", "natnetd", "forward"])
    assert not heard(listening).look
    listening.socket.close()
