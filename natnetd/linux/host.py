"""The real host: looks as narrowly as it is asked to, and has a door for each layer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily

from pyroute2 import IPRoute

from natnetd.around import Around
from natnetd.errors import HostError
from natnetd.flows import Suspects
from natnetd.host import NO_HINT, Before, Door, Hint, Layer, Scope, Snapshot
from natnetd.linux import dumps, subnets, sysctl, ways
from natnetd.linux.around import Surroundings
from natnetd.linux.conntrack import Purge
from natnetd.linux.libnft import able
from natnetd.linux.netlink import ROUTE, Asker
from natnetd.linux.nft import NftDoor
from natnetd.linux.register import RegisterDoor
from natnetd.linux.rtnl import AddressDoor, LinkDoor
from natnetd.linux.service import ServiceDoor
from natnetd.linux.tc import TrafficDoor
from natnetd.report import Traffic
from natnetd.rows import FRAMES, Address, Link, Table

MACHINE_ID = Path("/etc/machine-id")
FEW = 30
"""So many things are asked for one by one (30 us each); of more, everything is read (25 ms for 1,000)."""


@dataclass(frozen=True, slots=True)
class LinuxHost:
    """The host of the network namespace it was opened in; one thread's."""

    nft: NftDoor
    frames: NftDoor
    asker: Asker
    route: IPRoute
    doors: Mapping[Layer, Door]
    surroundings: Surroundings
    register: RegisterDoor
    service: ServiceDoor
    traffic: TrafficDoor
    machine: str = ""
    known: list[bool] = field(default_factory=list)

    def look(self, scope: Scope, before: Before, hint: Hint = NO_HINT, /) -> Snapshot:
        """See what a scope covers. Raises HostError."""
        table = self.table(self.nft, scope, hint) if Layer.NFT in scope.layers else None
        frames = self.table(self.frames, scope, hint) if Layer.GUARD in scope.layers else None
        links: dict[str, Link] = {}
        addresses: dict[str, tuple[Address, ...]] = {}
        defaults: frozenset[str] = frozenset()
        routes: list[bytes] = []
        interfaces = bool(scope.layers - {Layer.NFT, Layer.GUARD, Layer.REGISTER})
        near = scope.networks
        wide = hint.follows or near is None
        auto = self.to_internet(hint, AF_INET) if wide else frozenset[str]()
        auto6 = self.to_internet(hint, AF_INET6) if wide else frozenset[str]()
        if interfaces and near is not None and len(near) <= FEW:
            sizes = hint.sizes | auto | auto6 if hint.sizes else frozenset()
            links = dumps.some_links(self.asker, near | sizes, former_ports(before))
            addresses = dumps.some_addresses(self.asker, [links[name] for name in near if name in links])
            addresses = subnets.checked(self.asker, links, addresses)
        elif interfaces:
            links = dumps.links(self.asker)
            names = {link.index: link.name for link in links.values()}
            routes = subnets.main_table(self.asker, AF_INET)
            addresses = subnets.checked(self.asker, links, dumps.addresses(self.asker, names), routes)
            defaults = dumps.default_links(routes, names)
        return Snapshot(
            links=links,
            addresses=addresses,
            settings=settings(scope, links, hint.ways) if Layer.SYSCTL in scope.layers else {},
            table=table,
            frames=frames,
            guardable=Layer.GUARD not in scope.layers or self.guardable,
            default_links=defaults,
            auto=auto,
            auto6=auto6,
            machine=self.machine,
            register=self.register.look(hint.register) if Layer.REGISTER in scope.layers else None,
            served=self.service.look(scope.networks, links, addresses)
            if Layer.SERVICE in scope.layers
            else None,
            checksums=self.traffic.look(near, links, wanted=hint.completes)
            if Layer.TRAFFIC in scope.layers
            else None,
            around=self.around(scope, links, hint, routes),
            before=before,
        )

    def to_internet(self, hint: Hint, family: AddressFamily) -> frozenset[str]:
        """Look up the way to the internet; a failure matters only where somebody goes by it."""
        try:
            return ways.to_internet(self.asker, family)
        except HostError:
            if hint.follows:
                raise
            return frozenset()

    @property
    def guardable(self) -> bool:
        """Whether this kernel can tell bridges apart, which does not change while it runs."""
        if not self.known:
            self.known.append(able(self.frames.nft))
        return self.known[0]

    def table(self, door: NftDoor, scope: Scope, hint: Hint) -> Table | None:
        """See a table of ours, or single elements of it; only a look at the whole host leaves no news."""
        asked = {(e.set, e.key) for e in hint.elements} | scope.touched
        if scope.host or scope.networks is None or len(asked) > FEW * 8:
            return door.look(covers=scope.host and scope.networks is None)
        return door.look_at(asked)

    def around(self, scope: Scope, links: Mapping[str, Link], hint: Hint, routes: list[bytes]) -> Around:
        """See what others have set up, if the look is at everything."""
        wide = scope.networks is None and Layer.LINK in scope.layers
        return self.surroundings.look(links, hint.ways, hint.doors, routes) if wide else Around()

    def purge(self, suspects: Suspects, *, translated: bool = False) -> Purge:
        """Begin to forget flows that are against the rules; see Purge. Raises HostError."""
        own, six = dumps.own_addresses(self.asker), suspects.six
        if six:
            own6 = dumps.own_addresses(self.asker, AF_INET6)
            six = replace(six, own=own6, leads=six.leads.among(own6, 16))
        four = replace(suspects, own=own, leads=suspects.leads.among(own, 4), six=six)
        return Purge(four, translated=translated)

    def sample(self) -> Traffic:
        """Read the counters of the packet path. Raises HostError."""
        found, frames = self.nft.sample(), self.frames.sample()
        return Traffic(found.elements, {**found.drops, **frames.drops})

    @property
    def generation(self) -> int:
        """The generation of the ruleset up to which nothing is news any more."""
        return self.nft.covered

    @property
    def guard_generation(self) -> int:
        """The same for the table of the bridges."""
        return self.frames.covered

    def close(self) -> None:
        """Give sockets back."""
        self.asker.close()
        self.nft.asker.close()
        self.route.close()
        self.service.close()
        self.surroundings.listeners.close()


