"""Addresses of bridges: the wanted ones are there, whoever added them; only our own are ever taken away."""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff
from natnetd.rows import Address

NAME = "address"
LAYER = Layer.ADDRESS


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want each network's addresses, marked as ours except where somebody else's bridge carries them."""
    for name in sorted(config.networks.keys() | seen.addresses.keys()):
        link, network = seen.links.get(name), config.networks.get(name)
        wanted = () if network is None else network.addresses
        mark = True if link is None or seen.owns(link) else None
        want = {f"{a} on {name}": Address(name, str(a), mark) for a in wanted}
        have = {}
        for row in seen.addresses.get(name, ()):
            key = f"{row.interface} on {name}"
            if key in want:
                have[key] = row if mark else Address(name, row.interface)
            elif row.marked:
                have[key] = row
        yield from diff(LAYER, NAME, name, want, have)
