"""What the values of a file must be to each other; needs no kernel."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from natnetd.errors import Complaint
from natnetd.file import forwards, served, six
from natnetd.file.draft import Draft, Values
from natnetd.file.nodes import Node, complaint
from natnetd.file.reading import meant
from natnetd.model import ALL_PORTS, HIGH_PORTS, Interface, Pool

LEAST_MTU_OF_IPV6 = 1280  # RFC 8200 section 5
MOST_GUESSED = 200  # networks; looking for what was meant takes their square, 0.2 s at the most here
LEAST_DELAY_WITH_STP = 2.0  # seconds; BR_MIN_FORWARD_DELAY of the kernel


def check(defaults: Draft, drafts: Sequence[Draft]) -> Iterator[Complaint]:
    """Yield every complaint about the file as a whole; `defaults` are judged like a network.

    A complaint about an inherited value is yielded once for each heir, and is the same each time.
    """
    names = tuple(draft.key.text for draft in drafts)
    known = frozenset(names)
    likely = names if len(names) <= MOST_GUESSED else ()
    for draft in (defaults, *drafts):
        yield from check_switches(draft)
        yield from check_neighbours(draft, known, likely)
        yield from check_host_access(draft)
    for draft in drafts:
        yield from check_addresses(draft)
        yield from served.check(draft)
        yield from six.check(draft)
    yield from forwards.check(drafts)
    yield from check_macs(drafts)
    subnets = Subnets.of(drafts)
    yield from subnets.overlaps()
    for draft in (defaults, *drafts):
        yield from check_source(draft, subnets)


def check_switches(draft: Draft) -> Iterator[Complaint]:
    """Yield what cannot be together in one network."""
    if draft.clashes():
        both = sorted(draft.found("nat") + draft.found("routed"), key=lambda found: found.node.mark)
        first, later = both[0].node, both[-1].node
        other = "" if first.mark.file == later.mark.file else f" ({first.mark.seen_from(later.mark)})"
        yield complaint(later, f"nat and routed exclude each other{other}; write one of them")
    delay, stp = draft.found("forward_delay"), draft.found("stp")
    if stp and stp[0].value and delay and delay[0].value < LEAST_DELAY_WITH_STP:
        text = f"stp: true takes a forward_delay of 2 to 30 seconds, not {delay[0].value:g}"
        place = delay[0] if "forward_delay" in draft.own or "stp" not in draft.own else stp[0]
        yield complaint(place.node, f"{text}; write forward_delay: 15s")
    uplinks = draft.found("nat.uplink")
    if len(uplinks) > 1 and (anything := [found for found in uplinks if found.value == "any"]):
        yield complaint(anything[0].node, "any includes every other uplink; write any alone, or leave it out")
    elif len(uplinks) > 1 and (follow := [found for found in uplinks if found.value == "auto"]):
        yield complaint(follow[0].node, "auto stands alone; write it without others, or name all uplinks")


def check_host_access(draft: Draft) -> Iterator[Complaint]:
    """Yield a switch that stands beside services."""
    access = draft.found("host_access")
    if len(access) > 1 and (switch := next((f for f in access if isinstance(f.value, bool)), None)):
        word = "true" if switch.value else "false"
        yield complaint(switch.node, f"{word} stands alone; write it without a list, or services only")


def check_guests(metrics: Values, drafts: Sequence[Draft]) -> Iterator[Complaint]:
    """Yield a number of guests to tell Prometheus of where none is counted."""
    if drafts and not any(draft.one("count_guests") for draft in drafts):
        for found in metrics.get("metrics.guests", ()):
            if found.value:
                text = "no network counts its guests; write count_guests: true under it, or under defaults"
                yield complaint(found.node, text)


def check_neighbours(draft: Draft, known: frozenset[str], likely: tuple[str, ...]) -> Iterator[Complaint]:
    """Yield names that stand on the wrong side of the line between our networks and everything else."""
    for found in draft.found("nat.uplink"):
        if found.value in known:
            text = f"{found.value} is a network of ours; an uplink leads outside, like vmbr0"
            yield complaint(found.node, text)
    for found in draft.found("inbound"):
        if found.value in known:
            right = f"to let it in, write reach under networks.{found.value}"
            yield complaint(found.node, f"{found.value} is a network of ours; {right}")
    for found in draft.found("reach"):
        if found.value == draft.key.text and "reach" in draft.own:
            yield complaint(found.node, f"{found.value} always reaches itself; name another network")
        elif found.value not in known:
            near = meant(found.value, likely)
            right = f"did you mean {near}?" if near not in ("", draft.key.text) else "write one that is"
            yield complaint(found.node, f"{found.value} is not a network of ours; {right}")


def check_addresses(draft: Draft) -> Iterator[Complaint]:
    """Yield what is missing among the addresses, and what does not go with them."""
    addresses = draft.found("addresses")
    out = "nat" if draft.translated() else "routed" if draft.routed() else ""
    if out and "addresses" not in draft.values:
        text = (
            f"addresses is missing; write e.g. addresses: 10.0.0.1/24, or {out}: false for a closed network"
        )
        yield complaint(draft.key, text)
    first = next((found for found in addresses if found.value.version == 6), None)
    if first and (mtu := draft.found("mtu")) and mtu[0].value in range(LEAST_MTU_OF_IPV6):
        place = mtu[0].node if "mtu" in draft.own else first.node
        text = f"IPv6 takes an mtu of at least {LEAST_MTU_OF_IPV6} bytes, not {mtu[0].value}"
        yield complaint(place, f"{text}; write mtu: {LEAST_MTU_OF_IPV6} or more")


def check_macs(drafts: Sequence[Draft]) -> Iterator[Complaint]:
    """Yield MAC addresses that two networks claim."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        for found in draft.found("mac"):
            other = first.setdefault(found.value, draft)
            if other is not draft:
                where = other.found("mac")[0].node.mark.seen_from(found.node.mark)
                text = f"{found.value} is the address of {other.key.text} already ({where}); write another"
                yield complaint(found.node, text)


