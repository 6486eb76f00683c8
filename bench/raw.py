"""Messages to the kernel by hand: what disturbs must be quick, and what answers it at once even more so."""

import socket
import struct
import time
from collections.abc import Iterable

from natnetd.linux.additions import words
from natnetd.linux.dumps import ADDRESS_HEAD, IFA_LOCAL, IFLA_LINKINFO, INFO_DATA, INFO_KIND, LINK_HEAD
from natnetd.linux.elements import DELSETELEM, ELEMENTS, KEY, NESTED, NEWSETELEM, packed
from natnetd.linux.netlink import (
    HEADER,
    NETFILTER,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    ROUTE,
    attribute,
    open_socket,
)
from natnetd.linux.nfnl import NFT, TABLE_NAME, head
from natnetd.page import KEY_TYPES

RTM_NEWLINK, RTM_DELLINK, RTM_DELADDR = 16, 17, 21
DELTABLE = NFT | 2
BATCH_BEGIN, BATCH_END = 16, 17
CT_DELETE = 0x102
VETH_INFO_PEER = 1

Message = tuple[int, int, bytes]


def datagram(messages: Iterable[Message]) -> bytes:
    """Put messages (type, flags, payload) into one datagram, each to be acknowledged."""
    parts = [
        HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, number, 0) + body
        for number, (kind, flags, body) in enumerate(messages, 1)
    ]
    return b"".join(parts)


def transaction(messages: Iterable[Message]) -> bytes:
    """Put messages for nftables into one transaction."""
    about = head(0, NFT >> 8)
    begin = HEADER.pack(20, BATCH_BEGIN, NLM_F_REQUEST, 0, 0) + about
    return begin + datagram(messages) + HEADER.pack(20, BATCH_END, NLM_F_REQUEST, 0, 0) + about


def _element(kind: int, flags: int, name: str, key: tuple[str, ...]) -> Message:
    low, _high = packed(KEY_TYPES[name], key)
    inner = attribute(KEY | NESTED, attribute(1, low))
    body = head() + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    return kind, flags, body + attribute(ELEMENTS | NESTED, attribute(1 | NESTED, inner))


def add_element(name: str, key: tuple[str, ...]) -> bytes:
    """Add one element to a set of natnetd's table."""
    return transaction([_element(NEWSETELEM, NLM_F_CREATE, name, key)])


def delete_element(name: str, key: tuple[str, ...]) -> bytes:
    """Delete one element of a set of natnetd's table."""
    return transaction([_element(DELSETELEM, 0, name, key)])


def delete_table() -> bytes:
    """Delete natnetd's table."""
    return transaction([(DELTABLE, 0, head() + attribute(1, TABLE_NAME))])


def delete_address(index: int, interface: str) -> bytes:
    """Delete an IPv4 address of a link."""
    host, _, length = interface.partition("/")
    body = ADDRESS_HEAD.pack(socket.AF_INET, int(length), 0, 0, index)
    return datagram([(RTM_DELADDR, 0, body + attribute(IFA_LOCAL, socket.inet_aton(host)))])


def delete_link(name: str) -> bytes:
    """Delete a link."""
    return datagram([(RTM_DELLINK, 0, LINK_HEAD.pack(0, 0, 0, 0, 0) + words(3, name))])


def add_veth(one: str, other: str) -> bytes:
    """Make a pair of links."""
    peer = LINK_HEAD.pack(0, 0, 0, 0, 0) + words(3, other)
    about = words(INFO_KIND, "veth") + attribute(INFO_DATA, attribute(VETH_INFO_PEER, peer))
    body = LINK_HEAD.pack(0, 0, 0, 0, 0) + words(3, one) + attribute(IFLA_LINKINFO, about)
    return datagram([(RTM_NEWLINK, 0x600, body)])


def forget_flows() -> bytes:
    """Empty this namespace's part of conntrack."""
    return datagram([(CT_DELETE, 0, struct.pack(">BBH", socket.AF_INET, 0, 0))])


class Line:
    """A socket to the kernel over which prepared datagrams go."""

    def __init__(self, protocol: int) -> None:
        self.socket = open_socket(protocol)

    def send(self, prepared: bytes) -> float:
        """Send a datagram and return when the kernel was done with it; raises OSError if it refused."""
        self.socket.send(prepared)
        done = time.perf_counter()
        answer = self.socket.recv(1 << 16)
        code: int = struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise OSError(-code, "the kernel refused a message of the benchmark")
        return done

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()


def route() -> Line:
    """Open a line to rtnetlink."""
    return Line(ROUTE)


def netfilter() -> Line:
    """Open a line to nfnetlink."""
    return Line(NETFILTER)
