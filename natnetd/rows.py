"""Frozen values that are seen, compared and applied: a row's key is its identity, == the drift test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

GROUP = 0x6E617464
"""Link group of the bridges natnetd made ("natd"): the kernel honours it in the message that creates
a link, keeps it over a rename, and ports do not inherit it."""

PROTO = 0x6E
"""Address protocol (IFA_PROTO, Linux 5.18) of the addresses natnetd added: it may delete these, no others."""

TABLE = "inet natnetd"
FRAMES = "bridge natnetd"
"""Our tables: what passes the host, and what passes between neighbours."""

PHYSICAL = frozenset({"", "bond", "team", "vlan", "macvlan", "wlan"})
"""Kinds of links that lead out of the host: a NIC has no kind; guests come as tun, veth and the like."""


CATCH_ALL = ("*",)
"""The key of an element that stands for all others (nft's *): never ours."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A count of packets and bytes."""

    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """One interface, as the kernel tells it; `forward_delay` is in tenths of a second."""

    index: int
    name: str
    kind: str = ""
    up: bool = True
    mtu: int = 1500
    mac: str = ""
    master: int | None = None
    group: int = 0
    alias: str = ""
    stp: bool | None = None
    forward_delay: int | None = None
    forwarding: bool | None = None
    forwarding6: bool | None = None  # of IPv6; None: the link has none
    accept_ra: int | None = None

    @property
    def ours(self) -> bool:
        """Whether natnetd made this bridge."""
        return self.group == GROUP and self.kind == "bridge"


@dataclass(frozen=True, slots=True)
class Bridge:
    """What is kept true of a bridge; None: whatever it is. `forward_delay` is in tenths of a second."""

    up: bool = True
    group: int | None = None
    mtu: int | None = None
    mac: str | None = None
    stp: bool | None = None
    forward_delay: int | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """A guest's interface and the bridge it is plugged into; `settings` are its own there, as netlink says.

    They are not compared: nobody keeps them true, they are only given back with the bridge.
    """

    index: int
    bridge: str | None
    settings: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its prefix length on a link; `marked`: natnetd added it (None: whoever did).

    `routed`: the kernel's route to its subnet is there, as it should be.
    """

    link: str
    interface: str
    marked: bool | None = None
    routed: bool = True


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of a sysctl, by its dotted name with the interface's own dots kept: a path of parts."""

    path: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set or map of our table; the first part of its key is its network's bridge.

    Where the key begins otherwise the bridge is the element's comment: `owner`, empty if it has none.
    """

    set: str
    key: tuple[str, ...]
    value: str = ""
    count: Counter | None = field(default=None, compare=False)
    owner: str | None = None

    @property
    def name(self) -> str:
        """What tells this element from all others."""
        return f"{self.set} {' . '.join(self.key)}"

    @property
    def network(self) -> str | None:
        """Whose it is; None: nobody's that we know of."""
        return self.key[0] if self.owner is None else self.owner or None


@dataclass(frozen=True, slots=True)
class Block:
    """A set, map or chain of our table, in nft's own canonical words; `rules` are a chain's.

    `counts` are the figures its drop rules start from, by reason.
    """

    name: str
    header: tuple[str, ...]
    rules: tuple[str, ...] = ()
    counts: Mapping[str, Counter] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Our nftables table: its blocks by name ("chain forward"), its elements by name, flags it may have.

    `drops` are packets dropped by our rules, by reason and chain ("spoofed leave"). `whole`: its blocks were
    looked at, too.
    """

    blocks: Mapping[str, Block] = field(default_factory=dict)
    elements: Mapping[str, Element] = field(default_factory=dict)
    flags: str = ""
    drops: Mapping[str, Counter] = field(default_factory=dict, compare=False)
    whole: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Stanza:
    """What a file of interfaces(5) says of a network; `recorded`: the deputy remembers it as written for us.

    `lines` have white space as it does not matter. `place` is the file and the line where it begins.
    """

    address: str = ""
    comment: str = ""
    recorded: bool = True
    lines: tuple[str, ...] = ()
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Register:
    """Proxmox VE's list of bridges: the `files` there are (a pending one is called interfaces.new).

    `stanzas` have keys like "vmbr1 in interfaces". `recorded` are the networks whose stanzas are ours,
    `strange` the places where other lines or files speak of a name. `proxmox`: /etc/pve is mounted.
    `trouble`: why the files cannot be read.
    """

    proxmox: bool = False
    files: tuple[str, ...] = ()
    stanzas: Mapping[str, Stanza] = field(default_factory=dict)
    recorded: frozenset[str] = frozenset()
    strange: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

    def within(self, names: frozenset[str]) -> "Register":
        """Leave out other networks."""
        return replace(
            self,
            stanzas={key: row for key, row in self.stanzas.items() if key.partition(" in ")[0] in names},
            recorded=self.recorded & names,
            strange={name: place for name, place in self.strange.items() if name in names},
        )


@dataclass(frozen=True, slots=True)
class Server:
    """The dnsmasq of a network, by the texts it runs with.

    `hosts` are reservations, `names` are names for the DNS, `upstream` says whom to ask: all three are read
    again without a restart. `deaf`: where it should hold a port, and does not.
    """

    config: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    deaf: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """All dnsmasq instances of ours, by network, and the directories where their files belong.

    `listening`: addresses where an instance holds the DNS port, and its bridge's name if it hears DHCP there.
    `resolvers`: name servers that the host itself asks.
    """

    installed: bool = True
    files: str = "/run/natnetd/dnsmasq"
    pids: str = "/run/natnetd/dnsmasq"
    leases: str = "/var/lib/natnetd/dnsmasq"
    servers: Mapping[str, Server] = field(default_factory=dict)
    listening: Mapping[str, frozenset[str]] = field(default_factory=dict)
    resolvers: tuple[str, ...] = ()

    def within(self, names: frozenset[str]) -> "Served":
        """Leave out other networks."""
        return replace(self, servers={n: row for n, row in self.servers.items() if n in names})


ANSWERS = "udp from port 67 to port 68"
"""What a bridge's checksums are completed of: answers of DHCP."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What our filters at a bridge's egress complete the checksum of, before a guest reads it."""

    of: tuple[str, ...] = (ANSWERS,)


def derived_mac(machine: str, name: str) -> str:
    """A stable, locally administered unicast MAC (IEEE 802: bit 1 set, bit 0 clear in the first octet).

    Guests keep the gateway in their ARP caches, so a bridge made anew must have the same one.
    """
    octets = bytearray(hashlib.sha256(f"natnetd {machine} {name}".encode()).digest()[:6])
    octets[0] = octets[0] & 0xFC | 0x02
    return octets.hex(":")
