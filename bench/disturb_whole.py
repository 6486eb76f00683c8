"""What is disturbed as a whole: the table, and a bridge with its ports."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator

from bench import place, raw
from bench.disturb import Asking
from natnetd.lab.netns import Namespace
from natnetd.linux import dumps
from natnetd.linux.elements import elements, get_element
from natnetd.linux.events import AF_BRIDGE, IPV4_IFADDR, LINKS, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK
from natnetd.linux.netlink import NETFILTER, ROUTE, Asker, attributes, messages, open_socket
from natnetd.linux.nfnl import NEWGEN


class Table(Asking):
    """The whole table, by one netlink message: NAT and isolation count, statistics may come later."""

    spread = 1

    def __init__(self, networks: int) -> None:
        self.networks = networks
        self.line, self.asker = raw.netfilter(), Asker(NETFILTER)
        first, last = place.name(0), place.name(networks - 1)
        self.keys = [
            row
            for name in (last, first)
            for row in (("nets", (name,)), ("pairs", (name, name)), ("exits", (name, place.UPLINK)))
        ]

    def disturb(self, run: int) -> float:  # noqa: ARG002
        """Delete it."""
        return self.line.send(raw.delete_table())

    def right(self, run: int) -> bool:  # noqa: ARG002
        """Ask for the last network's elements, and the first one's."""
        return all(get_element(self.asker, *key) is not None for key in self.keys)

    def whole(self) -> bool:
        """Count the elements of the sets that NAT and isolation ask."""
        return all(
            sum(1 for _ in elements(self.asker, name)) == self.networks for name in ("nets", "pairs", "exits")
        )


class Flush(Table):
    """The whole table, by a process `nft flush ruleset`: counted from its end."""

    def disturb(self, run: int) -> float:  # noqa: ARG002
        """Run it."""
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        return time.perf_counter()


class FlushCommitted(Flush):
    """The same, counted from the kernel's word of it: the process itself, and so the table, is still busy."""

    def disturb(self, run: int) -> float:  # noqa: ARG002
        """Run it, and wait for the kernel's word."""
        listener = open_socket(NETFILTER, (7,))
        listener.setblocking(True)
        process = subprocess.Popen(["nft", "flush", "ruleset"])
        while not any(kind == NEWGEN for kind, *_ in messages(listener.recv(1 << 16))):
            pass
        done = time.perf_counter()
        listener.close()
        threading.Thread(target=process.wait).start()
        return done


class Bridge(Asking):
    """The first network's bridge with its ports: counted from the moment the kernel says that it is gone.

    Whether it is right again is not asked but heard: asking takes the lock that the repair needs.
    """

    spread = 1

    def __init__(self, host: Namespace, ports: int) -> None:
        self.name, self.line = place.name(0), raw.route()
        bridge = self.name
        host.ip(
            *(f"link add p{i} up type veth peer name q{i}" for i in range(ports)),
            *(f"link set p{i} master {bridge}" for i in range(ports)),
        )
        self.ports = {socket.if_nametoindex(f"p{i}") for i in range(ports)}
        self.asker = Asker(ROUTE)
        self.listener = open_socket(ROUTE, (LINKS, IPV4_IFADDR))
        self.listener.setblocking(True)

    def disturb(self, run: int) -> float:  # noqa: ARG002
        """Delete it, and wait for the kernel's word."""
        index = socket.if_nametoindex(self.name)
        self.listener.close()
        self.listener = open_socket(ROUTE, (LINKS, IPV4_IFADDR))
        self.listener.setblocking(True)
        self.heard = self.events()
        threading.Thread(target=self.line.send, args=(raw.delete_link(self.name),)).start()
        for kind, payload in self.heard:
            family, _type, about, _flags, _change = dumps.LINK_HEAD.unpack_from(payload)
            if kind == RTM_DELLINK and family != AF_BRIDGE and about == index:
                break
        return time.perf_counter()

    def events(self) -> Iterator[tuple[int, bytes]]:
        """Yield what the kernel says."""
        while True:
            datagram = self.listener.recv(1 << 18)
            for kind, _flags, _sequence, _sender, start, end in messages(datagram):
                yield kind, datagram[start:end]

    def right(self, run: int) -> bool:  # noqa: ARG002
        """Listen until it is up, has its address, and the last port is plugged in."""
        index, up, carried, left = 0, False, False, set(self.ports)
        while not (up and carried and not left):
            kind, payload = next(self.heard)
            if kind == RTM_NEWADDR:
                carried = carried or dumps.ADDRESS_HEAD.unpack_from(payload)[4] == index != 0
            elif kind == RTM_NEWLINK:
                _family, _type, about, flags, _change = dumps.LINK_HEAD.unpack_from(payload)
                found = attributes(payload, 16, len(payload))
                if dumps.text(found.get(dumps.IFLA_IFNAME, b"")) == self.name:
                    index, up = about, bool(flags & dumps.IFF_UP)
                elif dumps.IFLA_MASTER in found and index == dumps.number(found[dumps.IFLA_MASTER]):
                    left.discard(about)
        return True

    def whole(self) -> bool:
        """Look at the bridge and at its ports."""
        found = dumps.some_links(self.asker, [self.name], self.ports)
        bridge = found[self.name]
        plugged = sum(row.master == bridge.index for row in found.values())
        return bridge.up and bridge.ours and plugged == len(self.ports)

    def close(self) -> None:
        """Take the ports away and let go."""
        for number in range(len(self.ports)):
            self.line.send(raw.delete_link(f"p{number}"))
        self.listener.close()
        super().close()
