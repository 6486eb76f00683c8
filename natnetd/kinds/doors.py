"""Forwards: an element for each, and a mark for every network that has some.

Their keys are what a packet says of itself, so their network stands in the element's comment. One that
another network claims is left to it: it changes hands in one step.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from natnetd.doors import MAPS
from natnetd.host import Layer, Snapshot
from natnetd.model import Config, Network
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "forward"
LAYER = Layer.NFT
SETS = MAPS | {"doors"}


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill the maps that the chains `named` and `anywhere` ask, and `doors`."""
    want = [element for network in config.networks.values() for element in elements(network)]
    changes = [
        change
        for change in diff_elements(NAME, want, seen, SETS)
        if change.want is not None
        or change.have is None
        or (change.have.set, change.have.key) not in config.all.doors
    ]
    yield from exchanged(changes)


def exchanged(changes: Sequence[Change[Element]]) -> Iterator[Change[Element]]:
    """Have a range of ports make room for the one that follows it: the kernel takes none that meets another.

    Only within one network: what goes and what comes must be seen together.
    """
    coming = [c for c in changes if c.have is None and c.want is not None and "span" in c.want.set]
    moved: set[str] = set()
    for change in changes if coming else ():
        if change.want is None and change.have is not None and "span" in change.have.set:
            for new in coming:
                if new.want is not None and new.network == change.network and meet(change.have, new.want):
                    yield replace(new, have=change.have)
                    moved |= {change.name, new.name}
                    break
    yield from (change for change in changes if change.name not in moved)


def meet(one: Element, other: Element) -> bool:
    """Say whether two ranges have a port in common."""
    if one.set != other.set or one.key[:-1] != other.key[:-1]:
        return False
    first, second = (tuple(map(int, element.key[-1].split("-"))) for element in (one, other))
    return first[0] <= second[-1] and second[0] <= first[-1]


def elements(network: Network) -> Iterator[Element]:
    """Say what one network needs."""
    if network.forwards:
        yield Element("doors", (network.name, network.name))
    for forward in network.forwards:
        for name, key, value in forward.rows():
            yield Element(name, key, value, owner=network.name)
