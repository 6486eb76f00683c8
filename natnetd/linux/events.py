"""What the kernel says of itself: links, addresses, filters, forwarding (rtnetlink), nftables (nfnetlink)."""

import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from natnetd.errors import HostError
from natnetd.host import ALL, Layer, Scope
from natnetd.linux import dumps
from natnetd.linux.dumps import (
    ADDRESS_HEAD,
    IFLA_GROUP,
    IFLA_IFNAME,
    IFLA_MASTER,
    IFLA_PROTINFO,
    LINK_HEAD,
    kind_of,
    number,
    text,
)
from natnetd.linux.elements import DELSETELEM, NEWSETELEM, listed
from natnetd.linux.netlink import NETFILTER, RECEIVE, ROUTE, Asker, attributes, messages, open_socket
from natnetd.linux.nfnl import BRIDGE as BRIDGE_FAMILY
from natnetd.linux.nfnl import INET, NEWGEN, TABLE_NAME
from natnetd.linux.tc import HEAD as TC_HEAD
from natnetd.linux.tc import RTM_DELQDISC, RTM_DELTFILTER, RTM_NEWTFILTER
from natnetd.page import KEY_TYPES, SAMPLED
from natnetd.report import Culprit
from natnetd.rows import GROUP, PHYSICAL, Link, Port
from natnetd.wake import NOTHING, Notice

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWNETCONF = 16, 17, 20, 21, 80
RTM_DELROUTE = 25
LINKS, TRAFFIC, IPV4_IFADDR, IPV6_IFADDR, IPV4_NETCONF, IPV6_NETCONF = 1, 4, 5, 9, 24, 25
GROUPS = LINKS, TRAFFIC, IPV4_IFADDR, IPV6_IFADDR, IPV4_NETCONF, IPV6_NETCONF
IPV4_ROUTE, IPV6_ROUTE = 7, 11
NFNLGRP_NFTABLES = 7
AF_BRIDGE = 7
NOWHERE = -1  # no interface's index
NETCONF_IFINDEX, NETCONF_FORWARDING, NETCONF_ALL = 1, 2, -1
INIT_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the first PID namespace (PROC_PID_INIT_INO): only there are the kernel's pids also ours."""
MANY = 200
SYSCTL_ONLY = frozenset({Layer.SYSCTL})
FAMILIES = {INET: Layer.NFT, BRIDGE_FAMILY: Layer.GUARD}
FILTERS = frozenset({RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER})
BRIDGE = frozenset({Layer.LINK, Layer.ADDRESS, Layer.SYSCTL, Layer.SERVICE, Layer.TRAFFIC})
INTERFACES = Scope(None, frozenset({Layer.LINK, Layer.ADDRESS, Layer.SYSCTL}))


def drain(sock: socket.socket) -> Iterator[bytes | None]:
    """Read all that is queued; None for an overrun.

    After ENOBUFS the queue still holds data, and nothing new is queued before it is drained completely.
    """
    while True:
        try:
            yield sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            yield None


