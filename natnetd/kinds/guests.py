"""Per-guest numbers: which networks' packets are counted by guest. The figures themselves are no rows."""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "guests"
LAYER = Layer.NFT
SETS = frozenset({"metered"})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill `metered`."""
    want = [Element("metered", (bridge,)) for bridge, n in config.networks.items() if n.count_guests]
    return diff_elements(NAME, want, seen, SETS)
