"""Flows of conntrack that came by a forward, read by hand; the others, nearly all, cost one look each."""

import struct
from socket import AF_INET, AF_INET6

from natnetd.linux.netlink import attributes
from natnetd.stale import TCP, UDP, Leads, Visit

TUPLE_REPLY = 2
SIZES: dict[int, int] = {AF_INET: 4, AF_INET6: 16}
"""The fixed layout of a payload's first attribute, CTA_TUPLE_ORIG: source, destination, protocol, ports."""


class Visits:
    """Judges flows of one family by the forwards there are, and those that were."""

    def __init__(self, leads: Leads, family: int = AF_INET) -> None:
        size = SIZES[family]
        self.leads = leads
        self.address = slice(20 + size, 20 + 2 * size)
        self.protocol = 28 + 2 * size
        self.port = 44 + 2 * size
        self.marks, self.whole = leads.marks()

    def wrong(self, payload: bytes) -> bool | None:
        """Say whether a flow should be forgotten; None: it is not about forwards."""
        protocol = payload[self.protocol]
        port = struct.unpack_from(">H", payload, self.port)[0] if protocol in (TCP, UDP) else 0
        address = payload[self.address]
        if not self.marks[port] and address not in self.whole:
            return None
        visit = Visit(protocol, address, port)
        if not self.leads.concerns(visit):
            return None
        return self.leads.wrong(visit, end(attributes(payload, 4, len(payload))[TUPLE_REPLY]))


def end(nested: bytes) -> tuple[bytes, int]:
    """Read whence the answers come: CTA_TUPLE_IP (its first address) and CTA_TUPLE_PROTO (source port)."""
    inner = attributes(nested, 0, len(nested))
    addresses, ports = (attributes(inner[kind], 0, len(inner[kind])) for kind in (1, 2))
    source = addresses.get(1) or addresses.get(3, b"")  # CTA_IP_V4_SRC, CTA_IP_V6_SRC
    return source, int.from_bytes(ports.get(2, b""), "big")  # CTA_PROTO_SRC_PORT; none for ICMP
