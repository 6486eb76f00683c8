"""`natnetd release NAME_OR_ADDRESS`: let a guest in again. Exit 0, or 1 if it is not cut off, or still is."""

import argparse
from dataclasses import replace

from natnetd.cli import cutting
from natnetd.cli.cutting import arguments
from natnetd.errors import ConfigError, HostError
from natnetd.file.guard_keys import CutOff, Known
from natnetd.model import Config, Network

__all__ = ["arguments", "run"]


def run(asked: argparse.Namespace) -> int:
    """Take the guest out of the drop-in, and wait until it is let in."""
    drop_in = cutting.place(asked.config)
    guest = cutting.guest_of(asked.guest)
    before = known_before(asked.config)
    there = cutting.entries(drop_in)
    gone = [one for one in there if asked.network in (None, one.network) and same(one, guest, before)]
    if len({one.network for one in gone}) > 1:
        names = " or ".join(one.network for one in gone)
        raise HostError(f"{guest} is cut off in {names}; say which by --network NETWORK")
    if not gone:
        raise HostError(f"{drop_in} does not cut {guest} off" + elsewhere(guest, before))
    left = [one for one in there if one not in gone]
    cutting.put(drop_in, cutting.written(left) if left else None)
    wanted, _ = cutting.in_force(asked.config)
    name = gone[0].network
    had, has = (c.networks[name].quarantine if c and name in c.networks else () for c in (before, wanted))
    freed = tuple(address for address in had if address not in has)
    how = ""
    if had and not freed:
        raise HostError(f"{drop_in} cuts {guest} off no more" + elsewhere(guest, wanted))
    if freed:
        only = replace(wanted.networks[name], quarantine=freed)
        how = cutting.settled(only, wanted, there=False)
    print(f"{guest} of {name} is let in again" + (f" ({how})" if how else ""))
    return 0


def known_before(path: str) -> Config | None:
    """Read the files; bad ones may be so because of whom they cut off."""
    try:
        return cutting.in_force(path)[0]
    except ConfigError:
        return None


def same(one: CutOff, guest: Known, wanted: Config | None) -> bool:
    """Whether an entry is about a guest, under whichever of its names."""
    network = wanted.networks.get(one.network) if wanted else None
    rows = network.dhcp.reservations if network and network.dhcp else ()
    if one.guest == guest or any({one.guest, guest} <= {r.name, r.mac, r.address} for r in rows):
        return True
    return wanted is not None and one in cutting.places_of(guest, wanted)


def both(network: Network, guest: Known) -> tuple[str, ...]:
    """Both addresses of a reservation, by one of its names."""
    rows = network.dhcp.reservations if network.dhcp else ()
    return tuple(a for r in rows if guest in (r.name, r.mac, r.address) for a in (r.mac, str(r.address)))


def elsewhere(guest: Known, wanted: Config | None) -> str:
    """Say which network's own lines cut a guest off."""
    networks = wanted.networks.values() if wanted else ()
    names = [n.name for n in networks if {str(guest), *both(n, guest)} & {*n.quarantine}]
    return f"; quarantine of {names[0]} in another file does" if names else ""
