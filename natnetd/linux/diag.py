"""Whose socket holds a port at an address, asked of the kernel for one at a time (sock_diag(7)).

/proc/net/tcp and udp take 5 ms each: the kernel walks the tables of all namespaces.
"""

import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from socket import IPPROTO_UDP

from natnetd.errors import HostError
from natnetd.linux.netlink import Asker, attributes

SOCK_DIAG = 4  # protocol of AF_NETLINK
BY_FAMILY = 20
REQUEST = struct.Struct("!BBBBI HH16s16s")
"""inet_diag_req_v2 as far as byte order is the network's; then interface and cookie."""
ALL_STATES = 0xFFFFFFFF
COOKIE = struct.Struct("=III")
ANY = (0xFFFFFFFF, 0xFFFFFFFF)

INTERFACE, INTERFACE_AT = struct.Struct("=I"), 40
OWNER, OWNER_AT = struct.Struct("=II"), 64
ATTRIBUTES = 72
"""Where parts of inet_diag_msg stand, and what is behind it."""
CGROUP_ID = 21  # INET_DIAG_CGROUP_ID: Linux 5.9; everybody is told

Owner = tuple[int, int]
"""User and inode of a socket."""


def family_of(address: str) -> socket.AddressFamily:
    """Tell an address's family."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Diag:
    """Asks; where the kernel cannot answer at all, nothing is known."""

    def __init__(self) -> None:
        self.asker: Asker | None = None

    def holders(self, address: str, port: int, protocols: Iterable[int]) -> list[Owner | None] | None:
        """Tell who holds a port at an IPv4 address, for each protocol; None: that cannot be told."""
        try:
            asker = self.asker = self.asker or Asker(SOCK_DIAG)
            return [self.holder(asker, p, (address, port, 0)) for p in protocols]
        except (HostError, OSError):  # no such module
            return None

    def bound(self, port: int, link: int, address: str = "0.0.0.0") -> Iterator[Owner]:  # noqa: S104
        """Tell who bound a port to an interface by UDP. Raises HostError, OSError: that cannot be told.

        First whom the kernel finds at once: where somebody has bound the port to none, that may be him. Then
        all there are, which takes some ms.
        """
        asker = self.asker = self.asker or Asker(SOCK_DIAG)
        found = self.socket(asker, IPPROTO_UDP, (address, port, link))
        if found and INTERFACE.unpack_from(found, INTERFACE_AT)[0] == link:
            yield OWNER.unpack_from(found, OWNER_AT)
        body = REQUEST.pack(family_of(address), IPPROTO_UDP, 0, 0, ALL_STATES, port, 0, bytes(16), bytes(16))
        for row in asker.dump(BY_FAMILY, body + COOKIE.pack(0, *ANY)):
            here = struct.unpack_from("!H", row, 4)[0] == port
            if here and INTERFACE.unpack_from(row, INTERFACE_AT)[0] == link:
                yield OWNER.unpack_from(row, OWNER_AT)

    def cgroup(self, address: str, port: int, protocol: int) -> int | None:
        """Tell the control group of whoever holds a port: any user may know that, if not the process."""
        with suppress(HostError, OSError):
            asker = self.asker = self.asker or Asker(SOCK_DIAG)
            found = self.socket(asker, protocol, (address, port, 0))
            told = attributes(found, ATTRIBUTES, len(found)).get(CGROUP_ID) if found else None
            return int.from_bytes(told, sys.byteorder) if told else None
        return None

    def holder(self, asker: Asker, protocol: int, place: tuple[str, int, int]) -> Owner | None:
        """Ask whose a socket is. Raises OSError."""
        found = self.socket(asker, protocol, place)
        if found is None:
            return None
        return OWNER.unpack_from(found, OWNER_AT)

    def socket(self, asker: Asker, protocol: int, place: tuple[str, int, int]) -> bytes | None:
        """Ask for one socket. Raises OSError.

        A kernel before 5.7 takes a UDP socket's own end for the other one, so both are tried.
        """
        address, port, link = place
        family = family_of(address)
        own, none = socket.inet_pton(family, address).ljust(16, b"\0"), bytes(16)
        for ends in ((port, 0, own, none), (0, port, none, own)):
            body = REQUEST.pack(family, protocol, 0, 0, ALL_STATES, *ends) + COOKIE.pack(link, *ANY)
            with suppress(FileNotFoundError):
                for payload in asker.ask(BY_FAMILY, body):
                    if struct.unpack_from("!H", payload, 4)[0] == port:
                        return payload
        return None

    def close(self) -> None:
        """Give the socket back."""
        if self.asker:
            self.asker.close()
        self.asker = None
