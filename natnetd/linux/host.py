"""The real host: looks as narrowly as it is asked to, and has a door for each layer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from socket import AF_INET6

from pyroute2 import IPRoute

from natnetd.around import Around
from natnetd.errors import HostError
from natnetd.flows import Suspects
from natnetd.host import NO_HINT, Before, Door, Hint, Layer, Scope, Snapshot
from natnetd.linux import dumps, sysctl, ways
from natnetd.linux.around import Surroundings
from natnetd.linux.conntrack import InTurn, Purge, Purge6
from natnetd.linux.netlink import ROUTE, Asker
from natnetd.linux.nft import NftDoor
from natnetd.linux.register import RegisterDoor
from natnetd.linux.rtnl import AddressDoor, LinkDoor
from natnetd.linux.service import ServiceDoor
from natnetd.report import Traffic
from natnetd.rows import Address, Link, Table

MACHINE_ID = Path("/etc/machine-id")
FEW = 30
"""So many things are asked for one by one (30 us each); of more, everything is read (25 ms for 1,000)."""


@dataclass(frozen=True, slots=True)
class LinuxHost:
    """The host of the network namespace it was opened in; one thread's."""

    nft: NftDoor
    asker: Asker
    route: IPRoute
    doors: Mapping[Layer, Door]
    surroundings: Surroundings
    register: RegisterDoor
    service: ServiceDoor
    machine: str = ""

    def look(self, scope: Scope, before: Before, hint: Hint = NO_HINT, /) -> Snapshot:
        """See what a scope covers. Raises HostError."""
        table = self.table(scope, hint) if Layer.NFT in scope.layers else None
        links: dict[str, Link] = {}
        addresses: dict[str, tuple[Address, ...]] = {}
        defaults: frozenset[str] = frozenset()
        interfaces = bool(scope.layers - {Layer.NFT, Layer.REGISTER})
        near = scope.networks
        auto = self.to_internet(hint) if hint.follows or near is None else frozenset[str]()
        if interfaces and near is not None and len(near) <= FEW:
            sizes = hint.sizes | auto if hint.sizes else frozenset()
            links = dumps.some_links(self.asker, near | sizes, former_ports(before))
            addresses = dumps.some_addresses(self.asker, [links[name] for name in near if name in links])
        elif interfaces:
            links = dumps.links(self.asker)
            names = {link.index: link.name for link in links.values()}
            addresses = dumps.addresses(self.asker, names)
            defaults = dumps.default_links(self.asker, names)
        return Snapshot(
            links=links,
            addresses=addresses,
            settings=settings(scope, links, hint.ways) if Layer.SYSCTL in scope.layers else {},
            table=table,
            default_links=defaults,
            auto=auto,
            machine=self.machine,
            register=self.register.look(hint.register) if Layer.REGISTER in scope.layers else None,
            served=self.service.look(scope.networks, links, addresses)
            if Layer.SERVICE in scope.layers
            else None,
            around=self.around(scope, links, hint),
            before=before,
        )

    def to_internet(self, hint: Hint) -> frozenset[str]:
        """Look up the way to the internet; a failure matters only where somebody goes by it."""
        try:
            return ways.to_internet(self.asker)
        except HostError:
            if hint.follows:
                raise
            return frozenset()

    def table(self, scope: Scope, hint: Hint) -> Table | None:
        """See our table, or single elements of it; only a look at the whole host leaves no news."""
        asked = {(e.set, e.key) for e in hint.elements} | scope.touched
        if scope.host or scope.networks is None or len(asked) > FEW * 8:
            return self.nft.look(covers=scope.host and scope.networks is None)
        return self.nft.look_at(asked)

    def around(self, scope: Scope, links: Mapping[str, Link], hint: Hint) -> Around:
        """See what others have set up, if the look is at everything."""
        wide = scope.networks is None and Layer.LINK in scope.layers
        return self.surroundings.look(links, hint.ways, hint.doors) if wide else Around()

    def purge(self, suspects: Suspects, *, translated: bool = False) -> InTurn:
        """Begin to forget flows that are against the rules; see Purge. Raises HostError."""
        own = dumps.own_addresses(self.asker)
        four, six = suspects.leads
        if four or six:
            own6 = dumps.own_addresses(self.asker, AF_INET6) if six else frozenset[int]()
            suspects = replace(suspects, leads=(four.among(own, 4), six.among(own6, 16)))
        walk = Purge(replace(suspects, own=own), translated=translated)
        return InTurn(walk, Purge6(suspects, translated=translated)) if six else InTurn(walk)

    def sample(self) -> Traffic:
        """Read the counters of the packet path. Raises HostError."""
        return self.nft.sample()

    @property
    def generation(self) -> int:
        """The generation of the ruleset up to which nothing is news any more."""
        return self.nft.covered

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
    if not scope.host:
        return found
    paths: list[tuple[str, ...]] = [("net", "ipv4", "ip_forward")]
    paths += [("net", "ipv4", "conf", way, "forwarding") for way in ways if way not in links]
    told = {".".join(path): sysctl.read(*path) for path in paths}
    return found | {key: value for key, value in told.items() if value is not None}


def open_host() -> LinuxHost:
    """Open the host this thread is in. Raises HostError: no permission, no nf_tables, no libnftables."""
    asker = Asker(ROUTE)
    nft = NftDoor()
    route = IPRoute()
    doors: dict[Layer, Door] = {
        Layer.NFT: nft,
        Layer.LINK: LinkDoor(route, asker),
        Layer.ADDRESS: AddressDoor(route, asker),
        Layer.SYSCTL: sysctl.SysctlDoor(),
        Layer.SERVICE: (service := ServiceDoor()),
        Layer.REGISTER: (register := RegisterDoor()),
    }
    around = Surroundings(nft.asker, asker)
    return LinuxHost(nft, asker, route, doors, around, register, service, machine_id())


def machine_id() -> str:
    """Read the id that systemd gives a machine (machine-id(5)); empty where there is none."""
    try:
        return MACHINE_ID.read_text("ascii").strip()
    except OSError:
        return ""
