"""What a network says of forwards: judged against all networks and each other, and as values."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from natnetd.doors import Forward, bracketed, span
from natnetd.errors import Complaint
from natnetd.file.draft import Draft, Found
from natnetd.file.forward_keys import Address, At, To
from natnetd.file.nodes import complaint
from natnetd.file.reading import meant
from natnetd.file.served import check_row, said
from natnetd.model import Interface

FIRST_PORT, LAST_PORT = 1, 65535


class Said(NamedTuple):
    """A forward as it stands in the file; what was complained about is not there."""

    draft: Draft
    at: Found
    to: Found


def check(drafts: Sequence[Draft]) -> Iterator[Complaint]:
    """Yield every complaint about forwards."""
    places = Places.of(drafts)
    rows: list[Said] = []
    for draft in drafts:
        for found in draft.found("forwards"):
            yield from check_row(found, ("listen", "to"))
            at, to = (
                next((f for f in found.value.get(key, ()) if f.value), None) for key in ("listen", "to")
            )
            if at and to:
                rows.append(Said(draft, at, to))
    for row in rows:
        yield from check_target(row)
        yield from check_ports(row)
        yield from check_place(row, places)
    yield from check_overlaps(rows)


def reserved(draft: Draft) -> dict[str, Address]:
    """The addresses of the reservations that have a name."""
    rows = [row for row, _ in draft.found("dhcp.reservations")] if draft.one("dhcp") else []
    return {
        said(row, "name"): said(row, "address") for row in rows if said(row, "name") and said(row, "address")
    }


def check_target(row: Said) -> Iterator[Complaint]:
    """Yield a target that is no guest of the network, or that nobody can have."""
    draft, to = row.draft, row.to
    address = to.value.address
    if address is None:
        names = reserved(draft)
        if to.value.name not in names:
            near = meant(to.value.name, tuple(names))
            right = f"did you mean {near}?" if near else "write its address, or reserve one for it"
            text = f"{to.value.name} is no name among the dhcp.reservations of {draft.key.text}; {right}"
            yield complaint(to.node, text)
            return
        address = names[to.value.name]
    at = row.at.value.address
    if at is not None and at.version != address.version:
        text = f"{address} is an IPv{address.version} address, and {at} one of IPv{at.version}"
        yield complaint(to.node, f"{text}; write both of one kind")
    elif all(f.value for f in draft.values.get("addresses", ())) and to.value.address is not None:
        yield from check_home(address, draft.every("addresses"), to, draft.key.text)


def check_home(address: Address, own: Sequence[Interface], to: Found, name: str) -> Iterator[Complaint]:
    """Yield an address that is outside of the network, or stands for something else than a guest."""
    home = next((a.network for a in own if address in a.network), None)
    if home is None:
        nets = " and ".join(dict.fromkeys(str(a.network) for a in own))
        where = f"lies outside {nets}" if nets else f"lies nowhere, for {name} has no addresses"
        yield complaint(to.node, f"{address} {where}; write an address of the network {name}")
    elif any(address == a.ip for a in own):
        yield complaint(to.node, f"{address} is the gateway, the host itself; write the address of a guest")
    elif home.prefixlen < home.max_prefixlen - 1 and address == home.network_address:
        what = "network" if address.version == 4 else "subnet-router anycast"
        yield complaint(to.node, f"{address} is the {what} address of {home}; write that of a guest")
    elif address.version == 4 and home.prefixlen < 31 and address == home.broadcast_address:
        yield complaint(to.node, f"{address} is the broadcast address of {home}; write that of a guest")


def check_ports(row: Said) -> Iterator[Complaint]:
    """Yield ports that cannot become those of the guest."""
    at, to = row.at.value.ports, row.to.value.ports
    guest = row.to.value.address or row.to.value.name
    if to is None or at == to or (at and at[0] == at[1] and to[0] == to[1]):
        return
    if at is None:
        text = f"{row.at.value.text} listens at all ports, which stay as they are; write {guest}"
        yield complaint(row.to.node, f"{text}, or a port and a protocol in listen")
    elif at[1] - at[0] != to[1] - to[0]:
        text = f"{span(at)} is {count(at)}, and {span(to)} is {count(to)}"
        right = (
            f"write {guest} for the same ports, or ranges alike"
            if count(at) != "1 port"
            else "write one port"
        )
        yield complaint(row.to.node, f"{text}; {right}")
    else:
        text = f"the ports of a range stay as they are, and {span(to)} is another one than {span(at)}"
        yield complaint(row.to.node, f"{text}; write {guest}, or a forward for each port")


def count(ports: tuple[int, int]) -> str:
    """Say how many ports there are."""
    number = ports[1] - ports[0] + 1
    return f"{number} ports" if number > 1 else "1 port"


@dataclass(frozen=True, slots=True)
class Places:
    """The subnets of all networks, and their gateways."""

    starts: list[tuple[int, int]]  # version and first address, in order
    nets: list[tuple[str, Interface]]
    gateways: dict[Address, str]

    @classmethod
    def of(cls, drafts: Sequence[Draft]) -> "Places":
        """Gather them."""
        nets = [(draft.key.text, a) for draft in drafts for a in draft.every("addresses")]
        nets.sort(key=lambda net: start(net[1]))
        return cls([start(a) for _, a in nets], nets, {a.ip: name for name, a in nets})

    def home(self, address: Address) -> tuple[str, Interface] | None:
        """Whose subnet holds an address; they do not overlap, or that has been said."""
        index = bisect_right(self.starts, (address.version, int(address))) - 1
        name, net = self.nets[index] if index >= 0 else ("", None)
        return (name, net) if net and address in net.network else None


def start(address: Interface) -> tuple[int, int]:
    """Order subnets by their first addresses."""
    return address.version, int(address.network.network_address)


def check_place(row: Said, places: Places) -> Iterator[Complaint]:
    """Yield an address to listen at that belongs to guests, or that they cannot do without."""
    at: At = row.at.value
    if at.address is None:
        return
    if at.address in places.gateways:
        if not at.protocols:
            text = f"{at.address} is the gateway of {places.gateways[at.address]}, which guests need"
            like = f"{bracketed(at.address)}:80/tcp"
            yield complaint(row.at.node, f"{text}; write a port and a protocol, like {like}")
    elif found := places.home(at.address):
        text = f"{at.address} lies in {found[1].network} of {found[0]}, where guests live"
        yield complaint(row.at.node, f"{text}; write an address of the host")


Key = tuple[str, int, str]


def check_overlaps(rows: Sequence[Said]) -> Iterator[Complaint]:
    """Yield what is forwarded twice. One address and any address do not meet: the one address wins."""
    claims: dict[Key, list[tuple[int, int, Said]]] = {}
    whole: dict[Address, Said] = {}
    partly: dict[Address, Said] = {}
    for row in rows:
        at: At = row.at.value
        if at.address is not None and not at.protocols:
            other = whole.setdefault(at.address, row)
            if other is not row:
                yield twice(other, row)
            continue
        if at.address is not None:
            partly.setdefault(at.address, row)
        ports = at.ports or (FIRST_PORT, LAST_PORT)
        family = at.address.version if at.address else version(row)
        for protocol in at.protocols:
            claims.setdefault((str(at.address), family, protocol), []).append((*ports, row))
    for address in sorted(whole.keys() & partly.keys(), key=str):
        first, second = sorted((whole[address], partly[address]), key=lambda row: row.at.node.mark)
        yield beside(first, second, address)
    for found in claims.values():
        yield from overlaps(found)


def version(row: Said) -> int:
    """The family of a forward that listens at any address: that of its target."""
    to: To = row.to.value
    address = to.address or reserved(row.draft).get(to.name)
    return address.version if address else 4


def overlaps(found: list[tuple[int, int, Said]]) -> Iterator[Complaint]:
    """Yield ranges that meet, each with the one before it that reaches furthest."""
    widest: tuple[int, int, Said] | None = None
    for claim in sorted(found, key=lambda c: (c[0], c[1], c[2].at.node.mark)):
        if widest is not None and claim[0] <= widest[1]:
            yield twice(*sorted((widest[2], claim[2]), key=lambda row: row.at.node.mark))
        if widest is None or claim[1] > widest[1]:
            widest = claim


def twice(first: Said, second: Said) -> Complaint:
    """Return the complaint about the one that stands later in the file."""
    where = first.at.node.mark.seen_from(second.at.node.mark)
    one, other = second.at.value.text, first.at.value.text
    if one == other:
        return complaint(second.at.node, f"{one} is forwarded already ({where}); remove one")
    return complaint(second.at.node, f"{one} overlaps {other} ({where}); write them apart")


def beside(first: Said, second: Said, address: Address) -> Complaint:
    """Return the complaint about an address that goes to a guest as a whole, and in parts."""
    where = first.at.node.mark.seen_from(second.at.node.mark)
    whole = first if first.at.value.protocols == () else second
    if whole is second:
        text = f"{address} alone is all of its ports, and {first.at.value.text} is one of them ({where})"
    else:
        text = f"{second.at.value.text} is a port of {address}, all of which is forwarded ({where})"
    return complaint(second.at.node, f"{text}; write the address alone, or only ports of it")


def forwards_of(draft: Draft) -> tuple[Forward, ...]:
    """Return the forwards, for a draft that nobody complained about."""
    names = reserved(draft)
    rows = [(said(row, "listen"), said(row, "to")) for row, _ in draft.found("forwards")]
    return tuple(forward(at, to, names) for at, to in rows if at and to and (to.address or to.name in names))


def forward(at: At, to: To, names: dict[str, Any]) -> Forward:
    """Return one."""
    port = to.ports[0] if to.ports and at.ports and at.ports[0] == at.ports[1] else None
    if at.ports and port == at.ports[0]:
        port = None
    return Forward(to.address or names[to.name], at.address, at.protocols, at.ports or (0, 0), port)
