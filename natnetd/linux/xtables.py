"""Legacy iptables, read by getsockopt (linux/netfilter_ipv4/ip_tables.h): nft shows nothing of it.

Asking for a table that is not there would make it, so only those are asked for that are.
"""

import ctypes
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from natnetd.around import Rule, Translation, Wall
from natnetd.linux.asked import Asked, address_of, verdict_of

TOOL = "iptables-legacy"
NAMES = Path("/proc/thread-self/net/ip_tables_names")  # root's only
MODULES = Path("/sys/module")
GET_INFO, GET_ENTRIES = 64, 65
INFO, ENTRIES_AT = struct.Struct("=32s13I"), 40
FORWARD, POSTROUTING = 2, 4  # of a table's first entries (3 to 7 in INFO), and of its policies
MOST = 1 << 18  # bytes of a table that is read
ENTRY = struct.Struct("=4s4s4s4s16s16s16s16sHBBIHH")  # struct ipt_entry up to its counters
ENTRY_SIZE = 112
NOT_IN, NOT_OUT, NOT_SOURCE, NOT_PROTOCOL = 0x01, 0x02, 0x08, 0x40
GOTO = 0x02
PART = struct.Struct("=H29sB")  # struct xt_entry_match and xt_entry_target
VERDICTS = {-1: "drop", -2: "accept", -4: "accept", -5: "return"}  # -4: a queue


def tables() -> frozenset[str]:
    """Tell which tables there are. Without root the modules tell: who loads them uses them."""
    try:
        return frozenset(NAMES.read_text("ascii").split())
    except PermissionError:
        return frozenset(name for name in ("filter", "nat") if (MODULES / f"iptable_{name}").exists())
    except OSError:
        return frozenset()


def ask(option: int, name: str, size: int) -> bytes:
    """Call getsockopt with a table's name. Raises OSError."""
    buffer = ctypes.create_string_buffer(size)
    struct.pack_into("=32sI", buffer, 0, name.encode(), max(0, size - ENTRIES_AT))
    length = ctypes.c_uint(size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.getsockopt(door.fileno(), socket.SOL_IP, option, buffer, ctypes.byref(length)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    return buffer.raw


class Legacy:
    """The entries of one table, one after the other; a jump names the offset it leads to."""

    def __init__(self, name: str) -> None:
        """Read it. Raises OSError; nothing is read of a table that is too big."""
        found = INFO.unpack(ask(GET_INFO, name, INFO.size))
        self.begins, self.policies, size = found[2:7], found[7:12], found[13]
        self.blob = ask(GET_ENTRIES, name, ENTRIES_AT + size)[ENTRIES_AT:] if size <= MOST else b""

    def __iter__(self) -> Iterator[tuple[int, Asked, int, tuple[str, int, bytes]]]:
        """Yield each entry: where it stands, what it asks, its flags, its target and what that carries."""
        at = 0
        while at + ENTRY_SIZE <= len(self.blob):
            (
                source,
                _to,
                mask,
                mask_to,
                iif,
                oif,
                iif_mask,
                oif_mask,
                protocol,
                flags,
                inverted,
                _,
                to,
                after,
            ) = ENTRY.unpack_from(self.blob, at)
            asked = Asked(sure=mask_to == bytes(4) and not inverted & ~(NOT_IN | NOT_OUT | NOT_PROTOCOL))
            if protocol:
                asked.protocol(protocol, equal=not inverted & NOT_PROTOCOL)
            asked.iif = pattern(iif, iif_mask, inverted & NOT_IN)
            asked.oif = pattern(oif, oif_mask, inverted & NOT_OUT)
            if mask != bytes(4) and not inverted & NOT_SOURCE:
                asked.source = prefix(source, mask)
            self.matches(asked, at + ENTRY_SIZE, at + to)
            yield at, asked, flags, self.part(at + to)
            at += max(after, ENTRY_SIZE)

    def matches(self, asked: Asked, at: int, end: int) -> None:
        """Take in the matches of an entry."""
        while at + PART.size <= end:
            asked.match(*self.part(at))
            at += max(PART.size, PART.unpack_from(self.blob, at)[0])

    def part(self, at: int) -> tuple[str, int, bytes]:
        """Read the name, revision and content of a match or a target."""
        size, name, revision = PART.unpack_from(self.blob, at)
        return name.partition(b"\0")[0].decode("ascii", "replace"), revision, self.blob[at + 32 : at + size]


def pattern(name: bytes, mask: bytes, excluded: int) -> str:
    """Write an interface of an entry: as many bytes are compared as the mask has."""
    asked = name[: mask.count(0xFF)]
    text = asked.rstrip(b"\0").decode("utf-8", "surrogateescape")
    if not text:
        return ""
    return ("!" if excluded else "") + text + ("" if asked.endswith(b"\0") else "*")


def prefix(address: bytes, mask: bytes) -> str:
    """Write a subnet; one with a strange mask has no words."""
    bits = int.from_bytes(mask, "big").bit_count()
    return f"{ipaddress.IPv4Address(address)}/{bits}"


def walls() -> Iterator[Wall]:
    """The chain FORWARD and what it jumps to. Raises OSError."""
    if "filter" not in tables():
        return
    legacy = Legacy("filter")
    chains: dict[str, list[Rule]] = {}
    here, names, policy = "", {}, "accept"
    for at, asked, flags, (name, _revision, content) in legacy:
        if at in legacy.begins:
            here = str(at)
        if name == "ERROR":
            here = str(at + ENTRY_SIZE + 64)  # struct xt_error_target
            names[here] = content.partition(b"\0")[0].decode("ascii", "replace")
        elif at == legacy.policies[FORWARD]:
            policy = "accept" if code(content) == -2 else "drop"
        elif found := rule(asked, flags, name, content):
            chains.setdefault(here, []).append(found)
    names[str(legacy.begins[FORWARD])] = "FORWARD"
    known = {
        names[start]: tuple(replace(r, target=names.get(r.target, "")) for r in rules)
        for start, rules in chains.items()
        if start in names
    }
    yield Wall(
        TOOL,
        "filter",
        "FORWARD",
        policy,
        {name: known.get(name, ()) for name in names.values() if name != "ERROR"},
    )


def code(content: bytes) -> int:
    """The verdict of a standard target, or where it jumps to."""
    number: int = struct.unpack_from("=i", content)[0]
    return number


def rule(asked: Asked, flags: int, name: str, content: bytes) -> Rule | None:
    """Cut an entry down to what our packets meet."""
    if name:
        verdict = verdict_of(name)
        return asked.rule(verdict) if verdict else None
    number = code(content)
    if number >= 0:
        return asked.rule("goto" if flags & GOTO else "jump", str(number))
    return asked.rule(VERDICTS.get(number, "accept"))


def translations() -> Iterator[Translation]:
    """Rules of POSTROUTING that translate a source. Raises OSError."""
    if "nat" not in tables():
        return
    legacy = Legacy("nat")
    within = range(legacy.begins[POSTROUTING], legacy.policies[POSTROUTING])
    for at, asked, _flags, (name, revision, content) in legacy:
        if at in within and name in ("MASQUERADE", "SNAT") and asked.source:
            to = str(ipaddress.IPv4Address(address_of(revision, content))) if name == "SNAT" else ""
            yield Translation(TOOL, "nat", "POSTROUTING", asked.source, asked.oif, to, 0, asked.sure)
