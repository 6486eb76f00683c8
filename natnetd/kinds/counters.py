"""Statistics: what each network sent and received; a new element goes on where the last one was."""

from collections.abc import Iterable
from dataclasses import replace
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
    plain = (Element(name, (bridge,)) for bridge in config.networks for name in sorted(SETS))
    want = [replace(e, count=seen.before.counters.get(e.name, Counter())) for e in plain]
    return diff_elements(NAME, want, seen, SETS)
