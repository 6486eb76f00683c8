"""Values inside nested attributes of nf_tables, and what a register holds."""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from natnetd.linux.netlink import PAIR, attributes

VERDICTS = {0: "drop", 1: "accept", 3: "accept", -3: "jump", -4: "goto", -5: "return"}  # 3: a queue


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a register holds: a field of the packet, and the bits of it that are left."""

    what: str
    mask: int = -1
    size: int = 4


NOTHING = Loaded("")


def each(buffer: bytes) -> Iterator[bytes]:
    """Yield the payloads of a list."""
    offset = 0
    while offset + 4 <= len(buffer):
        length, _kind = PAIR.unpack_from(buffer, offset)
        if length < 4:
            return
        yield buffer[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def number(payload: bytes) -> int:
    """Read a number in network order."""
    return int.from_bytes(payload, "big")


def inside(payload: bytes) -> dict[int, bytes]:
    """Split nested attributes."""
    return attributes(payload, 0, len(payload))


def verdict(value: dict[int, bytes]) -> tuple[str, str]:
    """Read a verdict and where it leads to."""
    found = inside(value.get(2, b""))
    code = struct.unpack(">i", found[1])[0]
    return VERDICTS.get(code, "accept" if code >= 0 else "continue"), label(found.get(2, b""))


def label(value: bytes) -> str:
    """Read a name; an interface's that does not end is the beginning of one."""
    name = value.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return name if b"\0" in value or not value else f"{name}*"


def subnet(value: bytes, loaded: Loaded) -> str:
    """Write the source that a rule asks for: whole bytes are compared as such, others by a mask."""
    address = int.from_bytes(value.ljust(4, b"\0"), "big")
    length = 8 * loaded.size if loaded.mask == -1 else loaded.mask.bit_count()
    return f"{ipaddress.IPv4Address(address)}/{length}"
