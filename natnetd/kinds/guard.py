"""What guests may not do by way of the host: use other addresses, flood, or do anything at all if cut off."""

from collections.abc import Iterable, Iterator
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config, Guard, Network, sort_of
from natnetd.plan import Change, diff_elements
from natnetd.rows import Element

NAME = "guard"
LAYER = Layer.NFT
SPOOFING = ("honest", "strict", "reserved", "reserved4")
SETS = frozenset({"watched", "cut4", "cut6", "cut_mac", *SPOOFING, "wary", "fresh", "crowd"})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Fill the sets that the chains `arrive`, `depart`, `wary` and `forward` ask."""
    want = [element for network in config.networks.values() for element in elements(network)]
    return diff_elements(NAME, want, seen, SETS)


def elements(network: Network) -> Iterator[Element]:
    """Say what one network needs."""
    name, guard = network.name, network.guard
    if network.quarantine or (guard and guard.anti_spoof):
        yield Element("watched", (name,))
    for guest in network.quarantine:
        yield Element(f"cut{sort_of(guest)}", (name, guest))
    if guard is None:
        return
    if guard.anti_spoof:
        yield from spoofing(network, guard)
    if guard.bogons:
        yield Element("wary", (name,))
    if guard.new_connections:
        yield Element("fresh", (name,), f"jump fresh_{guard.new_connections}")
    if guard.open_connections:
        yield Element("crowd", (name,), f"jump crowd_{guard.open_connections}")


def spoofing(network: Network, guard: Guard) -> Iterator[Element]:
    """Say whose addresses are looked at, and which are good if only reserved ones are."""
    yield Element("honest", (network.name,))
    if not guard.strict:
        return
    yield Element("strict", (network.name,))
    for row in network.dhcp.reservations if network.dhcp else ():
        yield Element("reserved", (network.name, row.mac))
        yield Element("reserved4", (network.name, row.mac, str(row.address)))
