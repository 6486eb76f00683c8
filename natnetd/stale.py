"""Which flows came by a door that leads elsewhere now, or is shut; pure.

A flow keeps for life where its first packet was led, and UDP has no other end: a client that keeps asking
would never come to the guest. Addresses are bytes here, since every flow of the host is looked at.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import NamedTuple

from natnetd.doors import MAPS, Row
from natnetd.model import Config
from natnetd.report import Report
from natnetd.rows import Element

TCP, UDP = 6, 17
NUMBERS = {"tcp": TCP, "udp": UDP}
ANY = b""


class Visit(NamedTuple):
    """A flow as its sender began it: protocol, address and port; other protocols than TCP, UDP have none."""

    protocol: int
    at: bytes
    port: int = 0


End = tuple[bytes, int]
"""Where a flow ends up: address, and port (0 where it does not matter)."""
Span = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Doors:
    """Forwards, quick to look up by what a flow was sent to."""

    ports: Mapping[Visit, End] = field(default_factory=dict)
    spans: Mapping[Visit, tuple[Span, ...]] = field(default_factory=dict)
    whole: Mapping[bytes, bytes] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ports or self.spans or self.whole)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Doors":
        """Gather those of one family; an element that somebody made up may be of any shape."""
        ports: dict[Visit, End] = {}
        spans: dict[Visit, tuple[Span, ...]] = {}
        whole: dict[bytes, bytes] = {}
        for name, key, value in rows:
            with suppress(ValueError, KeyError):
                to, _, port = value.partition(" . ")
                end = ip_address(to).packed
                if name.startswith("whole"):
                    whole[ip_address(key[0]).packed] = end
                    continue
                *at, protocol, span = key
                visit = Visit(NUMBERS[protocol], ip_address(at[0]).packed if at else ANY)
                if "door" in name:
                    ports[visit._replace(port=int(span))] = end, int(port)
                else:
                    first, _, last = span.partition("-")
                    spans[visit] = (*spans.get(visit, ()), (int(first), int(last or first), end))
        return cls(ports, spans, whole)

    def end(self, visit: Visit, *, anywhere: bool) -> End | None:
        """Say where a flow is led to; `anywhere`: the forwards of any address are meant too."""
        for asked in (visit, visit._replace(at=ANY)) if anywhere else (visit,):
            if found := self.ports.get(asked):
                return found
            for first, last, to in self.spans.get(asked._replace(port=0), ()):
                if first <= visit.port <= last:
                    return to, visit.port
            if to := self.whole.get(asked.at, b""):
                return to, 0
        return None


@dataclass(frozen=True, slots=True)
class Leads:
    """The forwards of one family as they are wanted, and those that are not any more.

    `own` are the addresses of the host that the forwards of any address are about, `gateways` those of
    networks, where guests find the host itself.
    """

    wanted: Doors = field(default_factory=Doors)
    former: Doors = field(default_factory=Doors)
    own: frozenset[bytes] = frozenset()
    gateways: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.wanted or self.former)

    def among(self, own: frozenset[int], size: int) -> "Leads":
        """Add what the host's own addresses of so many bytes are."""
        found = (ip_address(address.to_bytes(size, "big")) for address in own)
        packed = frozenset(address.packed for address in found if not address.is_loopback)
        return replace(self, own=packed - self.gateways)

    def marks(self) -> tuple[bytearray, frozenset[bytes]]:
        """Tell at which ports and addresses something may be led elsewhere: to sort out the rest."""
        found = bytearray(65536)
        for doors in (self.wanted, self.former):
            for visit in doors.ports:
                found[visit.port] = 1
            for first, last, _ in (span for spans in doors.spans.values() for span in spans):
                found[first : last + 1] = b"\1" * (last + 1 - first)
        return found, frozenset(self.wanted.whole.keys() | self.former.whole.keys())

    def concerns(self, visit: Visit) -> bool:
        """Say whether a flow came where there is a door, or was."""
        anywhere = visit.at in self.own
        return any(d.end(visit, anywhere=anywhere) is not None for d in (self.wanted, self.former))

    def wrong(self, visit: Visit, end: End) -> bool | None:
        """Say whether a flow that ends up there should be forgotten; None: it is not about forwards.

        A TCP connection goes on where it began while there is a door, and ends with it, wherever it was
        led to: the door may have changed meanwhile.
        """
        anywhere = visit.at in self.own
        wanted = self.wanted.end(visit, anywhere=anywhere)
        if wanted is not None:
            return not same(wanted, end) and visit.protocol != TCP
        former = self.former.end(visit, anywhere=anywhere)
        return True if former is not None and end[0] != visit.at else None


def same(one: End, other: End) -> bool:
    """Say whether two ends are the same, as far as ports matter."""
    return one[0] == other[0] and (one[1] == other[1] or 0 in (one[1], other[1]))


def leads(config: Config, former: Iterable[Row] = ()) -> tuple[Leads, Leads]:
    """Sum up the forwards of a configuration, IPv4 first, and those that are `former`."""
    rows = [row for network in config.networks.values() for f in network.forwards for row in f.rows()]
    shut = tuple(former)
    gateways = frozenset(a.ip.packed for network in config.networks.values() for a in network.addresses)
    four, six = (
        Leads(
            Doors.of(row for row in rows if row[0].endswith(family)),
            Doors.of(row for row in shut if row[0].endswith(family)),
            gateways=gateways,
        )
        for family in "46"
    )
    return four, six


def shut(report: Report) -> frozenset[Row]:
    """Tell which forwards a pass removed, or led elsewhere."""
    gone = (o.change.have for o in report.outcomes if o.error is None)
    return frozenset(
        (e.set, e.key, e.value) for e in gone if isinstance(e, Element) and e.set in MAPS and e.value
    )
