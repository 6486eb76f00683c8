"""Forwards: an element for each, and a mark for every network that has some.

Their keys are what a packet says of itself, so their network stands in the element's comment. One that
another network claims is left to it: it changes hands in one step.
"""

from collections.abc import Iterable, Iterator
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
    for change in diff_elements(NAME, want, seen, SETS):
        have = change.have
        if change.want is not None or have is None or (have.set, have.key) not in config.all.doors:
            yield change


def elements(network: Network) -> Iterator[Element]:
    """Say what one network needs."""
    if network.forwards:
        yield Element("doors", (network.name, network.name))
    for forward in network.forwards:
        for name, key, value in forward.rows():
            yield Element(name, key, value, owner=network.name)
