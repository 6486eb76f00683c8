"""The desired state as frozen values: what the operator wrote, checked and complete.

What each key of the file takes and means is said once, in `natnetd.file.keys`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Nat:
    """How guests leave: translated, by an uplink."""

    uplinks: tuple[str, ...] = ()  # empty: any
    source: IPv4Address | None = None  # None: masquerade
    exempt: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Addresses from the first to the last, both included."""

    first: IPv4Address
    last: IPv4Address


@dataclass(frozen=True, slots=True)
class Reservation:
    """An address kept for one guest; `name` may be empty."""

    mac: str
    address: IPv4Address
    name: str = ""


@dataclass(frozen=True, slots=True)
class Dhcp:
    """What guests are told when they ask; `ranges` is empty for "what fits", `options` are by our own names.

    `routes` are the subnets of the networks that this one may reach.
    """

    ranges: tuple[Span, ...] = ()
    lease_time: int = 3600  # seconds
    reservations: tuple[Reservation, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    static_only: bool = False
    routes: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A name in the DNS, and an address it stands for."""

    name: str
    address: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Dns:
    """What guests are answered; without a domain it is made from the network's name."""

    domain: str | None = None
    upstream: tuple[IPv4Address | IPv6Address, ...] = ()  # empty: whom the host asks; nobody if closed
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """A named bridged subnet of guests; `None` stands for "the file does not say"."""

    name: str
    addresses: tuple[Interface, ...] = ()
    description: str | None = None
    mtu: int | None = None
    mac: str | None = None
    stp: bool | None = None
    forward_delay: float | None = None  # seconds
    nat: Nat | None = None
    routed: bool = False
    reach: tuple[str, ...] = ()
    inbound: tuple[str, ...] = ()
    dhcp: Dhcp | None = None
    dns: Dns | None = None

    @property
    def closed(self) -> bool:
        """Whether guests do not leave at all."""
        return self.nat is None and not self.routed

    @property
    def gateways(self) -> tuple[IPv4Interface, ...]:
        """The IPv4 addresses."""
        return tuple(a for a in self.addresses if isinstance(a, IPv4Interface))

    @property
    def ways(self) -> tuple[str, ...]:
        """Interfaces the file names as a way out or in."""
        return (*self.inbound, *(self.nat.uplinks if self.nat else ()))


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where Prometheus scrapes."""

    host: str = "127.0.0.1"
    port: int = 9787


@dataclass(frozen=True, slots=True)
class Whole:
    """What follows from all networks together: it stays when a configuration is narrowed to some."""

    populated: bool = False  # there is a network
    forwards: bool = False  # one of them needs the kernel's forwarding
    ways: frozenset[str] = frozenset()  # interfaces named as uplinks, or as a way in
    any_way: bool = False  # one of them leaves by any uplink

    @classmethod
    def of(cls, networks: Iterable[Network]) -> "Whole":
        """Sum up."""
        all_ = tuple(networks)
        open_ = [n for n in all_ if n.nat or n.routed or n.reach or n.inbound]
        return cls(
            populated=bool(all_),
            forwards=bool(open_),
            ways=frozenset(name for n in all_ for name in n.ways),
            any_way=any(n.routed or (n.nat is not None and not n.nat.uplinks) for n in all_),
        )


@dataclass(frozen=True, slots=True)
class Config:
    """One file, read: networks by the name of their bridge."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    metrics: Metrics | None = field(default_factory=Metrics)
    whole: Whole | None = None

    def __post_init__(self) -> None:
        if self.whole is None:
            object.__setattr__(self, "whole", Whole.of(self.networks.values()))

    @property
    def all(self) -> Whole:
        """What follows from all networks together."""
        return self.whole or Whole()
