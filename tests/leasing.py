"""Guests that ask by DHCP and DNS: real clients, many at once by hand, and a question of the DNS."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest

SCRIPT = """#!/bin/sh
env > {told}.new && mv {told}.new {told}
"""
DHCLIENT = """\
option routes121 code 121 = array of unsigned integer 8;
also request routes121, interface-mtu, domain-name, ntp-servers;
send host-name "{name}";
"""


@dataclass(frozen=True)
class Told:
    """What a client was told, in the same words whichever it was."""

    address: str = ""
    router: str = ""
    dns: str = ""
    domain: str = ""
    mtu: str = ""
    routes: tuple[str, ...] = ()


class Client:
    """A DHCP client at work in a guest; it sets nothing up, it only writes down what it is told."""

    def __init__(self, guest: Guest, directory: Path, program: str) -> None:
        self.guest, self.program = guest, program
        self.told = directory / f"{guest.name}.{program}.told"
        script = directory / f"{guest.name}.{program}"
        script.write_text(SCRIPT.format(told=self.told))
        script.chmod(0o755)
        conf = directory / f"{guest.name}.conf"
        conf.write_text(DHCLIENT.format(name=guest.name))
        plain = ["-f", "-i", "eth0", "-t", "10", "-T", "1", "-s", str(script), "-x", f"hostname:{guest.name}"]
        words = {
            "udhcpc": ["busybox", "udhcpc", *plain, "-O", "mtu", "-O", "121", "-O", "ntpsrv"],
            "dhclient": [
                *("dhclient", "-d", "-4", "-sf", str(script), "-cf", str(conf)),
                *("-lf", f"{conf}.leases", "-pf", f"{conf}.pid", "eth0"),
            ],
        }[program]
        with (directory / f"{guest.name}.{program}.log").open("w") as log:
            self.process = guest.ns.popen(words, stdout=log, stderr=log)

    def bound(self, *reasons: str) -> Told:
        """Wait until it has an address, or has renewed it, and return what it was told."""
        wanted = reasons or {"udhcpc": ("bound",), "dhclient": ("BOUND", "REBOOT")}[self.program]
        wait_until(lambda: self.environment().get("reason") in wanted, 20, what=f"{self.told}: {wanted}")
        return self.as_told(self.environment())

    def environment(self) -> dict[str, str]:
        """Read what the script was last called with; `reason` is udhcpc's argument too."""
        if not self.told.exists():
            return {}
        lines = self.told.read_text().splitlines()
        found = dict(line.partition("=")[::2] for line in lines if "=" in line)
        return {"reason": "bound" if "ip" in found else "deconfig"} | found

    def as_told(self, env: dict[str, str]) -> Told:
        """Translate."""
        if self.program == "udhcpc":
            words = env.get("staticroutes", "").split()
            routes = tuple(f"{a} {b}" for a, b in zip(words[::2], words[1::2], strict=True))
            names = ("ip", "router", "dns", "domain", "mtu")
            return Told(*(env.get(name, "") for name in names), routes)
        names = ("ip_address", "routers", "domain_name_servers", "domain_name", "interface_mtu")
        octets = [int(x) for x in env.get("new_routes121", "").split()]
        return Told(*(env.get(f"new_{name}", "") for name in names), tuple(decoded(octets)))

    def renew(self) -> Told:
        """Have udhcpc ask again for what it has (SIGUSR1), and return what it was told."""
        self.told.unlink()
        self.process.send_signal(10)
        return self.bound()

    def restart(self) -> Told:
        """Ask anew, as after a boot."""
        self.process.kill()
        self.process.wait()
        return self.bound()


def decoded(octets: list[int]) -> Iterator[str]:
    """Read option 121: RFC 3442."""
    while octets:
        width = octets.pop(0)
        size = (width + 7) // 8
        prefix = [*octets[:size], 0, 0, 0, 0][:4]
        via = octets[size : size + 4]
        del octets[: size + 4]
        yield f"{'.'.join(map(str, prefix))}/{width} {'.'.join(map(str, via))}"


# --- many at once

COOKIE = b"\x63\x82\x53\x63"
BROADCAST = b"\xff" * 6


def frame(mac: bytes, kind: int, number: int, options: bytes = b"") -> bytes:
    """Make an Ethernet frame with a DHCP message of a client without an address: RFC 2131."""
    message = struct.pack("!BBBBIHH16x", 1, 1, 6, 0, number, 0, 0x8000) + mac.ljust(16, b"\0") + bytes(192)
    message += COOKIE + bytes([53, 1, kind]) + options + b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), BROADCAST[:4])
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return BROADCAST + mac + b"\x08\x00" + head + udp


def answer(packet: bytes) -> tuple[int, int, str, bytes] | None:
    """Read an answer: kind, the client's number, the address it may have, the server."""
    at = 14 + (packet[14] & 15) * 4
    if packet[12:14] != b"\x08\x00" or packet[23] != 17 or packet[at : at + 4] != b"\x00\x43\x00\x44":
        return None
    message = packet[at + 8 :]
    found, at = {}, 240
    while at < len(message) and message[at] != 255:
        if message[at]:
            found[message[at]] = message[at + 2 : at + 2 + message[at + 1]]
            at += 1 + message[at + 1]
        at += 1
    number = struct.unpack_from("!I", message, 4)[0]
    return found[53][0], number, socket.inet_ntoa(message[16:20]), found.get(54, b"")


@contextmanager
def wire(ns: Namespace) -> Iterator[socket.socket]:
    """Open a guest's Ethernet."""
    with ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as door:
        door.bind(("eth0", 3))
        door.settimeout(5)
        yield door


def checksums(packet: bytes) -> int:
    """The UDP checksum of an IPv4 packet in an Ethernet frame."""
    at = 14 + (packet[14] & 15) * 4
    return int(struct.unpack_from("!H", packet, at + 6)[0])


def crowd(ns: Namespace, size: int) -> dict[int, str]:
    """Have so many clients ask at the same time; returns their addresses, by number."""
    macs = {n: struct.pack("!BBI", 2, 0x77, n) for n in range(1, size + 1)}
    got: dict[int, str] = {}
    with wire(ns) as door:
        door.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        door.settimeout(1)
        asked: set[int] = set()
        end, heard = time.monotonic() + 20, None
        again = True
        while len(got) < size and time.monotonic() < end:
            if again:  # as every client does that hears nothing
                asked.clear()
                for number in macs.keys() - got.keys():
                    door.send(frame(macs[number], 1, number))
            try:
                heard, again = answer(door.recv(4096)), False
            except TimeoutError:
                again = True
            if again or heard is None or heard[1] not in macs:
                continue
            kind, number, address, server = heard
            if kind == 2 and number not in asked:
                asked.add(number)
                wish = b"\x32\x04" + socket.inet_aton(address) + b"\x36\x04" + server
                door.send(frame(macs[number], 3, number, wish))
            elif kind == 5:
                got[number] = address
    return got
