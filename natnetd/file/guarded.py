"""What a file says of guards: judged against the networks it is about, and as values."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from natnetd.errors import Complaint
from natnetd.file.draft import Draft, Found
from natnetd.file.guard_keys import Known
from natnetd.file.nodes import complaint
from natnetd.file.reading import meant
from natnetd.model import Guard, Network, Reservation

SWITCHES = ("anti_spoof", "strict", "rogue_dhcp", "rogue_ra", "bogons")
LIMITS = ("new_connections", "open_connections")


def complete(draft: Draft, network: Network, cut: Iterable[Found]) -> Network:
    """Return the network with its guard, for a draft that nobody complained about."""
    return replace(
        network, guard=guard_of(draft), quarantine=tuple(dict.fromkeys(known(draft, network, cut)))
    )


def guard_of(draft: Draft) -> Guard | None:
    """Return what guests may not do."""
    if not draft.one("guard"):
        return None
    said: dict[str, Any] = {name: draft.one(f"guard.{name}") for name in SWITCHES}
    limits: dict[str, Any] = {name: draft.one(f"guard.{name}") or None for name in LIMITS}
    return Guard(**{name: value for name, value in said.items() if value is not None}, **limits)


def known(draft: Draft, network: Network, cut: Iterable[Found]) -> Iterator[str]:
    """Yield the addresses of whom is cut off; a reservation has two."""
    here = [found.value for found in draft.found("guard.quarantine")] if draft.one("guard") else []
    here += [found.value.guest for found in cut if found.value.network == network.name]
    rows = network.dhcp.reservations if network.dhcp else ()
    for guest in here:
        row = reserved(guest, rows)
        yield from (row.mac, str(row.address)) if row else (str(guest),)


def reserved(guest: Known, rows: Iterable[Reservation]) -> Reservation | None:
    """Find the reservation of a guest, by its name or one of its addresses."""
    return next((row for row in rows if guest in (row.name, row.mac, row.address)), None)


def check(defaults: Draft, drafts: Sequence[Draft], cut: Iterable[Found]) -> Iterator[Complaint]:
    """Yield what cannot be: strict without anti_spoof, or guests that cannot be there."""
    for found in defaults.found("guard.quarantine"):
        yield complaint(found.node, "a guest is of one network; write it under that one")
    for draft in (defaults, *drafts):
        spoof, strict = draft.found("guard.anti_spoof"), draft.found("guard.strict")
        if strict and strict[0].value and spoof and not spoof[0].value:
            later = max((spoof[0], strict[0]), key=lambda found: found.node.mark)
            yield complaint(later.node, "strict takes anti_spoof; write anti_spoof: true, or leave it out")
    for draft in drafts:
        if "guard.quarantine" in draft.own:
            for found in draft.found("guard.quarantine"):
                yield from check_guest(draft, found, found.value)
    by_name = {draft.key.text: draft for draft in drafts}
    for found in cut:
        if found.value.network in by_name:
            yield from check_guest(by_name[found.value.network], found, found.value.guest)
        else:
            near = meant(found.value.network, tuple(by_name)[:200])
            right = f"did you mean {near}?" if near else "remove it"
            yield complaint(found.node, f"{found.value.network} is not a network of ours; {right}")


def check_guest(draft: Draft, found: Found, guest: Known) -> Iterator[Complaint]:
    """Yield a guest that a network cannot have."""
    addresses = draft.every("addresses")
    if isinstance(guest, IPv4Address | IPv6Address):
        if any(guest == a.ip for a in addresses):
            yield complaint(found.node, f"{guest} is the gateway; write the address of a guest")
        elif not any(guest in a.network for a in addresses) and not guest.is_link_local:
            nets = " and ".join(str(a.network) for a in addresses) or "every network; it has no addresses"
            yield complaint(found.node, f"{guest} lies outside {nets}; write an address of {draft.key.text}")
    elif ":" not in guest:
        rows = [row for row, _ in draft.found("dhcp.reservations")] if draft.one("dhcp") else []
        names = [f.value for row in rows for f in row.get("name", ()) if f.value]
        if guest not in names:
            near = meant(guest, tuple(names))
            right = f"did you mean {near}?" if near else "write its address or its MAC address"
            yield complaint(found.node, f"{draft.key.text} has no reservation named {guest}; {right}")
