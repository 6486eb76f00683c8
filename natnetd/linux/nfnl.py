"""nfnetlink by hand: is the table there, its elements, the generation, and the lock.

libnftables answers these slowly, above all when the answer is no: a command that fails loads everything
of everybody for its suggestions (20 ms at 1,000 networks, against 0.05 ms here).
"""

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from natnetd.errors import HostError
from natnetd.linux.netlink import (
    HEADER,
    NETFILTER,
    NLM_F_ACK,
    NLM_F_REQUEST,
    Asker,
    attribute,
    attributes,
    failure,
    messages,
    open_socket,
)
from natnetd.page import KEY_TYPES
from natnetd.rows import Counter, Element
from natnetd.wake import Notice

NFT = 10 << 8  # NFNL_SUBSYS_NFTABLES
GETTABLE, NEWSETELEM, GETSETELEM, DELSETELEM = NFT | 1, NFT | 12, NFT | 13, NFT | 14
NEWGEN, GETGEN = NFT | 15, NFT | 16
INET = 1
TABLE_NAME = b"natnetd\0"
ELEMENTS, KEY, DATA, EXPRESSION, KEY_END, EXPRESSIONS = 3, 1, 2, 7, 10, 11
NESTED = 0x8000
WIDTHS = {"ifname": 16, "ipv4_addr": 4}
ULOG_CONFIG = 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
LOCK_GROUP = 0x6E61


def head(family: int = INET, resource: int = 0) -> bytes:
    """Pack struct nfgenmsg."""
    return struct.pack(">BBH", family, 0, resource)


def generation(asker: Asker) -> int:
    """Read the generation of the ruleset: one up for each transaction that changed something.

    Raises HostError: no permission, or no nf_tables in the kernel.
    """
    try:
        for payload in asker.ask(GETGEN, head(0)):
            value: int = struct.unpack(">I", attributes(payload, 4, len(payload))[1])[0]
            return value
    except OSError as error:
        raise refused(error) from error
    raise HostError("the kernel has no nf_tables: load the module nf_tables")


def table_there(asker: Asker) -> bool:
    """Say whether our table exists. Raises HostError: no permission, or no nf_tables in the kernel."""
    try:
        return any(True for _payload in asker.ask(GETTABLE, head() + attribute(1, TABLE_NAME)))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise refused(error) from error


def refused(error: OSError) -> HostError:
    """Say in words why nf_tables does not answer."""
    if error.errno == errno.EPERM:
        return HostError("needs CAP_NET_ADMIN: run it as root or by its systemd unit")
    if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
        return HostError("the kernel has no nf_tables: load the module nf_tables")
    return HostError(f"cannot read nftables: {error.strerror}")


def elements(asker: Asker, name: str) -> Iterator[Element]:
    """Read a set or map of our table. Raises HostError."""
    body = head() + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    try:
        payloads = asker.dump(GETSETELEM, body)
    except HostError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return  # the set went away since it was listed: the next event says so
        raise
    for payload in payloads:
        yield from listed(name, payload)


def get_element(asker: Asker, name: str, key: tuple[str, ...]) -> Element | None:
    """Ask for one element; None if it, or its set, is not there. Raises HostError."""
    low, high = packed(KEY_TYPES[name], key)
    inner = attribute(KEY | NESTED, attribute(1, low))
    if high != low:
        inner += attribute(KEY_END | NESTED, attribute(1, high))
    body = head() + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    body += attribute(ELEMENTS | NESTED, attribute(1 | NESTED, inner))
    try:
        for payload in asker.ask(GETSETELEM, body):
            for found in listed(name, payload):
                return found
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise HostError(f"{name} of our table is of another type now") from error
        if error.errno != errno.ENOENT:
            raise refused(error) from error
    return None


