"""Router advertisements: sent and understood by hand (RFC 4861, RFC 8106), and what a guest makes of them."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Network

from natnetd.lab.netns import Namespace

SOLICIT, ADVERTISE = 133, 134
MTU, PREFIX, RDNSS, DNSSL = 5, 3, 25, 31


@dataclass(frozen=True)
class Heard:
    """What a router says of itself."""

    lifetime: int
    other: bool
    mtu: int = 0
    prefixes: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    domains: bytes = b""


@contextmanager
def door(ns: Namespace, patience: float = 5) -> Iterator[socket.socket]:
    """Open a socket for ICMPv6 on a guest's wire, with the hop limit that neighbours have."""
    with ns.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as made:
        index = ns.run(lambda: socket.if_nametoindex("eth0"))
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        made.settimeout(patience)
        yield made


def advertise(ns: Namespace, prefix: str, lifetime: int = 1800) -> None:
    """Say once that this is a router, and that guests may take addresses of a prefix."""
    body = struct.pack("!BBHBBHII", ADVERTISE, 0, 0, 64, 0, lifetime, 0, 0)
    body += struct.pack("!BBBBIII16s", PREFIX, 4, 64, 0xC0, 3600, 3600, 0, IPv6Network(prefix)[0].packed)
    with door(ns) as wire:
        wire.sendto(body, ("ff02::1", 0))


def heard(ns: Namespace) -> Heard:
    """Ask for routers, and understand the first that answers."""
    with door(ns) as wire:
        wire.sendto(struct.pack("!BBHI", SOLICIT, 0, 0, 0), ("ff02::2", 0))
        while (told := wire.recv(2048))[0] != ADVERTISE:
            pass
    found = dict[int, list[bytes]]()
    at = 16
    while at < len(told):
        size = told[at + 1] * 8
        found.setdefault(told[at], []).append(told[at : at + size])
        at += size
    servers = b"".join(option[8:] for option in found.get(RDNSS, ()))
    return Heard(
        lifetime=struct.unpack_from("!H", told, 6)[0],
        other=bool(told[5] & 0x40),
        mtu=struct.unpack_from("!I", found[MTU][0], 4)[0] if MTU in found else 0,
        prefixes=tuple(f"{address(o[16:])}/{o[2]}" for o in sorted(found.get(PREFIX, ()))),
        dns=tuple(address(servers[n : n + 16]) for n in range(0, len(servers), 16)),
        domains=b"".join(option[8:].rstrip(b"\0") for option in found.get(DNSSL, ())),
    )


def address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, packed[:16])


def own(ns: Namespace, link: str = "eth0") -> set[str]:
    """Tell the addresses of an interface that are not of its wire only, as far as they are in use."""
    (row,) = json.loads(ns.check(["ip", "-6", "-j", "address", "show", "dev", link]) or "[{}]") or [{}]
    rows = [a for a in row.get("addr_info", ()) if a.get("scope") == "global" and not a.get("tentative")]
    return {a["local"] for a in rows}


def defaults(ns: Namespace) -> list[tuple[str, str]]:
    """Tell the interfaces of default routes of IPv6, and who set them."""
    rows = json.loads(ns.check(["ip", "-6", "-j", "route", "show", "default"]) or "[]")
    return [(row["dev"], row["protocol"]) for row in rows]
