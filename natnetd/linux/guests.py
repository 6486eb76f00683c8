"""What guests moved, read from the sets that packets fill; only when somebody asks."""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple, Self

from natnetd.errors import HostError
from natnetd.guests import Counted, Moved
from natnetd.linux.elements import ELEMENTS, GETSETELEM, KEY, counter, elements, value
from natnetd.linux.nested import inside
from natnetd.linux.netlink import NETFILTER, PAIR, Asker, attribute
from natnetd.linux.nfnl import TABLE_NAME, head
from natnetd.rows import Counter

FAMILIES = {"4": (socket.AF_INET, 4), "6": (socket.AF_INET6, 16)}
ZERO = Counter()
NONE = (0, 0)
AT = 12
"""Where the address stands in an element: its first attribute, after three headers."""

Figures = dict[str, tuple[int, int]]
"""Packets and bytes by address."""


def read() -> Counted:
    """Read them by a socket of one's own: whichever thread this is. Raises HostError."""
    asker = Asker(NETFILTER)
    try:
        return counted(asker)
    finally:
        asker.close()


def counted(asker: Asker) -> Counted:
    """Read all six sets; those that are not there count nothing. Raises HostError."""
    guests: dict[str, Moved] = {}
    fullest = 0
    for family in FAMILIES:
        sent, received, began = (figures(asker, f"{what}{family}") for what in ("sent", "received", "began"))
        fullest = max(fullest, len(sent), len(received), len(began))
        for address in sent.keys() | received.keys() | began.keys():
            (out, size), (back, more) = sent.get(address, NONE), received.get(address, NONE)
            guests[address] = Moved(size, out, more, back, began.get(address, NONE)[0])
    return Counted(guests, fullest)


def figures(asker: Asker, name: str) -> Figures:
    """Read one set. Raises HostError."""
    body = head() + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    try:
        payloads = asker.dump(GETSETELEM, body)
    except HostError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {}
        raise permitted(error) from error
    family, size = FAMILIES[name[-1]]
    return {
        socket.inet_ntop(family, key): count
        for payload in payloads
        for key, count in listed(inside(payload[4:]).get(ELEMENTS, b""), size)
    }


class Pattern(NamedTuple):
    """What is alike in elements that packets made: all but the key and the figures.

    Sets may hold 16,384 elements each: by the pattern one takes 1 us, attribute by attribute 5.
    """

    layout: struct.Struct
    rest: tuple[bytes, bytes, bytes]
    length: int

    @classmethod
    def of(cls, element: bytes, size: int) -> Self | None:
        """Learn it of an element with a key of `size` bytes; None if it is built otherwise."""
        at = element.find(b"counter\0", AT + size) + 8
        if at < AT + size or element[at + 4 : at + 8] + element[at + 16 : at + 20] != BYTES_AND_PACKETS:
            return None
        layout = struct.Struct(f">{AT}s{size}s{at + 8 - AT - size}sQ4sQ")
        first, _, middle, _, between, _ = layout.unpack_from(element)
        return cls(layout, (first, middle, between), len(element))


BYTES_AND_PACKETS = PAIR.pack(12, 1) + PAIR.pack(12, 2)


def listed(body: bytes, size: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Read a list of elements: key, packets and bytes of each that has a counter."""
    offset, pattern = 0, None
    while offset + AT + size <= len(body):
        length: int = PAIR.unpack_from(body, offset)[0]
        if length < AT:
            return
        if pattern is not None and length == pattern.length and offset + length <= len(body):
            first, key, middle, count, between, packets = pattern.layout.unpack_from(body, offset)
            if (first, middle, between) == pattern.rest:
                yield key, (packets, count)
                offset += (length + 3) & ~3
                continue
        raw = body[offset : offset + length]
        one = inside(raw[4:])
        found = counter(one)
        if KEY in one and found is not None:
            yield value(one[KEY]), (found.packets, found.bytes)
            pattern = Pattern.of(raw, size)
        offset += (length + 3) & ~3


def networks(asker: Asker) -> dict[str, Moved]:
    """Read what each network moved as a whole. Raises HostError."""
    try:
        found = {e.name: e.count or ZERO for name in ("tx", "rx") for e in elements(asker, name)}
    except HostError as error:
        raise permitted(error) from error
    names = {name.partition(" ")[2] for name in found}
    return {n: Moved.of(found.get(f"tx {n}", ZERO), found.get(f"rx {n}", ZERO)) for n in names}


def permitted(error: HostError) -> HostError:
    """Say what is missing if it is the permission."""
    if isinstance(error.__cause__, PermissionError):
        return HostError("the kernel tells its counters to root only (CAP_NET_ADMIN): write sudo before it")
    return error
