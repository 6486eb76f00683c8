"""Frames between guests of one network, on a kernel that can tell bridges apart: see README.md here."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from networks import INTERNET, Networks
from running import converged, written

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.traffic import ABSENCE, ping, tcp
from natnetd.lab.world import World
from natnetd.rows import derived_mac

WEB_MAC, APP_MAC = "52:54:00:12:34:56", "52:54:00:12:34:57"
SLOW = 60.0  # seconds: the machine is emulated
EVERYBODY = "ff:ff:ff:ff:ff:ff"
NETWORK = """
      vmbr1:
        addresses: [10.0.0.1/24, "fd00:1::1/64"]
        nat: {{uplink: vmbr0}}
        dhcp: {{static_only: true, reservations: [{{mac: "{mac}", address: 10.0.0.2, name: web}}]}}
        dns: false
        guard: {guard}
      vmbr2: {{addresses: 10.20.0.1/24}}
"""
BARE = """
      vmbr1: {addresses: [10.0.0.1/24, "fd00:1::1/64"], nat: {uplink: vmbr0}, guard: true}
"""


def text(guard: str) -> str:
    return NETWORK.format(mac=WEB_MAC, guard=guard)


def ether(kind: int, payload: bytes, source: str = WEB_MAC, to: str = EVERYBODY) -> bytes:
    return bytes.fromhex(to.replace(":", "") + source.replace(":", "")) + struct.pack(">H", kind) + payload


def arp(sender: str, mac: str = WEB_MAC, source: str = WEB_MAC, to: str = "10.0.0.3") -> bytes:
    """An ARP question (RFC 826)."""
    own = bytes.fromhex(mac.replace(":", "")) + socket.inet_aton(sender)
    return ether(
        0x806, struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + own + bytes(6) + socket.inet_aton(to), source
    )


def ip(sender: str, protocol: int, payload: bytes, source: str = WEB_MAC, to: str = "10.0.0.3") -> bytes:
    """A packet of either family; nobody looks at its checksums."""
    if ":" in sender:
        ends = ip_address(sender).packed + ip_address("ff02::1").packed
        return ether(
            0x86DD, struct.pack(">IHBB", 6 << 28, len(payload), protocol, 255) + ends + payload, source
        )
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    return ether(0x800, head + socket.inet_aton(sender) + socket.inet_aton(to) + payload, source)


def udp(port: int) -> bytes:
    return struct.pack(">HHHH", port, 68, 12, 0) + b"shot"


def tagged(frame: bytes, kind: int = 0x8100) -> bytes:
    return frame[:12] + struct.pack(">HH", kind, 7) + frame[12:]


GATEWAY_MAC = "gateway"
PLAIN = udp(4000)
BAD: dict[str, tuple[Callable[[str], bytes], str]] = {
    "another network's address": (lambda _: ip("10.20.0.9", 17, PLAIN), "bridge_spoofed"),
    "the gateway's address": (lambda _: ip("10.0.0.1", 17, PLAIN), "bridge_spoofed"),
    "the gateway's MAC address": (lambda mac: ip("10.0.0.2", 17, PLAIN, mac), "bridge_spoofed"),
    "an ARP question from elsewhere": (lambda _: arp("10.9.9.9"), "bridge_spoofed"),
    "the gateway's address by ARP": (lambda _: arp("10.0.0.1"), "bridge_spoofed"),
    "a VLAN tag": (lambda _: tagged(ip("10.0.0.2", 17, PLAIN)), "bridge_vlan"),
    "an outer VLAN tag": (lambda _: tagged(ip("10.0.0.2", 17, PLAIN), 0x88A8), "bridge_vlan"),
    "another prefix": (lambda _: ip("fd09::9", 17, PLAIN), "bridge_spoofed"),
    "the gateway's IPv6 address": (lambda _: ip("fd00:1::1", 17, PLAIN), "bridge_spoofed"),
    "a DHCP server": (lambda _: ip("10.0.0.2", 17, udp(67)), "rogue_dhcp"),
    "a DHCPv6 server": (lambda _: ip("fe80::1234", 17, udp(547)), "rogue_dhcp"),
    "a router advertisement": (lambda _: ip("fe80::1234", 58, bytes([134, *[0] * 15])), "rogue_ra"),
    "a redirect": (lambda _: ip("fe80::1234", 58, bytes([137, *[0] * 39])), "rogue_ra"),
    "a redirect of IPv4": (lambda _: ip("10.0.0.2", 1, bytes([5, *[0] * 7])), "rogue_ra"),
}
GOOD = {
    "its own address": ip("10.0.0.2", 17, PLAIN),
    "an address of the network": ip("10.0.0.77", 17, PLAIN),
    "an ARP question": arp("10.0.0.2"),
    "an ARP probe": arp("0.0.0.0"),
    "its own prefix": ip("fd00:1::2", 17, PLAIN),
    "a link-local address": ip("fe80::1234", 17, PLAIN),
    "nobody's address yet": ip("::", 58, bytes([135, *[0] * 23])),
    "a DHCP client": ip("0.0.0.0", 17, udp(68), to="255.255.255.255"),
}
STRICT = {
    "another address": ip("10.0.0.77", 17, PLAIN),
    "another address by ARP": arp("10.0.0.77"),
    "another sender in ARP": arp("10.0.0.2", APP_MAC),
    "another MAC address": ip("10.0.0.2", 17, PLAIN, APP_MAC),
    "IPv6 of another MAC address": ip("fd00:1::2", 17, PLAIN, APP_MAC),
}


class Pair:
    """Two guests of one network: one sends frames, the other hears them."""

    def __init__(self, net: Networks) -> None:
        self.web = net.guest("web", "vmbr1", "10.0.0.2/24", "fd00:1::2/64").ns
        self.web.ip(f"link set eth0 address {WEB_MAC}", "route replace default via 10.0.0.1")
        self.app = net.guest("app", "vmbr1", "10.0.0.3/24").ns
        self.app.ip(f"link set eth0 address {APP_MAC}", "route replace default via 10.0.0.1")
        self.mac = derived_mac(net.host.machine, "vmbr1")
        self.ears = raw(self.app)

    def passes(self, frame: bytes) -> bool:
        """Say whether the other hears a frame, by the time it hears an honest one sent after it."""
        marker = ip(
            "10.0.0.2", 17, struct.pack(">HHHH", 4001, 9, 12, 0) + struct.pack(">d", time.monotonic())
        )
        with raw(self.web) as mouth:
            mouth.send(frame)
            mouth.send(marker)
        heard, self_heard = False, False
        while not self_heard:
            got = self.ears.recv(2048)
            heard = heard or got[: len(frame)] == frame or untagged(got, frame)
            self_heard = got[: len(marker)] == marker
        return heard


def untagged(got: bytes, frame: bytes) -> bool:
    """Whether it is a frame whose tag the kernel has taken aside."""
    bare = frame[:12] + frame[16:]
    return frame[12:14] in (b"\x81\x00", b"\x88\xa8") and got[: len(bare)] == bare


def raw(ns: Namespace) -> socket.socket:
    door = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)  # ETH_P_ALL, in network order
    door.bind(("eth0", 3))
    door.settimeout(5)
    return door


@pytest.fixture
def pair(net: Networks) -> Iterator[Pair]:
    net.become(text("true"))
    made = Pair(net)
    yield made
    made.ears.close()


def test_what_an_honest_guest_does_passes(net: Networks, pair: Pair) -> None:
    for name, frame in GOOD.items():
        assert pair.passes(frame), name
    assert not net.drops()
    assert not net.become(text("true")).changed


def test_what_no_honest_guest_does_is_dropped_and_counted(net: Networks, pair: Pair) -> None:
    for name, (made, reason) in BAD.items():
        before = net.drops()[reason]
        assert not pair.passes(made(pair.mac)), name
        assert net.drops()[reason] == before + 1, name
    net.become(text("false"))
    assert "natnetd" not in net.world.host.check(["nft", "list", "tables", "bridge"])
    for name, (made, _) in BAD.items():
        assert name == "the gateway's MAC address" or pair.passes(made(pair.mac)), name


def test_strict_lets_reserved_guests_pass_only(net: Networks, pair: Pair) -> None:
    for frame in STRICT.values():
        assert pair.passes(frame)
    net.become(text("{strict: true}"))
    for name, frame in STRICT.items():
        assert not pair.passes(frame), name
    assert pair.passes(GOOD["its own address"])
    assert pair.passes(GOOD["an ARP probe"])
    assert net.drops().keys() == {"bridge_spoofed"}


@pytest.mark.parametrize("cut", ["10.0.0.3", APP_MAC])
def test_a_guest_that_is_cut_off_has_no_neighbours(world: World, net: Networks, pair: Pair, cut: str) -> None:
    with Echo(pair.app), Echo(pair.web), Echo(world.outside):
        assert tcp(pair.web, "10.0.0.3")
        assert tcp(pair.app, "10.0.0.2")
        assert ping(world.host, "10.0.0.3")
        net.become(text(f"{{quarantine: ['{cut}']}}"))
        for ns, address in ((pair.web, "10.0.0.3"), (pair.app, "10.0.0.2"), (world.host, "10.0.0.3")):
            assert not ping(ns, address, deadline=ABSENCE)
        assert "bridge_quarantine" in net.drops()
        assert tcp(pair.web, INTERNET)
        assert ping(pair.web, "10.0.0.1")


def test_the_table_is_kept_true(world: World, directory: Path) -> None:
    path = written(directory, f"metrics: false\nnetworks:{BARE}")
    with Service(world.host, path, directory).wait_ready(SLOW) as service:
        listing = world.host.check(["nft", "-s", "list", "table", "bridge", "natnetd"])
        for harm, told in (
            ("delete table bridge natnetd", "+ frames table bridge natnetd (was deleted by nft"),
            (
                'delete element bridge natnetd no_dhcp { "vmbr1" }',
                "+ frames no_dhcp vmbr1 (was deleted by nft",
            ),
            (
                'add element bridge natnetd cutting4 { "vmbr1" . 10.0.0.9 }',
                "- frames cutting4 vmbr1 . 10.0.0.9",
            ),
            ("flush chain bridge natnetd arrive", "~ frames chain arrive (altered)"),
            ("flush ruleset", "+ frames table bridge natnetd"),
        ):
            before = len(service.lines())
            world.host.check(["nft", harm])
            service.wait_line(told, after=before, deadline=SLOW)
            assert converged(directory)
            assert world.host.check(["nft", "-s", "list", "table", "bridge", "natnetd"]) == listing
