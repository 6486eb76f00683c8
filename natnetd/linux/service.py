"""The door to the dnsmasq of each network: which run, with which texts; starts, stops and reloads them.

A process tells by its command line which text it was started with: the file's name has the text's digest.
Which lists it has read since is in NETWORK.read.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import IPPROTO_TCP, IPPROTO_UDP

from natnetd.dnsmasq import digest, name_servers, text
from natnetd.errors import HostError
from natnetd.linux import ports
from natnetd.linux.asking import Errors
from natnetd.linux.deaths import Deaths
from natnetd.linux.diag import Diag, Owner
from natnetd.linux.events import read_process
from natnetd.linux.starting import UNIT, Places, Starter, places, program, starter
from natnetd.linux.texts import Texts
from natnetd.plan import Change
from natnetd.rows import Address, Link, Served, Server
from natnetd.state import replace_file

DNS_PORT, DHCP_PORT, DHCP6_PORT = 53, 67, 547
V4, V6 = ("0.0.0.0", DHCP_PORT), ("::", DHCP6_PORT)  # noqa: S104  # what is asked, nothing binds it
LISTS = "hosts", "names", "servers"
"""How files are called that are read again without a restart."""
UNKNOWN = ("?",)
"""Lines that nobody wants: what a process has read cannot be told."""


@dataclass(slots=True)
class ServiceDoor:
    """Looks at instances, and changes them."""

    places: Places = field(default_factory=places)
    starter: Starter = field(init=False)
    deaths: Deaths = field(default_factory=Deaths)
    diag: Diag = field(default_factory=Diag)
    texts: Texts = field(default_factory=Texts)
    own: dict[int, frozenset[int]] = field(default_factory=dict)  # sockets by pid
    there: bool = False

    def __post_init__(self) -> None:
        self.starter = starter(self.places.units)

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
        running = dict(self.running(self.names() if networks is None else networks))
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
                listening[name] -= self.deaf(pid, links[name], asked)
        return Served(
            installed=self.installed(),
            files=str(self.places.files),
            pids=str(self.places.pids),
            leases=str(self.places.leases),
            servers={name: self.server(name, conf) for name, conf in files.items()},
            listening=listening,
            resolvers=name_servers(self.texts.of(self.places.resolvers).lines),
        )

    def deaf(self, pid: int, link: Link, asked: Iterable[str]) -> frozenset[str]:
        """Of some addresses, and a bridge's name for DHCP, tell where a process holds no port.

        A socket is bound to a bridge by its index: that of a bridge made anew is another. Only root sees
        whose a socket is; others go by the user.
        """
        found = set()
        for at in asked:
            if at in (link.name, by6(link.name)):
                hears = self.hears_dhcp(pid, link.index, *(V6 if at == by6(link.name) else V4))
            else:
                hears = self.hears_dns(pid, at)
            if not hears:
                found.add(at)
        return frozenset(found)

    def hears_dns(self, pid: int, address: str) -> bool:
        """Whether a process holds the port at an address; also if that cannot be told."""
        held = self.diag.holders(address, DNS_PORT, (IPPROTO_TCP, IPPROTO_UDP))
        return held is None or all(owner and self.owns(pid, owner) for owner in held)

    def hears_dhcp(self, pid: int, link: int, address: str, port: int) -> bool:
        """Whether a process has bound the port to a bridge; also if that cannot be told.

        One that started before its bridge was there has bound it to none: it would hear all networks, and
        hide from the kernel's lookup who bound it to theirs.
        """
        try:
            return any(self.owns(pid, owner) for owner in self.diag.bound(port, link, address))
        except (HostError, OSError):
            return True

    def owns(self, pid: int, owner: Owner) -> bool:
        """Whether a socket is a process's; what that has is read again if it seems not to be."""
        uid, inode = owner
        if os.geteuid() != 0:
            return uid == uid_of(pid)
        if inode not in self.own.get(pid, ()):
            self.own[pid] = ports.inodes(pid)
        return inode in self.own[pid]

    def installed(self) -> bool:
        """Whether there is a dnsmasq; one that goes away is found out by starting it."""
        self.there = self.there or program() is not None
        return self.there

    def names(self) -> Iterator[str]:
        """Yield networks that an instance was started for."""
        with suppress(OSError):
            for entry in os.scandir(self.places.pids):
                if entry.name.endswith(".pid"):
                    yield entry.name.removesuffix(".pid")

    def running(self, names: Iterable[str]) -> Iterator[tuple[str, tuple[int, str]]]:
        """Yield those of some networks that run: pid, and the file of the configuration."""
        for name in names:
            pid = pid_of(self.places.pids / f"{name}.pid")
            if self.deaths.follow(name, pid) is None or pid is None:
                continue
            conf = self.started_with(name, pid)
            if conf:
                yield name, (pid, conf)
            else:  # the pid is somebody else's by now
                self.deaths.follow(name, None)

    def started_with(self, name: str, pid: int) -> str:
        """Tell a process's configuration from its command line; empty if it is none of ours."""
        before = f"--conf-file={self.places.files}/{name}."
        words = read_process(pid, "cmdline").split("\0")
        found = next((word for word in words if word.startswith(before) and word.endswith(".conf")), "")
        return found.removeprefix("--conf-file=")

    def server(self, name: str, conf: str) -> Server:
        """See what an instance runs with, and what it has read."""
        config = self.texts.of(conf)
        *lists, read = (self.texts.of(f"{self.places.files}/{name}.{end}") for end in (*LISTS, "read"))
        known = read.lines == (" ".join(text.digest for text in lists),)
        hosts, names, servers = (text.lines if known else UNKNOWN for text in lists)
        current = config.digest == conf.rsplit(".", 2)[-2]
        return Server(config.lines if current else UNKNOWN, hosts, names, servers)

    # --- changing

    def apply(self, changes: Sequence[Change[Server]], /) -> list[HostError | None]:
        """Make changes, side by side: each takes some 10 ms."""
        errors: Errors = {}
        for change in changes:
            if change.want:
                try:
                    self.write(change.key, change.want)
                except OSError as error:
                    errors[change.key] = (
                        f"cannot write {error.filename or self.places.files}: {error.strerror}"
                    )
        errors |= {c.key: f"there is no {c.key}" for c in changes if c.want and not index_of(c.key)}
        todo = [c for c in changes if c.key not in errors]
        anew = [c for c in todo if c.want is None or c.have is None or restarts(c.have, c.want)]
        again = [c for c in todo if c not in anew]
        errors |= self.starter.stop(self.fds(c.key for c in anew))
        files = {c.key: self.conf(c.key, c.want) for c in anew if c.want}
        errors |= {name: self.blamed(name, told) for name, told in self.starter.start(files).items()}
        started = {c.key: c.want for c in anew if c.want and c.key not in errors}
        errors |= self.unbound({n: want for n, want in started.items() if n not in self.starter.asked()})
        errors |= self.starter.reload(self.fds(c.key for c in again))
        there = self.listed()
        for change in todo:
            if change.key not in errors:
                self.tidy(change.key, change.want, there.get(change.key, ()))
        self.texts.forget()
        self.own.clear()
        return [HostError(errors[c.key]) if c.key in errors else None for c in changes]

    def unbound(self, started: Mapping[str, Server]) -> Errors:
        """Tell which that have just started hear no DHCP on their bridge: it had no address just then."""
        self.own.clear()
        errors: Errors = {}
        for name, want in started.items():
            pid, index = pid_of(self.places.pids / f"{name}.pid"), index_of(name)
            asked = [ends for ends, on in ((V4, ranges4(want)), (V6, "enable-ra" in want.config)) if on]
            if pid and index and not all(self.hears_dhcp(pid, index, *ends) for ends in asked):
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
        lost = dict(self.lost()) if None in found.values() else {}
        self.starter.know({n: Path(lost[n][1]).stem for n in found.keys() & lost.keys()})
        found |= {n: self.deaths.follow(n, lost[n][0]) for n, fd in found.items() if fd is None and n in lost}
        return {name: fd for name, fd in found.items() if fd is not None}

    def lost(self) -> Iterator[tuple[str, tuple[int, str]]]:
        """Find all instances by their command lines (15 us for each process of the host)."""
        before = f"--conf-file={self.places.files}/"
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                words = read_process(int(entry.name), "cmdline").split("\0")
                for conf in (word.removeprefix("--conf-file=") for word in words if word.startswith(before)):
                    yield Path(conf).name.rsplit(".", 2)[0], (int(entry.name), conf)

    def conf(self, name: str, want: Server) -> Path:
        """Where a configuration belongs."""
        return self.places.files / f"{name}.{digest(want.config)}.conf"

    def write(self, name: str, want: Server) -> None:
        """Write the texts, each as a whole. Raises OSError."""
        if not self.places.units:  # or else the unit makes it, for its own user
            self.places.leases.mkdir(parents=True, exist_ok=True)
        files = [(self.places.files / f"{name}.{end}", rows) for end, rows in lists(want).items()]
        for path, rows in (*files, (self.conf(name, want), want.config)):
            if not path.exists() or lines(path) != rows:
                replace_file(path, text(rows).encode())

    def listed(self) -> dict[str, list[Path]]:
        """List our files by network, once: a search for each takes a minute at 1,000 networks."""
        found: dict[str, list[Path]] = {}
        for directory in {self.places.files, self.places.pids}:
            with suppress(OSError):
                for path in directory.iterdir():
                    found.setdefault(network_of(path.name), []).append(path)
        return found

    def tidy(self, name: str, want: Server | None, there: Iterable[Path]) -> None:
        """Note what was read by now, and remove what nobody reads any more."""
        kept = set()
        if want:
            kept = {f"{name}.{end}" for end in (*LISTS, "read", "pid")} | {self.conf(name, want).name}
            with suppress(OSError):
                replace_file(self.places.files / f"{name}.read", text([stamp(want)]).encode())
        for path in there:
            if path.name not in kept:
                with suppress(OSError):
                    path.unlink()
        self.deaths.follow(name, pid_of(self.places.pids / f"{name}.pid") if want else None)

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
        return next((name for name, (other, _) in self.lost() if other == pid), None)

    def unit(self, holder: ports.Holder, port: int) -> str:
        """Name the unit of who holds a port, where his process cannot be told."""
        kind = IPPROTO_TCP if holder.protocol == "tcp" else IPPROTO_UDP
        group = self.diag.cgroup(holder.address, port, kind)
        return ports.unit_of(group) or f"somebody (user {holder.uid})"

    def close(self) -> None:
        """Give descriptors back; the processes stay."""
        self.deaths.close()
        self.diag.close()


