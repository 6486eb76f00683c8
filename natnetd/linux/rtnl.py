"""The door to links and addresses, through pyroute2: 0.7.2 and 0.7.7 (Debian 12 and 13) as well as 0.9.

Additions go in batches of messages packed by hand (`additions`).
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pyroute2 import IPRoute, NetlinkError
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from natnetd.errors import HostError
from natnetd.linux import additions, subnets
from natnetd.linux.dumps import some_links
from natnetd.linux.netlink import Asker
from natnetd.plan import Change
from natnetd.rows import GROUP, PROTO, Address, Bridge, Port

if "IFA_PROTO" not in (row[0] for row in ifaddrmsg.nla_map):
    # 0.7 has no row for these and drops IFA_PROTO in silence, both ways; the map is compiled at first use.
    ifaddrmsg.nla_map = (
        *ifaddrmsg.nla_map,
        ("IFA_RT_PRIORITY", "uint32"),
        ("IFA_TARGET_NETNSID", "uint32"),
        ("IFA_PROTO", "uint8"),
    )

Answers = list[HostError | None]

SIOCBRADDIF = 0x89A2
IFREQ = struct.Struct("16si20x")
"""struct ifreq of netdevice(7): a name, an index."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn the library's errors into ours: `what` completes "cannot"."""
    try:
        yield
    except NetlinkError as error:
        raise HostError(f"cannot {what}: {os.strerror(error.code)}") from error
    except OSError as error:
        raise HostError(f"cannot {what}: {error.strerror or error}") from error


def attempt(action: Callable[[], None]) -> HostError | None:
    """Do one thing; return why it failed, if it did."""
    try:
        action()
    except HostError as error:
        return error
    return None


TAKEN = "somebody else added it, maybe with another prefix length: see `ip address`, and remove that"
"""Why an address of the file cannot be added: of IPv6 there is one, whatever its length (ipv6_add_addr)."""


def index_of(name: str) -> int:
    """Look a link up by name. Raises OSError: there is none."""
    return socket.if_nametoindex(name)


def known_index(name: str, what: str) -> int | HostError:
    """Look a link up by name, or say that `what` cannot be done without it."""
    try:
        return index_of(name)
    except OSError as error:
        return HostError(f"cannot {what}: {error.strerror or error}")


def send(
    asker: Asker, asked: Sequence[tuple[str, additions.Request | HostError]], there: str = ""
) -> Answers:
    """Send a batch of (what it does, message); say of each how it ended, with `there` if it is there."""
    errors = iter(asker.batch([message for _, message in asked if not isinstance(message, HostError)]))
    answers: Answers = []
    for what, message in asked:
        error = message if isinstance(message, HostError) else next(errors)
        if isinstance(error, OSError):
            why = there if there and error.errno == errno.EEXIST else error.strerror
            error = HostError(f"cannot {what}: {why}")
        answers.append(error)
    return answers


def plug_in(door: socket.socket, change: Change[Port]) -> None:
    """Plug a port in, unless it is a bridge's already. Raises HostError.

    By ioctl (SIOCBRADDIF), for that refuses a port of another bridge (br_add_if: EBUSY); netlink pulls it out
    of there, so that a guest which somebody plugged in elsewhere since the look would be lost to him.
    """
    what, want = f"plug {change.key.replace(' on ', ' into ')}", change.want or Port(0, None)
    name = os.fsencode(want.bridge or "")
    try:
        fcntl.ioctl(door, SIOCBRADDIF, IFREQ.pack(name, want.index))
    except OSError as error:
        taken = error.errno == errno.EBUSY
        why = "somebody plugged it in meanwhile" if taken else error.strerror
        raise HostError(f"cannot {what}: {why}", overtaken=taken) from error


def sort_of(change: Change[Any]) -> str:
    """Tell what can go into one batch: bridges are made before ports are plugged into them."""
    if isinstance(change.want, Port):
        return "port"
    return "new" if change.have is None else "one"