def former_ports(before: Before) -> Iterable[int]:
    """Indexes of ports that lost their bridge."""
    return [port.index for ports in before.ports.values() for port in ports]


def settings(scope: Scope, links: Mapping[str, Link], ways: Iterable[str]) -> dict[str, str]:
    """Tell the switches of forwarding. A link carries its own; a look at no link reads the ways' files."""
    found = {
        f"net.ipv4.conf.{link.name}.forwarding": str(int(link.forwarding))
        for link in links.values()
        if link.forwarding is not None
    }
    for link in links.values():
        if link.accept_ra is not None:
            found[f"net.ipv6.conf.{link.name}.accept_ra"] = str(link.accept_ra)
            found[f"net.ipv6.conf.{link.name}.forwarding"] = str(int(bool(link.forwarding6)))
    paths: list[tuple[str, ...]] = [("net", "ipv6", "conf", "default", "accept_ra")]
    if scope.host:
        paths += [("net", "ipv4", "ip_forward")]
        paths += [("net", "ipv4", "conf", way, "forwarding") for way in ways if way not in links]
    if scope.host and scope.networks is None:
        paths += [("net", "ipv6", "conf", "all", "forwarding")]
    told = {".".join(path): sysctl.read(*path) for path in paths}
    return found | {key: value for key, value in told.items() if value is not None}


def open_host() -> LinuxHost:
    """Open the host this thread is in. Raises HostError: no permission, no nf_tables, no libnftables."""
    asker = Asker(ROUTE)
    nft = NftDoor()
    frames = NftDoor(nft.nft, nft.asker, name=FRAMES)
    route = IPRoute()
    doors: dict[Layer, Door] = {
        Layer.NFT: nft,
        Layer.GUARD: frames,
        Layer.LINK: LinkDoor(route, asker),
        Layer.ADDRESS: AddressDoor(route, asker),
        Layer.SYSCTL: sysctl.SysctlDoor(),
        Layer.SERVICE: (service := ServiceDoor()),
        Layer.REGISTER: (register := RegisterDoor()),
        Layer.TRAFFIC: (traffic := TrafficDoor(asker)),
    }
    around = Surroundings(nft.asker, asker)
    return LinuxHost(nft, frames, asker, route, doors, around, register, service, traffic, machine_id())


def machine_id() -> str:
    """Read the id that systemd gives a machine (machine-id(5)); empty where there is none."""
    try:
        return MACHINE_ID.read_text("ascii").strip()
    except OSError:
        return ""