class RouteEvents:
    """Links, addresses, filters and forwarding. Only what concerns `names`, or bridges of ours, is told."""

    def __init__(self) -> None:
        self.socket = open_socket(ROUTE, GROUPS)
        self.bridges: frozenset[str] = frozenset()
        self.names: frozenset[str] = frozenset()
        self.all_off = False
        self.near: dict[int, str] = {}
        self.left: dict[int, dict[int, str]] = {}
        self.asker = Asker(ROUTE)
        self.settings: dict[int, str] = {}
        self.out: dict[int, int | None] | None = None

    def watch(
        self, bridges: Iterable[str], ways: Iterable[str], links: Mapping[str, Link], *, out: bool = False
    ) -> None:
        """Say which interfaces matter, and what is known of them; with `out` all that lead out too."""
        outer = {link.index: link.master for link in links.values() if link.kind in PHYSICAL}
        self.out = outer if out else None
        self.bridges, names = frozenset(bridges), frozenset([*bridges, *ways])
        self.names = names
        there = {link.index for link in links.values()}
        # The news of who went is still to come, and it is about what was known then.
        gone = {index: name for index, name in self.near.items() if index not in there}
        near = {link.index: link.name for link in links.values() if link.name in names or link.ours}
        self.near = gone | near

    def fileno(self) -> int:
        """Readable when there is news."""
        return self.socket.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell the news, one notice for each message that matters."""
        for datagram in drain(self.socket):
            if datagram is None:
                self.left.clear()
                yield Notice(ALL, overrun=True)
                continue
            for kind, _flags, _sequence, _sender, start, end in messages(datagram):
                yield from self.hear(kind, datagram, start, end)
        self.forget_unplugged()
        self.all_off = False  # the announcement is complete; it may stay off, and each counts again

    def hear(self, kind: int, datagram: bytes, start: int, end: int) -> Iterator[Notice]:
        """Understand one message."""
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            yield from self.hear_link(kind, datagram, start, end)
        elif kind in (RTM_NEWADDR, RTM_DELADDR):
            index = ADDRESS_HEAD.unpack_from(datagram, start)[4]
            if index in self.near:
                yield Notice(Scope(frozenset({self.near[index]}), frozenset({Layer.ADDRESS}), host=False))
        elif kind in FILTERS:
            index = TC_HEAD.unpack_from(datagram, start)[1]
            if self.near.get(index) in self.bridges:
                yield Notice(Scope(frozenset({self.near[index]}), frozenset({Layer.TRAFFIC}), host=False))
        elif kind == RTM_NEWNETCONF and datagram[start] == socket.AF_INET6:
            yield from self.hear_router(attributes(datagram, start + 4, end))
        elif kind == RTM_NEWNETCONF:
            yield from self.hear_switch(attributes(datagram, start + 4, end))

    def hear_switch(self, found: dict[int, bytes]) -> Iterator[Notice]:
        """Forwarding was switched; on is never drift. A switch for all is announced for each link too."""
        if NETCONF_FORWARDING not in found:
            return
        index = struct.unpack("=i", found[NETCONF_IFINDEX])[0]
        off = number(found[NETCONF_FORWARDING]) == 0
        if index == NETCONF_ALL:
            self.all_off = off
            if off:
                yield Notice(Scope(frozenset(), SYSCTL_ONLY), urgent=True)
        elif off and not self.all_off and index in self.near:
            near = frozenset({self.near[index]}) & self.bridges
            yield Notice(Scope(near or None, SYSCTL_ONLY, host=not near))

    def hear_router(self, found: dict[int, bytes]) -> Iterator[Notice]:
        """IPv6's forwarding was switched. Before it goes on again, every way out of the host is looked at."""
        if NETCONF_FORWARDING not in found or number(found[NETCONF_FORWARDING]):
            return
        index = struct.unpack("=i", found[NETCONF_IFINDEX])[0]
        if index == NETCONF_ALL:
            yield Notice(Scope(None, SYSCTL_ONLY))
        elif self.near.get(index) in self.bridges:
            yield Notice(Scope(frozenset({self.near[index]}), SYSCTL_ONLY, host=False))

    def hear_link(self, kind: int, datagram: bytes, start: int, end: int) -> Iterator[Notice]:
        """Hear of a link: made, changed, removed, or (family AF_BRIDGE) unplugged from a bridge."""
        family, _type, index, _flags, _change = LINK_HEAD.unpack_from(datagram, start)
        found = attributes(datagram, start + 16, end)
        master = number(found[IFLA_MASTER]) if IFLA_MASTER in found else None
        if family == AF_BRIDGE:
            self.hear_port(kind, index, master, found)
            return
        if master is not None or kind == RTM_DELLINK:
            for ports in self.left.values():
                ports.pop(index, None)
        name = text(found.get(IFLA_IFNAME, b""))
        ours = IFLA_GROUP in found and number(found[IFLA_GROUP]) == GROUP
        if name not in self.names and not ours and index not in self.near:
            if kind == RTM_NEWLINK and self.leads_out(index, master, found):
                yield Notice(INTERFACES)
            return
        known = self.near.get(index, name)
        scope = INTERFACES
        if known == name and name in self.bridges:
            scope = Scope(frozenset({name}), BRIDGE, host=False)
        if kind == RTM_NEWLINK:
            self.near[index] = name
            yield Notice(scope)
            return
        self.near.pop(index, None)
        orphans = self.left.pop(index, {})
        lost = tuple(Port(port, known, settings) for port, settings in orphans.items())
        yield Notice(scope, ports={known: lost} if lost else {})

    def leads_out(self, index: int, master: int | None, found: dict[int, bytes]) -> bool:
        """Whether there is another way out of the host now: a NIC that is new, or in another bridge."""
        if self.out is None or self.out.get(index, NOWHERE) == master or kind_of(found) not in PHYSICAL:
            return False
        self.out[index] = master
        return True

    def hear_port(self, kind: int, index: int, master: int | None, found: dict[int, bytes]) -> None:
        """Note a port's settings while it has them, and that it left: only a deletion follows that up."""
        if master not in self.near:
            return
        if kind == RTM_NEWLINK:
            self.settings[index] = found.get(IFLA_PROTINFO, b"").hex()
        else:
            self.left.setdefault(master, {})[index] = self.settings.pop(index, "")

    def forget_unplugged(self) -> None:
        """Forget who left a bridge that is still there: that was no deletion.

        The kernel answers when it is done with what it is doing to links (RTM_GETLINK takes the RTNL lock),
        so a bridge in the middle of its deletion is gone by then.
        """
        for bridge in tuple(self.left):
            with suppress(HostError):
                if dumps.one_link(self.asker, LINK_HEAD.pack(0, 0, bridge, 0, 0)):
                    del self.left[bridge]


