"""What stands in the way of forwards, and in whose way they are."""

import os
from contextlib import ExitStack
from ipaddress import ip_interface

import pytest
from networks import Networks

from natnetd import config
from natnetd.around import Around, Listener
from natnetd.host import ALL, Before, Snapshot
from natnetd.lab.echo import Echo
from natnetd.lab.world import World
from natnetd.listening import BRIDGED, forwards
from natnetd.reconcile import decide, hint
from natnetd.rows import Address

FILE = """
networks:
  vmbr1:
    addresses: [10.0.0.1/24, 'fd00::1/64']
    forwards:
      - {listen: 203.0.113.2:80/tcp, to: 10.0.0.5:8080}
      - {listen: 53-99/udp, to: 10.0.0.5}
      - {listen: 203.0.113.3, to: 10.0.0.7}
      - {listen: 443/tcp, to: 'fd00::5'}
"""
WAITING = (
    "? waiting vmbr1: forwards listen at 203.0.113.3, which no interface carries: give it to the uplink, or"
    " to lo if it is routed to this host: ip address add 203.0.113.3/32 dev lo"
)


def found(
    *listeners: Listener, addresses: tuple[str, ...] = ("203.0.113.2/24",), bridged: str = ""
) -> list[str]:
    carried = {"vmbr0": tuple(Address("vmbr0", str(ip_interface(a))) for a in addresses)}
    around = Around(listeners=listeners, settings={BRIDGED: bridged})
    return [str(f) for f in forwards(config.parse(FILE, "f"), Snapshot(addresses=carried, around=around))]


def test_an_address_that_nobody_carries_is_waited_for() -> None:
    assert found() == [WAITING]
    assert found(addresses=("203.0.113.2/24", "203.0.113.3/32")) == []
    assert len(found(addresses=())) == 2


@pytest.mark.parametrize(
    ("listener", "by"),
    [
        (Listener("tcp", "0.0.0.0", 80), "203.0.113.2:80/tcp"),
        (Listener("tcp", "203.0.113.2", 80), "203.0.113.2:80/tcp"),
        (Listener("tcp", "::", 80, (4, 6)), "203.0.113.2:80/tcp"),
        (Listener("tcp", "::", 80, (6,)), ""),
        (Listener("tcp", "203.0.113.9", 80), ""),
        (Listener("udp", "203.0.113.2", 80), "53-99/udp"),
        (Listener("udp", "203.0.113.2", 100), ""),
        (Listener("udp", "127.0.0.53", 53), ""),
        (Listener("udp", "10.0.0.1", 53), ""),  # guests still find it there
        (Listener("tcp", "203.0.113.3", 22), ""),  # the host does not carry the address
        (Listener("tcp", "0.0.0.0", 443), ""),
        (Listener("tcp", "2001:db8::1", 443, (6,)), "443/tcp"),
        (Listener("tcp", "::1", 443, (6,)), ""),
    ],
)
def test_a_service_whose_port_is_taken(listener: Listener, by: str) -> None:
    texts = [text for text in found(listener) if text != WAITING]
    assert len(texts) == bool(by)
    for text in texts:
        assert text.startswith(f"i note vmbr1: forward {by} takes what came to ")


def test_all_of_an_address_takes_what_listens_just_there() -> None:
    both = ("203.0.113.2/24", "203.0.113.3/24")
    assert found(Listener("tcp", "0.0.0.0", 22), addresses=both) == []
    (text,) = found(Listener("tcp", "203.0.113.3", 22, owner="sshd[7]"), addresses=both)
    assert "forward 203.0.113.3 takes what came to sshd[7], which listens at 203.0.113.3:22/tcp" in text


def test_bridged_packets_do_not_come_back_to_themselves() -> None:
    assert any("not themselves" in text for text in found(bridged="1"))
    assert found(bridged="0") == [WAITING]


def test_the_program_that_holds_a_port_is_named(world: World, net: Networks) -> None:
    text = """
      vmbr1:
        addresses: 10.0.0.1/16
        forwards:
          - {listen: 8080-8089/tcp, to: 10.0.0.2}
          - {listen: 8080/udp, to: 10.0.0.2}
          - {listen: "203.0.113.2:9000/tcp", to: 10.0.0.2}
    """
    net.become(text)
    wanted = config.parse(f"networks:{text}", "f")

    def notes() -> list[str]:
        seen = net.host.look(ALL, Before(), hint(wanted, ALL))
        return [f.text for f in decide(wanted, seen)[0].findings if "takes what came to" in f.text]

    assert notes() == []
    with ExitStack() as stack:
        stack.enter_context(Echo(world.host, 8081))
        stack.enter_context(Echo(world.host, 8080))
        found = notes()
        assert [t.partition(" takes")[0] for t in found] == ["forward 8080-8089/tcp"] * 2 + [
            "forward 8080/udp"
        ]
        assert all(f"[{os.getpid()}], which listens at [::]:808" in text for text in found)
    assert notes() == []
