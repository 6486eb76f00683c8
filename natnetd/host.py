"""What can be seen of a host and done to it: values and protocols, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from natnetd.around import Around
from natnetd.doors import Forward
from natnetd.errors import HostError
from natnetd.model import Config, Network
from natnetd.rows import Address, Checksum, Counter, Element, Link, Port, Register, Served, Table, derived_mac


class Layer(StrEnum):
    """Where a thing lives; one door each."""

    NFT = "nft"
    GUARD = "guard"
    LINK = "link"
    ADDRESS = "address"
    SYSCTL = "sysctl"
    REGISTER = "register"
    TRAFFIC = "traffic"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a look covers: some networks (None: all), some layers, and what belongs to the host as a whole.

    `touched` are elements of those networks that somebody added, or may have: a narrow look at a table
    asks for single elements, and would not find what nobody wants. `exact`: of the table nothing else is
    looked at, however much a network has there.
    """

    networks: frozenset[str] | None = None
    layers: frozenset[Layer] = frozenset(Layer)
    host: bool = True
    touched: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    exact: bool = False

    def __contains__(self, change: Any) -> bool:
        """Say whether a change (anything with a layer and a network) lies within."""
        if change.layer not in self.layers:
            return False
        if self.exact and change.layer is Layer.NFT and not self.touches(change):
            return False
        if change.network is None:
            return self.host
        return self.networks is None or change.network in self.networks

    def __or__(self, other: "Scope") -> "Scope":
        """Cover both: never less than either, sometimes more."""
        networks = None if self.networks is None or other.networks is None else self.networks | other.networks
        touched = self.touched | other.touched
        exact = self.exact and other.exact
        return Scope(networks, self.layers | other.layers, self.host or other.host, touched, exact)

    def touches(self, change: Any) -> bool:
        """Say whether a change, or what waits, is about elements that somebody touched."""
        row = getattr(change, "want", None) or getattr(change, "have", None)
        if isinstance(row, Element):
            return (row.set, row.key) in self.touched
        waiting: frozenset[tuple[str, tuple[str, ...]]] = getattr(change, "touched", frozenset())
        return bool(waiting) and waiting <= self.touched

    def narrow(self, config: Config) -> Config:
        """Leave out of a configuration the networks that are not looked at."""
        if self.networks is None:
            return config
        kept = {name: n for name, n in config.networks.items() if name in self.networks}
        if self.exact:
            kept = {name: self.touching(network, config) for name, network in kept.items()}
        return replace(config, networks=kept)

    def touching(self, network: Network, config: Config) -> Network:
        """Leave out the forwards that were not touched; of many, one stays: there are some."""
        owners = (config.all.doors.get(key) for key in sorted(self.touched))
        doors = dict.fromkeys(owner[1] for owner in owners if owner and owner[0] == network.name)
        return replace(network, forwards=tuple(doors) or network.forwards[:1])


ALL = Scope()


@dataclass(frozen=True, slots=True)
class Hint:
    """What a narrow look asks for by name: wanted elements, and interfaces that are ways out or in.

    `register`: whether to look at Proxmox VE's list of bridges; None: if this is a Proxmox VE host.
    `follows`: the way to the internet matters too, and so do the `sizes` of these interfaces. A wide look
    asks who holds ports that `doors` forward. `completes`: some checksums are to be completed, so that it
    matters whether this kernel can.
    """

    elements: tuple[Element, ...] = ()
    ways: frozenset[str] = frozenset()
    register: bool | None = True
    follows: bool = False
    sizes: frozenset[str] = frozenset()
    doors: tuple[Forward, ...] = ()
    completes: bool = True


NO_HINT = Hint()


class State(StrEnum):
    """What a network is in, one at a time; a later one outweighs an earlier one."""

    IN_SYNC = "in_sync"
    PENDING = "pending"
    WAITING = "waiting"
    IN_USE = "in_use"
    CONTESTED = "contested"
    FAILED = "failed"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands in the way of a network, or is worth knowing (then `state` is in_sync)."""

    network: str | None
    state: State
    text: str

    def __str__(self) -> str:
        sign = {State.WAITING: "?", State.IN_SYNC: "i"}.get(self.state, "!")
        word = "note" if self.state is State.IN_SYNC else self.state.replace("_", " ")
        return f"{sign} {word} {self.network or 'host'}: {self.text}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A change that waits: how often it failed in a row, why, until when (monotonic seconds), and whose.

    `touched` is the element in question, as in a Scope: one that nobody wants is found by its name only.
    """

    failures: int
    text: str
    retry_at: float
    network: str | None = None
    layer: Layer = Layer.NFT
    state: State = State.FAILED
    touched: frozenset[tuple[str, tuple[str, ...]]] = frozenset()


