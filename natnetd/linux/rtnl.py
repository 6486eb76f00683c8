"""The door to links and addresses, through pyroute2: 0.7.2 and 0.7.7 (Debian 12 and 13) as well as 0.9."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from pyroute2 import IPRoute, NetlinkError
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from natnetd.errors import HostError
from natnetd.plan import Change
from natnetd.rows import PROTO, Address, Bridge, Port

IFA_F_NODAD = 0x02
"""Without it an IPv6 address of a bridge without carrier stays tentative, unusable, until a guest comes."""

if "IFA_PROTO" not in (row[0] for row in ifaddrmsg.nla_map):
    # 0.7 has no row for these and drops IFA_PROTO in silence, both ways; the map is compiled at first use.
    ifaddrmsg.nla_map = (
        *ifaddrmsg.nla_map,
        ("IFA_RT_PRIORITY", "uint32"),
        ("IFA_TARGET_NETNSID", "uint32"),
        ("IFA_PROTO", "uint8"),
    )


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


def index_of(name: str) -> int:
    """Look a link up by name. Raises OSError: there is none."""
    return socket.if_nametoindex(name)


@dataclass(frozen=True, slots=True)
class LinkDoor:
    """Makes, changes and removes bridges, and plugs ports in."""

    route: IPRoute

    def apply(self, changes: Sequence[Change[Any]], /) -> list[HostError | None]:
        """Make each change in its turn."""
        return [attempt(lambda c=change: self.make(c)) for change in changes]  # type: ignore[misc]

    def make(self, change: Change[Any]) -> None:
        """Make one change. Raises HostError."""
        match change:
            case Change(want=Port(index=index, bridge=str(bridge))):
                with told(f"plug {change.key.partition(' ')[0]} into {bridge}"):
                    self.route.link("set", index=index, master=index_of(bridge))
            case Change(have=None, want=Bridge() as want):
                self.add(change.key, want)
            case Change(have=Bridge() as have, want=Bridge() as want):
                self.alter(change.key, have, want)
            case Change(want=None):
                with told(f"remove bridge {change.key}"):
                    self.route.link("del", index=index_of(change.key))

    def add(self, name: str, want: Bridge) -> None:
        """Make a bridge: everything in the message that creates it, but for the alias, ignored there."""
        with told(f"make bridge {name}"):
            self.route.link(
                "add",
                ifname=name,
                kind="bridge",
                group=want.group,
                mtu=want.mtu,
                address=want.mac,
                br_stp_state=int(bool(want.stp)),
            )
        self.alter(name, Bridge(up=False, alias="", stp=want.stp), want, fresh=True)

    def alter(self, name: str, have: Bridge, want: Bridge, *, fresh: bool = False) -> None:
        """Change what differs; STP before its delay, whose range depends on it (br_set_forward_delay)."""
        with told(f"change bridge {name}"):
            index = index_of(name)
            if not fresh:
                self.set(index, have, want)
            if want.stp != have.stp and want.stp is not None:
                self.route.link("set", index=index, kind="bridge", br_stp_state=int(want.stp))
            if want.forward_delay != have.forward_delay and want.forward_delay is not None:
                self.route.link("set", index=index, kind="bridge", br_forward_delay=want.forward_delay * 10)
            if want.alias != have.alias and want.alias is not None:
                self.route.link("set", index=index, ifalias=want.alias)
            if want.up and not have.up:
                self.route.link("set", index=index, state="up")

    def set(self, index: int, have: Bridge, want: Bridge) -> None:
        """Set the plain attributes that differ."""
        now = {"group": have.group, "mtu": have.mtu, "address": have.mac}
        then = {"group": want.group, "mtu": want.mtu, "address": want.mac}
        differ = {name: value for name, value in then.items() if value not in (None, now[name])}
        if differ:
            self.route.link("set", index=index, **differ)


@dataclass(frozen=True, slots=True)
class AddressDoor:
    """Adds, marks and removes addresses."""

    route: IPRoute

    def apply(self, changes: Sequence[Change[Address]], /) -> list[HostError | None]:
        """Make each change in its turn."""
        return [attempt(lambda c=change: self.make(c)) for change in changes]  # type: ignore[misc]

    def make(self, change: Change[Address]) -> None:
        """Add an address with our mark, mark one that is there (`replace`, no gap), or remove one."""
        row = change.want or change.have
        assert row is not None  # noqa: S101  # a change has one of them
        verb = "del" if change.want is None else "add" if change.have is None else "replace"
        address = ip_interface(row.interface)
        fields: dict[str, Any] = {"address": str(address.ip), "prefixlen": address.network.prefixlen}
        if verb != "del":
            fields["IFA_PROTO"] = PROTO
            if address.version == 6:
                fields["IFA_FLAGS"] = IFA_F_NODAD
            elif address.network.prefixlen < 31:
                fields["broadcast"] = str(address.network.broadcast_address)
        with told(f"{verb} {change.key}".replace("del ", "remove ").replace("replace ", "mark ")):
            self.route.addr(verb, index=index_of(row.link), **fields)
