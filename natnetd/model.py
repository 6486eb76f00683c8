"""The desired state as frozen values: what the operator wrote, checked and complete.

What each key of the file takes and means is said once, in `natnetd.file.keys`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from natnetd.doors import Forward

Interface = IPv4Interface | IPv6Interface
UNIQUE_LOCAL = IPv6Network("fc00::/7")
"""RFC 4193: what is translated; whatever else there is of IPv6 is routed."""
SLAAC_PREFIX = 64  # RFC 4862 with RFC 4291 2.5.1: guests make up the other half themselves


HIGH_PORTS, ALL_PORTS = (1024, 65535), (1, 65535)
"""What ports of TCP and UDP become: those that give no rights, or a guest's own while it is free."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses that guests are seen under outside, from the first to the last."""

    first: IPv4Address
    last: IPv4Address

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last


PROTOCOLS = ("tcp", "udp")


@dataclass(frozen=True, slots=True)
class Service:
    """A port, or a range of them, of one protocol."""

    protocol: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{span((self.first, self.last))}/{self.protocol}"


def span(ports: tuple[int, int]) -> str:
    """Write ports as nft lists them."""
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


@dataclass(frozen=True, slots=True)
class Nat:
    """How guests leave: translated, by an uplink."""

    uplinks: tuple[str, ...] = ()  # empty: any
    source: Pool | None = None  # None: masquerade
    exempt: tuple[IPv4Network | IPv6Network, ...] = ()
    ports: tuple[int, int] = HIGH_PORTS
    persistent: bool = False
    fully_random: bool = False
    auto: bool = False  # the uplinks are those of the default route; see natnetd.ways
    ipv4: bool = True  # False: guests do not leave by it
    ipv6: bool = True
    routed6: bool = False  # global prefixes are routed, in and out

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the packet path that it uses."""
        persistent = self.persistent and self.source is not None
        used = {
            "exempt": self.exempt,
            "closed4": not self.ipv4,
            "closed6": not self.ipv6,
            "routed6": self.routed6,
            "pools": self.source is not None,
            "persistent": persistent,
            "random": self.fully_random,
            "persistent and random": persistent and self.fully_random,
        }
        return tuple(part for part, yes in used.items() if yes)


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


RATES = (10, 50, 100, 500, 1000)
CROWDS = (100, 500, 1000, 5000, 20000)
"""The limits there are: each is a rule of the constant page, asked by those networks only that chose it."""


def sort_of(guest: str) -> str:
    """What a guest is known by: `4` or `6` for an address, `_mac` for a MAC address."""
    is_mac = guest.count(":") == 5 and len(guest) == 17
    return "_mac" if is_mac else "6" if ":" in guest else "4"


@dataclass(frozen=True, slots=True)
class Guard:
    """What guests may not do: to each other, and to the outside."""

    anti_spoof: bool = True
    strict: bool = False
    rogue_dhcp: bool = True
    rogue_ra: bool = True
    bogons: bool = False
    new_connections: int | None = None  # of each guest in a second
    open_connections: int | None = None  # of each guest at a time

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the packet path that it uses; each limit is one of its own."""
        used = {
            "watch": self.anti_spoof,
            "bogons": self.bogons,
            "fresh": self.new_connections,
            f"fresh_{self.new_connections}": self.new_connections,
            "crowd": self.open_connections,
            f"crowd_{self.open_connections}": self.open_connections,
        }
        return tuple(part for part, yes in used.items() if yes)

    @property
    def bridged(self) -> bool:
        """Whether it is about what passes between neighbours."""
        return self.anti_spoof or self.rogue_dhcp or self.rogue_ra


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
    host_access: tuple[Service, ...] | None = None  # None: every service of the host
    mtu_auto: bool = False  # the uplink's; see natnetd.ways
    dhcp: Dhcp | None = None
    dns: Dns | None = None
    count_guests: bool = False
    ra: bool = False  # router advertisements, and DHCPv6 without addresses
    guard: Guard | None = None
    quarantine: tuple[str, ...] = ()  # addresses and MAC addresses of guests that are cut off
    forwards: tuple[Forward, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether guests do not leave at all."""
        return self.nat is None and not self.routed

    @property
    def gateways(self) -> tuple[IPv4Interface, ...]:
        """The IPv4 addresses."""
        return tuple(a for a in self.addresses if isinstance(a, IPv4Interface))

    @property
    def gateways6(self) -> tuple[IPv6Interface, ...]:
        """The IPv6 addresses."""
        return tuple(a for a in self.addresses if isinstance(a, IPv6Interface))

    @property
    def leaves4(self) -> bool:
        """Whether guests leave by IPv4."""
        return self.routed or (self.nat is not None and self.nat.ipv4)

    @property
    def served(self) -> bool:
        """Whether the network needs a dnsmasq."""
        return bool(self.dhcp or self.dns or self.ra)

    @property
    def leaves6(self) -> bool:
        """Whether guests leave by IPv6."""
        return bool(self.gateways6) and (self.routed or (self.nat is not None and self.nat.ipv6))

    @property
    def guarded(self) -> bool:
        """Whether something is kept from passing between neighbours."""
        return bool(self.quarantine) or (self.guard is not None and self.guard.bridged)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the packet path that it uses besides what all do (`page.PARTS`)."""
        used = {
            "routed": self.routed,
            "inbound": self.inbound,
            "walls": self.host_access is not None,
            "forwards": self.forwards,
            "guests": self.count_guests,
            "watch": self.quarantine,
        }
        own = tuple(part for part, yes in used.items() if yes)
        return (*own, *(self.nat.parts if self.nat else ()), *(self.guard.parts if self.guard else ()))

    @property
    def ways(self) -> tuple[str, ...]:
        """Interfaces the file names as a way out or in."""
        return (*self.inbound, *(self.nat.uplinks if self.nat else ()))


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where Prometheus scrapes."""

    host: str = "127.0.0.1"
    port: int = 9787
    guests: int = 0  # so many of them have series of their own


@dataclass(frozen=True, slots=True)
class Proxmox:
    """What Proxmox VE is told: `register` None stands for "if this is a Proxmox VE host"."""

    register: bool | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """What follows from all networks together: it stays when a configuration is narrowed to some."""

    names: frozenset[str] = frozenset()
    populated: bool = False  # there is a network
    forwards: bool = False  # one of them needs the kernel's forwarding
    forwards6: bool = False  # and that of IPv6
    ways: frozenset[str] = frozenset()  # interfaces named as uplinks, or as a way in
    any_way: bool = False  # one of them leaves by any uplink
    parts: frozenset[str] = frozenset()  # of the packet path, that are in use
    guarded: bool = False  # one of them keeps something from passing between neighbours
    # whose each forward is, by map and key
    doors: Mapping[tuple[str, tuple[str, ...]], tuple[str, Forward]] = field(default_factory=dict)
    follows: bool = False  # one of them goes by the default route, or by the size of what an uplink takes

    @classmethod
    def of(cls, networks: Iterable[Network]) -> "Whole":
        """Sum up."""
        all_ = tuple(networks)
        open_ = [n for n in all_ if n.nat or n.routed or n.reach or n.inbound or n.forwards]
        return cls(
            names=frozenset(n.name for n in all_),
            populated=bool(all_),
            forwards=bool(open_),
            forwards6=any(n.gateways6 or any(f.to.version == 6 for f in n.forwards) for n in open_),
            ways=frozenset(name for n in all_ for name in n.ways),
            any_way=any(
                n.routed or (n.nat is not None and not n.nat.uplinks and not n.nat.auto) for n in all_
            ),
            parts=frozenset(part for n in all_ for part in n.parts),
            guarded=any(n.guarded for n in all_),
            doors={(name, key): (n.name, f) for n in all_ for f in n.forwards for name, key, _ in f.rows()},
            follows=any(n.mtu_auto or (n.nat is not None and n.nat.auto) for n in all_),
        )


@dataclass(frozen=True, slots=True)
class Config:
    """One file, read: networks by the name of their bridge."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    metrics: Metrics | None = field(default_factory=Metrics)
    proxmox: Proxmox = field(default_factory=Proxmox)
    whole: Whole | None = None

    def __post_init__(self) -> None:
        if self.whole is None:
            object.__setattr__(self, "whole", Whole.of(self.networks.values()))

    @property
    def all(self) -> Whole:
        """What follows from all networks together."""
        return self.whole or Whole()
