"""Interfaces outside from which new connections to a network are let in."""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "inbound"
LAYER = Layer.NFT
SETS = frozenset({"inbound"})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill `inbound`."""
    want = [Element("inbound", (n.name, door)) for n in config.networks.values() for door in n.inbound]
    return diff_elements(NAME, want, seen, SETS)
