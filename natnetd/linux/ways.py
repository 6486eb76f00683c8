"""By which interfaces the host sends to the internet: the kernel's own lookup, and what may change it."""

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from natnetd.errors import HostError
from natnetd.host import ALL
from natnetd.linux import dumps
from natnetd.linux.dumps import (
    IFLA_MASTER,
    LINK_HEAD,
    ROUTE_HEAD,
    RTA_DST,
    RTM_GETROUTE,
    UNICAST,
    exits,
)
from natnetd.linux.events import (
    AF_BRIDGE,
    IPV4_IFADDR,
    IPV4_ROUTE,
    IPV6_IFADDR,
    IPV6_ROUTE,
    LINKS,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWLINK,
    drain,
)
from natnetd.linux.netlink import (
    ADD_MEMBERSHIP,
    ROUTE,
    SOL_NETLINK,
    Asker,
    attribute,
    attributes,
    messages,
    open_socket,
)
from natnetd.wake import Notice

PROBE, PROBE6 = IPv4Address("198.41.0.4"), IPv6Address("2001:503:ba3e::2:30")
"""Asked for, never sent to: a root name server (IANA's root hints), which nobody routes by itself."""
PROBES: dict[int, IPv4Address | IPv6Address] = {socket.AF_INET: PROBE, socket.AF_INET6: PROBE6}
RTM_F_FIB_MATCH = 0x2000  # answer with the route itself (Linux 4.13): all its next hops, not one of them
NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP})
"""No route, or one of type unreachable, prohibit, blackhole (fib_props of the kernel), or no such family."""
RTM_NEWROUTE = 24
IPV4_RULE, IPV6_RULE, NEXTHOP = 8, 19, 32  # multicast groups that have no messages but theirs


def to_internet(asker: Asker, family: socket.AddressFamily = socket.AF_INET) -> frozenset[str]:
    """Ask the kernel: rules and all tables count, for a packet without a mark. Raises HostError."""
    probe = PROBES[family]
    body = ROUTE_HEAD.pack(family, probe.max_prefixlen, 0, 0, 0, 0, 0, 0, RTM_F_FIB_MATCH)
    body += attribute(RTA_DST, probe.packed)
    found: set[str] = set()
    try:
        for route in asker.ask(RTM_GETROUTE, body):
            for index in exits(route) if route[7] == UNICAST else ():
                with suppress(OSError):  # it went away meanwhile
                    found.add(socket.if_indextoname(index))
    except OSError as error:
        if error.errno not in NO_WAY:
            raise HostError(f"cannot look up a route: {error.strerror}") from error
    return frozenset(found - {"lo"})


Ways = tuple[frozenset[str], frozenset[str]]
"""By IPv4, and by IPv6."""


def both(asker: Asker) -> Ways:
    """Ask for either family. Raises HostError."""
    return to_internet(asker), to_internet(asker, socket.AF_INET6)


FAMILIES = (IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE)


class WayEvents:
    """Tells when the way to the internet has become another one; hears nothing while nobody goes by it.

    A burst of news costs one lookup (30 us), whatever its size, and an overrun costs no more: so a host with
    a routing daemon pays for what it hears, not with looks. The kernel removes routes with their link or
    address without a word about them, so news of those count too.
    """

    def __init__(self) -> None:
        self.socket = open_socket(ROUTE, ())
        self.socket.setblocking(False)
        self.asker = Asker(ROUTE)
        self.known: Ways | None = None

    def fileno(self) -> int:
        """Readable when there is news."""
        return self.socket.fileno()

    def follow(self, known: frozenset[str], known6: frozenset[str] = frozenset()) -> bool:
        """Take it that these ways are known. Returns whether they are others by now: the first time only."""
        first = self.known is None
        self.known = known, known6
        if not first:
            return False
        for group in (LINKS, *FAMILIES, NEXTHOP):
            self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
        return both(self.asker) != self.known

    def strange(self, seen: frozenset[str], seen6: frozenset[str] = frozenset()) -> bool:
        """Say whether these ways are others than those that are known, if any are."""
        return self.known not in (None, (seen, seen6))

    def read(self) -> Iterator[Notice]:
        """Look the way up if anything may have changed it; tell if it did."""
        concerned = False
        for datagram in drain(self.socket):
            concerned = concerned or datagram is None or any(map(concerns, *bodies(datagram)))
        if not concerned or self.known is None:
            return
        # Links and addresses are told of before their routes go; this waits for the lock of whoever does it.
        with suppress(HostError):
            dumps.one_link(self.asker, LINK_HEAD.pack(0, 0, 1, 0, 0))
        with suppress(HostError):
            found = both(self.asker)
            if found != self.known:
                self.known = found
                yield Notice(ALL)


def bodies(datagram: bytes) -> tuple[list[int], list[bytes]]:
    """Split a datagram into the types and the payloads of its messages."""
    found = [(kind, datagram[start:end]) for kind, _flags, _seq, _from, start, end in messages(datagram)]
    return [kind for kind, _ in found], [body for _, body in found]


def concerns(kind: int, body: bytes) -> bool:
    """Say whether news may change the way: not routes to elsewhere, nor bridges' ports that come and go."""
    if kind in (RTM_NEWROUTE, RTM_DELROUTE):
        length = body[1]
        if not length:
            return True
        to = attributes(body, 12, len(body)).get(RTA_DST, b"")
        probe = PROBES.get(body[0], PROBE)
        shift = probe.max_prefixlen - length
        fits = len(to) == len(probe.packed)
        return fits and int.from_bytes(to, "big") >> shift == int(probe) >> shift
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        family = struct.unpack_from("=B", body)[0]
        return family != AF_BRIDGE and IFLA_MASTER not in attributes(body, 16, len(body))
    return True
