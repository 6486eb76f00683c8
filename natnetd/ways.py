"""`auto` resolved: the uplinks of the default route, and the largest packet that the uplinks take; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from natnetd.host import Finding, State
from natnetd.model import Config, Network, Whole
from natnetd.rows import Link

LEAST_OF_IPV6 = 1280  # bytes; RFC 8200 section 5


def resolved(
    config: Config, auto: frozenset[str], links: Mapping[str, Link], auto6: frozenset[str] = frozenset()
) -> Config:
    """Put in what the host says: by which interfaces it sends to the internet, and by IPv6 (`auto6`)."""
    if not config.all.follows:
        return config
    ours = config.networks.keys()
    networks = {}
    for name, network in config.networks.items():
        outside = tuple(sorted(outer(network, auto, auto6) - ours))
        networks[name] = sized(led(network, outside), outside, links)
    return replace(config, networks=networks, whole=Whole.of(networks.values()))


def outer(network: Network, auto: frozenset[str], auto6: frozenset[str]) -> frozenset[str]:
    """The ways of the families that a network leaves by."""
    by4 = network.nat is None or network.nat.ipv4
    return (auto if by4 else frozenset()) | (auto6 if network.leaves6 else frozenset())


def led(network: Network, outside: tuple[str, ...]) -> Network:
    """Let a network leave by the default route, if it goes by that."""
    if network.nat is None or not network.nat.auto:
        return network
    return replace(network, nat=replace(network.nat, uplinks=outside))


def sized(network: Network, outside: tuple[str, ...], links: Mapping[str, Link]) -> Network:
    """Give a network the smallest MTU of its ways out, if it goes by that; none while they are not there."""
    if not network.mtu_auto or not (network.nat or network.routed):
        return network
    ways = (network.nat.uplinks if network.nat else ()) or outside
    sizes = [links[way].mtu for way in ways if way in links]
    if not sizes:
        return network
    least = LEAST_OF_IPV6 if any(a.version == 6 for a in network.addresses) else 0
    return replace(network, mtu=max(least, min(sizes)))


def astray(network: Network, config: Config, auto: frozenset[str]) -> Iterator[Finding]:
    """A network that goes by the default route while there is none."""
    if network.nat is None or not network.nat.auto or network.nat.uplinks:
        return
    inside = sorted(auto & config.networks.keys())
    why = f"the default route leads to {inside[0]}, a network of ours" if inside else "no default route"
    yield Finding(network.name, State.WAITING, f"uplink auto: {why}")


def wayless(network: Network, auto6: frozenset[str]) -> Iterator[Finding]:
    """A network that is to leave translated by IPv6 while the host itself does not."""
    if network.nat and network.leaves6 and not auto6:
        text = "the host has no default route of IPv6: by that, guests reach nobody outside"
        yield Finding(network.name, State.IN_SYNC, text)


def misfits(network: Network, link: Link, ports: Iterable[Link]) -> Iterator[Finding]:
    """Guests' interfaces of another MTU than their bridge's: what is too large for one of them is lost."""
    mtu = network.mtu or link.mtu
    odd = sorted(f"{port.name} ({port.mtu})" for port in ports if port.mtu != mtu)
    if odd:
        more = f" and {len(odd) - FEW} more" if len(odd) > FEW else ""
        text = f"ports have another MTU than {link.name} ({mtu}): {', '.join(odd[:FEW])}{more}"
        yield Finding(network.name, State.IN_SYNC, f"{text}: larger packets are lost in between")


FEW = 5
