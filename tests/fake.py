"""A host in memory that refuses what a kernel refuses; it earns trust by passing the kernel's own tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from natnetd.errors import HostError
from natnetd.host import NO_HINT, Before, Hint, Layer, Scope, Snapshot
from natnetd.intervals import in_the_way
from natnetd.page import PAGE
from natnetd.plan import Change
from natnetd.rows import (
    GROUP,
    Address,
    Block,
    Bridge,
    Checksum,
    Counter,
    Element,
    Link,
    Port,
    Register,
    Served,
    Server,
    Setting,
    Stanza,
    Table,
)

COUNTED = ("tx", "rx")


class RefusedError(Exception):
    """What the fake kernel says no with."""


def attempt(what: str, action: Callable[[], None]) -> HostError | None:
    try:
        action()
    except RefusedError as error:
        return HostError(f"cannot {what}: {error}")
    return None


def same_address(new: str, there: str) -> bool:
    """IPv6 knows an address without its prefix length."""
    return new == there or (":" in new and new.partition("/")[0] == there.partition("/")[0])


@dataclass
class FakeHost:
    """Links, addresses, one table and the switch of forwarding, in dictionaries."""

    links: dict[str, Link] = field(default_factory=dict)
    addresses: dict[str, dict[str, Address]] = field(default_factory=dict)
    table: Table | None = None
    frames: Table | None = None
    guardable: bool = True
    ip_forward: bool = False
    ip6_forward: bool = False
    default_links: frozenset[str] = frozenset()
    register: Register | None = None
    auto: frozenset[str] = frozenset()
    auto6: frozenset[str] = frozenset()
    served: Served = field(default_factory=Served)
    checksums: dict[str, Checksum] | None = field(default_factory=dict)
    writes: int = 0
    broken: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()

    def refuses(self, change: Change[Any]) -> bool:
        """Networks of which nothing can be changed, and those to which nothing can be added."""
        return change.network in self.broken or (change.want is not None and change.network in self.full)

    def look(self, scope: Scope, before: Before, hint: Hint = NO_HINT) -> Snapshot:
        """See as little as the kernel's door would."""
        sizes = hint.sizes | self.auto | self.auto6 if hint.sizes else frozenset()
        others, near = scope.layers - {Layer.NFT, Layer.GUARD}, scope.networks
        links = {
            n: x for n, x in self.links.items() if others and (self.asked(x, near, before) or x.name in sizes)
        }
        addresses = {n: tuple(self.addresses[n].values()) for n in links if self.addresses.get(n)}
        return Snapshot(
            links=links,
            addresses=addresses if near is None else {n: rows for n, rows in addresses.items() if n in near},
            settings=self.settings(scope, links, hint) if Layer.SYSCTL in scope.layers else {},
            table=self.look_at_table(self.table, scope, hint) if Layer.NFT in scope.layers else None,
            frames=self.look_at_table(self.frames, scope, hint) if Layer.GUARD in scope.layers else None,
            guardable=self.guardable,
            default_links=self.default_links if near is None else frozenset(),
            auto=self.auto if near is None or hint.follows else frozenset(),
            auto6=self.auto6 if near is None or hint.follows else frozenset(),
            machine="fake",
            register=self.register if Layer.REGISTER in scope.layers else None,
            served=self.look_at_servers(near) if Layer.SERVICE in scope.layers else None,
            checksums=self.look_at_checksums(near, hint) if Layer.TRAFFIC in scope.layers else None,
            before=before,
        )

    def asked(self, link: Link, near: frozenset[str] | None, before: Before) -> bool:
        former = [port.index for ports in before.ports.values() for port in ports]
        return near is None or link.name in near or link.index in former

    def look_at_table(self, table: Table | None, scope: Scope, hint: Hint) -> Table | None:
        if scope.host or scope.networks is None or table is None:
            return table
        names = {e.name for e in hint.elements} | {Element(*touched).name for touched in scope.touched}
        return Table(elements={n: e for n, e in table.elements.items() if n in names})

    def settings(self, scope: Scope, links: dict[str, Link], hint: Hint) -> dict[str, str]:
        ways = {name: self.links[name] for name in hint.ways if scope.host and name in self.links}
        found = {
            f"net.ipv4.conf.{link.name}.forwarding": str(int(bool(link.forwarding)))
            for link in (links | ways).values()
        }
        found["net.ipv6.conf.default.accept_ra"] = "1"
        for link in links.values():
            found[f"net.ipv6.conf.{link.name}.accept_ra"] = str(link.accept_ra)
            found[f"net.ipv6.conf.{link.name}.forwarding"] = str(int(bool(link.forwarding6)))
        if scope.host and scope.networks is None:
            found["net.ipv6.conf.all.forwarding"] = str(int(self.ip6_forward))
        return found | ({"net.ipv4.ip_forward": str(int(self.ip_forward))} if scope.host else {})

    @property
    def doors(self) -> dict[Layer, Any]:
        return {
            Layer.NFT: FakeNft(self),
            Layer.GUARD: FakeNft(self, "frames"),
            Layer.LINK: FakeEach(self, self.change_link),
            Layer.ADDRESS: FakeEach(self, self.change_address),
            Layer.SYSCTL: FakeEach(self, self.change_setting),
            Layer.REGISTER: FakeEach(self, self.change_stanza),
            Layer.SERVICE: FakeEach(self, self.change_server),
            Layer.TRAFFIC: FakeEach(self, self.change_checksum),
        }

    # --- links

    def add_link(self, name: str, **fields: Any) -> Link:
        index = 1 + max((link.index for link in self.links.values()), default=0)
        six = {"forwarding6": self.ip6_forward, "accept_ra": 1}
        self.links[name] = Link(index, name, forwarding=self.ip_forward, **(six | fields))
        return self.links[name]

    def change_link(self, change: Change[Any]) -> None:
        match change:
            case Change(want=Port(index=index, bridge=str(bridge))):
                self.plug(index, bridge)
            case Change(have=None, want=Bridge() as want):
                if change.key in self.links:
                    raise RefusedError("File exists")
                self.add_link(change.key, kind="bridge", up=False, stp=False, forward_delay=150)
                self.alter(change.key, want)
            case Change(have=Bridge(group=group)) if group == GROUP and not self.known(change.key).ours:
                raise RefusedError("it is somebody else's by now")
            case Change(want=Bridge() as want):
                self.alter(change.key, want)
            case Change(want=None):
                gone = self.links.pop(self.known(change.key).name)
                self.addresses.pop(gone.name, None)
                (self.checksums or {}).pop(gone.name, None)
                freed = {
                    n: replace(link, master=None)
                    for n, link in self.links.items()
                    if link.master == gone.index
                }
                self.links |= freed

    def known(self, name: str) -> Link:
        if name not in self.links:
            raise RefusedError("no interface with this name")
        return self.links[name]

    def plug(self, index: int, bridge: str) -> None:
        master = self.known(bridge)
        for name, link in self.links.items():
            if link.index == index:
                if link.master is not None:
                    raise RefusedError("somebody plugged it in meanwhile")
                self.links[name] = replace(link, master=master.index)
                return
        raise RefusedError("No such device")

    def alter(self, name: str, want: Bridge) -> None:
        told = {f: getattr(want, f) for f in ("up", "group", "mtu", "mac", "stp", "forward_delay", "alias")}
        self.links[name] = replace(self.known(name), **{k: v for k, v in told.items() if v is not None})

    # --- Proxmox VE's list of bridges

    def change_stanza(self, change: Change[Stanza]) -> None:
        there, name = self.register, change.network or ""
        assert there is not None
        stanzas, recorded = dict(there.stanzas), there.recorded - {name}
        for file in there.files:
            row = stanzas.pop(f"{name} in {file}", None)
            if row and not row.recorded and (change.want is None or row.lines != change.want.lines):
                raise RefusedError("not ours")
            if change.want:
                stanzas[f"{name} in {file}"] = change.want
        recorded |= {name} if change.want else frozenset()
        self.register = replace(there, stanzas=stanzas, recorded=recorded)

    # --- servers

    def look_at_servers(self, near: frozenset[str] | None) -> Served:
        """Every server that runs holds its port wherever there is an address."""
        kept = {n: row for n, row in self.served.servers.items() if near is None or n in near}
        heard = {
            n: frozenset([n, f"{n} (DHCPv6)", *(a.partition("/")[0] for a in self.addresses.get(n, ()))])
            for n in kept
        }
        return replace(self.served, servers=kept, listening=heard)

    def change_server(self, change: Change[Server]) -> None:
        servers = dict(self.served.servers)
        if not self.served.installed and change.want:
            raise RefusedError("dnsmasq is not installed")
        if (change.key in servers) != (change.have is not None):
            raise RefusedError("not what was seen")
        servers.pop(change.key, None)
        self.served = replace(
            self.served, servers=servers | ({change.key: change.want} if change.want else {})
        )

    # --- checksums

    def look_at_checksums(self, near: frozenset[str] | None, hint: Hint) -> dict[str, Checksum] | None:
        if self.checksums is None:
            return None if hint.completes else {}
        return {n: row for n, row in self.checksums.items() if near is None or n in near}

    def change_checksum(self, change: Change[Checksum]) -> None:
        if self.checksums is None:
            raise RefusedError("No such file or directory")
        self.checksums.pop(change.key, None)
        if change.want:
            self.checksums[self.known(change.key).name] = change.want

    # --- addresses and settings

    def change_address(self, change: Change[Address]) -> None:
        row = change.want or change.have
        assert row is not None
        self.known(row.link)
        there = self.addresses.setdefault(row.link, {})
        if change.want is None:
            if there.pop(row.interface, None) is None:
                raise RefusedError("Cannot assign requested address")
        elif change.have is None and any(same_address(row.interface, other) for other in there):
            raise RefusedError("somebody else added it, maybe with another prefix length")
        else:
            there[row.interface] = Address(row.link, row.interface, marked=True)

    def change_setting(self, change: Change[Setting]) -> None:
        assert change.want is not None
        on = change.want.value == "1"
        if change.want.path[1] == "ipv6":
            self.change_setting6(*change.want.path[3:], change.want.value)
            return
        if change.want.path[-1] == "ip_forward":
            if on != self.ip_forward:
                self.links = {n: replace(link, forwarding=on) for n, link in self.links.items()}
            self.ip_forward = on
        else:
            name = change.want.path[-2]
            self.links[name] = replace(self.known(name), forwarding=on)

    def change_setting6(self, name: str, key: str, value: str) -> None:
        if name == "all":
            self.ip6_forward = value == "1"
            self.links = {n: replace(x, forwarding6=self.ip6_forward) for n, x in self.links.items()}
        elif key == "forwarding":
            self.links[name] = replace(self.known(name), forwarding6=value == "1")
        else:
            self.links[name] = replace(self.known(name), accept_ra=int(value))