def by6(name: str) -> str:
    """How a bridge is called where DHCPv6 is meant."""
    return f"{name} (DHCPv6)"


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


def network_of(file: str) -> str:
    """Name the network whose file it is; empty if it is no file of ours."""
    stem, _, ending = file.rpartition(".")
    if ending == "conf":
        return stem.rpartition(".")[0]
    return stem if ending in (*LISTS, "read", "pid") else ""


def lists(want: Server) -> dict[str, tuple[str, ...]]:
    """The lines of each list, by what its file is called."""
    return dict(zip(LISTS, (want.hosts, want.names, want.upstream), strict=True))


def stamp(want: Server) -> str:
    """What tells that its lists were read: a process that is younger than this has read them too."""
    return " ".join(map(digest, lists(want).values()))


def lines(path: Path) -> tuple[str, ...]:
    """Read a file's lines; none if there is no such file."""
    with suppress(OSError):
        return tuple(path.read_text("utf-8", "replace").splitlines())
    return ()


def pid_of(path: Path) -> int | None:
    """Read a pid file."""
    with suppress(OSError, ValueError):
        return int(path.read_text("ascii")) or None
    return None


def uid_of(pid: int) -> int:
    """Read whose a process is; its files may be root's, whoever it is."""
    status = read_process(pid, "status")
    words = next((line.split() for line in status.splitlines() if line.startswith("Uid:")), [])
    return int(words[2]) if len(words) > 2 else -1
