"""The shapes of addresses: everything goes through `ipaddress`, so no host name ever gets through."""

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from natnetd.file.nodes import Scalar, shown
from natnetd.file.shapes import Shape, Unfit
from natnetd.model import Interface, Pool

MOST_SOURCES = 65536  # addresses of a pool: more are a slip of the pen
WIDEST = 8  # prefix lengths below are slips of the pen: no network of guests holds more than a /8
PREFIX = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
THIS_NETWORK = IPv4Network("0.0.0.0/8")  # RFC 1122 3.2.1.3
LIMITED_BROADCAST = IPv4Address("255.255.255.255")
BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?", re.DOTALL)
ADDRESS_PATTERN = "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"
FOUR = "[0-9]{1,3}(\\.[0-9]{1,3}){3}"


def special(address: IPv4Address | IPv6Address) -> str:
    """Say what keeps `address` from being a host's own; empty for an ordinary one."""
    reasons = (
        (address in THIS_NETWORK or address.is_unspecified, "an unspecified address"),
        (address.is_loopback, "a loopback address"),
        (address.is_multicast, "a multicast address"),
        (address.is_link_local, "a link-local address"),
        (address == LIMITED_BROADCAST, "the broadcast address"),
        (isinstance(address, IPv6Address) and address.ipv4_mapped, "an IPv4 address in IPv6 dress"),
    )
    return next((words for holds, words in reasons if holds), "")


def read_interface_address(scalar: Scalar) -> Interface:
    """Read a gateway's address with its prefix length, `10.0.0.1/16` or `fd00::1/64`."""
    host, slash, prefix = scalar.text.partition("/")
    if "%" in host:  # a scope: ipaddress takes any text there
        raise Unfit
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Unfit from None
    likely = 24 if address.version == 4 else 64
    if not slash:
        raise Unfit(f"{host} has no prefix length; write e.g. {host}/{likely}")
    if not PREFIX.fullmatch(prefix) or int(prefix) > address.max_prefixlen:
        raise Unfit(f"{shown(scalar.text)} has no usable prefix length; write e.g. {host}/{likely}")
    if reason := special(address):
        right = "10.0.0.1/16" if address.version == 4 else "fd00::1/64"
        raise Unfit(f"{host} is {reason}; write one that guests can have as their gateway, like {right}")
    pair = (int(address), int(prefix))  # numbers are read several times faster than text
    interface = IPv4Interface(pair) if address.version == 4 else IPv6Interface(pair)
    check_room(interface, likely)
    check_host_part(interface)
    return interface


def check_room(interface: Interface, likely: int) -> None:
    """Raise `Unfit` unless the subnet has room for a guest and is no slip of the pen."""
    network = interface.network
    if network.prefixlen == network.max_prefixlen:
        raise Unfit(f"{interface} leaves no room for guests; write e.g. {interface.ip}/{likely}")
    if network.prefixlen < WIDEST:
        right = f"write /{WIDEST} or longer, e.g. {interface.ip}/{likely}"
        raise Unfit(f"{interface} is too wide for a network of guests; {right}")


def check_host_part(interface: Interface) -> None:
    """Raise `Unfit` for an address that stands for the subnet as a whole.

    A subnet of two addresses has none of these: RFC 3021 for IPv4, RFC 6164 for IPv6.  In IPv6 the first
    address is the subnet-router anycast address (RFC 4291 2.6.1); there is no broadcast address.
    """
    network = interface.network
    if network.prefixlen >= network.max_prefixlen - 1:
        return
    if interface.ip == network.network_address:
        what = "network" if network.version == 4 else "subnet-router anycast"
    elif network.version == 4 and interface.ip == network.broadcast_address:
        what = "broadcast"
    else:
        return
    right = f"write a host's address like {network.network_address + 1}/{network.prefixlen}"
    raise Unfit(f"{interface.ip} is the {what} address of {network}; {right}")


def read_source(scalar: Scalar) -> Pool | str:
    """Read the address, or the pool of them, to translate to, or `masquerade`."""
    if scalar.text == "masquerade":
        return scalar.text
    pool = read_pool(scalar.text)
    for address in (pool.first, pool.last):
        if reason := special(address):
            raise Unfit(f"{address} is {reason}; write an address of the host that the outside can answer to")
    if len(pool) > MOST_SOURCES:
        raise Unfit(f"{pool} are {len(pool)} addresses; a pool has at most {MOST_SOURCES}")
    return pool


