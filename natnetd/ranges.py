"""Which addresses are handed out where the file does not say; pure."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface

from natnetd.model import Dhcp, Span

MOST = 4096
"""Addresses handed out by default: dnsmasq walks its leases for each packet, and writes all on a change."""
SHARE = 16  # one part in so many is left to fixed addresses


def sensible(addresses: Iterable[IPv4Interface]) -> tuple[Span, ...]:
    """The first subnet without its first sixteenth and without gateways, MOST addresses of it."""
    all_ = tuple(addresses)
    if not all_:
        return ()
    network = all_[0].network
    size = network.num_addresses
    edge = 1 if size > 2 else 0
    low = max(edge, size // SHARE)
    high = min(size - 1 - edge, low + MOST - 1)
    start = int(network.network_address)
    taken = sorted({int(a.ip) for a in all_})
    return tuple(pieces(start + low, start + high, taken))


def pieces(low: int, high: int, taken: Iterable[int]) -> Iterator[Span]:
    """Cut single addresses out of a range."""
    for address in taken:
        if low <= address <= high:
            if low < address:
                yield Span(IPv4Address(low), IPv4Address(address - 1))
            low = address + 1
    if low <= high:
        yield Span(IPv4Address(low), IPv4Address(high))


def of(dhcp: Dhcp, addresses: Iterable[IPv4Interface]) -> tuple[Span, ...]:
    """The ranges of a network; none if only reservations count."""
    if dhcp.static_only:
        return ()
    return dhcp.ranges or sensible(addresses)


def count(spans: Iterable[Span]) -> int:
    """How many addresses there are."""
    return sum(int(span.last) - int(span.first) + 1 for span in spans)