@dataclass(frozen=True, slots=True)
class LinkDoor:
    """Makes, changes and removes bridges, and plugs ports in."""

    route: IPRoute
    asker: Asker

    def apply(self, changes: Sequence[Change[Any]], /) -> Answers:
        """Make changes in their order; additions in batches."""
        answers: Answers = []
        for sort, group in groupby(changes, sort_of):
            batch = list(group)
            if sort == "new":
                answers += self.add(batch)
            elif sort == "port":
                answers += self.plug(batch)
            else:
                answers += [attempt(lambda c=change: self.make(c)) for change in batch]  # type: ignore[misc]
        return answers

    def add(self, changes: Sequence[Change[Bridge]]) -> Answers:
        """Make bridges, then tell those that have one their alias."""
        new = [(c.key, c.want) for c in changes if c.want is not None]
        answers = send(
            self.asker, [(f"make bridge {name}", additions.bridge(name, want)) for name, want in new]
        )
        made = [i for i, (_, want) in enumerate(new) if answers[i] is None and want.alias]
        told_ = [
            (f"describe bridge {new[i][0]}", additions.alias(new[i][0], new[i][1].alias or "")) for i in made
        ]
        for i, error in zip(made, send(self.asker, told_), strict=True):
            answers[i] = error
        return answers

    def plug(self, changes: Sequence[Change[Port]]) -> Answers:
        """Plug ports into their bridges, and give them back what they had set."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            answers = [attempt(lambda c=c: plug_in(door, c)) for c in changes]  # type: ignore[misc]
        back = [c.want for c, error in zip(changes, answers, strict=True) if c.want and not error]
        self.asker.batch(
            [additions.port_settings(port.index, port.settings) for port in back if port.settings]
        )
        return answers

    def make(self, change: Change[Any]) -> None:
        """Change or remove one bridge. Raises HostError."""
        match change:
            case Change(have=Bridge() as have, want=Bridge() as want):
                with told(f"change bridge {change.key}"):
                    self.alter(self.still(change.key, have), have, want)
            case Change(have=Bridge() as have, want=None):
                with told(f"remove bridge {change.key}"):
                    self.route.link("del", index=self.still(change.key, have))

    def still(self, name: str, have: Bridge) -> int:
        """Find a bridge once more; one that was ours must still be so, or it is another.

        Raises HostError, which is to be tried again: that its mark was cleared is told by no event where a
        link is down (netdev_state_change of Linux 6). Raises OSError: it is gone.
        """
        found = some_links(self.asker, (name,), ()).get(name)
        if found is None:
            return index_of(name)
        if have.group == GROUP and not found.ours:
            raise HostError(f"cannot change {name}: it is somebody else's by now")
        return found.index

    def alter(self, index: int, have: Bridge, want: Bridge) -> None:
        """Change what differs; STP before its delay, whose range depends on it (br_set_forward_delay)."""
        now = {"group": have.group, "mtu": have.mtu, "address": have.mac}
        then = {"group": want.group, "mtu": want.mtu, "address": want.mac}
        differ = {name: value for name, value in then.items() if value not in (None, now[name])}
        if differ:
            self.route.link("set", index=index, **differ)
        if want.stp not in (None, have.stp):
            self.route.link("set", index=index, kind="bridge", br_stp_state=int(bool(want.stp)))
        if want.forward_delay not in (None, have.forward_delay):
            self.route.link(
                "set", index=index, kind="bridge", br_forward_delay=(want.forward_delay or 0) * 10
            )
        if want.alias not in (None, have.alias):
            self.route.link("set", index=index, ifalias=want.alias)
        if want.up and not have.up:
            self.route.link("set", index=index, state="up")


@dataclass(frozen=True, slots=True)
class AddressDoor:
    """Adds, marks and removes addresses."""

    route: IPRoute
    asker: Asker

    def apply(self, changes: Sequence[Change[Address]], /) -> Answers:
        """Make changes in their order; additions in batches."""
        answers: Answers = []
        for sort, group in groupby(changes, sort_of):
            batch = list(group)
            if sort == "new":
                answers += self.add(batch)
            else:
                answers += [attempt(lambda c=change: self.make(c)) for change in batch]  # type: ignore[misc]
        return answers

    def add(self, changes: Sequence[Change[Address]]) -> Answers:
        """Add addresses, with our mark."""
        asked: list[tuple[str, additions.Request | HostError]] = []
        for change in changes:
            what, row = f"add {change.key}", change.want or Address("", "")
            link = known_index(row.link, what)
            message = link if isinstance(link, HostError) else additions.address(link, row.interface)
            asked.append((what, message))
        return send(self.asker, asked, there=TAKEN)

    def lead(self, row: Address) -> None:
        """Give the kernel its route to an address's subnet back. Raises HostError."""
        with told(f"route {row.interface} to {row.link}"):  # it may have gone or been renamed meanwhile
            link = index_of(row.link)
            (error,) = self.asker.batch([additions.route(link, row.interface)])
        if error is None:
            return
        there = set(subnets.reached(subnets.main_table(self.asker, subnets.family(row.interface), link)))
        if subnets.subnet(link, row.interface) in there:
            return  # another address of that subnet has brought it
        why = os.strerror(error.errno or 0)
        if error.errno == errno.EEXIST:
            why = "another route is there: see `ip route`, and remove it"
        raise HostError(f"cannot route {row.interface} to {row.link}: {why}")

    def make(self, change: Change[Address]) -> None:
        """Remove an address, or mark one that is there: `replace` leaves no gap. Raises HostError."""
        row = change.want or change.have
        assert row is not None  # noqa: S101  # a change has one of them
        if change.have and change.want and not change.have.routed:
            self.lead(row)
            if change.have.marked == row.marked:
                return
        host, _, length = row.interface.partition("/")
        fields: dict[str, Any] = {"address": host, "prefixlen": int(length)}
        verb, word = ("del", "remove") if change.want is None else ("replace", "mark")
        if change.want is not None:
            fields["IFA_PROTO"] = PROTO
            if ":" in host:
                fields["IFA_FLAGS"] = additions.IFA_F_NODAD
        with told(f"{word} {change.key}"):
            self.route.addr(verb, index=index_of(row.link), **fields)