def read_pool(text: str) -> Pool:
    """Read one address, a range of them, or all of a prefix. Raises Unfit, without words if it is none."""
    first, dash, last = text.partition("-")
    if dash and is_ipv4(first) and is_ipv4(last):
        ends = IPv4Address(first), IPv4Address(last)
        if ends[0] > ends[1]:
            raise Unfit(f"{text} runs backwards; write {last}-{first}")
        return Pool(*ends)
    host, slash, prefix = text.partition("/")
    if not is_ipv4(host) or (slash and (not PREFIX.fullmatch(prefix) or int(prefix) > 32)):
        raise Unfit
    network = IPv4Network((host, int(prefix or 32)), strict=False)
    if network.network_address != IPv4Address(host):
        raise Unfit(f"{text} has host bits set; write {host} for this address, or {network} for all of them")
    return Pool(network[0], network[-1])


def is_ipv4(text: str) -> bool:
    """Whether `text` is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def guess(address: IPv4Address | IPv6Address) -> str:
    """Return the network of a usual size around an address."""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False))


def read_network(scalar: Scalar) -> IPv4Network | IPv6Network:
    """Read a network whose host bits are zero."""
    host, slash, prefix = scalar.text.partition("/")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Unfit from None
    longest = address.max_prefixlen
    if "%" in host or (slash and (not PREFIX.fullmatch(prefix) or int(prefix) > longest)):
        raise Unfit
    if not slash:
        one = f"write {host}/{longest} for this one address, or e.g. {guess(address)}"
        raise Unfit(f"{host} has no prefix length; {one}")
    network = ipaddress.ip_network(scalar.text, strict=False)
    if network.network_address != address:
        raise Unfit(
            f"{scalar.text} has host bits set; write {network}, or {host}/{longest} for this one address"
        )
    if not network.prefixlen:
        raise Unfit(f"{network} exempts everything; write routed: true in place of nat")
    return network


def read_listen(scalar: Scalar) -> tuple[str, int]:
    """Read where to listen: `HOST:PORT`, `[HOST]:PORT`, or a port alone for 127.0.0.1."""
    text = scalar.text
    host, port = split_listen(text)
    bracketed = text.startswith("[")
    try:
        address: IPv4Address | IPv6Address = IPv6Address(host) if bracketed else IPv4Address(host)
    except ValueError:
        raise Unfit(f"{shown(text)} {mend_listen(host, port)}") from None
    if address.is_multicast or address == LIMITED_BROADCAST or "%" in host:
        raise Unfit(f"{shown(host)} is not an address one can listen on; write e.g. 127.0.0.1:9787")
    if not port:
        right = f'"[{host}]:9787", in quotes' if bracketed else f"{host}:9787"
        raise Unfit(f"{text} has no port; write {right}")
    if not PORT.fullmatch(port) or int(port) > 65535:
        raise Unfit(f"{shown(port)} is not a port from 1 to 65535")
    return str(address), int(port)


def split_listen(text: str) -> tuple[str, str]:
    """Return host and port of `text`, either of them perhaps empty."""
    if match := BRACKETED.fullmatch(text):
        return match[1], match[2] or ""
    if text.isdigit():
        return "127.0.0.1", text
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, "")


def mend_listen(host: str, port: str) -> str:
    """Say what is wrong with a host that is no address, and what would be right."""
    if host in ("", "*"):
        return f"names no address; write 0.0.0.0:{shown(port)} for all of them"
    try:
        IPv6Address(host)
    except ValueError:
        return f"is not {LISTEN.words}; a host name is not accepted"
    return f'has no brackets; write "[{host}]:{shown(port)}", in quotes'


INTERFACE_ADDRESS = Shape(
    "an interface address like 10.0.0.1/16",
    read_interface_address,
    {"type": "string", "pattern": ADDRESS_PATTERN},
)
SOURCE = Shape(
    "an IPv4 address like 192.0.2.10, a range like 192.0.2.10-192.0.2.20, a prefix, or masquerade",
    read_source,
    {"type": "string", "pattern": f"^({FOUR}(-{FOUR}|/[0-9]{{1,2}})?|masquerade)$"},
)
NETWORK = Shape(
    "a network like 192.168.50.0/24",
    read_network,
    {"type": "string", "pattern": ADDRESS_PATTERN},
)
LISTEN = Shape(
    "an address and a port like 127.0.0.1:9787, or a port alone",
    read_listen,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": f"^({FOUR}:|\\[[0-9A-Fa-f:.]+\\]:)?[0-9]{{1,5}}$"},
        ],
    },
)