class NftEvents:
    """Who changed what in our table: the objects of a transaction, then its generation with the culprit.

    Elements name their network, so that a look can be as small; anything else is looked at as a whole.
    Generations that the last look covers are old news: they are our own commits, mostly. Each table has
    looks of its own.
    """

    def __init__(self, covered: Callable[[], int], frames: Callable[[], int] = lambda: -1) -> None:
        self.socket = open_socket(NETFILTER, (NFNLGRP_NFTABLES,))
        self.covered = {Layer.NFT: covered, Layer.GUARD: frames}
        self.scopes: dict[Layer, Scope] = {}

    def fileno(self) -> int:
        """Readable when there is news."""
        return self.socket.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell of each transaction of somebody else that touched a table of ours."""
        for datagram in drain(self.socket):
            if datagram is None:
                self.scopes = {}
                yield Notice(Scope(None, frozenset(FAMILIES.values())), overrun=True)
                continue
            for kind, _flags, _sequence, _sender, start, end in messages(datagram):
                if kind == NEWGEN:
                    yield from self.close(attributes(datagram, start + 4, end))
                elif datagram[start] in FAMILIES and datagram[start + 8 : start + 16] == TABLE_NAME:
                    self.touch(FAMILIES[datagram[start]], kind, datagram[start:end])

    def touch(self, layer: Layer, kind: int, payload: bytes) -> None:
        """Note an object of ours; the first attribute of each is the name of its table."""
        scope, only = self.scopes.get(layer, NOTHING), frozenset({layer})
        if kind not in (NEWSETELEM, DELSETELEM):
            scope = Scope(None, only)
        elif scope.networks is not None and len(scope.touched) < MANY:
            set_ = text(attributes(payload, 4, len(payload))[2])
            if set_ in SAMPLED:
                return
            found = tuple(listed(set_, payload)) if set_ in KEY_TYPES else ()
            networks = frozenset(e.network for e in found if e.network is not None)
            if any(e.network is None for e in found):
                scope = Scope(None, only)
            else:
                keys = frozenset((e.set, e.key) for e in found)
                scope |= Scope(networks, only, host=False, touched=keys, exact=True)
        else:
            scope = Scope(None, only)
        self.scopes[layer] = scope

    def close(self, found: dict[int, bytes]) -> Iterator[Notice]:
        """End a transaction: tell what it touched, unless it is one that was looked at already."""
        scopes, self.scopes = self.scopes, {}
        generation = int.from_bytes(found.get(1, b""), "big")
        fresh = [scope for layer, scope in scopes.items() if generation > self.covered[layer]()]
        if not fresh:
            return
        who = culprit(found)
        if who.pid != threading.get_native_id():
            yield from (Notice(scope, culprit=who) for scope in fresh)


def culprit(found: dict[int, bytes]) -> Culprit:
    """Tell who committed: the kernel gives thread id and name; /proc more, while the process lives."""
    name = text(found.get(3, b"?"))
    pid = int.from_bytes(found.get(2, b""), "big")
    if not pid or os.stat("/proc/self/ns/pid").st_ino != INIT_PID_NAMESPACE:  # noqa: PTH116  # 1 us, not 5
        return Culprit(name)
    return Culprit(name, pid, command=command(pid), unit=unit(pid))


def command(pid: int) -> str:
    """Read a process's command line; empty if it is gone."""
    return read_process(pid, "cmdline").replace("\0", " ").strip()


def unit(pid: int) -> str:
    """Find the systemd unit a process belongs to, by its cgroup; empty if there is none."""
    for line in read_process(pid, "cgroup").splitlines():
        leaf = line.rpartition("/")[2]
        if leaf.endswith((".service", ".scope")):
            return leaf
    return ""


def read_process(pid: int, name: str) -> str:
    """Read a small file of a process, or nothing."""
    with suppress(OSError):
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096).decode("utf-8", "replace")
        finally:
            os.close(fd)
    return ""
