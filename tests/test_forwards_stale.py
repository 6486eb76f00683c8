"""Flows that came by a forward which leads elsewhere now, or is shut, are forgotten; nobody else's are."""

from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest
from networks import HOST, Networks, setting

from natnetd import config
from natnetd.flows import suspects
from natnetd.lab.echo import Echo
from natnetd.lab.service import Service
from natnetd.lab.traffic import Connection, Flow
from natnetd.lab.world import World
from natnetd.stale import TCP, UDP, Leads, Visit, leads

SIX = "2001:db8:203::2"
FILE = """
  vmbr1:
    addresses: [10.0.0.1/16, "fd00:1::1/64"]
    nat: true
    forwards:
"""
DOORS = {
    "a port": "{listen: '203.0.113.2:8080/both', to: '10.0.0.GUEST:7'}",
    "a range": "{listen: 203.0.113.2:8080-8090/both, to: 10.0.0.GUEST}",
    "a port of any address": "{listen: 8080/both, to: '10.0.0.GUEST:7'}",
    "a range of any address": "{listen: 8080-8090/both, to: 10.0.0.GUEST}",
    "an address": "{listen: 203.0.113.2, to: 10.0.0.GUEST}",
    "a port of IPv6": "{listen: '[2001:db8:203::2]:8080/both', to: '[fd00:1::GUEST]:7'}",
    "a range of any address of IPv6": "{listen: 8080-8090/both, to: 'fd00:1::GUEST'}",
}


def text(*doors: str) -> str:
    lines = "".join(f"      - {door}\n" for door in doors)
    return f"metrics: false\nnetworks:{FILE if doors else FILE.replace('    forwards:', '')}{lines}"


def to(door: str, guest: int) -> str:
    return DOORS[door].replace("GUEST", str(guest))


@pytest.mark.parametrize("door", DOORS)
def test_udp_follows_a_forward_at_once_and_tcp_ends_with_it(world: World, directory: Path, door: str) -> None:
    """Flows begun before there is a forward, when it changes, and when it goes."""
    file = directory / "natnetd.yaml"
    file.write_text(text())
    address, port = SIX if "6" in door else HOST, 7 if ":7" in DOORS[door] else 8080
    with Service(world.host, file, directory).wait_ready() as service:
        for name in ("all", "vmbr0", "vmbr1"):
            setting(f"ipv6.conf.{name}.forwarding", "1")
        first = world.guest("a", "vmbr1", ["10.0.0.2/16", "fd00:1::2/64"], ["10.0.0.1", "fd00:1::1"])
        other = world.guest("b", "vmbr1", ["10.0.0.3/16", "fd00:1::3/64"], ["10.0.0.1", "fd00:1::1"])

        def become(forgotten: int, *doors: str) -> None:
            after = len(service.lines())
            file.write_text(text(*doors))
            service.wait_line(f"forgot {forgotten} flows that were against the rules", after=after)

        with (
            Echo(world.host, 8080) as host,
            Echo(first.ns, port) as one,
            Echo(other.ns, port) as two,
            Flow(world.outside, address, 8080) as flow,
        ):
            assert flow.ask()
            become(1, to(door, 2))
            assert flow.ask()
            assert [len(echo.asked) for echo in (host, one, two)] == [1, 1, 0]
            with Connection(world.outside, address, 8080) as connection:
                assert connection.ask()
                become(1, to(door, 3))
                assert connection.ask()
                assert flow.ask()
                assert [len(echo.asked) for echo in (host, one, two)] == [1, 3, 1]
                become(2)
                assert flow.ask()
                assert [len(echo.asked) for echo in (host, one, two)] == [2, 3, 1]
                with pytest.raises(ConnectionError):
                    connection.ask()


