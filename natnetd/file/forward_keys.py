"""The keys of a forward, and how their values are read."""

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from natnetd.doors import bracketed, span
from natnetd.file.addresses import BRACKETED, FOUR, special
from natnetd.file.grammar import Key, Rows, Section
from natnetd.file.names import SINGLE
from natnetd.file.nodes import Scalar, shown
from natnetd.file.shapes import PORT, Shape, Unfit, read_ports
from natnetd.model import PROTOCOLS

Address = IPv4Address | IPv6Address
BOTH = {"both": PROTOCOLS, **{name: (name,) for name in PROTOCOLS}}
NUMBERS = re.compile(r"[0-9-]+", re.ASCII)
PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)


class At(NamedTuple):
    """Where a forward listens; without `ports` at all of the address."""

    address: Address | None
    ports: tuple[int, int] | None = None
    protocols: tuple[str, ...] = ()
    text: str = ""


class To(NamedTuple):
    """Whom it leads to: an address, or the name of a reservation."""

    address: Address | None
    name: str = ""
    ports: tuple[int, int] | None = None


def read_at(scalar: Scalar) -> At:
    """Read where to listen."""
    text = scalar.text
    body, slash, protocol = text.rpartition("/") if "/" in text else (text, "", "")
    host, ports = halves(body)
    address = read_host(host) if host or not ports else None
    if not slash and ports:
        read_ports(scalar._replace(text=ports))
        raise Unfit(f"{text} has no protocol; write {text}/tcp, {text}/udp or {text}/both")
    if not slash:
        return At(address, text=str(address))
    if protocol not in BOTH:
        if not ports and PREFIX.fullmatch(protocol):
            raise Unfit(
                f"{text} is a prefix; a forward listens at one address: write {host}, or {host}:80/tcp"
            )
        raise Unfit(f"{shown(protocol)} is not a protocol; write {body}/tcp, {body}/udp or {body}/both")
    if not ports and body.count(":") > 1 and not body.startswith("["):
        host, _, ports = body.rpartition(":")
        raise Unfit(f'{text} has no brackets; write "[{host}]:{ports}/{protocol}", in quotes')
    if not ports:
        at = bracketed(address) if address else host
        raise Unfit(f"{text} has no port; write {at}:80/{protocol}, or {host} alone for all that comes to it")
    both = read_ports(scalar._replace(text=ports))
    at = f"{bracketed(address)}:" if address else ""
    return At(address, both, BOTH[protocol], f"{at}{span(both)}/{protocol}")


def halves(text: str) -> tuple[str, str]:
    """Return address (or name) and ports of a text, either of them perhaps empty."""
    if match := BRACKETED.fullmatch(text):
        return match[1], match[2] or ""
    if NUMBERS.fullmatch(text):
        return "", text
    if text.count(":") > 1:  # IPv6 without brackets: all of it
        return text, ""
    host, _, ports = text.partition(":")
    if ports and not host:
        raise Unfit(f"{shown(text)} names no address; write the ports alone for any address of the host")
    return host, ports


def read_host(host: str) -> Address:
    """Read the address to listen at. Raises Unfit."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if NUMBERS.fullmatch(host.partition(".")[0]) or ":" in host or not host:
            raise Unfit from None
        raise Unfit(f"{shown(host)} is not an address; a host name is not accepted") from None
    if "%" in host:
        raise Unfit
    if address.is_unspecified or host == "*":
        raise Unfit(f"{host} names no address; write the ports alone for any address of the host")
    if reason := special(address):
        raise Unfit(f"{address} is {reason}; write an address of the host, or the ports alone for any")
    return address


def read_to(scalar: Scalar) -> To:
    """Read whom a forward leads to."""
    text = scalar.text
    if "/" in text:
        raise Unfit(
            f"{shown(text)} has a slash; the protocol stands with listen: write {text.partition('/')[0]}"
        )
    host, port = halves(text)
    if not host:
        raise Unfit(f"{shown(text)} names no guest; write e.g. 10.0.0.5:{port}")
    ports = read_ports(scalar._replace(text=port)) if port else None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if SINGLE.fullmatch(host):
            return To(None, host.lower(), ports)
        raise Unfit from None
    if "%" in host:
        raise Unfit
    if reason := special(address):
        raise Unfit(f"{address} is {reason}; write the address of a guest")
    return To(address, "", ports)


SIX = r"[0-9A-Fa-f:]+(\.[0-9]{1,3}){0,3}"
SPAN = f"{PORT.pattern}(-{PORT.pattern})?"
LISTEN_AT = Shape(
    "what to listen at, like 203.0.113.5:8080/tcp, 8080/tcp for any address, or an address alone",
    read_at,
    {
        "type": "string",
        "pattern": rf"^(((({FOUR}|\[{SIX}\]):)?{SPAN}/({'|'.join(sorted(BOTH))}))|{FOUR}|{SIX}|\[{SIX}\])$",
    },
)
TARGET = Shape(
    "a guest, like 10.0.0.5:80, web1:80 or 10.0.0.5",
    read_to,
    {
        "type": ["string", "number"],
        "pattern": rf"^(({FOUR}|\[{SIX}\]|{SINGLE.pattern})(:{SPAN})?|{SIX})$",
    },
)

FORWARDS = Rows(
    Section(
        (
            Key(
                "listen",
                LISTEN_AT,
                "What comes here goes to the guest: a port of one address of the host, with its protocol "
                "(`tcp`, `udp`, or `both`), or a range of ports. Ports alone stand for any address that the "
                "host has, by whatever interface; an address alone for all of its ports and protocols. An "
                "IPv6 address stands in brackets and quotes.",
                "none; it must be said",
                ("203.0.113.5:8080/tcp", "8000-8010/both", "203.0.113.7", "[2001:db8::5]:443/tcp"),
            ),
            Key(
                "to",
                TARGET,
                "The guest: an address in the network, or the name of one of its `dhcp.reservations`; and "
                "the port, where it is another one. The ports of a range stay as they are.",
                "none; it must be said",
                ("10.0.0.5:80", "web1:80", "10.0.0.7"),
            ),
        ),
        words="its keys, e.g. {listen: 203.0.113.5:8080/tcp, to: 10.0.0.5:80}",
    ),
    words="a list like [{listen: 203.0.113.5:8080/tcp, to: 10.0.0.5:80}]",
)
