"""Guests' interfaces that lost their bridge with its deletion: they are plugged in again.

Which they were cannot be looked up afterwards: the burst of the deletion's own events names them, and
they travel in `before`. One that has found another bridge meanwhile, or is gone, is left alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change
from natnetd.rows import Port

NAME = "port"
LAYER = Layer.LINK


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Plug in the former ports of each network's bridge that are plugged in nowhere."""
    orphans = {link.index: link for link in seen.links.values() if link.master is None}
    for bridge, ports in seen.before.ports.items():
        if bridge not in config.networks:
            continue
        for port in ports:
            if port.index in orphans:
                key = f"{orphans[port.index].name} on {bridge}"
                want = replace(port, bridge=bridge)
                yield Change(LAYER, NAME, bridge, key, Port(port.index, None), want)
