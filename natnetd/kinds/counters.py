"""Statistics: what each network sent and received; a new element goes on where the last one was."""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff_elements
from natnetd.rows import Counter, Element

NAME = "counters"
LAYER = Layer.NFT
SETS = frozenset({"tx", "rx"})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill `tx` and `rx`, seeded with the last figures seen."""
    last, zero = seen.before.counters, Counter()
    want = [
        Element(name, (bridge,), count=last.get(f"{name} {bridge}", zero))
        for bridge in config.networks
        for name in ("tx", "rx")
    ]
    return diff_elements(NAME, want, seen, SETS)
