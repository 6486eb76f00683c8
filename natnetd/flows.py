"""Which flows are as they should be; pure. After a gap in NAT the others are found and forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, collapse_addresses, ip_interface

from natnetd.host import Layer
from natnetd.model import Config
from natnetd.report import Report
from natnetd.rows import Address

Prefix = tuple[int, int]
"""Address and mask."""

MULTICAST = 0xE0000000
"""224.0.0.0: from here on nothing is translated."""


@dataclass(frozen=True, slots=True)
class Suspects:
    """Whose flows should be translated, and where to they need not be."""

    sources: tuple[tuple[Prefix, tuple[Prefix, ...]], ...] = ()
    """Subnets of networks that leave translated, each with the destinations exempt from it."""
    inside: tuple[Prefix, ...] = ()
    """Subnets of all networks."""
    own: frozenset[int] = frozenset()
    """Addresses of this host."""

    def exempt(self, source: int) -> tuple[Prefix, ...] | None:
        """Say where flows of a source may go untranslated; None if they are not ours to judge."""
        return next((exempt for prefix, exempt in self.sources if within(source, prefix)), None)

    def leaked(self, destination: int, exempt: tuple[Prefix, ...]) -> bool:
        """Say whether an untranslated flow to a destination should have been translated."""
        if destination >= MULTICAST or destination in self.own:
            return False
        return not any(within(destination, prefix) for prefix in (*exempt, *self.inside))


def within(address: int, prefix: Prefix) -> bool:
    """Say whether an address lies in a subnet."""
    return address & prefix[1] == prefix[0]


def suspects(config: Config, carried: Iterable[Address]) -> Suspects:
    """Sum up a configuration; `carried` are all addresses of the host."""
    sources = tuple(
        (prefix, prefixes(network.nat.exempt))
        for network in config.networks.values()
        if network.nat is not None and not network.routed
        for prefix in prefixes(a.network for a in network.addresses if isinstance(a, IPv4Interface))
    )
    inside = (
        a.network for n in config.networks.values() for a in n.addresses if isinstance(a, IPv4Interface)
    )
    hosts = (ip_interface(row.interface) for row in carried)
    return Suspects(sources, prefixes(inside), frozenset(int(h.ip) for h in hosts if h.version == 4))


def prefixes(networks: Iterable[IPv4Network]) -> tuple[Prefix, ...]:
    """Make subnets quick to compare."""
    return tuple((int(n.network_address), int(n.netmask)) for n in collapse_addresses(networks))


def gap(report: Report) -> bool:
    """Say whether a pass found a hole in NAT or isolation through which flows may have slipped."""
    return any(
        outcome.change.layer is Layer.NFT and outcome.change.kind != "counters" and outcome.error is None
        for outcome in report.outcomes
    )
