"""What tells that a route of the kernel's own went: addresses and links are told of by themselves."""

import ctypes
import socket
import struct
from collections.abc import Iterator

from natnetd.host import Layer, Scope
from natnetd.linux.dumps import RT_TABLE_MAIN, RTA_OIF, RTPROT_KERNEL, number
from natnetd.linux.events import IPV4_ROUTE, IPV6_ROUTE, RTM_DELROUTE, RouteEvents, drain
from natnetd.linux.netlink import ADD_MEMBERSHIP, ROUTE, SOL_NETLINK, attributes, messages, open_socket
from natnetd.wake import Notice

SO_ATTACH_FILTER = 26
ADDRESS_ONLY = frozenset({Layer.ADDRESS})


def bpf() -> bytes:
    """A filter that lets pass what the kernel tells of its own routes of the main table that went.

    A host with a routing daemon hears of hundreds of thousands, which are not its own.
    """
    deleted = int.from_bytes(struct.pack("=H", RTM_DELROUTE), "big")  # loads are in network order
    load_half, load_byte, equal, end = 0x28, 0x30, 0x15, 0x06
    lines = [
        (load_half, 0, 0, 4),  # nlmsghdr.nlmsg_type
        (equal, 0, 5, deleted),
        (load_byte, 0, 0, 16 + 4),  # rtmsg.rtm_table
        (equal, 0, 3, RT_TABLE_MAIN),
        (load_byte, 0, 0, 16 + 5),  # rtmsg.rtm_protocol
        (equal, 0, 1, RTPROT_KERNEL),
        (end, 0, 0, 0xFFFFFFFF),
        (end, 0, 0, 0),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


class RouteLoss:
    """Tells when such a route went, of the bridges that `events` is about."""

    def __init__(self, events: RouteEvents) -> None:
        """Listen. Raises HostError."""
        self.events = events
        self.socket = open_socket(ROUTE, ())
        self.socket.setblocking(False)
        lines = bpf()
        buffer = ctypes.create_string_buffer(lines, len(lines))
        program = struct.pack("@HP", len(lines) // 8, ctypes.addressof(buffer))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        for group in (IPV4_ROUTE, IPV6_ROUTE):
            self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """Readable when there is news."""
        return self.socket.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell whose it was."""
        for datagram in drain(self.socket):
            if datagram is None:
                yield Notice(Scope(None, ADDRESS_ONLY, host=False))
                continue
            for _kind, _flags, _sequence, _sender, start, end in messages(datagram):
                index = attributes(datagram, start + 12, end).get(RTA_OIF)
                name = self.events.near.get(number(index)) if index else None
                if name in self.events.bridges:
                    yield Notice(Scope(frozenset({name}), ADDRESS_ONLY, host=False))
