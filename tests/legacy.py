"""Legacy iptables without its program: lays whole tables by setsockopt, as iptables-legacy does."""

import ctypes
import socket
import struct
from ipaddress import IPv4Network

REPLACE, GET_INFO = 64, 64  # IPT_SO_SET_REPLACE, IPT_SO_GET_INFO
HOOKS = {"filter": (1, 2, 3), "nat": (0, 1, 3, 4)}
FORWARD, POSTROUTING = 2, 4
ACCEPT, DROP = -2, -1
INFO = struct.Struct("=32s13I")

Rules = dict[int, list[bytes]]


def part(name: str, content: bytes, revision: int = 0) -> bytes:
    padded = content + bytes(-len(content) % 8)
    return struct.pack("=H29sB", 32 + len(padded), name.encode(), revision) + padded


def verdict(number: int) -> bytes:
    return part("", struct.pack("=i", number))


def masquerade() -> bytes:
    return part("MASQUERADE", struct.pack("=I", 1) + bytes(20))


def answers() -> bytes:
    """Match RELATED and ESTABLISHED as `-m conntrack` of revision 3 does."""
    return part("conntrack", bytes(146) + struct.pack("=HHH", 1, 0, 0x06) + bytes(12), 3)


def entry(
    target: bytes, *matches: bytes, iif: str = "", oif: str = "", source: str = "", protocol: int = 0
) -> bytes:
    subnet = IPv4Network(source or "0.0.0.0/0")
    names = b"".join(struct.pack("16s", name.encode()) for name in (iif, oif))
    masks = b"".join((b"\xff" * (len(n) + 1) if n else b"").ljust(16, b"\0") for n in (iif, oif))
    addresses = subnet.network_address.packed + bytes(4) + subnet.netmask.packed + bytes(4)
    to = 112 + sum(map(len, matches))
    head = addresses + names + masks + struct.pack("=HBBIHHI16x", protocol, 0, 0, 0, to, to + len(target), 0)
    return head + b"".join(matches) + target


def known(table: str) -> int:
    """Count the entries there are: the kernel gives their counters back."""
    buffer = ctypes.create_string_buffer(table.encode(), INFO.size)
    length = ctypes.c_uint(INFO.size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.getsockopt(door.fileno(), 0, GET_INFO, buffer, ctypes.byref(length)) == 0
    return INFO.unpack(buffer.raw)[12]  # type: ignore[no-any-return]


def lay(table: str, rules: Rules, policies: dict[int, int] | None = None) -> None:
    """Replace a table of the network namespace of this thread."""
    begins, ends, blob, count = [0] * 5, [0] * 5, b"", 1
    for hook in HOOKS[table]:
        begins[hook] = len(blob)
        blob += b"".join(rules.get(hook, ()))
        ends[hook] = len(blob)
        blob += entry(verdict((policies or {}).get(hook, ACCEPT)))
        count += 1 + len(rules.get(hook, ()))
    blob += entry(part("ERROR", b"ERROR".ljust(32, b"\0")))
    old = known(table)
    counters = ctypes.create_string_buffer(16 * old)
    valid = sum(1 << hook for hook in HOOKS[table])
    head = struct.pack("=32sIII5I5II", table.encode(), valid, count, len(blob), *begins, *ends, old)
    pointer = struct.pack("=Q", ctypes.addressof(counters))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as door:
        door.setsockopt(socket.SOL_IP, REPLACE, head.ljust(88, b"\0") + pointer + blob)
