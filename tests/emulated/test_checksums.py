"""DHCP's answers have whole checksums, on a kernel that can complete them (act_csum): see README.md here."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from networks import Networks
from running import written

from natnetd.host import ALL, Before
from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.rows import Checksum

SLOW = 60.0  # seconds: the machine is emulated
SERVED = "\n  vmbr1: {addresses: 10.0.0.1/24, dhcp: {static_only: true}, dns: false}"
OPEN = "\n  vmbr1: {addresses: 10.0.0.1/24, dhcp: true, dns: false}"
SILENT = "\n  vmbr1: {addresses: 10.0.0.1/24}"
SOL_PACKET, PACKET_AUXDATA, CSUMNOTREADY = 263, 8, 1 << 3
MAC = "02:00:00:00:00:09"
SHOW, QDISC = ["tc", "filter", "show", "dev", "vmbr1", "egress"], ["tc", "qdisc", "show", "dev", "vmbr1"]
THEIRS = "tc filter add dev vmbr1 {} prio 7 protocol ip u32 match ip dport 53 0xffff action csum udp"


def total(data: bytes) -> int:
    """Sum up as RFC 1071 has it: 0xffff if a checksum is part of it, and right."""
    found: int = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2]))
    found += data[-1] << 8 if len(data) % 2 else 0
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return found


def discover() -> bytes:
    """A frame with DHCPDISCOVER, the answer to be broadcast (RFC 2131)."""
    mac = bytes.fromhex(MAC.replace(":", ""))
    dhcp = struct.pack(">BBBBIHH16x16s192x", 1, 1, 6, 0, 7, 0, 0x8000, mac) + b"\x63\x82Sc\x35\x01\x01\xff"
    udp = struct.pack(">HHHH", 68, 67, 8 + len(dhcp), 0) + dhcp
    head = struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4) + b"\xff" * 4)
    head = head[:10] + struct.pack(">H", 0xFFFF - total(head)) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def answer(guest: Namespace) -> tuple[bool, bytes]:
    """Ask for an address; tell whether the answer is marked as unfinished, and its bytes."""
    with guest.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as door:
        door.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        door.bind(("eth0", 0x0800))
        door.settimeout(SLOW)
        door.send(discover())
        while True:
            frame, told, _, _ = door.recvmsg(2048, 256)
            if frame[34:38] == struct.pack(">HH", 67, 68):
                (status,) = struct.unpack_from("=I", told[0][2])
                return bool(status & CSUMNOTREADY), frame[14:]


def whole(packet: bytes) -> bool:
    """Whether UDP's checksum is there and right (RFC 768)."""
    udp = packet[20 : int.from_bytes(packet[2:4], "big")]
    return udp[6:8] != b"\0\0" and total(packet[12:20] + struct.pack(">HH", 17, len(udp)) + udp) == 0xFFFF


@pytest.fixture
def guest(net: Networks) -> Iterator[Namespace]:
    net.become(OPEN)
    yield net.guest("web", "vmbr1").ns
    net.become("")


def test_an_answer_comes_with_its_checksum(net: Networks, guest: Namespace) -> None:
    assert not net.become(OPEN).changed
    unfinished, packet = answer(guest)
    assert not unfinished
    assert whole(packet)
    net.world.host.check(["tc", "filter", "del", "dev", "vmbr1", "egress"])
    unfinished, packet = answer(guest)
    assert unfinished
    assert not whole(packet)


def test_nothing_is_left_where_nobody_is_served(net: Networks, guest: Namespace) -> None:  # noqa: ARG001  # a port
    assert "csum" in net.world.host.check(SHOW)
    net.become(SILENT)
    assert "clsact" not in net.world.host.check(QDISC)
    net.become(SERVED)
    assert "csum" in net.world.host.check(SHOW)


@pytest.mark.parametrize("side", ["egress", "ingress"])
def test_filters_of_others_stay(net: Networks, side: str) -> None:
    net.become(SILENT)
    check = net.world.host.check
    check(["tc", "qdisc", "add", "dev", "vmbr1", "clsact"])
    check(THEIRS.format(side).split())
    before = check([*SHOW[:-1], side])
    net.become(OPEN)
    assert check(SHOW).count("csum") == (2 if side == "egress" else 1)
    net.become(SILENT)
    assert check([*SHOW[:-1], side]) == before
    assert "clsact" in check(QDISC)


def test_a_strangers_filter_at_our_place_is_no_filter_of_ours(net: Networks) -> None:
    net.become(SILENT)
    check = net.world.host.check
    check(["tc", "qdisc", "add", "dev", "vmbr1", "clsact"])
    check(THEIRS.replace("prio 7", "prio 28257").format("egress").split())
    before = check(SHOW)
    net.become(OPEN)
    assert net.host.look(ALL, Before()).checksums == {"vmbr1": Checksum()}
    net.become(SILENT)
    assert check(SHOW) == before


def test_they_are_kept_true(world: World, directory: Path) -> None:
    path = written(directory, f"metrics: false\nnetworks:{OPEN}")
    check = world.host.check
    with Service(world.host, path, directory).wait_ready(SLOW) as service:
        wait_until(lambda: check(SHOW).count("csum") == 1, SLOW, what="the filter")
        for harm, told in (
            ("tc filter del dev vmbr1 egress", "+ checksum vmbr1"),
            ("tc qdisc del dev vmbr1 clsact", "+ checksum vmbr1"),
            ("ip link del vmbr1", "+ checksum vmbr1"),
        ):
            before = len(service.lines())
            check(harm.split())
            service.wait_line(told, after=before, deadline=SLOW)
            assert check(SHOW).count("csum") == 1


def test_another_filter_with_our_mark_is_made_right(net: Networks, guest: Namespace) -> None:
    net.become(OPEN)
    check = net.world.host.check
    check(["tc", "filter", "del", "dev", "vmbr1", "egress"])
    mark = " cookie 6e61746e657464"
    check((THEIRS.replace("prio 7", "prio 28257").format("egress") + mark).split())
    (done,) = net.become(OPEN).outcomes
    assert str(done.change) == "~ checksum vmbr1 (altered)"
    assert whole(answer(guest)[1])
    assert not net.become(OPEN).changed
