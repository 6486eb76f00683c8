"""Which networks there are, and which may open connections to which: itself, and whom it reaches."""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "isolation"
LAYER = Layer.NFT
SETS = frozenset({"nets", "pairs"})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill `nets` and `pairs`; whether a reached network exists is not asked, its name says enough."""
    want = [Element("nets", (name,)) for name in config.networks]
    want += [Element("pairs", (n.name, to)) for n in config.networks.values() for to in (n.name, *n.reach)]
    return diff_elements(NAME, want, seen, SETS)