def test_flows_that_a_forward_explains_live_on_over_a_reload(world: World, net: Networks) -> None:
    """From a network that may not reach the other by itself, and by the host, outside and neighbours."""
    setting("bridge.bridge-nf-call-iptables", "0")
    networks = (
        f"{FILE}      - {to('a port of any address', 2)}\n  vmbr2: {{addresses: 10.20.0.1/24, nat: true}}"
    )
    net.become(networks)
    web = net.guest("web", "vmbr1", "10.0.0.2/16")
    app = net.guest("app", "vmbr1", "10.0.0.3/16")
    db = net.guest("db", "vmbr2", "10.20.0.2/24")
    with Echo(web.ns), ExitStack() as stack:
        flows = [
            stack.enter_context(kind(ns, HOST, 8080))
            for kind in (Flow, Connection)
            for ns in (world.outside, world.host, web.ns, app.ns, db.ns)
        ]
        answers = [flow.ask() for flow in flows]
        assert None not in answers
        walk = net.host.purge(suspects(config.parse(f"networks:{networks}", "f")), translated=True)
        while walk.step():
            pass
        assert walk.purged == 0
        assert [flow.ask() for flow in flows] == answers


RULES = """
networks:
  vmbr1:
    addresses: 10.0.0.1/16
    forwards:
      - {listen: 203.0.113.2:80/both, to: 10.0.0.5:8080}
      - {listen: 203.0.113.2:1000-1999/udp, to: 10.0.0.5}
      - {listen: 203.0.113.7, to: 10.0.0.7}
      - {listen: 53/udp, to: 10.0.0.6}
      - {listen: 80/udp, to: 10.0.0.6}
"""
FORMER = [
    ("door4", ("203.0.113.2", "tcp", "81"), "10.0.0.5 . 8080"),
    ("anyspan4", ("udp", "90-99"), "10.0.0.5"),
    ("whole4", ("203.0.113.8",), "10.0.0.8"),
]


@pytest.mark.parametrize(
    ("came", "ended", "wrong"),
    [
        ((UDP, "203.0.113.2", 80), ("10.0.0.5", 8080), False),
        ((UDP, "203.0.113.2", 80), ("10.0.0.5", 80), True),
        ((UDP, "203.0.113.2", 80), ("10.0.0.6", 80), True),  # the address wins over any
        ((TCP, "203.0.113.2", 80), ("203.0.113.2", 80), False),  # goes on where it began
        ((UDP, "203.0.113.3", 80), ("10.0.0.6", 80), False),
        ((UDP, "203.0.113.2", 1999), ("10.0.0.5", 1999), False),
        ((UDP, "203.0.113.2", 1999), ("203.0.113.2", 1999), True),
        ((UDP, "203.0.113.2", 2000), ("203.0.113.2", 2000), None),
        ((UDP, "203.0.113.2", 53), ("203.0.113.2", 53), True),
        ((UDP, "10.0.0.1", 53), ("10.0.0.1", 53), None),  # a gateway's DNS
        ((UDP, "198.51.100.7", 53), ("198.51.100.7", 53), None),  # a server outside
        ((1, "203.0.113.7", 0), ("203.0.113.7", 0), True),  # ping, of all that comes there
        ((1, "203.0.113.7", 0), ("10.0.0.7", 0), False),
        ((UDP, "203.0.113.7", 9), ("10.0.0.7", 9), False),
        ((TCP, "203.0.113.2", 81), ("10.0.0.5", 8080), True),  # the door is shut
        ((TCP, "203.0.113.2", 81), ("10.0.0.4", 8080), True),  # it led there before
        ((TCP, "203.0.113.2", 81), ("203.0.113.2", 81), None),  # the host's own
        ((UDP, "203.0.113.3", 95), ("10.0.0.5", 95), True),
        ((TCP, "203.0.113.8", 22), ("10.0.0.8", 22), True),
        ((TCP, "203.0.113.9", 22), ("10.0.0.8", 22), None),
    ],
)
def test_which_flows_a_forward_leads_elsewhere(
    came: tuple[int, str, int], ended: tuple[str, int], wrong: bool | None
) -> None:
    four: Leads = leads(config.parse(RULES, "f"), FORMER)[0]
    four = four.among(frozenset(int(ip_address(a)) for a in ("203.0.113.2", "203.0.113.3", "10.0.0.1")), 4)
    protocol, at, port = came
    assert (
        four.wrong(Visit(protocol, ip_address(at).packed, port), (ip_address(ended[0]).packed, ended[1]))
        is wrong
    )
