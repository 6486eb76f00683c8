"""Which services of the host guests may open connections to: elements only where it is not all of them."""

from collections.abc import Iterable, Iterator
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import PROTOCOLS, Config, Network, span
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "access"
LAYER = Layer.NFT
SETS = frozenset({"walled", *(f"host_{protocol}" for protocol in PROTOCOLS)})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill the sets that the chain `input` asks."""
    want = [element for network in config.networks.values() for element in elements(network)]
    return diff_elements(NAME, want, seen, SETS)


def elements(network: Network) -> Iterator[Element]:
    """Say what one network needs."""
    if network.host_access is None:
        return
    yield Element("walled", (network.name,))
    for protocol in PROTOCOLS:
        ports = ((s.first, s.last) for s in network.host_access if s.protocol == protocol)
        for merged in collapsed(ports):
            yield Element(f"host_{protocol}", (network.name, span(merged)))


def collapsed(ports: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges that meet: overlapping intervals are refused by the kernel (EEXIST)."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ports):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found
