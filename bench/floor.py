"""The floor: bare loops that hear the same events as natnetd and answer without a look or a thought.

`python -m bench.floor KIND NETWORKS [PORTS]` runs one; it prints a line when it listens. They know what
will be disturbed, hold nothing else true, and end with the benchmark.
"""

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bench import place, raw
from natnetd.host import Layer, Scope
from natnetd.kinds import KINDS
from natnetd.linux import additions
from natnetd.linux.dumps import ADDRESS_HEAD, IFLA_IFNAME, LINK_HEAD, number, text
from natnetd.linux.events import (
    AF_BRIDGE,
    IPV4_IFADDR,
    IPV4_NETCONF,
    LINKS,
    NETCONF_ALL,
    NETCONF_FORWARDING,
    NETCONF_IFINDEX,
    RTM_DELADDR,
    RTM_DELLINK,
    culprit,
    drain,
)
from natnetd.linux.libnft import nftables_context
from natnetd.linux.netlink import NETFILTER, ROUTE, Asker, attributes, messages, open_socket
from natnetd.linux.nfnl import NEWGEN
from natnetd.linux.nftext import script
from natnetd.plan import phases
from natnetd.rows import Bridge

Event = tuple[int, int, bytes]
"""Type, sender's port id, payload."""


def events(protocol: int, *groups: int) -> Iterator[Event]:
    """Yield what the kernel says, for ever."""
    listener = open_socket(protocol, groups)
    print("listening", flush=True)
    while True:
        select.select([listener], [], [])
        for datagram in drain(listener):
            for kind, _flags, _sequence, sender, start, end in messages(datagram or b""):
                yield kind, sender, datagram[start:end] if datagram else b""


def element(_networks: int) -> None:
    """Put the first network's exit back."""
    line = raw.netfilter()
    prepared = raw.add_element("exits", (place.name(0), place.UPLINK))
    own = line.socket.getsockname()[0]
    for kind, sender, _payload in events(NETFILTER, 7):
        if kind == NEWGEN and sender != own:
            line.send(prepared)


def address(_networks: int) -> None:
    """Put the first network's address back."""
    index = socket.if_nametoindex(place.name(0))
    line, prepared = raw.route(), raw.datagram([additions.address(index, place.gateway(0))])
    for kind, _sender, payload in events(ROUTE, LINKS, IPV4_IFADDR, IPV4_NETCONF):
        if kind == RTM_DELADDR and ADDRESS_HEAD.unpack_from(payload)[4] == index:
            line.send(prepared)


def forwarding(_networks: int) -> None:
    """Switch forwarding on again."""
    switch = os.open("/proc/sys/net/ipv4/ip_forward", os.O_WRONLY)
    for kind, _sender, payload in events(ROUTE, IPV4_NETCONF):
        if kind != 80 or len(payload) < 4:
            continue
        found = attributes(payload, 4, len(payload))
        off = NETCONF_FORWARDING in found and number(found[NETCONF_FORWARDING]) == 0
        if off and number(found[NETCONF_IFINDEX]) == NETCONF_ALL & 0xFFFFFFFF:
            os.pwrite(switch, b"1\n", 0)


def scripts(networks: int) -> list[str]:
    """Write the table as natnetd would: NAT and isolation first, then what counts."""
    plan = place.fresh_plan(networks, Scope(None, frozenset({Layer.NFT})))
    return [script(batch) for _layer, batch in phases(KINDS, plan)]


def table(networks: int) -> None:
    """Load the whole table again, once the culprit is known: sooner, the two would collide."""
    nft, texts = nftables_context(), scripts(networks)
    listener = open_socket(NETFILTER, (7,))
    print("listening", flush=True)
    while True:
        select.select([listener], [], [])
        for datagram in drain(listener):
            for kind, _flags, _sequence, _sender, start, end in messages(datagram or b""):
                if kind == NEWGEN and datagram:
                    culprit(attributes(datagram, start + 4, end))
                    load(nft, texts)
                    for _own in drain(listener):
                        pass


def load(nft: Any, texts: list[str]) -> None:
    """Run scripts, each one transaction."""
    for written in texts:
        code, _out, problem = nft.cmd(written)
        assert not code, problem


def bridge(_networks: int, ports: int) -> None:
    """Make the first network's bridge again, with its address, and plug its ports in."""
    name = place.name(0)
    plan = place.fresh_plan(1, Scope(None, frozenset({Layer.LINK})))
    want, asker = plan[0].want, Asker(ROUTE)
    assert isinstance(want, Bridge)
    made, alias = additions.bridge(name, want), additions.alias(name, want.alias or "")
    plugged = [socket.if_nametoindex(f"p{i}") for i in range(ports)]
    for kind, _sender, payload in events(ROUTE, LINKS, IPV4_IFADDR, IPV4_NETCONF):
        if kind != RTM_DELLINK or LINK_HEAD.unpack_from(payload)[0] == AF_BRIDGE:
            continue
        if text(attributes(payload, 16, len(payload)).get(IFLA_IFNAME, b"")) != name:
            continue
        asker.batch([made, alias])
        index = socket.if_nametoindex(name)
        asker.batch(
            [additions.address(index, place.gateway(0)), *(additions.plug(p, index) for p in plugged)]
        )


LOOPS: dict[str, Callable[..., None]] = {
    "element": element,
    "address": address,
    "forwarding": forwarding,
    "table": table,
    "bridge": bridge,
}

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        LOOPS[sys.argv[1]](*map(int, sys.argv[2:]))
