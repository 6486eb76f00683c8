"""The shapes of what is told to guests: addresses, spans of them, names and words."""

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address

from natnetd.file.addresses import FOUR, special
from natnetd.file.nodes import Scalar, shown
from natnetd.file.shapes import Shape, Unfit, read_duration
from natnetd.model import Span

LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 2.1
DOTTED = re.compile(rf"{LABEL}(?:\.{LABEL})*", re.ASCII)
SINGLE = re.compile(LABEL, re.ASCII)
NUMERIC = re.compile(r"[0-9.]+", re.ASCII)
LONGEST_NAME = 253  # RFC 1035 3.1, in text
WORD = re.compile(r"[A-Za-z0-9_./:;=?&%@~+!*()-]{1,200}", re.ASCII)  # nothing dnsmasq would cut it at
SHORTEST, LONGEST = 120, 365 * 86400  # seconds; dnsmasq makes 120 of anything shorter


def read_four(scalar: Scalar) -> IPv4Address:
    """Read the IPv4 address of a host."""
    host, slash, _ = scalar.text.partition("/")
    try:
        address = IPv4Address(host)
    except ValueError:
        raise Unfit from None
    if slash:
        raise Unfit(f"{shown(scalar.text)} has a prefix length; write {host}")
    if reason := special(address):
        raise Unfit(f"{address} is {reason}; write the address of a host")
    return address


def read_any(scalar: Scalar) -> IPv4Address | IPv6Address:
    """Read the address of a host, of either family; loopback addresses are the host's own servers."""
    try:
        address = ipaddress.ip_address(scalar.text)
    except ValueError:
        raise Unfit from None
    if "%" in scalar.text or address.is_multicast or address.is_unspecified:
        raise Unfit
    return address


def read_span(scalar: Scalar) -> Span:
    """Read a range of addresses, `10.0.0.100-10.0.0.199`."""
    low, dash, high = scalar.text.replace(" ", "").partition("-")
    try:
        first, last = IPv4Address(low), IPv4Address(high if dash else low)
    except ValueError:
        raise Unfit from None
    if last < first:
        raise Unfit(f"{first}-{last} ends before it begins; write {last}-{first}")
    return Span(first, last)


def read_domain(scalar: Scalar) -> str:
    """Read a domain; what is compared without regard to case is kept in small letters."""
    text = scalar.text
    bare = text.strip(".")
    if text != bare and DOTTED.fullmatch(bare):
        raise Unfit(f"{shown(text)} begins or ends with a dot; write {bare}")
    if NUMERIC.fullmatch(text.rpartition(".")[2]):
        raise Unfit(f"{shown(text)} is no domain but a number; write one like lab.internal")
    if not DOTTED.fullmatch(text) or len(text) > LONGEST_NAME:
        raise Unfit(
            f"{shown(text)} is no domain: it takes letters, digits and '-' between dots, at most 63 between "
            "two; write one like lab.internal"
        )
    return text.lower()


def read_single(scalar: Scalar) -> str:
    """Read a name without a dot."""
    text = scalar.text
    if not SINGLE.fullmatch(text):
        if DOTTED.fullmatch(text):
            raise Unfit(f"{text} has a dot; write {text.partition('.')[0]}, the domain is the network's")
        raise Unfit
    return text.lower()


def read_word(scalar: Scalar) -> str:
    """Read a word that dnsmasq takes as it stands."""
    if not WORD.fullmatch(scalar.text):
        raise Unfit
    return scalar.text


def read_lease_time(scalar: Scalar) -> int:
    """Read a duration in whole seconds."""
    seconds = read_duration(scalar, low=SHORTEST, high=LONGEST)
    if seconds % 1:
        raise Unfit
    return int(seconds)


HOST_ADDRESS = Shape("an IPv4 address like 10.0.0.20", read_four, {"type": "string", "pattern": f"^{FOUR}$"})
ANY_ADDRESS = Shape(
    "an address like 192.0.2.53 or 2001:db8::53", read_any, {"type": "string", "pattern": "^[0-9A-Fa-f:.]+$"}
)
SPAN = Shape(
    "a range of addresses like 10.0.0.100-10.0.0.199",
    read_span,
    {"type": "string", "pattern": f"^{FOUR}( *- *{FOUR})?$"},
)
DOMAIN = Shape(
    "a domain like lab.internal", read_domain, {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,255}$"}
)
HOST_NAME = Shape(
    "the name of a host like web1",
    read_single,
    {"type": ["string", "number"], "pattern": "^[A-Za-z0-9-]{1,63}$"},
)
WORDS = Shape(
    "a word like pxelinux.0, without spaces and commas",
    read_word,
    {"type": ["string", "number"], "pattern": f"^{WORD.pattern}$"},
)
LEASE_TIME = Shape(
    f"a time from {SHORTEST} seconds to 365d, like 3600 or 12h",
    read_lease_time,
    {
        "anyOf": [
            {"type": "integer", "minimum": SHORTEST, "maximum": LONGEST},
            {"type": "string", "pattern": "^[0-9.]+[smhd]?$"},
        ]
    },
)
