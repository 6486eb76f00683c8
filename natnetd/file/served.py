"""What a network says of DHCP and DNS: judged against its addresses, and as values."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from natnetd.errors import Complaint
from natnetd.file.draft import Draft, Found
from natnetd.file.nodes import complaint
from natnetd.file.service_keys import OPTIONS
from natnetd.file.six import advertises
from natnetd.model import Dhcp, Dns, Network, Record, Reservation, Span
from natnetd.ranges import sensible


def four(draft: Draft) -> tuple[IPv4Interface, ...]:
    """The gateway's IPv4 addresses."""
    return tuple(a for a in draft.every("addresses") if isinstance(a, IPv4Interface))


def complete(draft: Draft, subnets: Mapping[str, tuple[IPv4Network, ...]]) -> Network:
    """Return the network with what its guests are served, for a draft that nobody complained about.

    `subnets` are those of all networks.
    """
    network = draft.network()
    if not network.addresses:
        return network
    on, ra = bool(draft.one("dhcp") and four(draft)), advertises(draft)
    dns = draft.one("dns")
    routes = tuple(subnet for name in network.reach for subnet in subnets.get(name, ()))
    return replace(
        network,
        dhcp=replace(dhcp_of(draft), routes=routes) if on else None,
        dns=dns_of(draft) if dns or (dns is None and (on or ra)) else None,
        ra=ra,
    )


def dhcp_of(draft: Draft) -> Dhcp:
    """Return what guests are told."""
    rows = [row for row, _ in draft.found("dhcp.reservations")]
    named = {key.name: draft.every(f"dhcp.options.{key.name}") for key in OPTIONS.keys}
    return Dhcp(
        ranges=draft.every("dhcp.ranges"),
        lease_time=draft.one("dhcp.lease_time") or Dhcp().lease_time,
        reservations=tuple(
            Reservation(said(r, "mac"), said(r, "address"), said(r, "name") or "") for r in rows
        ),
        options={name: tuple(map(str, values)) for name, values in named.items() if values},
        static_only=bool(draft.one("dhcp.static_only")),
    )


def dns_of(draft: Draft) -> Dns:
    """Return what guests are answered."""
    return Dns(
        domain=draft.one("dns.domain"),
        upstream=draft.every("dns.upstream"),
        records=tuple(
            Record(said(row, "name"), said(row, "address")) for row, _ in draft.found("dns.records")
        ),
    )


def said(row: Any, key: str) -> Any:
    """What stands under a key of a row, or None."""
    return next((found.value for found in row.get(key, ())), None)


def check(draft: Draft) -> Iterator[Complaint]:
    """Yield what does not go together with the network's addresses, or with each other."""
    addresses = four(draft)
    for key, some in (("dhcp", addresses), ("dns", draft.found("addresses"))):
        on = draft.one(key) and key in draft.own
        if on and not some and all(f.value for f in draft.values.get("addresses", ())):
            what = "an IPv4 address" if key == "dhcp" else "an address"
            text = f"{key} needs {what} of the gateway; write e.g. addresses: 10.0.0.1/24"
            yield complaint(draft.found(key)[0].node, text)
    for found in draft.found("dns.records"):
        yield from check_row(found, ("name", "address"))
    for found in draft.found("dhcp.reservations"):
        yield from check_row(found, ("mac", "address"))
    if addresses and draft.one("dhcp"):
        yield from check_ranges(draft, addresses)
        yield from check_reservations(draft, addresses)


def check_row(found: Found, keys: tuple[str, ...]) -> Iterator[Complaint]:
    """Yield what a row does not say."""
    for key in keys:
        if key not in found.value:
            yield complaint(found.node, f"has no {key}; write {' and '.join(keys)}")


def check_ranges(draft: Draft, addresses: tuple[IPv4Interface, ...]) -> Iterator[Complaint]:
    """Yield ranges that cannot be handed out."""
    right = "-".join(str(a) for span in sensible(addresses)[:1] for a in (span.first, span.last))
    if not right and not draft.found("dhcp.ranges") and not draft.one("dhcp.static_only"):
        place = draft.found("dhcp")[0].node if "dhcp" in draft.own else draft.key
        yield complaint(
            place, f"{addresses[0].network} has no address left for a guest; give it a wider subnet"
        )
    before: list[Found] = []
    for found in draft.found("dhcp.ranges"):
        span = found.value
        if text := misfit(span, addresses):
            yield complaint(found.node, f"{words(span)} {text}; write e.g. {right}")
        elif other := next((f for f in before if touching(f.value, span)), None):
            where = other.node.mark.seen_from(found.node.mark)
            yield complaint(
                found.node, f"{words(span)} overlaps {words(other.value)} ({where}); write them apart"
            )
        before.append(found)
    only = draft.found("dhcp.static_only")
    if only and only[0].value and before:
        text = "static_only and ranges exclude each other; write one of them"
        yield complaint(max((only[0], before[0]), key=lambda f: f.node.mark).node, text)


def words(span: Span) -> str:
    """Write a range as in the file."""
    return f"{span.first}-{span.last}"


def touching(one: Span, other: Span) -> bool:
    """Whether two ranges have an address in common."""
    return one.first <= other.last and other.first <= one.last


def misfit(span: Span, addresses: tuple[IPv4Interface, ...]) -> str:
    """Say why a range cannot be handed out; empty if it can."""
    subnet = home(span.first, addresses)
    if subnet is None or span.last not in subnet:
        return f"lies outside {' and '.join(str(a.network) for a in addresses)}"
    if subnet.prefixlen < 31 and span.first == subnet.network_address:
        return f"holds the network address of {subnet}"
    if subnet.prefixlen < 31 and span.last == subnet.broadcast_address:
        return f"holds the broadcast address of {subnet}"
    inside = next((a.ip for a in addresses if span.first <= a.ip <= span.last), None)
    return f"holds the gateway {inside}" if inside else ""


def home(address: IPv4Address, addresses: tuple[IPv4Interface, ...]) -> IPv4Network | None:
    """The subnet that holds an address."""
    return next((a.network for a in addresses if address in a.network), None)


def check_reservations(draft: Draft, addresses: tuple[IPv4Interface, ...]) -> Iterator[Complaint]:
    """Yield reservations of what cannot be given, or is given twice."""
    first: dict[tuple[str, Any], Found] = {}
    for row in draft.found("dhcp.reservations"):
        for key in ("mac", "address", "name"):
            found = next(iter(row.value.get(key, ())), None)
            if found is None or found.value is None:
                continue
            other = first.setdefault((key, found.value), found)
            if other is not found:
                where = other.node.mark.seen_from(found.node.mark)
                yield complaint(
                    found.node, f"{found.value} is reserved already ({where}); write another {key}"
                )
            elif key == "address":
                yield from check_reserved(found, addresses)


def check_reserved(found: Found, addresses: tuple[IPv4Interface, ...]) -> Iterator[Complaint]:
    """Yield a reserved address that no guest can have."""
    address, subnet = found.value, home(found.value, addresses)
    if subnet is None:
        nets = " and ".join(str(a.network) for a in addresses)
        yield complaint(found.node, f"{address} lies outside {nets}; write an address of the network")
    elif any(address == a.ip for a in addresses):
        yield complaint(found.node, f"{address} is the gateway; write another address of {subnet}")
    elif subnet.prefixlen < 31 and address in (subnet.network_address, subnet.broadcast_address):
        what = "network" if address == subnet.network_address else "broadcast"
        yield complaint(found.node, f"{address} is the {what} address of {subnet}; write that of a host")
