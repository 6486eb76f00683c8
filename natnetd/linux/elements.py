"""Elements of our table's sets, read by hand (nfnetlink): libnftables takes four times as long."""

import errno
import ipaddress
import struct
from collections.abc import Iterator

from natnetd.errors import HostError
from natnetd.intervals import PROTOCOLS, ends, number
from natnetd.linux.netlink import Asker, attribute, attributes
from natnetd.linux.nfnl import INET, NFT, TABLE_NAME, head, refused
from natnetd.page import KEY_TYPES, RANGED, VALUE_TYPES
from natnetd.rows import CATCH_ALL, Counter, Element

NEWSETELEM, GETSETELEM, DELSETELEM = NFT | 12, NFT | 13, NFT | 14
ELEMENTS, KEY, DATA, USERDATA, EXPRESSION, KEY_END, EXPRESSIONS = 3, 1, 2, 6, 7, 10, 11
NESTED = 0x8000
VERDICT, CHAIN = 2, 2  # NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN
COMMENT = 0  # NFTNL_UDATA_SET_ELEM_COMMENT of libnftnl
WIDTHS = {
    "ifname": 16,
    "ipv4_addr": 4,
    "ipv6_addr": 16,
    "ether_addr": 8,
    "inet_service": 4,
    "inet_proto": 4,
}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}


def elements(asker: Asker, name: str, family: int = INET) -> Iterator[Element]:
    """Read a set or map of our table. Raises HostError."""
    body = head(family) + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    try:
        payloads = asker.dump(GETSETELEM, body)
    except HostError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return  # the set went away since it was listed: the next event says so
        raise
    for payload in payloads:
        yield from listed(name, payload)


def get_element(asker: Asker, name: str, key: tuple[str, ...], family: int = INET) -> Element | None:
    """Ask for one element; None if it, or its set, is not there. Raises HostError."""
    try:
        for payload in asker.ask(GETSETELEM, naming(name, key, family)):
            for found in listed(name, payload):
                return found
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise HostError(f"{name} of our table is of another type now") from error
        if error.errno != errno.ENOENT:
            raise refused(error) from error
    return None


def naming(name: str, key: tuple[str, ...], family: int) -> bytes:
    """Write a message about one element of our table."""
    low, high = packed(KEY_TYPES[name], key)
    inner = attribute(KEY | NESTED, attribute(1, low))
    if high != low:
        inner += attribute(KEY_END | NESTED, attribute(1, high))
    body = head(family) + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    return body + attribute(ELEMENTS | NESTED, attribute(1 | NESTED, inner))


def packed(types: tuple[str, ...], key: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Pack a key: its first and its last value, which differ where a part is a prefix."""
    low, high = b"", b""
    for kind, part in zip(types, key, strict=True):
        if kind == "ifname":
            name = part.encode("utf-8", "surrogateescape").ljust(16, b"\0")
            low, high = low + name, high + name
        elif kind == "inet_service":
            first_port, _, last_port = part.partition("-")
            low, high = low + port(first_port), high + port(last_port or first_port)
        elif kind == "ether_addr":
            low, high = low + mac(part), high + mac(part)
        elif kind == "inet_proto":
            first_one, _, last_one = part.partition("-")
            low, high = low + protocol(first_one), high + protocol(last_one or first_one)
        else:
            first, last = ends(part)
            low, high = low + first.packed, high + last.packed
    return low, high


def port(number: str) -> bytes:
    """Pack a port as a part of a concatenation: in network order, and padded."""
    return struct.pack(">HH", int(number), 0)


def mac(text: str) -> bytes:
    """Pack a MAC address as a part of a concatenation: padded."""
    return bytes.fromhex(text.replace(":", "")).ljust(8, b"\0")


def protocol(name: str) -> bytes:
    """Pack a protocol, by name or number, as a part of a concatenation."""
    return struct.pack("B3x", number(name))


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
    if KEY not in found:
        return Element(name, CATCH_ALL, owner="")
    low = value(found[KEY])
    high = value(found[KEY_END]) if KEY_END in found else low
    data = told(name, found[DATA]) if DATA in found else ""
    owner = None if types[0] == "ifname" else comment(found.get(USERDATA, b""))
    return Element(name, tuple(parts(types, low, high)), data, counter(found), owner)


def told(name: str, data: bytes) -> str:
    """Read what a map says of a key: a value, or a verdict, which jumps to a chain here."""
    verdict = attributes(data, 0, len(data)).get(VERDICT)
    if verdict is None:
        return mapped(name, value(data))
    return f"jump {name_of(attributes(verdict, 0, len(verdict)).get(CHAIN, b'?'))}"


def comment(userdata: bytes) -> str:
    """Read an element's comment (libnftnl: type, length, value); empty if it has none."""
    offset = 0
    while offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == COMMENT:
            return userdata[offset + 2 : offset + 2 + length].rstrip(b"\0").decode("utf-8", "replace")
        offset += 2 + length
    return ""


def mapped(name: str, data: bytes) -> str:
    """Read a map's value; of a ranged one the first of each part, then the last of each."""
    types = VALUE_TYPES.get(name, ())
    if name not in RANGED:
        return " . ".join(parts(types, data, data))
    half = len(data) // 2
    low, high = tuple(parts(types, data[:half], data[:half])), tuple(parts(types, data[half:], data[half:]))
    return " . ".join(a if a == b else f"{a}-{b}" for a, b in zip(low, high, strict=True))


def value(nested: bytes) -> bytes:
    """Unwrap NFTA_DATA_VALUE."""
    return attributes(nested, 0, len(nested))[1]


def parts(types: tuple[str, ...], low: bytes, high: bytes | None) -> Iterator[str]:
    """Split a concatenation, each part padded to a multiple of four bytes; ranges become prefixes.

    Without a last value, as in sets without ranges, addresses are single ones.
    """
    offset = 0
    for kind in types:
        end = offset + WIDTHS[kind]
        first, last = low[offset:end], (low if high is None else high)[offset:end]
        part = span(kind, first, last)
        yield part if high is not None or kind == "ifname" else part.partition("/")[0]
        offset = end


def span(kind: str, first: bytes, last: bytes) -> str:
    """Write one part, from its first to its last value."""
    if kind == "ifname":
        return name_of(first)
    if kind == "ether_addr":
        return first[:6].hex(":")
    if kind == "inet_service":
        low, high = (int.from_bytes(side[:2], "big") for side in (first, last))
        return str(low) if low == high else f"{low}-{high}"
    if kind == "inet_proto":
        one, other = first[0], last[0]
        return PROTOCOL_NAMES.get(one, str(one)) if one == other else f"{one}-{other}"
    return prefix(first, last)


def name_of(padded: bytes) -> str:
    """Read an interface name; a trailing * marks a prefix match, which we never write."""
    return padded.rstrip(b"\0").decode("utf-8", "surrogateescape")


def prefix(first: bytes, last: bytes) -> str:
    """Write a range of addresses as a prefix where it is one, and a single address as such."""
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if low == high:
        return str(low)
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