@dataclass(frozen=True, slots=True)
class Bout:
    """How patient natnetd is with one thing: tokens left at a time (monotonic seconds), and who undoes it.

    `fought`: there were none left, and peace has not come back yet.
    """

    tokens: float
    at: float
    network: str | None = None
    fought: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class Before:
    """All that travels from pass to pass: it cannot be looked up in the kernel."""

    counters: Mapping[str, Counter] = field(default_factory=dict)
    drops: Mapping[str, Counter] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    bouts: Mapping[str, Bout] = field(default_factory=dict)
    ports: Mapping[str, tuple[Port, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    auto: frozenset[str] = frozenset()
    auto6: frozenset[str] = frozenset()
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the host, within a scope; `auto` are the interfaces by which it sends to the internet.

    `frames` is our table of the bridges, `guardable` whether this kernel can have it. `checksums` are those
    that it completes, by bridge; None if it cannot.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    table: Table | None = None
    frames: Table | None = None
    guardable: bool = True
    default_links: frozenset[str] = frozenset()
    auto: frozenset[str] = frozenset()
    auto6: frozenset[str] = frozenset()  # and by IPv6
    machine: str = ""
    register: Register | None = None
    served: Served | None = None
    checksums: Mapping[str, Checksum] | None = None
    around: Around = field(default_factory=Around)
    before: Before = field(default_factory=Before)

    def owns(self, link: Link) -> bool:
        """Whether natnetd made a bridge: it carries our group or, if that was reset, the MAC we gave it."""
        return link.ours or (link.kind == "bridge" and link.mac == derived_mac(self.machine, link.name))

    def plugged(self) -> Mapping[int, Sequence[Link]]:
        """Ports by the index of what they are plugged into."""
        found: dict[int, list[Link]] = {}
        for link in self.links.values():
            if link.master is not None:
                found.setdefault(link.master, []).append(link)
        return found

    def unplugged(self) -> "Snapshot":
        """The same host with nobody plugged into a bridge of ours: what `--force` acts upon."""
        ours = {link.index for link in self.links.values() if link.ours}
        links = {
            name: replace(link, master=None) if link.master in ours else link
            for name, link in self.links.items()
        }
        return replace(self, links=links)

    def within(self, scope: Scope) -> "Snapshot":
        """Leave out what is not looked at; links that are no network's stay, they are the surroundings."""
        if scope.networks is None:
            return self
        inside = scope.networks
        return replace(
            self,
            links={n: link for n, link in self.links.items() if n in inside or not link.ours},
            addresses={n: rows for n, rows in self.addresses.items() if n in inside},
            table=self.table and of_networks(self.table, inside),
            frames=self.frames and of_networks(self.frames, inside),
            register=self.register and self.register.within(inside),
            served=self.served and self.served.within(inside),
            checksums=self.checksums and {n: row for n, row in self.checksums.items() if n in inside},
        )


def of_networks(table: Table, inside: frozenset[str]) -> Table:
    """Leave out the elements of other networks; a forward may change hands, and stays."""
    kept = {n: e for n, e in table.elements.items() if e.owner is not None or e.network in inside}
    return replace(table, elements=kept)


class Door(Protocol):
    """One per layer, in `natnetd.linux`; a fake of each stands in `tests/`."""

    def apply(self, changes: Sequence[Any], /) -> Sequence[HostError | None]:
        """Make changes, one batch; for each return None, or why it failed. Never raises."""


class Host(Protocol):
    """A host that can be looked at and changed."""

    @property
    def doors(self) -> Mapping[Layer, Door]:
        """The doors by layer."""

    def look(self, scope: Scope, before: Before, hint: Hint = NO_HINT, /) -> Snapshot:
        """See at least what `scope` covers; if it is narrow, asking for what `hint` names.

        Raises HostError: a look that failed is an error, never an empty host.
        """
