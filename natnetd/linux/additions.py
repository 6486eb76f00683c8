"""Messages that add things, packed by hand: they come by the thousand, and after a loss they are in a hurry.

1,000 bridges with address take pyroute2 1.1-2 s, these 0.3 s (docs/decisions/0003); what changes or
removes a thing comes one at a time and is pyroute2's.
"""

import socket
import struct
from ipaddress import ip_interface

from natnetd.linux.dumps import (
    ADDRESS_HEAD,
    BR_FORWARD_DELAY,
    BR_STP_STATE,
    IFA_ADDRESS,
    IFA_LOCAL,
    IFA_PROTO,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_GROUP,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_PROTINFO,
    INFO_DATA,
    INFO_KIND,
    LINK_HEAD,
    ROUTE_HEAD,
    RT_TABLE_MAIN,
    RTA_DST,
    RTA_OIF,
    RTPROT_KERNEL,
    UNICAST,
)
from natnetd.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, attribute, attributes
from natnetd.rows import PROTO, Bridge

RTM_NEWLINK, RTM_SETLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 19, 20, 24
RTA_PRIORITY, RTA_PREFSRC = 6, 7
RT_SCOPE_LINK = 253
IP6_RT_PRIO_ADDRCONF = 256  # metric of the kernel's own routes
NESTED = 0x8000
AF_BRIDGE = 7
SETTABLE = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 25, 27, 30, 32, 33})
"""Priority, cost, hairpin, guard, protect, fast leave, learning, floods, proxy ARP, isolated and the like."""
IFA_BROADCAST, IFA_FLAGS = 4, 8
IFA_F_NODAD = 0x02
"""Without it an IPv6 address of a bridge without carrier stays tentative, unusable, until a guest comes."""

Request = tuple[int, int, bytes]
"""Type, flags, payload."""


def integer(kind: int, value: int) -> bytes:
    """Pack a 32-bit number in host order."""
    return attribute(kind, struct.pack("=I", value))


def words(kind: int, text: str) -> bytes:
    """Pack a C string."""
    return attribute(kind, text.encode("utf-8", "surrogateescape") + b"\0")


def bridge(name: str, want: Bridge) -> Request:
    """Make a bridge, up, with all but its alias: the kernel ignores IFLA_IFALIAS on creation."""
    own = integer(BR_STP_STATE, int(bool(want.stp)))
    if want.forward_delay is not None:
        own = integer(BR_FORWARD_DELAY, want.forward_delay * 10) + own
    body = LINK_HEAD.pack(0, 0, 0, IFF_UP, IFF_UP) + words(IFLA_IFNAME, name)
    body += integer(IFLA_GROUP, want.group or 0)
    if want.mtu is not None:
        body += integer(IFLA_MTU, want.mtu)
    if want.mac is not None:
        body += attribute(IFLA_ADDRESS, bytes.fromhex(want.mac.replace(":", "")))
    body += attribute(IFLA_LINKINFO, words(INFO_KIND, "bridge") + attribute(INFO_DATA, own))
    return RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body


def alias(name: str, text: str) -> Request:
    """Set the alias of a link, found by its name."""
    body = LINK_HEAD.pack(0, 0, 0, 0, 0) + words(IFLA_IFNAME, name)
    return RTM_NEWLINK, 0, body + words(IFLA_IFALIAS, text)


def plug(index: int, bridge_index: int) -> Request:
    """Make a link a port of a bridge, whosever it was: for tests and benchmarks, see natnetd.linux.rtnl."""
    return RTM_NEWLINK, 0, LINK_HEAD.pack(0, 0, index, 0, 0) + integer(IFLA_MASTER, bridge_index)


def port_settings(index: int, settings: str) -> Request:
    """Give a port back what it had set: the kernel takes IFLA_BRPORT_* as it gave them."""
    had = attributes(bytes.fromhex(settings), 0, len(settings) // 2)
    own = b"".join(attribute(kind, value) for kind, value in had.items() if kind in SETTABLE)
    body = LINK_HEAD.pack(AF_BRIDGE, 0, index, 0, 0) + attribute(IFLA_PROTINFO | NESTED, own)
    return RTM_SETLINK, 0, body


def route(index: int, interface: str) -> Request:
    """Lead to the subnet of an address by its link, as the kernel does when the address is added."""
    own = ip_interface(interface)
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    scope = RT_SCOPE_LINK if own.version == 4 else 0
    fields = (own.network.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_KERNEL, scope, UNICAST, 0)
    body = ROUTE_HEAD.pack(family, *fields)
    body += attribute(RTA_DST, own.network.network_address.packed) + integer(RTA_OIF, index)
    if own.version == 4:
        body += attribute(RTA_PREFSRC, own.packed)
    else:
        body += integer(RTA_PRIORITY, IP6_RT_PRIO_ADDRCONF)
    return RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body


def address(index: int, interface: str) -> Request:
    """Add an address with our mark; in IPv4 with the broadcast address of its subnet."""
    own = ip_interface(interface)
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    body = ADDRESS_HEAD.pack(family, own.network.prefixlen, 0, 0, index)
    body += attribute(IFA_ADDRESS, own.packed) + attribute(IFA_PROTO, bytes([PROTO]))
    if own.version == 6:
        body += integer(IFA_FLAGS, IFA_F_NODAD)
    else:
        body += attribute(IFA_LOCAL, own.packed)
        if own.network.prefixlen < 31:
            body += attribute(IFA_BROADCAST, own.network.broadcast_address.packed)
    return RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body
