"""The table of the bridges: what guests of one network may not send each other. There while one needs it."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, collapse_addresses
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config, Guard, Network, sort_of
from natnetd.page import FRAME_PAGE, counting_on
from natnetd.plan import Change, diff, diff_blocks, diff_elements
from natnetd.rows import FRAMES, Element, Table, derived_mac

NAME = "frames"
LAYER = Layer.GUARD
CUT = ("cutting", "cutting4", "cutting6", "cutting_mac")
OWN = ("own4", "own6", "gateway4", "gateway6", "gateway_mac")
LISTED = ("listed", "listed_mac", "listed4")
SETS = frozenset({*CUT, "no_dhcp", "no_router", "truthful", *OWN, *LISTED})


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want the page as long as a network needs it and the kernel can have it, and its sets filled."""
    needed = config.all.guarded and seen.guardable
    yield from structure(seen, needed=needed)
    want = [e for n in config.networks.values() for e in elements(n, seen.machine)] if needed else []
    yield from diff_elements(NAME, want, seen, SETS, LAYER)


def structure(seen: Snapshot, *, needed: bool) -> Iterator[Change[Any]]:
    """Want the table as a whole, or the blocks of it that differ."""
    key, there = f"table {FRAMES}", seen.frames
    if there is not None and not there.whole:
        return
    page = counting_on(FRAME_PAGE, {**seen.before.drops, **(there.drops if there else {})})
    if there is None or not needed:
        have = {key: Table(there.blocks)} if there else {}
        yield from diff(LAYER, NAME, None, {key: Table(page)} if needed else {}, have)
        return
    yield from diff(LAYER, NAME, None, {key: Table()}, {key: Table(flags=there.flags)})
    yield from diff_blocks(LAYER, NAME, page, there.blocks)


def elements(network: Network, machine: str) -> Iterator[Element]:
    """Say what one network needs."""
    name, guard = network.name, network.guard
    if network.quarantine:
        yield Element("cutting", (name,))
    for guest in network.quarantine:
        yield Element(f"cutting{sort_of(guest)}", (name, guest))
    if guard is None:
        return
    if guard.rogue_dhcp:
        yield Element("no_dhcp", (name,))
    if guard.rogue_ra:
        yield Element("no_router", (name,))
    if guard.anti_spoof:
        yield from spoofing(network, guard, machine)


def spoofing(network: Network, guard: Guard, machine: str) -> Iterator[Element]:
    """Say which addresses are good: those of the network, but not the gateway's; or reserved ones only."""
    name, mac = network.name, network.mac or derived_mac(machine, network.name)
    yield Element("truthful", (name,))
    yield Element("gateway_mac", (name, mac))
    yield Element("gateway6", (name, str(link_local(mac))))
    for address in network.addresses:
        yield Element(f"gateway{address.version}", (name, str(address.ip)))
    for version in (4, 6):
        for subnet in collapse_addresses(a.network for a in network.addresses if a.version == version):  # type: ignore[type-var]  # of one family
            yield Element(f"own{version}", (name, str(subnet)))
    if not guard.strict:
        return
    yield Element("listed", (name,))
    for row in network.dhcp.reservations if network.dhcp else ():
        yield Element("listed_mac", (name, row.mac))
        yield Element("listed4", (name, row.mac, str(row.address)))


def link_local(mac: str) -> IPv6Address:
    """The address that the kernel gives an interface by itself (RFC 4291 appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    return IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:])
