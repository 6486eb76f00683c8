"""`auto` resolved: the uplinks of the default route, and the largest packet that the uplinks take; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from natnetd.host import Finding, State
from natnetd.model import Config, Network, Whole
from natnetd.rows import Link

LEAST_OF_IPV6 = 1280  # bytes; RFC 8200 section 5


def resolved(config: Config, auto: frozenset[str], links: Mapping[str, Link]) -> Config:
    """Put in what the host says: `auto` are the interfaces by which it sends to the internet."""
    if not config.all.follows:
        return config
    outside = tuple(sorted(auto - config.networks.keys()))
    networks = {name: sized(led(n, outside), outside, links) for name, n in config.networks.items()}
    return replace(config, networks=networks, whole=Whole.of(networks.values()))


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


def misfits(network: Network, link: Link, ports: Iterable[Link]) -> Iterator[Finding]:
    """Guests' interfaces of another MTU than their bridge's: what is too large for one of them is lost."""
    mtu = network.mtu or link.mtu
    odd = sorted(f"{port.name} ({port.mtu})" for port in ports if port.mtu != mtu)
    if odd:
        more = f" and {len(odd) - FEW} more" if len(odd) > FEW else ""
        text = f"ports have another MTU than {link.name} ({mtu}): {', '.join(odd[:FEW])}{more}"
        yield Finding(network.name, State.IN_SYNC, f"{text}: larger packets are lost in between")


FEW = 5
