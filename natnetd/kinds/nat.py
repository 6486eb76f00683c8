"""How a network leaves: translated by any uplink or by some, untranslated, or not at all."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import ALL_PORTS, Config, Nat, Network, span
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "nat"
LAYER = Layer.NFT
TRANSLATED = ("snat4", "snatp4", "anyport", "sticky", "shuffled")
ONE_FAMILY = ("closed4", "closed6", "routed6", "exempt6")
SETS = frozenset({"routed", "closed", "anyup", "exits", "exempting", "exempt4", *ONE_FAMILY, *TRANSLATED})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill the sets that the chains `leave`, `postrouting` and `guard` ask."""
    want = [element for network in config.networks.values() for element in elements(network)]
    return diff_elements(NAME, want, seen, SETS)


def elements(network: Network) -> Iterator[Element]:
    """Say what one network needs."""
    if network.routed:
        yield Element("routed", (network.name,))
    elif network.nat is None:
        yield Element("closed", (network.name,))
    else:
        yield from translated(network, network.nat)


def translated(network: Network, nat: Nat) -> Iterator[Element]:
    """Uplinks, source and exemptions of a network that leaves by NAT.

    An exemption is keyed with the network's own prefix too: a spoofed source must not leave by it.
    Overlapping intervals are refused by the kernel (EEXIST), so prefixes are collapsed first.
    """
    name = network.name
    if not nat.uplinks and not nat.auto:
        yield Element("anyup", (name,))
    for uplink in nat.uplinks:
        yield Element("exits", (name, uplink))
    yield from sources(name, nat)
    if nat.exempt:
        yield Element("exempting", (name,))
        yield from exempted(network, nat, 4)
        yield from exempted(network, nat, 6)
    for special, on in (("closed4", not nat.ipv4), ("closed6", not nat.ipv6), ("routed6", nat.routed6)):
        if on:
            yield Element(special, (name,))


def exempted(network: Network, nat: Nat, version: int) -> Iterator[Element]:
    """Exemptions of one family."""
    there = list(collapse_addresses(n for n in nat.exempt if n.version == version))  # type: ignore[type-var]
    for prefix in collapse_addresses(a.network for a in network.addresses if a.version == version):  # type: ignore[type-var]
        for destination in there:
            yield Element(f"exempt{version}", (network.name, bare(prefix), bare(destination)))


def bare(prefix: IPv4Network | IPv6Network) -> str:
    """Write a prefix as it is read back: one of a single address is that address."""
    return str(prefix.network_address) if prefix.prefixlen == prefix.max_prefixlen else str(prefix)


def sources(name: str, nat: Nat) -> Iterator[Element]:
    """Addresses and ports of a network's translations. Only the exceptions from masquerading are elements."""
    if nat.source is not None:
        yield Element("snat4", (name,), str(nat.source))
        if nat.ports != ALL_PORTS:
            yield Element("snatp4", (name,), f"{nat.source} . {span(nat.ports)}")
    if nat.ports == ALL_PORTS:
        yield Element("anyport", (name,))
    if nat.persistent and nat.source is not None:
        yield Element("sticky", (name,))
    if nat.fully_random:
        yield Element("shuffled", (name,))
