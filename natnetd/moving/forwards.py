"""What a rule of iptables that leads packets to a guest becomes: forwards, where they mean the same."""

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from natnetd.doors import span
from natnetd.moving.networks import Net, Nets
from natnetd.moving.places import Place
from natnetd.moving.rules import ANY, Rule, subnet
from natnetd.moving.site import Site
from natnetd.moving.sorts import STAYS

PORTS = re.compile(r"(--dports?|--destination-ports?) ([0-9:,]+)")
TARGET = re.compile(r"([0-9.]+)(?::([0-9]+)(?:-([0-9]+))?)?")
ALL_PORTS = (1, 65535)
Range = tuple[int, int]


class Inexact(ValueError):  # noqa: N818  it is an answer, not a failure
    """A rule means something that a forward does not; the text says what."""


Claim = tuple[str, str, int, int]
"""Address (empty for any), protocol (empty for all), first and last port."""


def lead(rule: Rule, place: Place, before: list[Rule], nets: Nets, site: Site) -> Iterator[str]:
    """Lead packets to a guest as a rule has it; yield the reason if that cannot be.

    `before` are the rules of the same chain that come first and are not imported: they may take a part.
    """
    try:
        to, net, port = target(rule, nets)
        if rule.iif.value in nets and not rule.iif.excluded and not rule.destination:
            yield f"is about what guests of {rule.iif.value} send to others; {STAYS}"
            return
        claims = claimed(rule, site)
        rows = [row(claim, to, port) for claim in claims]
    except Inexact as reason:
        yield f"{reason}; {STAYS}"
        return
    if any(overlap(claim, other) for claim in claims for one in before for other in perhaps(one, site)):
        yield f"comes after a rule of PREROUTING that is not imported and may take a part of it; {STAYS}"
        return
    if set(rows) <= set(net.forwards):
        return  # for another way in; a forward is for all
    taken = [other for one in nets.values() for other in one.claimed]
    if why := late(claims, taken):
        yield why
        return
    net.claimed += claims
    net.forwards += rows
    net.notes += [f"{place}: {text}" for text in about(rule, site)]


def late(claims: list[Claim], taken: list[Claim]) -> str:
    """Say why what is asked for is taken; empty if it is not. An address wins over any, in natnetd."""
    met = [[t for t in taken if overlap(claim, t) and not (t[0] and not claim[0])] for claim in claims]
    if not any(met):
        return ""
    if all(any(holds(other, claim) for other in others) for claim, others in zip(claims, met, strict=True)):
        return "is about what another rule leads elsewhere before it, so it never had an effect"
    return f"shares ports with a rule that comes before it; {STAYS}"


def claimed(rule: Rule, site: Site) -> list[Claim]:
    """Return what a rule is about. Raises `Inexact`."""
    asked = ports(rule)
    protocol = rule.protocol.value
    return [(at, protocol, *where) for at in places(rule, site) for where in asked or [ALL_PORTS]]


def perhaps(rule: Rule, site: Site) -> list[Claim]:
    """Return what a rule may take: everything, if it asks for more than ports."""
    try:
        return claimed(replace(rule, source=ANY), site)
    except Inexact:
        return [("", "", *ALL_PORTS)]


def target(rule: Rule, nets: Nets) -> tuple[IPv4Address, Net, Range | None]:
    """Return the guest, its network and its ports. Raises `Inexact`."""
    if rule.six:
        raise Inexact("is about IPv6")
    match = TARGET.fullmatch(rule.to.value)
    try:
        to = IPv4Address(match[1] if match else "")
    except ValueError:
        raise Inexact(f"leads to {rule.to.value or 'nobody'}, which is no guest with its port") from None
    net = next((net for net in nets.values() if any(to in own for own in net.subnets)), None)
    if net is None:
        raise Inexact(f"leads to {to}, which is in no network that is imported")
    taken = [a.ip for a in net.addresses] + [end for own in net.subnets for end in (own[0], own[-1])]
    if to in taken:
        raise Inexact(f"leads to {to}, which is no guest's")
    low = int(match[2] or 0) if match else 0
    return to, net, (low, int(match[3] or low) if match else low) if low else None


