"""Which elements of a set of intervals are in each other's way; pure.

No such set holds two that meet. Asked for a prefix that is wider than one it has, Linux 6.1 answers "done"
and adds nothing; 6.18 refuses it (EEXIST). So the one has to go in the transaction in which the other comes.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator

from natnetd.page import INTERVALS, KEY_TYPES
from natnetd.rows import CATCH_ALL, Element

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Bounds = tuple[tuple[int, int], ...]
"""First and last value of each part of a key that may be a range."""
PROTOCOLS = {"tcp": 6, "udp": 17}
"""As nft calls them (RFC 1700)."""


def in_the_way(there: Iterable[Element], new: Iterable[Element]) -> Iterator[Element]:
    """Yield what has to go before some of the new elements can come."""
    coming: dict[tuple[str, ...], list[Bounds]] = defaultdict(list)
    for row in new:
        if row.set in INTERVALS:
            coming[place(row)].append(bounds(row))
    for row in there if coming else ():
        if row.key != CATCH_ALL and (near := coming.get(place(row))):
            own = bounds(row)
            if any(meet(own, other) for other in near):
                yield row


def place(row: Element) -> tuple[str, ...]:
    """The set and the names of interfaces in the key: elements of different places never meet."""
    types = KEY_TYPES[row.set]
    return (row.set, *(part for kind, part in zip(types, row.key, strict=True) if kind == "ifname"))


def bounds(row: Element) -> Bounds:
    """First and last value of each other part."""
    parts = zip(KEY_TYPES[row.set], row.key, strict=True)
    return tuple(numbers(kind, part) for kind, part in parts if kind != "ifname")


def numbers(kind: str, part: str) -> tuple[int, int]:
    """First and last value of a port, a protocol or an address, or of a range of them."""
    if kind not in ("inet_service", "inet_proto"):
        first_one, last_one = ends(part)
        return int(first_one), int(last_one)
    first, _, last = part.partition("-")
    return number(first), number(last or first)


def number(word: str) -> int:
    """A port's number, or a protocol's by name or number."""
    return PROTOCOLS.get(word) or int(word)


def meet(one: Bounds, other: Bounds) -> bool:
    """Say whether two have a value in common: they do if they have one in each part."""
    return all(a <= d and c <= b for (a, b), (c, d) in zip(one, other, strict=True))


def ends(part: str) -> tuple[Address, Address]:
    """First and last address of a prefix, or of a range."""
    first, dash, last = part.partition("-")
    if dash:
        return ipaddress.ip_address(first), ipaddress.ip_address(last)
    if "/" not in part:
        return ipaddress.ip_address(part), ipaddress.ip_address(part)
    network = ipaddress.ip_network(part)
    return network[0], network[-1]
