"""Links, addresses and default routes, read from the kernel in bulk (rtnetlink(7))."""

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict

from natnetd.errors import HostError
from natnetd.linux.netlink import Asker, attribute, attributes, some_attributes
from natnetd.rows import PROTO, Address, Link

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE = 18, 22, 26
LINK_HEAD, ADDRESS_HEAD, ROUTE_HEAD = (
    struct.Struct("=BxHiII"),
    struct.Struct("=BBBBI"),
    struct.Struct("=BBBBBBBBI"),
)
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_PROTINFO, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_GROUP, IFLA_EXT_MASK = 12, 20, 26, 27, 29
SKIP_STATS = struct.pack("=I", 8)  # RTEXT_FILTER_SKIP_STATS: a fifth less to copy
INFO_KIND, INFO_DATA = 1, 2
BR_FORWARD_DELAY, BR_STP_STATE = 1, 5
IFA_ADDRESS, IFA_LOCAL, IFA_PROTO = 1, 2, 11
RTA_DST, RTA_OIF, RTA_MULTIPATH, RTA_TABLE = 1, 4, 9, 15
RT_TABLE_MAIN, RTPROT_KERNEL, UNICAST = 254, 2, 1
IFF_UP = 1
OF_LINK = frozenset(
    {
        IFLA_ADDRESS,
        IFLA_IFNAME,
        IFLA_MTU,
        IFLA_MASTER,
        IFLA_LINKINFO,
        IFLA_IFALIAS,
        IFLA_AF_SPEC,
        IFLA_GROUP,
    }
)
OF_INFO = frozenset({INFO_KIND, INFO_DATA})
OF_BRIDGE = frozenset({BR_FORWARD_DELAY, BR_STP_STATE})
OF_ADDRESS = frozenset({IFA_ADDRESS, IFA_LOCAL, IFA_PROTO})
FAMILIES = frozenset({int(socket.AF_INET), int(socket.AF_INET6)})
INET_CONF, INET6_CONF = frozenset({1}), frozenset({2})  # IFLA_INET_CONF, IFLA_INET6_CONF


def number(payload: bytes) -> int:
    """Read a 32-bit number in host order."""
    value: int = struct.unpack_from("=I", payload)[0]
    return value


def text(payload: bytes) -> str:
    """Read a C string; names of interfaces may be any bytes."""
    return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")


def links(asker: Asker) -> dict[str, Link]:
    """Read every link. Raises HostError."""
    body = LINK_HEAD.pack(0, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, SKIP_STATS)
    found = (link(payload) for payload in asker.dump(RTM_GETLINK, body))
    return {row.name: row for row in found}


def some_links(asker: Asker, names: Iterable[str], indexes: Iterable[int]) -> dict[str, Link]:
    """Read links one by one, by name or by index; those that are not there are left out. Raises HostError."""
    mask = attribute(IFLA_EXT_MASK, SKIP_STATS)
    bodies = [
        LINK_HEAD.pack(0, 0, 0, 0, 0)
        + attribute(IFLA_IFNAME, name.encode("utf-8", "surrogateescape") + b"\0")
        + mask
        for name in sorted(names)
    ]
    bodies += [LINK_HEAD.pack(0, 0, index, 0, 0) + mask for index in indexes]
    found = (row for body in bodies for row in one_link(asker, body))
    return {row.name: row for row in found}


def one_link(asker: Asker, body: bytes) -> list[Link]:
    """Read one link, or none."""
    try:
        return [link(payload) for payload in asker.ask(RTM_GETLINK, body)]
    except OSError as error:
        if error.errno == errno.ENODEV:
            return []
        raise HostError(f"cannot read a link: {error.strerror}") from error


def link(payload: bytes) -> Link:
    """Read one link message."""
    _family, _type, index, flags, _change = LINK_HEAD.unpack_from(payload)
    found = some_attributes(payload, OF_LINK, 16)
    kind, stp, delay = "", None, None
    if IFLA_LINKINFO in found:
        about = some_attributes(found[IFLA_LINKINFO], OF_INFO)
        kind = text(about.get(INFO_KIND, b""))
        if kind == "bridge" and INFO_DATA in about:
            bridge = some_attributes(about[INFO_DATA], OF_BRIDGE)
            stp = number(bridge[BR_STP_STATE]) != 0
            delay = round(number(bridge[BR_FORWARD_DELAY]) / 10)  # USER_HZ hundredths
    spec = some_attributes(found.get(IFLA_AF_SPEC, b""), FAMILIES)
    return Link(
        index=index,
        name=text(found[IFLA_IFNAME]),
        kind=kind,
        up=bool(flags & IFF_UP),
        mtu=number(found[IFLA_MTU]),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        master=number(found[IFLA_MASTER]) if IFLA_MASTER in found else None,
        group=number(found[IFLA_GROUP]) if IFLA_GROUP in found else 0,
        alias=text(found.get(IFLA_IFALIAS, b"")),
        stp=stp,
        forward_delay=delay,
        forwarding=forwarding(spec.get(socket.AF_INET, b"")),
        **six(spec.get(socket.AF_INET6, b"")),
    )


