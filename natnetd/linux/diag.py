"""Whose socket holds a port at an address, asked of the kernel for one at a time (sock_diag(7)).

/proc/net/tcp and udp take 5 ms each: the kernel walks the tables of all namespaces.
"""

import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

from natnetd.errors import HostError
from natnetd.linux.netlink import Asker, attributes

SOCK_DIAG = 4  # protocol of AF_NETLINK
BY_FAMILY = 20
REQUEST = struct.Struct("!BBBBI HH16s16s")
"""inet_diag_req_v2 as far as byte order is the network's; then interface and cookie."""
ALL_STATES = 0xFFFFFFFF
COOKIE = struct.Struct("=III")
ANY = (0xFFFFFFFF, 0xFFFFFFFF)

ATTRIBUTES = 72
"""Where they begin: behind inet_diag_msg."""
CGROUP_ID = 21  # INET_DIAG_CGROUP_ID: Linux 5.9; everybody is told

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
        uid, inode = struct.unpack_from("=II", found, 64)
        return uid, inode

    def socket(self, asker: Asker, protocol: int, place: tuple[str, int, int]) -> bytes | None:
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
                        return payload
        return None

    def close(self) -> None:
        """Give the socket back."""
        if self.asker:
            self.asker.close()
        self.asker = None
