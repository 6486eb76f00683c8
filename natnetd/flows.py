"""Which flows are as they should be; pure. After a gap in NAT the others are found and forgotten."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address

from natnetd.doors import Row
from natnetd.host import Layer
from natnetd.model import UNIQUE_LOCAL, Config, Network
from natnetd.report import Report
from natnetd.stale import Leads, leads

Subnet = IPv4Network | IPv6Network
Prefix = tuple[int, int]
"""Address and mask."""

MULTICAST, MULTICAST6 = 0xE0000000, 0xFF << 120
"""224.0.0.0, and ff00::/8: from here on nothing is translated."""


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
    multicast: int = MULTICAST
    six: "Suspects | None" = None
    """The same for IPv6, if there is any."""
    cut: frozenset[int] = frozenset()
    """Addresses of guests that are cut off: no flow of theirs lives on."""
    leads: Leads = field(default_factory=Leads)
    """Forwards, and those that were."""

    def origin(self, source: int) -> Origin | None:
        """Find whose flow it is; None: not ours to judge."""
        return next((origin for origin in self.origins if within(source, origin.prefix)), None)

    def wrong(self, origin: Origin, destination: int, *, translated: bool) -> bool:
        """Say whether a flow is against the rules: untranslated on its way out, or on no way it may take."""
        if destination >= self.multicast or destination in self.own:
            return False
        if any(within(destination, prefix) for prefix in self.inside):
            return not any(within(destination, prefix) for prefix in origin.reach)
        if origin.way_out == "nat":
            return not translated and not any(within(destination, prefix) for prefix in origin.exempt)
        return origin.way_out == "closed"


def within(address: int, prefix: Prefix) -> bool:
    """Say whether an address lies in a subnet."""
    return address & prefix[1] == prefix[0]


def suspects(config: Config, former: Iterable[Row] = ()) -> Suspects:
    """Sum up a configuration, and `former` forwards; whoever looks at the host adds its own addresses."""
    doors, doors6 = leads(config, former)
    four, six = (replace(of_family(config, v), leads=d) for v, d in ((4, doors), (6, doors6)))
    matters = six.origins or six.leads or six.cut
    return replace(four, six=replace(six, multicast=MULTICAST6) if matters else None)


def cut_off(config: Config, version: int) -> Iterator[int]:
    """Yield the addresses of guests that are cut off; they may be given by their MAC addresses too."""
    for network in config.networks.values():
        for guest in network.quarantine:
            with suppress(ValueError):
                found = ip_address(guest)
                if found.version == version:
                    yield int(found)


def of_family(config: Config, version: int) -> Suspects:
    """Sum up one family."""
    subnets = {name: prefixes(subnets_of(n, version)) for name, n in config.networks.items()}
    return Suspects(
        tuple(o for n in config.networks.values() for o in origins(n, version, subnets)),
        prefixes(subnet for n in config.networks.values() for subnet in subnets_of(n, version)),
        cut=frozenset(cut_off(config, version)),
    )


def origins(network: Network, version: int, subnets: Mapping[str, tuple[Prefix, ...]]) -> Iterator[Origin]:
    """Sum up one network."""
    nat = network.nat
    exempt = prefixes(n for n in nat.exempt if n.version == version) if nat else ()
    reach = tuple(p for name in (network.name, *network.reach) for p in subnets.get(name, ()))
    for prefix in subnets[network.name]:
        yield Origin(prefix, way_out(network, version, prefix), exempt, reach)


def way_out(network: Network, version: int, prefix: Prefix) -> str:
    """How guests of a subnet leave."""
    nat = network.nat
    if network.routed:
        return "routed"
    if nat is None or not (nat.ipv4 if version == 4 else nat.ipv6):
        return "closed"
    local = within(prefix[0], (int(UNIQUE_LOCAL.network_address), int(UNIQUE_LOCAL.netmask)))
    return "routed" if version == 6 and nat.routed6 and not local else "nat"


def subnets_of(network: Network, version: int) -> Iterator[Subnet]:
    """The subnets of a network, of one family."""
    return (a.network for a in network.addresses if a.version == version)


def prefixes(networks: Iterable[Subnet]) -> tuple[Prefix, ...]:
    """Make subnets of one family quick to compare."""
    kept = collapse_addresses(networks)  # type: ignore[type-var]
    return tuple((int(n.network_address), int(n.netmask)) for n in kept)


def gap(report: Report) -> bool:
    """Say whether a pass found a hole in NAT or isolation through which flows may have slipped."""
    return any(
        outcome.change.layer is Layer.NFT and outcome.change.kind != "counters" and outcome.error is None
        for outcome in report.outcomes
    )