class Nobody:
    """A libnftables that must not be asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"libnftables was asked: {name}")


@dataclass
class FakeEach:
    """Makes changes one by one."""

    host: FakeHost
    make: Callable[[Change[Any]], None]

    def apply(self, changes: Sequence[Change[Any]], /) -> list[HostError | None]:
        self.host.writes += len(changes)
        return [
            HostError("cannot: broken") if self.host.refuses(c) else attempt(str(c), lambda c=c: self.make(c))  # type: ignore[misc]
            for c in changes
        ]


@dataclass
class FakeNft:
    """One transaction for all; if it fails, one for each network."""

    host: FakeHost
    name: str = "table"

    def apply(self, changes: Sequence[Change[Any]], /) -> list[HostError | None]:
        self.host.writes += 1
        error = attempt("nft", lambda: self.commit(changes))
        if error is None or len({c.network for c in changes}) == 1:
            return [error] * len(changes)
        return [attempt("nft", lambda c=c: self.commit([c])) for c in changes]  # type: ignore[misc]

    def commit(self, changes: Sequence[Change[Any]]) -> None:
        table: Table | None = getattr(self.host, self.name)
        if self.name == "frames" and not self.host.guardable and changes:
            raise RefusedError("Operation not supported")
        for change in sorted(changes, key=lambda c: c.want is not None or not isinstance(c.have, Element)):
            if self.host.refuses(change):
                raise RefusedError("broken")
            table = self.changed(table, change)
        setattr(self.host, self.name, table)

    def changed(self, table: Table | None, change: Change[Any]) -> Table | None:
        match change:
            case Change(want=Table() as want):
                return Table(want.blocks, {}) if table is None else replace(table, flags=want.flags)
            case Change(have=Table(), want=None):
                return None
        if table is None:
            raise RefusedError("No such file or directory")
        blocks, elements = dict(table.blocks), dict(table.elements)
        match change:
            case Change(want=Block() as want):
                blocks[want.name] = want
            case Change(have=Block() as have, want=None):
                del blocks[have.name]
            case Change(have=None, want=Element() as want):
                self.add(blocks, elements, want)
            case Change(have=Element() as have, want=None):
                self.take(elements, have)
            case Change(have=Element() as have, want=Element() as want):
                self.take(elements, have)
                self.add(blocks, elements, want)
        return replace(table, blocks=blocks, elements=elements)

    def take(self, elements: dict[str, Element], gone: Element) -> None:
        if elements.pop(gone.name, None) is None:
            raise RefusedError("No such file or directory")

    def add(self, blocks: dict[str, Block], elements: dict[str, Element], new: Element) -> None:
        if not {f"set {new.set}", f"map {new.set}"} & blocks.keys():
            raise RefusedError("No such file or directory")
        there = elements.get(new.name)
        if there is not None and there != new:
            raise RefusedError("File exists")
        met = list(in_the_way(elements.values(), [new]))
        if there is None and not met:  # Linux 6.1 says nothing of it
            count = (new.count or Counter()) if new.set in COUNTED else None
            elements[new.name] = replace(new, count=count)


WHOLE = Table(PAGE)
