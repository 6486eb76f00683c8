"""What guests move: figures of the sets that packets fill, whose they are, and how they grow; pure.

They live in the kernel only: they begin anew with a new table, and when a guest was silent for a day.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address

from natnetd.model import Config, Network
from natnetd.page import PAGE
from natnetd.rows import Counter
from natnetd.tally import growth

LIMIT = int(next(line for line in PAGE["set sent4"].header if line.startswith("size ")).split()[1])
"""So many guests are counted of each family; the sets take no more."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a guest sent, what was sent to it, and how many connections it began; or that in each second."""

    sent_bytes: float = 0
    sent_packets: float = 0
    received_bytes: float = 0
    received_packets: float = 0
    connections: float = 0

    @classmethod
    def of(cls, sent: Counter, received: Counter, connections: int = 0) -> "Moved":
        """Put the kernel's figures together."""
        return cls(sent.bytes, sent.packets, received.bytes, received.packets, connections)

    @property
    def bytes(self) -> float:
        """In both directions."""
        return self.sent_bytes + self.received_bytes

    @property
    def packets(self) -> float:
        """In both directions."""
        return self.sent_packets + self.received_packets

    def with_(self, other: "Moved", how: Callable[[float, float], float]) -> "Moved":
        """Combine two, figure by figure."""
        return Moved(*(how(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))


NOTHING = Moved()


@dataclass(frozen=True, slots=True)
class Counted:
    """One reading: what each address moved, and how many elements are in the fullest set."""

    guests: Mapping[str, Moved] = field(default_factory=dict)
    fullest: int = 0

    @property
    def full(self) -> bool:
        """Whether new guests are not counted any more."""
        return self.fullest >= LIMIT


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest; an empty address stands for all guests of a network that does not count them one by one."""

    network: str
    address: str
    name: str = ""
    total: Moved = NOTHING
    speed: Moved = NOTHING  # each figure in a second


class Owners:
    """Tells whose an address is; subnets of different networks never overlap."""

    def __init__(self, networks: Iterable[Network]) -> None:
        rows = {
            (a.version, int(a.network[0])): (int(a.network[-1]), n.name)
            for n in networks
            for a in n.addresses
        }
        self.starts = sorted(rows)
        self.rows = rows

    def of(self, address: str) -> str | None:
        """Name the network; None if it is nobody's: behind a guest that routes, or of another file."""
        own = ip_address(address)
        place = bisect_right(self.starts, (own.version, int(own))) - 1
        if place < 0 or self.starts[place][0] != own.version:
            return None
        last, name = self.rows[self.starts[place]]
        return name if int(own) <= last else None


def guests(config: Config, counted: Counted, names: Mapping[str, str]) -> list[Guest]:
    """Put names to what was counted; left-overs of networks that do not count their guests are left out."""
    owners = Owners(n for n in config.networks.values() if n.count_guests)
    found = ((owners.of(address), address, moved) for address, moved in counted.guests.items())
    return [Guest(n, address, names.get(address, ""), moved) for n, address, moved in found if n is not None]


def busiest(config: Config, counted: Counted, most: int) -> list[Guest]:
    """Those that moved most bytes, the first first; ties by address, so that they stay as they are."""
    owners, found = Owners(n for n in config.networks.values() if n.count_guests), list[Guest]()
    for address, moved in sorted(counted.guests.items(), key=lambda row: (-row[1].bytes, row[0])):
        if len(found) == most:
            break
        if network := owners.of(address):
            found.append(Guest(network, address, "", moved))
    return found


@dataclass(slots=True)
class Ledger:
    """Readings one after another: totals never go backwards, whatever becomes of the kernel's figures."""

    last: Mapping[str, Moved] | None = None
    at: float = 0.0
    total: dict[str, Moved] = field(default_factory=dict)
    speed: dict[str, Moved] = field(default_factory=dict)

    def take(self, now: Mapping[str, Moved], at: float) -> None:
        """Take in a reading, made at `at` (monotonic seconds); before the second one nobody has a speed."""
        first = self.last is None
        grown = {
            key: (self.last or {}).get(key, NOTHING).with_(moved, lambda old, new: growth(int(old), int(new)))
            for key, moved in now.items()
        }
        for key, more in grown.items():
            self.total[key] = self.total.get(key, NOTHING).with_(more, lambda a, b: a + b)
        seconds = at - self.at
        self.speed = (
            {}
            if first or seconds <= 0
            else {k: m.with_(m, lambda a, _: a / seconds) for k, m in grown.items()}
        )
        self.last, self.at = now, at


SORTS: Mapping[str, Callable[[Guest], tuple[float, ...]]] = {
    "bytes": lambda g: (-g.speed.bytes, -g.total.bytes),
    "packets": lambda g: (-g.speed.packets, -g.total.packets),
    "connections": lambda g: (-g.speed.connections, -g.total.connections),
    "total": lambda g: (-g.total.bytes,),
    "address": lambda _: (),
}
"""Orders; in each, ties are by network and address."""


def ordered(rows: Iterable[Guest], sort: str) -> list[Guest]:
    """Sort by one of SORTS."""
    return sorted(rows, key=lambda g: (*SORTS[sort](g), *place(g)))


def place(guest: Guest) -> tuple[str, int, int]:
    """Where a guest stands if nothing else tells: by network, then by the number of its address."""
    own = ip_address(guest.address) if guest.address else None
    return guest.network, own.version if own else 0, int(own) if own else 0
