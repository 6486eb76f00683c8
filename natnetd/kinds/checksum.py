"""Checksums of DHCP's answers, which Linux leaves to the network card: completed before a guest reads them.

A virtual card never does. A client without an address reads raw packets; if it does not ask whether their
checksum is complete (PACKET_AUXDATA, packet(7)) it takes answers for damaged, as networkd did in
lxc/incus#1997.
"""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff
from natnetd.rows import Checksum

NAME = "checksum"
LAYER = Layer.TRAFFIC


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want them completed on the bridge of each network that hands out addresses, if this kernel can."""
    there = seen.checksums
    if there is None:
        return
    for name in sorted(config.networks.keys() | there.keys()):
        network = config.networks.get(name)
        want = {name: Checksum()} if network and network.dhcp else {}
        yield from diff(LAYER, NAME, name, want, {name: there[name]} if name in there else {})