def packed(types: tuple[str, ...], key: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Pack a key: its first and its last value, which differ where a part is a prefix."""
    low, high = b"", b""
    for kind, part in zip(types, key, strict=True):
        if kind == "ifname":
            name = part.encode("utf-8", "surrogateescape").ljust(16, b"\0")
            low, high = low + name, high + name
        else:
            first, last = ends(part)
            low, high = low + first.packed, high + last.packed
    return low, high


def ends(part: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    """First and last address of a prefix, or of a range."""
    first, dash, last = part.partition("-")
    if dash:
        return ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    network = ipaddress.IPv4Network(part)
    return network[0], network[-1]


def listed(name: str, payload: bytes) -> Iterator[Element]:
    """Read the elements that one message carries."""
    types = KEY_TYPES[name]
    body = attributes(payload, 4, len(payload)).get(ELEMENTS, b"")
    offset = 0
    while offset + 4 <= len(body):
        length = struct.unpack_from("=H", body, offset)[0]
        yield element(name, types, attributes(body, offset + 4, offset + length))
        offset += (length + 3) & ~3


def element(name: str, types: tuple[str, ...], found: dict[int, bytes]) -> Element:
    """Read one element: key, value of a map, counter."""
    low = value(found[KEY])
    high = value(found[KEY_END]) if KEY_END in found else low
    data = str(ipaddress.ip_address(value(found[DATA]))) if DATA in found else ""
    return Element(name, tuple(parts(types, low, high)), data, counter(found))


def value(nested: bytes) -> bytes:
    """Unwrap NFTA_DATA_VALUE."""
    return attributes(nested, 0, len(nested))[1]


def parts(types: tuple[str, ...], low: bytes, high: bytes) -> Iterator[str]:
    """Split a concatenation, each part padded to a multiple of four bytes; ranges become prefixes."""
    offset = 0
    for kind in types:
        end = offset + WIDTHS[kind]
        first, last = low[offset:end], high[offset:end]
        yield name_of(first) if kind == "ifname" else prefix(first, last)
        offset = end


def name_of(padded: bytes) -> str:
    """Read an interface name; a trailing * marks a prefix match, which we never write."""
    return padded.rstrip(b"\0").decode("utf-8", "surrogateescape")


def prefix(first: bytes, last: bytes) -> str:
    """Write a range of addresses as a prefix where it is one."""
    low, high = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    nets = list(ipaddress.summarize_address_range(low, high))
    return str(nets[0]) if len(nets) == 1 else f"{low}-{high}"


def counter(found: dict[int, bytes]) -> Counter | None:
    """Read the counter of an element, if it has one (bytes 1, packets 2, big-endian)."""
    expression = found.get(EXPRESSION) or found.get(EXPRESSIONS)
    if expression is None:
        return None
    outer = attributes(expression, 0, len(expression))
    if 2 not in outer and 1 in outer:  # a list of one expression
        outer = attributes(outer[1], 0, len(outer[1]))
    figures = attributes(outer.get(2, b""), 0, len(outer.get(2, b"")))
    if 1 not in figures or 2 not in figures:
        return None
    return Counter(*struct.unpack(">QQ", figures[2] + figures[1]))


class Lock:
    """One natnetd for each network namespace: whoever has the NFLOG group bound.

    The kernel releases it on death, and binding needs CAP_NET_ADMIN, so that no user can squat it. The
    sign beside it only tells the pid.
    """

    def __init__(self) -> None:
        """Take the lock. Raises HostError: somebody has it, with the pid if that can be told."""
        self.socket = open_socket(NETFILTER)
        body = head(0, LOCK_GROUP) + attribute(1, b"\1")  # NFULA_CFG_CMD: NFULNL_CFG_CMD_BIND
        self.socket.send(HEADER.pack(16 + len(body), ULOG_CONFIG, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
        datagram = self.socket.recv(8192)
        for _kind, _flags, _sequence, _sender, start, end in messages(datagram):
            error = failure(datagram[start:end])
            if error is not None:
                self.socket.close()
                raise taken(error) from error
        self.sign = announce()

    def release(self) -> None:
        """Give the lock back."""
        self.socket.close()
        if self.sign is not None:
            self.sign.close()


SIGN = b"\0natnetd"
ASKERS = 1024  # at one time


class Sign:
    """An abstract Unix socket: whoever connects is told our pid by the kernel, and nothing else.

    A source of the loop, which has to let the askers go: the kernel keeps those that nobody took in, and
    has no place for many.
    """

    def __init__(self) -> None:
        """Hold it up. Raises OSError: somebody took the name."""
        self.socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        try:
            self.socket.bind(SIGN)
        except OSError:
            self.socket.close()
            raise
        self.socket.listen(ASKERS)

    def fileno(self) -> int:
        """Readable when somebody has asked."""
        return self.socket.fileno()

    def read(self) -> Iterator[Notice]:
        """Let the askers go; that is no news."""
        with suppress(OSError):
            for _ in range(ASKERS):
                self.socket.accept()[0].close()
        yield from ()

    def close(self) -> None:
        """Take it down."""
        self.socket.close()


def announce() -> Sign | None:
    """Hold up a sign; that somebody took the name is no reason to stop."""
    with suppress(OSError):
        return Sign()
    return None


def holder() -> int | None:
    """Ask the sign for the pid of the natnetd that runs in this network namespace.

    Any user can hold up a sign, so only a process that has CAP_NET_ADMIN is believed.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.settimeout(1)
        try:
            asking.connect(SIGN)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return None
    pid: int = struct.unpack("=iii", credentials)[0]
    return pid if pid and may(pid) else None


def taken(error: OSError) -> HostError:
    """Say who has the lock."""
    if error.errno != errno.EPERM or not may(os.getpid()):
        return refused(error)
    pid = holder()
    who = f"natnetd[{pid}]" if pid else "another natnetd"
    return HostError(f"{who} keeps this host's networks")


def may(pid: int) -> bool:
    """Say whether a process has CAP_NET_ADMIN (bit 12 of CapEff, capabilities(7)); anybody may ask that."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return False
    line = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(line.split()[1], 16) >> 12 & 1)
