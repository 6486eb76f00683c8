"""Finds flows that slipped out untranslated while NAT was away, and forgets them: conntrack by hand.

A flow keeps for life what its first packet met, so one begun in a gap stays untranslated (and the guard
drops it) until its entry is gone. pyroute2 needs 0.2 s where its filter works and 5-11 s where it does not
(0.7 sends no mask), this 20-150 ms (docs/decisions/0007), and it can be done in slices.
"""

import struct

from natnetd.errors import HostError
from natnetd.flows import Origin, Suspects
from natnetd.linux import sysctl
from natnetd.linux.netlink import (
    NETFILTER,
    NLM_F_DUMP,
    NLMSG_DONE,
    NLMSG_ERROR,
    RECEIVE,
    Asker,
    attribute,
    attributes,
    messages,
)
from natnetd.linux.visits import Visits

CT_GET, CT_DELETE = 0x101, 0x102
TUPLE_ORIG, TUPLE_REPLY, STATUS, ID, ZONE, STATUS_MASK = 1, 2, 3, 12, 18, 26
SRC_NAT = 1 << 4  # IPS_SRC_NAT
AF_INET, AF_INET6 = 2, 10
NESTED = 0x8000
ORIG_SOURCE, ORIG_SOURCE6 = slice(16, 20), slice(16, 32)
"""Where the source address stands in a payload: the first leaf of its first attribute."""


def fill() -> tuple[int, int]:
    """Tell how many connections the kernel keeps here, and how many it would; 0 for what it does not tell."""
    try:
        found = [sysctl.read("net", "netfilter", f"nf_conntrack_{what}") for what in ("count", "max")]
    except HostError:
        return 0, 0
    return int(found[0] or 0), int(found[1] or 0)


class Purge:
    """One walk through the table, a slice at each `step`; never stops for one entry."""

    def __init__(self, suspects: Suspects, *, translated: bool = False) -> None:
        """Start; if the rules changed, also with `translated` flows. Raises HostError: no permission."""
        self.left = [(AF_INET6, suspects.six)] if suspects.six else []
        self.translated = translated
        self.asker = Asker(NETFILTER)
        self.deleter = Asker(NETFILTER)
        self.purged = 0
        self.begin(AF_INET, suspects)

    def begin(self, family: int, suspects: Suspects) -> None:
        """Ask for the entries of a family."""
        self.family, self.suspects = family, suspects
        self.source = ORIG_SOURCE if family == AF_INET else ORIG_SOURCE6
        self.known: dict[bytes, Origin | None] = {}
        self.visits = Visits(suspects.leads, family) if suspects.leads else None
        body = struct.pack(">BBH", family, 0, 0)
        if not self.translated:
            body += attribute(STATUS, struct.pack(">I", 0)) + attribute(
                STATUS_MASK, struct.pack(">I", SRC_NAT)
            )
        self.asker.send(CT_GET, NLM_F_DUMP, body)

    def step(self) -> bool:
        """Read one slice and forget what is in it; say whether more is to come. Raises OSError."""
        datagram = self.asker.socket.recv(RECEIVE)
        found: list[tuple[int, int, bytes]] = []
        more = True
        for kind, _flags, _sequence, _sender, start, end in messages(datagram):
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                more = False
            elif self.suspicious(datagram[start:end]):
                found.append(self.order(datagram[start:end]))
        self.purged += sum(error is None for error in self.deleter.batch(found))
        if not more and self.left:
            self.begin(*self.left.pop())
            return True
        if not more:
            self.close()
        return more

    def suspicious(self, payload: bytes) -> bool:
        """Say whether an entry is against the rules. The source is tested first: most are not ours."""
        if self.suspects.cut and self.cut_off(payload):
            return True
        if self.visits is not None and (wrong := self.visits.wrong(payload)) is not None:
            return wrong and ZONE not in attributes(payload, 4, len(payload))
        source = payload[self.source]
        if source not in self.known:
            self.known[source] = self.suspects.origin(int.from_bytes(source, "big"))
        origin = self.known[source]
        if origin is None:
            return False
        found = attributes(payload, 4, len(payload))
        if ZONE in found:  # the copies that Proxmox's firewall bridges make are untranslated by nature
            return False
        there, back = ends(found[TUPLE_REPLY])
        translated = bool(int.from_bytes(found.get(STATUS, b""), "big") & SRC_NAT)
        if not translated and back != int.from_bytes(source, "big"):
            return False
        return self.suspects.wrong(origin, there, translated=translated)

    def cut_off(self, payload: bytes) -> bool:
        """Say whether an entry is of a guest that is cut off, whoever began it."""
        found = attributes(payload, 4, len(payload))
        there, _back = ends(found[TUPLE_REPLY])
        source = int.from_bytes(payload[self.source], "big")
        return ZONE not in found and not self.suspects.cut.isdisjoint((source, there))

    def order(self, payload: bytes) -> tuple[int, int, bytes]:
        """Ask to forget an entry: its tuple, and its id, which makes it exact."""
        found = attributes(payload, 4, len(payload))
        body = struct.pack(">BBH", self.family, 0, 0) + attribute(TUPLE_ORIG | NESTED, found[TUPLE_ORIG])
        return CT_DELETE, 0, body + attribute(ID, found[ID])

    def close(self) -> None:
        """Give the sockets back."""
        self.asker.close()
        self.deleter.close()


def ends(nested: bytes) -> tuple[int, int]:
    """Source and destination of a tuple (CTA_TUPLE_IP: CTA_IP_V4_SRC, _DST, CTA_IP_V6_SRC, _DST)."""
    inner = attributes(nested, 0, len(nested)).get(1, b"")
    found = attributes(inner, 0, len(inner))
    there, back = found.get(1) or found.get(3, b""), found.get(2) or found.get(4, b"")
    return int.from_bytes(there, "big"), int.from_bytes(back, "big")
