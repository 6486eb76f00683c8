"""Which flows are as they should be; pure. After a gap in NAT the others are found and forgotten."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, collapse_addresses

from natnetd.host import Layer
from natnetd.model import Config, Network
from natnetd.report import Report
from natnetd.stale import Leads, leads

Prefix = tuple[int, int]
"""Address and mask."""

MULTICAST = 0xE0000000
"""224.0.0.0: from here on nothing is translated."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A subnet whose flows are looked at: where to they may go, and how."""

    prefix: Prefix
    way_out: str
    """nat, routed or closed."""
    exempt: tuple[Prefix, ...] = ()
    reach: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspects:
    """All that is needed to tell a flow that should not be, or not be so."""

    origins: tuple[Origin, ...] = ()
    inside: tuple[Prefix, ...] = ()
    """Subnets of all networks."""
    own: frozenset[int] = frozenset()
    """Addresses of this host."""
    leads: tuple[Leads, Leads] = (Leads(), Leads())
    """Forwards, of IPv4 and of IPv6."""

    def origin(self, source: int) -> Origin | None:
        """Find whose flow it is; None: not ours to judge."""
        return next((origin for origin in self.origins if within(source, origin.prefix)), None)

    def wrong(self, origin: Origin, destination: int, *, translated: bool) -> bool:
        """Say whether a flow is against the rules: untranslated on its way out, or on no way it may take."""
        if destination >= MULTICAST or destination in self.own:
            return False
        if any(within(destination, prefix) for prefix in self.inside):
            return not any(within(destination, prefix) for prefix in origin.reach)
        if origin.way_out == "nat":
            return not translated and not any(within(destination, prefix) for prefix in origin.exempt)
        return origin.way_out == "closed"


def within(address: int, prefix: Prefix) -> bool:
    """Say whether an address lies in a subnet."""
    return address & prefix[1] == prefix[0]


def suspects(config: Config) -> Suspects:
    """Sum up a configuration; whoever looks at the host adds its own addresses."""
    subnets = {name: prefixes(subnets_of(network)) for name, network in config.networks.items()}
    return Suspects(
        tuple(o for n in config.networks.values() for o in origins(n, subnets)),
        prefixes(subnet for n in config.networks.values() for subnet in subnets_of(n)),
        leads=leads(config),
    )


def origins(network: Network, subnets: Mapping[str, tuple[Prefix, ...]]) -> Iterator[Origin]:
    """Sum up one network."""
    way_out = "routed" if network.routed else "nat" if network.nat else "closed"
    exempt = prefixes(network.nat.exempt) if network.nat else ()
    reach = tuple(p for name in (network.name, *network.reach) for p in subnets.get(name, ()))
    for prefix in subnets[network.name]:
        yield Origin(prefix, way_out, exempt, reach)


def subnets_of(network: Network) -> Iterator[IPv4Network]:
    """The IPv4 subnets of a network."""
    return (a.network for a in network.addresses if isinstance(a, IPv4Interface))


def prefixes(networks: Iterable[IPv4Network]) -> tuple[Prefix, ...]:
    """Make subnets quick to compare."""
    return tuple((int(n.network_address), int(n.netmask)) for n in collapse_addresses(networks))


def gap(report: Report) -> bool:
    """Say whether a pass found a hole in NAT or isolation through which flows may have slipped."""
    return any(
        outcome.change.layer is Layer.NFT and outcome.change.kind != "counters" and outcome.error is None
        for outcome in report.outcomes
    )