def check_source(draft: Draft, subnets: "Subnets") -> Iterator[Complaint]:
    """Yield fixed source addresses that belong to guests, and ports that no rule can give to others."""
    for found in draft.found("nat.source"):
        if isinstance(found.value, Pool) and (claim := subnets.meeting(found.value)):
            how = "lies in" if len(found.value) == 1 else "meets"
            text = (
                f"{found.value} {how} {claim.address.network} of {claim.name}, which is not known outside; "
                "write an address of the uplink"
            )
            yield complaint(found.node, text)
    fixed = any(isinstance(found.value, Pool) for found in draft.found("nat.source"))
    for found in draft.found("nat.ports"):
        if not fixed and found.value not in (HIGH_PORTS, ALL_PORTS):
            text = "{}-{} takes a fixed source beside it, like source: 192.0.2.10".format(*found.value)
            yield complaint(found.node, f"{text}; masquerade takes 1024-65535 or 1-65535")


Order = tuple[int, int, int]


class Claim(NamedTuple):
    """An address of a network; `order` sorts by version, first address, and the wider subnet first."""

    order: Order
    name: str
    address: Interface
    node: Node


def claims_of(draft: Draft) -> Iterator[Claim]:
    """Yield the addresses of a network."""
    for address, node in draft.found("addresses"):
        network = address.network
        order = (network.version, int(network.network_address), network.prefixlen)
        yield Claim(order, draft.key.text, address, node)


@dataclass(frozen=True, slots=True)
class Subnets:
    """Every subnet of the file in order of address.

    Two subnets are apart or one holds the other, so one walk in this order finds every overlap: O(n log n).
    """

    claims: list[Claim]

    @classmethod
    def of(cls, drafts: Sequence[Draft]) -> "Subnets":
        """Gather the addresses of all networks."""
        claims = chain.from_iterable(map(claims_of, drafts))
        return cls(sorted(claims, key=lambda claim: (claim.order, claim.node.mark)))

    def overlaps(self) -> Iterator[Complaint]:
        """Yield each subnet that lies in one before it, and each address that is said twice."""
        widest: Claim | None = None
        seen: dict[tuple[str, Interface], Claim] = {}
        for claim in self.claims:
            twin = seen.setdefault((claim.name, claim.address), claim)
            if twin is not claim:
                where = twin.node.mark.seen_from(claim.node.mark)
                yield complaint(
                    claim.node, f"{claim.address} stands here twice (first at {where}); remove one"
                )
            elif widest and widest.address.version == claim.address.version and holds(widest, claim):
                if (widest.name, widest.address.network) != (claim.name, claim.address.network):
                    yield overlap(*sorted((widest, claim), key=lambda c: c.node.mark))
            else:
                widest = claim

    def meeting(self, pool: Pool) -> Claim | None:
        """Return the subnet that holds the first address of a pool, or is the first to begin in it."""
        probe: Order = (4, int(pool.first), 32)
        index = bisect_right(self.claims, probe, key=lambda claim: claim.order)
        for claim in self.claims[max(0, index - 1) : index + 1]:
            network = claim.address.network
            if network.version == 4 and network[0] <= pool.last and network[-1] >= pool.first:
                return claim
        return None


def holds(wide: Claim, narrow: Claim) -> bool:
    """Whether the subnet of `narrow`, which starts no earlier, lies in that of `wide`."""
    return narrow.address.ip in wide.address.network


def overlap(first: Claim, second: Claim) -> Complaint:
    """Return the complaint about the one that stands later in the file."""
    where = first.node.mark.seen_from(second.node.mark)
    text = f"{second.address.network} overlaps {first.address.network}"
    if first.name == second.name:
        text += f" ({where}); write both with the same prefix length, or in subnets apart"
    else:
        text += f" of {first.name} ({where}); give each network a subnet of its own"
    return complaint(second.node, text)
