"""Services of the host that hold ports which forwards take: dumps of sockets that listen (sock_diag(7))."""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from socket import AF_INET, AF_INET6

from natnetd.around import Listener
from natnetd.doors import Forward
from natnetd.errors import HostError
from natnetd.linux.diag import BY_FAMILY, COOKIE, REQUEST, SOCK_DIAG
from natnetd.linux.netlink import Asker, attributes
from natnetd.linux.ports import owner

PROTOCOLS = {"tcp": (6, 1 << 10), "udp": (17, 1 << 7)}  # states TCP_LISTEN; TCP_CLOSE: not connected
SKV6ONLY = 11
HEAD = 72
"""Size of inet_diag_msg; attributes follow."""
MOST_NAMED = 20
"""So many processes are looked for: each takes a walk through /proc."""


@dataclass(slots=True)
class Listeners:
    """Looks at them; who has a socket is asked once."""

    asker: Asker | None = None
    owners: dict[int, str] = field(default_factory=dict)

    def look(self, doors: Iterable[Forward]) -> tuple[Listener, ...]:
        """See who listens where these forwards do; nobody if that cannot be told."""
        wanted = tuple(doors)
        if not wanted:
            return ()
        ports = {name: marks(wanted, name) for name in PROTOCOLS}
        alone = {str(door.at) for door in wanted if not door.protocols}
        found: list[Listener] = []
        with suppress(HostError, OSError):
            self.asker = self.asker or Asker(SOCK_DIAG)
            for name, (number, states) in PROTOCOLS.items():
                for family in (AF_INET, AF_INET6):
                    found += [
                        listener
                        for listener in sockets(self.asker, name, (family, number, states))
                        if ports[name][listener.port] or listener.address in alone
                    ]
        there = {listener.inode for listener in found}
        self.owners = {inode: name for inode, name in self.owners.items() if inode in there}
        return tuple(self.named(found))

    def named(self, found: Iterable[Listener]) -> Iterator[Listener]:
        """Say which process each is of."""
        for listener in sorted(set(found)):
            inode = listener.inode
            if inode not in self.owners and len(self.owners) < MOST_NAMED:
                self.owners[inode] = owner(inode)
            yield replace(listener, owner=self.owners.get(inode) or f"somebody (user {listener.uid})")

    def close(self) -> None:
        """Give the socket back."""
        if self.asker:
            self.asker.close()
        self.asker = None


def marks(doors: Iterable[Forward], protocol: str) -> bytearray:
    """Tell the ports of a protocol that are forwarded."""
    found = bytearray(65536)
    for door in doors:
        if protocol in door.protocols:
            first, last = door.ports
            found[first : last + 1] = b"\1" * (last + 1 - first)
    return found


def sockets(asker: Asker, name: str, asked: tuple[int, int, int]) -> Iterator[Listener]:
    """Yield the sockets of a protocol that listen. Raises HostError, OSError."""
    family, number, states = asked
    host_order = socket.htonl(states)  # unlike the rest of the request, which is in the network's order
    body = REQUEST.pack(family, number, 0, 0, host_order, 0, 0, bytes(16), bytes(16)) + COOKIE.pack(0, 0, 0)
    for payload in asker.dump(BY_FAMILY, body):
        size = 4 if family == AF_INET else 16
        address = ip_address(payload[8 : 8 + size])
        port = struct.unpack_from("!H", payload, 4)[0]
        uid, inode = struct.unpack_from("=II", payload, 64)
        only = attributes(payload, HEAD, len(payload)).get(SKV6ONLY, b"\1")[:1] == b"\1"
        families = (4,) if family == AF_INET else (6,) if only else (4, 6)
        yield Listener(name, str(address), port, families, uid, inode)