def ports(rule: Rule) -> list[Range] | None:
    """Return the ports that a rule is about; None for all. Raises `Inexact`."""
    if rule.source or rule.oif or rule.iif.excluded or rule.destination.excluded or rule.protocol.excluded:
        raise Inexact("asks for a source, a way out, or what is not; natnetd's forwards cannot")
    protocol = rule.protocol.value
    if protocol and protocol not in ("tcp", "udp"):
        raise Inexact(f"is about {protocol}; a forward is about tcp, udp, or all of an address")
    if not rule.extra and (protocol or rule.destination):
        return None
    found = [PORTS.fullmatch(word) for word in rule.extra]
    if len(found) != 1 or found[0] is None or not protocol:
        asked = ", ".join(rule.extra) or "nothing"
        raise Inexact(f"asks for {asked}; a forward asks for ports and a protocol, or an address")
    ranges = [tuple(map(int, word.split(":", 1))) for word in found[0][2].split(",")]
    return [(r[0], r[-1]) for r in ranges]


def places(rule: Rule, site: Site) -> list[str]:
    """Return the addresses to listen at; an empty one for any."""
    if rule.destination:
        to = subnet(rule.destination)
        if to is None or to.prefixlen < 32:
            raise Inexact(f"is about {rule.destination.value}; a forward listens at one address, or any")
        return [str(to.network_address)]
    if not rule.protocol:
        raise Inexact("is about all addresses and protocols")
    return fixed(rule, site) or [""]


def fixed(rule: Rule, site: Site) -> list[str]:
    """Return the fixed IPv4 addresses of the interface that a rule names."""
    iface = site.ifaces.get(rule.iif.value)
    if iface is None or any(stanza.method not in ("static", "manual") for stanza in iface.stanzas):
        return []
    found = [option.value.partition("/")[0].strip() for option in iface.options("address")]
    return [text for text in found if ":" not in text]


def row(claim: Claim, to: IPv4Address, port: Range | None) -> str:
    """Write one forward. Raises `Inexact`."""
    listen, protocol, *ends = claim
    where = (ends[0], ends[1])
    if port and where == ALL_PORTS:
        raise Inexact("leads all ports to one")
    if not protocol:
        return f"{{listen: {listen}, to: {to}}}"
    at = f"{listen}:{span(where)}/{protocol}" if listen else f"{span(where)}/{protocol}"
    if port is None or port == where:
        return f"{{listen: {at}, to: {to}}}"
    if where[0] != where[1] or port[0] != port[1]:
        raise Inexact("leads a range of ports to others; with natnetd a range stays as it is")
    return f"{{listen: {at}, to: {to}:{port[0]}}}"


def overlap(one: Claim, other: Claim) -> bool:
    """Say whether two claims meet."""
    places_meet = one[0] == other[0] or "" in (one[0], other[0])
    protocols_meet = one[1] == other[1] or "" in (one[1], other[1])
    return places_meet and protocols_meet and one[2] <= other[3] and other[2] <= one[3]


def holds(wide: Claim, narrow: Claim) -> bool:
    """Say whether the second claim is a part of the first."""
    return (
        wide[0] in ("", narrow[0])
        and wide[1] in ("", narrow[1])
        and wide[2] <= narrow[2]
        and narrow[3] <= wide[3]
    )


def about(rule: Rule, site: Site) -> Iterator[str]:
    """Yield what changes by the import."""
    if rule.destination:
        return
    if not rule.iif:
        yield "the rule also took what guests send to others; a forward takes only what is for the host"
    elif not fixed(rule, site):
        yield f"the address of {rule.iif.value} is not in the files; imported for any address of the host"


def standing(chain: list[Rule], imported: dict[Rule, Rule]) -> list[Rule]:
    """Return the rules of PREROUTING among these that are not imported."""
    return [
        rule
        for rule in chain
        if (rule.table, rule.chain) == ("nat", "PREROUTING") and rule.same not in imported
    ]
