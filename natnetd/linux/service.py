"""The door to the dnsmasq of each network: which run, with which texts; starts, stops and reloads them.

A process tells by its command line which text it was started with: the file's name has the text's digest.
Which lists it has read since is in NETWORK.read.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import IPPROTO_TCP, IPPROTO_UDP

from natnetd.dnsmasq import name_servers
from natnetd.errors import HostError
from natnetd.linux import ports
from natnetd.linux.asking import Errors
from natnetd.linux.deaths import Deaths
from natnetd.linux.hearing import DHCP_PORT, DNS_PORT, V4, V6, Hearing, by6
from natnetd.linux.served import Files
from natnetd.linux.starting import UNIT, Places, Starter, places, program, starter
from natnetd.plan import Change
from natnetd.rows import Address, Link, Served, Server


@dataclass(slots=True)
class ServiceDoor:
    """Looks at instances, and changes them."""

    places: Places = field(default_factory=places)
    starter: Starter = field(init=False)
    files: Files = field(init=False)
    deaths: Deaths = field(default_factory=Deaths)
    hearing: Hearing = field(default_factory=Hearing)
    there: bool = False

    def __post_init__(self) -> None:
        self.starter = starter(self.places.units)
        self.files = Files(self.places)

    # --- looking

    def look(
        self,
        networks: frozenset[str] | None,
        links: Mapping[str, Link],
        addresses: Mapping[str, Iterable[Address]],
        /,
    ) -> Served:
        """See the instances of some networks (None: of all), and what they hear of our bridges.

        A narrow look does not ask for the DNS port: just after a change of addresses nobody may be there yet.
        """
        running = dict(self.running(self.files.names() if networks is None else networks))
        self.starter.know({name: Path(conf).stem for name, (_, conf) in running.items()})
        files = {name: conf for name, (_, conf) in running.items()}
        asked_for = self.starter.asked()  # counts as done
        for name, stem in asked_for.items():
            if stem is None:
                files.pop(name, None)
            elif networks is None or name in networks:
                files[name] = f"{self.places.files}/{stem}.conf"
        listening = {name: frozenset((name, by6(name), *four(addresses.get(name, ())))) for name in files}
        for name, (pid, _) in running.items():
            if name in links and name not in asked_for:
                asked = listening[name] if networks is None else frozenset({name, by6(name)})
                listening[name] -= self.hearing.deaf(pid, links[name], asked)
        return Served(
            installed=self.installed(),
            files=str(self.places.files),
            pids=str(self.places.pids),
            leases=str(self.places.leases),
            servers={name: self.files.server(name, conf) for name, conf in files.items()},
            listening=listening,
            resolvers=name_servers(self.files.texts.of(self.places.resolvers).lines),
        )

    def installed(self) -> bool:
        """Whether there is a dnsmasq; one that goes away is found out by starting it."""
        self.there = self.there or program() is not None
        return self.there

    def running(self, names: Iterable[str]) -> Iterator[tuple[str, tuple[int, str]]]:
        """Yield those of some networks that run: pid, and the file of the configuration."""
        for name in names:
            pid = self.files.pid(name)
            if self.deaths.follow(name, pid) is None or pid is None:
                continue
            conf = self.files.started_with(name, pid)
            if conf:
                yield name, (pid, conf)
            else:  # the pid is somebody else's by now
                self.deaths.follow(name, None)

    # --- changing

    def apply(self, changes: Sequence[Change[Server]], /) -> list[HostError | None]:
        """Make changes, side by side: each takes some 10 ms."""
        errors: Errors = {}
        for change in changes:
            if change.want:
                try:
                    self.files.write(change.key, change.want)
                except OSError as error:
                    errors[change.key] = (
                        f"cannot write {error.filename or self.places.files}: {error.strerror}"
                    )
        errors |= {c.key: f"there is no {c.key}" for c in changes if c.want and not index_of(c.key)}
        todo = [c for c in changes if c.key not in errors]
        anew = [c for c in todo if c.want is None or c.have is None or restarts(c.have, c.want)]
        again = [c for c in todo if c not in anew]
        errors |= self.starter.stop(self.fds(c.key for c in anew))
        files = {c.key: self.files.conf(c.key, c.want) for c in anew if c.want}
        errors |= {name: self.blamed(name, told) for name, told in self.starter.start(files).items()}
        started = {c.key: c.want for c in anew if c.want and c.key not in errors}
        errors |= self.unbound({n: want for n, want in started.items() if n not in self.starter.asked()})
        errors |= self.starter.reload(self.fds(c.key for c in again))
        there = self.files.listed()
        for change in todo:
            if change.key not in errors:
                self.files.tidy(change.key, change.want, there.get(change.key, ()))
                self.deaths.follow(change.key, self.files.pid(change.key) if change.want else None)
        self.files.texts.forget()
        self.hearing.own.clear()
        return [HostError(errors[c.key]) if c.key in errors else None for c in changes]

    def unbound(self, started: Mapping[str, Server]) -> Errors:
        """Tell which that have just started hear no DHCP on their bridge: it had no address just then."""
        self.hearing.own.clear()
        errors: Errors = {}
        for name, want in started.items():
            pid, index = self.files.pid(name), index_of(name)
            asked = [ends for ends, on in ((V4, ranges4(want)), (V6, "enable-ra" in want.config)) if on]
            if pid and index and not all(self.hearing.hears_dhcp(pid, index, *ends) for ends in asked):
                errors[name] = f"dnsmasq found no address of {name} when it started"
        return errors

    def fds(self, names: Iterable[str], pid: int | None = None) -> dict[str, int]:
        """Find the processes of some networks; also those whose pid file somebody removed, or just `pid`."""
        names = list(names)
        if pid:
            found = {name: self.deaths.follow(name, pid) for name in names}
            return {name: fd for name, fd in found.items() if fd is not None}
        running = dict(self.running(names))  # the number in a pid file may be anybody's by now
        found = {n: self.deaths.follow(n, running[n][0]) if n in running else None for n in names}
        lost = dict(self.files.lost()) if None in found.values() else {}
        self.starter.know({n: Path(lost[n][1]).stem for n in found.keys() & lost.keys()})
        found |= {n: self.deaths.follow(n, lost[n][0]) for n, fd in found.items() if fd is None and n in lost}
        return {name: fd for name, fd in found.items() if fd is not None}

    def blamed(self, name: str, told: str) -> str:
        """Say who holds the port, if that is why it does not start; one of ours is started anew."""
        if "in use" not in told:
            return told
        address = next((word.strip(":") for word in told.split() if word.count(".") == 3), "")
        port = DHCP_PORT if "DHCP" in told else DNS_PORT
        for holder in ports.holders(port):
            if holder.address in (address, "0.0.0.0"):  # noqa: S104  # what is told, nothing binds it
                pid = ports.process_of(holder.inode)
                who = ports.named(pid) if pid else self.unit(holder, port)
                if other := self.instance(pid, who):
                    self.starter.stop(self.fds([other], pid))  # its end is drift
                    held = f"port {port} of {address or name} is held by the dnsmasq of {other}"
                    return f"{held}: it is started anew"
                return (
                    f"port {port} of {address or name} is held by {who}: stop it, or have it listen elsewhere"
                )
        return told

    def instance(self, pid: int | None, who: str) -> str | None:
        """Name the network whose dnsmasq holds a port.

        It may have an address of another's: who renames a bridge takes along what dnsmasq has bound there.
        """
        if who.startswith(UNIT):
            return who.removeprefix(UNIT).removesuffix(".service").rpartition(".")[0]
        return next((name for name, (other, _) in self.files.lost() if other == pid), None)

    def unit(self, holder: ports.Holder, port: int) -> str:
        """Name the unit of who holds a port, where his process cannot be told."""
        kind = IPPROTO_TCP if holder.protocol == "tcp" else IPPROTO_UDP
        group = self.hearing.diag.cgroup(holder.address, port, kind)
        return ports.unit_of(group) or f"somebody (user {holder.uid})"

    def close(self) -> None:
        """Give descriptors back; the processes stay."""
        self.deaths.close()
        self.hearing.diag.close()


def index_of(bridge: str) -> int:
    """Find an interface; 0 if there is none."""
    with suppress(OSError):
        return socket.if_nametoindex(bridge)
    return 0


def ranges4(want: Server) -> bool:
    """Whether an instance hands out IPv4 addresses."""
    return any(line.startswith("dhcp-range=") and "::" not in line for line in want.config)


def four(addresses: Iterable[Address]) -> Iterator[str]:
    """Yield IPv4 addresses without their prefix lengths."""
    for row in addresses:
        if ":" not in row.interface:
            yield row.interface.partition("/")[0]


def restarts(have: Server, want: Server) -> bool:
    """Whether a change takes a restart."""
    return have.config != want.config or have.deaf != want.deaf
