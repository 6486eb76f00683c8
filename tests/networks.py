"""Networks under test: a host that follows a file, what its packet path counted, and single packets."""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_interface
from pathlib import Path
from socket import AF_INET, IPPROTO_RAW, SOCK_RAW, inet_aton
from typing import Self

from natnetd import config, rows
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Packet, Sniffer
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest, World
from natnetd.linux import LinuxHost, open_host
from natnetd.reconcile import Pass, reconcile
from natnetd.report import Report

HOST, GATEWAY, INTERNET = "203.0.113.2", "203.0.113.1", "198.51.100.7"
"""The uplink's own address, somebody on its wire, and somebody far away behind the default route."""
SECOND_HOST, SECOND_GATEWAY, SECOND_INTERNET = "198.18.0.2", "198.18.0.1", "198.51.100.9"
"""The same at the second uplink, vmbr9: only SECOND_INTERNET is routed there."""

ANY_PROTOCOL = ("udp", "syn", "ping")
"""Shots that may begin a flow."""


class Networks:
    """The host of a world, and what natnetd makes of it."""

    def __init__(self, world: World, host: LinuxHost) -> None:
        self.world = world
        self.host = host

    @classmethod
    @contextmanager
    def of(cls, world: World) -> Iterator[Self]:
        """Open the host of the world the test is in."""
        host = open_host()
        yield cls(world, host)
        host.close()

    def become(self, networks: str) -> Report:
        """Make one pass with what stands under `networks:` in a file; nothing of it may fail."""
        report = reconcile(config.parse(f"networks:{networks or ' {}'}", "test.yaml"), self.host, Pass())
        assert report.ok, [o.error for o in report.outcomes if o.error]
        return report

    def guest(self, name: str, bridge: str, *addresses: str) -> Guest:
        """Make a guest whose gateways are the first addresses of its subnets."""
        first = {a.version: str(a.network[1]) for a in map(ip_interface, reversed(addresses))}
        guest = self.world.guest(name, bridge, addresses, list(first.values()))
        if 6 in first:  # the kernel takes an address into use a little after its link
            for ns, link in ((guest.ns, "eth0"), (guest.host, bridge)):
                listing = partial(ns.check, ["ip", "-6", "address", "show", "dev", link, "tentative"])
                wait_until(lambda tentative=listing: not tentative(), what=f"{link} to be used by IPv6")
        return guest

    def drops(self) -> Counter[str]:
        """Count dropped packets by reason."""
        return Counter({why: packets for why, packets in self.host.sample().dropped.items() if packets})

    @contextmanager
    def dropping(self, reason: str, packets: int = 1) -> Iterator[None]:
        """Demand that exactly so many packets are dropped for this reason, and none for another."""
        expected = self.drops() + Counter({reason: packets})
        yield
        with suppress(TimeoutError):
            wait_until(lambda: self.drops() == expected, 2, what="the drop")
        assert self.drops() == expected

    def traffic(self, network: str) -> tuple[rows.Counter, rows.Counter]:
        """Tell what the network sent, and what was sent to it."""
        counted = self.host.sample().elements
        return counted[f"tx {network}"], counted[f"rx {network}"]


def setting(name: str, value: str) -> None:
    """Set a sysctl of the host, like bridge.bridge-nf-call-iptables, and make sure that it took."""
    path = Path("/proc/sys/net", *name.split("."))
    path.write_text(value, "ascii")
    assert path.read_text("ascii").strip() == value


def private(wire: Sniffer) -> dict[str, int]:
    """Tell which private addresses were seen as a source on a wire outside."""
    return {s: n for s, n in wire.sources().items() if s.startswith(("10.", "172.16.", "192.168.", "fd"))}


def passed(wire: Sniffer) -> set[Packet]:
    """Tell the two ends of what passed a wire, but for the chatter of multicast groups and neighbours."""
    return {
        packet
        for packet in wire.packets()
        if not packet.source.startswith("fe80:") and not packet.destination.startswith(("224.0.0.", "ff02:"))
    }


def shoot(ns: Namespace, source: str, destination: str, what: str) -> None:
    """Send exactly one IPv4 packet by a raw socket, from whatever source, and wait for nothing."""
    protocol, payload = SHOTS[what]
    ends = inet_aton(source) + inet_aton(destination)
    if protocol == 6:
        payload = _summed(payload, 16, ends + struct.pack("!HH", protocol, len(payload)))
    # The kernel fills in length, id and checksum: raw(7).
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, protocol, 0)
    with ns.socket(AF_INET, SOCK_RAW, IPPROTO_RAW) as door:
        door.sendto(header + ends + payload, (destination, 0))


def _summed(payload: bytes, at: int, pseudo: bytes = b"") -> bytes:
    total = sum(struct.unpack(f"!{(len(pseudo) + len(payload)) // 2}H", pseudo + payload))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return payload[:at] + struct.pack("!H", ~total & 0xFFFF) + payload[at + 2 :]


def _segment(flags: int) -> tuple[int, bytes]:
    return 6, struct.pack("!HHIIBBHHH", 4000, 7, 1000, 2000, 5 << 4, flags, 1024, 0, 0)


def _icmp(kind: int) -> tuple[int, bytes]:
    return 1, _summed(struct.pack("!BBHHH", kind, 0, 0, 4000, 1), 2)


SHOTS = {
    "udp": (17, struct.pack("!HHHH", 4000, 7, 12, 0) + b"shot"),
    "ping": _icmp(8),
    "pong": _icmp(0),
    "syn": _segment(0x02),
    "syn-ack": _segment(0x12),
    "rst": _segment(0x04),
    "fin": _segment(0x01),
    "null": _segment(0x00),
}
"""Protocol and payload, always from port (or with identity) 4000 to port 7; UDP needs no checksum."""
