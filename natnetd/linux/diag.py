"""Whose socket holds a port at an address, asked of the kernel for one at a time (sock_diag(7)).

/proc/net/tcp and udp take 5 ms each: the kernel walks the tables of all namespaces.
"""

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from natnetd.errors import HostError
from natnetd.linux.netlink import Asker

SOCK_DIAG = 4  # protocol of AF_NETLINK
BY_FAMILY = 20
REQUEST = struct.Struct("!BBBBI HH16s16s")
"""inet_diag_req_v2 as far as byte order is the network's; then interface and cookie."""
ALL_STATES = 0xFFFFFFFF
COOKIE = struct.Struct("=III")
ANY = (0xFFFFFFFF, 0xFFFFFFFF)

Owner = tuple[int, int]
"""User and inode of a socket."""


class Diag:
    """Asks; where the kernel cannot answer at all, nothing is known."""

    def __init__(self) -> None:
        self.asker: Asker | None = None

    def holders(
        self, address: str, port: int, protocols: Iterable[int], link: int = 0
    ) -> list[Owner | None] | None:
        """Tell who holds a port at an address, for each protocol; None: that cannot be told.

        With a `link` it is whoever bound the port to that interface, or else to none.
        """
        try:
            asker = self.asker = self.asker or Asker(SOCK_DIAG)
            return [self.holder(asker, p, (address, port, link)) for p in protocols]
        except (HostError, OSError):  # no such module
            return None

    def holder(self, asker: Asker, protocol: int, place: tuple[str, int, int]) -> Owner | None:
        """Ask for one socket. Raises OSError.

        A kernel before 5.7 takes a UDP socket's own end for the other one, so both are tried.
        """
        address, port, link = place
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        own, none = socket.inet_pton(family, address).ljust(16, b"\0"), bytes(16)
        for ends in ((port, 0, own, none), (0, port, none, own)):
            body = REQUEST.pack(family, protocol, 0, 0, ALL_STATES, *ends) + COOKIE.pack(link, *ANY)
            with suppress(FileNotFoundError):
                for payload in asker.ask(BY_FAMILY, body):
                    if struct.unpack_from("!H", payload, 4)[0] == port:
                        uid, inode = struct.unpack_from("=II", payload, 64)
                        return uid, inode
        return None

    def close(self) -> None:
        """Give the socket back."""
        if self.asker:
            self.asker.close()
        self.asker = None