def kind_of(found: dict[int, bytes]) -> str:
    """Tell what a link is by its attributes: empty for a NIC."""
    about = found.get(IFLA_LINKINFO, b"")
    return text(attributes(about, 0, len(about)).get(INFO_KIND, b""))


def forwarding(inet: bytes) -> bool | None:
    """Find conf.X.forwarding in what IFLA_AF_SPEC says of AF_INET: IPV4_DEVCONF_FORWARDING comes first."""
    conf = some_attributes(inet, INET_CONF).get(1, b"")
    return number(conf) != 0 if conf else None


class Six(TypedDict, total=False):
    """What a link's IPv6 is set to."""

    forwarding6: bool
    accept_ra: int


def six(inet6: bytes) -> Six:
    """Find conf.X.forwarding and accept_ra in what IFLA_AF_SPEC says of AF_INET6: DEVCONF_* 0 and 3.

    They are not there with IPv6 off, or an MTU below its least.
    """
    conf = some_attributes(inet6, INET6_CONF).get(2, b"")
    if len(conf) < 16:
        return {}
    forwarding_, _, _, accept_ra = struct.unpack_from("=4i", conf)
    return {"forwarding6": forwarding_ != 0, "accept_ra": accept_ra}


def some_addresses(asker: Asker, links_: Iterable[Link]) -> dict[str, tuple[Address, ...]]:
    """Read the addresses of some links: the kernel filters by index (strict checking, Linux 4.20)."""
    found: dict[str, tuple[Address, ...]] = {}
    for row in links_:
        found |= addresses(asker, {row.index: row.name}, row.index)
    return found


def addresses(asker: Asker, names: Mapping[int, str], index: int = 0) -> dict[str, tuple[Address, ...]]:
    """Read every address, or those of one link, by link name; `marked`: it carries our protocol number."""
    found: dict[str, list[Address]] = {}
    for payload in asker.dump(RTM_GETADDR, ADDRESS_HEAD.pack(0, 0, 0, 0, index)):
        family, length, _flags, _scope, index = ADDRESS_HEAD.unpack_from(payload)
        if index in names and family in (socket.AF_INET, socket.AF_INET6):
            fields = some_attributes(payload, OF_ADDRESS, 8)
            own = socket.inet_ntop(family, fields.get(IFA_LOCAL) or fields[IFA_ADDRESS])
            marked = fields.get(IFA_PROTO, b"\0")[0] == PROTO
            found.setdefault(names[index], []).append(Address(names[index], f"{own}/{length}", marked))
    return {name: tuple(rows) for name, rows in found.items()}


def own_addresses(asker: Asker, family: int = socket.AF_INET) -> frozenset[int]:
    """Read the addresses of this host of one family, as numbers. Raises HostError."""
    payloads = asker.dump(RTM_GETADDR, ADDRESS_HEAD.pack(family, 0, 0, 0, 0))
    fields = (attributes(payload, 8, len(payload)) for payload in payloads)
    return frozenset(int.from_bytes(f.get(IFA_LOCAL) or f[IFA_ADDRESS], "big") for f in fields)


def default_links(routes: Iterable[bytes], names: Mapping[int, str]) -> frozenset[str]:
    """Find the interfaces that a default route leaves by."""
    ways = (way for route in routes if route[1] == 0 for way in exits(route))
    return frozenset(names[index] for index in ways if index in names)


def exits(route: bytes) -> Iterator[int]:
    """Yield the indexes a route leaves by: one, or one for each next hop (struct rtnexthop)."""
    fields = attributes(route, 12, len(route))
    if RTA_OIF in fields:
        yield number(fields[RTA_OIF])
    hops, offset = fields.get(RTA_MULTIPATH, b""), 0
    while offset + 8 <= len(hops):
        length, _flags, _weight, index = struct.unpack_from("=HBBi", hops, offset)
        yield index
        offset += max(8, (length + 3) & ~3)
