"""The kernel's own routes to subnets of ours: who deletes one cuts a network off, whose addresses all stay.

NetworkManager was seen to do so after its own profile had been laid over a bridge (`make neighbours`).
"""

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from natnetd.errors import HostError
from natnetd.linux.dumps import (
    ROUTE_HEAD,
    RT_TABLE_MAIN,
    RTA_DST,
    RTA_OIF,
    RTA_TABLE,
    RTM_GETROUTE,
    UNICAST,
    number,
)
from natnetd.linux.netlink import Asker, attribute, attributes
from natnetd.rows import Address, Link

RTA_GATEWAY = 5
Subnet = tuple[int, int, int, int]
"""Index of the link, family, length of the prefix, and its address as a number."""


def main_table(asker: Asker, family: int, link: int = 0) -> list[bytes]:
    """Read the main table, or its routes by one link; none if that went away. Raises HostError."""
    body = ROUTE_HEAD.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    body += attribute(RTA_TABLE, struct.pack("=I", RT_TABLE_MAIN))
    body += attribute(RTA_OIF, struct.pack("=I", link)) if link else b""
    try:
        return asker.dump(RTM_GETROUTE, body)
    except HostError as error:
        if link and isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENODEV:
            return []
        raise


def reached(routes: Iterable[bytes]) -> Iterator[Subnet]:
    """Yield the subnets that are reached by a link itself."""
    for route in routes:
        if route[7] == UNICAST and route[1]:
            fields = attributes(route, 12, len(route))
            if RTA_OIF in fields and RTA_GATEWAY not in fields:
                yield number(fields[RTA_OIF]), route[0], route[1], int.from_bytes(fields[RTA_DST], "big")


def checked(
    asker: Asker,
    links: Mapping[str, Link],
    addresses: Mapping[str, tuple[Address, ...]],
    routes4: Iterable[bytes] | None = None,
) -> dict[str, tuple[Address, ...]]:
    """Note of our bridges' addresses whether the route to their subnet is there.

    A bridge that is down has none, and gets them back with its coming up. Raises HostError.
    """
    found, near = dict(addresses), [links[n] for n in addresses if n in links and reaches(links[n])]
    if not near:
        return found
    six = any(":" in row.interface and single(row) for link in near for row in addresses[link.name])
    if routes4 is None:
        families = (socket.AF_INET, socket.AF_INET6) if six else (socket.AF_INET,)
        routes = [r for link in near for family in families for r in main_table(asker, family, link.index)]
    else:
        routes = [*routes4, *(main_table(asker, socket.AF_INET6) if six else ())]
    there = set(reached(routes))
    for link in near:
        found[link.name] = tuple(
            replace(row, routed=False)
            if single(row) and subnet(link.index, row.interface) not in there
            else row
            for row in addresses[link.name]
        )
    return found


def reaches(link: Link) -> bool:
    """Whether the main table should lead to a link's subnets; of a VRF another one does."""
    return link.ours and link.up and not link.master


def single(row: Address) -> bool:
    """Whether a subnet is one link's alone: it is more than an address, and not link-local."""
    return not row.interface.endswith(("/32", "/128")) and not row.interface.startswith("fe80:")


def family(interface: str) -> socket.AddressFamily:
    """Tell the family of an address."""
    return socket.AF_INET6 if ":" in interface else socket.AF_INET


def subnet(link: int, interface: str) -> Subnet:
    """Write an address as its subnet; by hand, since ipaddress takes 8 us for each."""
    host, _, length = interface.partition("/")
    packed = socket.inet_pton(family(interface), host)
    shift = len(packed) * 8 - int(length)
    return link, family(interface), int(length), int.from_bytes(packed, "big") >> shift << shift
