"""The door to traffic control, tc(8): filters at our bridges' egress that complete the checksum of answers.

By hand, since pyroute2 knows no action `csum`. A filter carries a cookie (TCA_ACT_COOKIE, Linux 4.11), by
which ours are told from others, also at the same place. The queueing discipline `clsact` that they hang on is
shared with whoever has filters there: it goes with our last one only if nobody's are left.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from natnetd.errors import HostError
from natnetd.linux.additions import words
from natnetd.linux.nested import inside
from natnetd.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, Asker, attribute, attributes
from natnetd.plan import Change
from natnetd.rows import ANSWERS, Checksum, Link

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
RTM_NEWACTION = 48
HEAD = struct.Struct("=BxxxiIII")
"""struct tcmsg: family, interface, handle, parent, and of a filter its preference and protocol."""
CLSACT, CLSACT_HANDLE, INGRESS, EGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2, 0xFFFFFFF3
PREFERENCE = 0x6E61  # ours: any would do
IPV4 = socket.htons(0x0800)
TCA_KIND, TCA_OPTIONS = 1, 2
U32_SEL, U32_ACT = 5, 7
ACT_KIND, ACT_OPTIONS, ACT_COOKIE = 1, 2, 6
CSUM_PARMS, CSUM_UDP, CARRY_ON = 1, 16, -1  # CARRY_ON: TC_ACT_UNSPEC, other filters have their say
ACT_TAB = 1
COOKIE = b"natnetd"

SELECTOR = struct.Struct(">BBBxHhhhI")
"""struct tc_u32_sel; all but its first and third byte are zero here, so that its order does not matter."""
TERMINAL = 1
KEYS = (
    (0xFF000000, 0x45000000, 0),  # IPv4, a header without options: ports stand at byte 20
    (0x00FF0000, 0x00110000, 8),  # UDP
    (0xFFFFFFFF, 0x00430044, 20),  # from port 67 to port 68
)
PARMS = struct.Struct("=IIiiiI")
"""struct tc_csum: index, capabilities, what to do next, two counts of users, which checksums."""


def key(mask: int, value: int, offset: int) -> bytes:
    """Pack a struct tc_u32_key: the word at an offset, as the packet has it."""
    return struct.pack(">II", mask, value) + struct.pack("=ii", offset, 0)


WANTED = SELECTOR.pack(TERMINAL, 0, len(KEYS), 0, 0, 0, 0, 0) + b"".join(key(*row) for row in KEYS)


def qdisc(index: int) -> bytes:
    """Name the discipline of a link that has filters at both sides of it, and no queue."""
    return HEAD.pack(0, index, CLSACT_HANDLE, CLSACT, 0) + words(TCA_KIND, "clsact")


def place(index: int, handle: int = 0) -> bytes:
    """Name our filters of a link, or one of them."""
    return HEAD.pack(0, index, handle, EGRESS, PREFERENCE << 16 | IPV4)


def filter_(index: int) -> bytes:
    """Describe the filter that we want."""
    options = attribute(CSUM_PARMS, PARMS.pack(0, 0, CARRY_ON, 0, 0, CSUM_UDP))
    action = words(ACT_KIND, "csum") + attribute(ACT_OPTIONS, options) + attribute(ACT_COOKIE, COOKIE)
    own = attribute(U32_SEL, WANTED) + attribute(U32_ACT, attribute(1, action))
    return place(index) + words(TCA_KIND, "u32") + attribute(TCA_OPTIONS, own)


def ours(payload: bytes) -> tuple[int, str] | None:
    """Tell the handle of a filter of ours and what it does; None of any other."""
    fields = attributes(payload, HEAD.size, len(payload))
    options = inside(fields.get(TCA_OPTIONS, b""))
    action = inside(inside(options.get(U32_ACT, b"")).get(1, b""))
    if action.get(ACT_COOKIE) != COOKIE:
        return None
    found = inside(action.get(ACT_OPTIONS, b"")).get(CSUM_PARMS, b"").ljust(PARMS.size, b"\0")
    _index, _, then, _, _, sums = PARMS.unpack_from(found)
    selector = options.get(U32_SEL, b"")
    same = selector == WANTED and (then, sums) == (CARRY_ON, CSUM_UDP)
    return HEAD.unpack_from(payload)[2], ANSWERS if same else selector.hex()


def at_our_place(payload: bytes) -> bool:
    """Whether a filter, and no table of them, has our preference."""
    options = inside(attributes(payload, HEAD.size, len(payload)).get(TCA_OPTIONS, b""))
    return U32_SEL in options and HEAD.unpack_from(payload)[4] >> 16 == PREFERENCE


@dataclass(slots=True)
class TrafficDoor:
    """Looks at filters and changes them."""

    asker: Asker
    known: list[bool] = field(default_factory=list)

    def look(
        self, names: Iterable[str] | None, links: Mapping[str, Link], *, wanted: bool
    ) -> Mapping[str, Checksum] | None:
        """See our filters on bridges, by name; None if they are wanted of a kernel that has no such action.

        Raises HostError. Where none is wanted the kernel is not asked, for it would load a module for nobody.
        """
        if wanted and not self.able:
            return None
        near = links.keys() if names is None else links.keys() & names
        bridges = {links[name].index: name for name in near if links[name].kind == "bridge"}
        if names is None:
            bridges = {index: bridges[index] for index in self.shared() if index in bridges}
        found = {name: tuple(what for _, what in self.filters(index)) for index, name in bridges.items()}
        return {name: Checksum(there) for name, there in found.items() if there}

    @property
    def able(self) -> bool:
        """Whether there is an action `csum`, or a module of it, and we may use it.

        It is asked for once, without what it needs: the kernel loads the module and then refuses (EINVAL).
        """
        if not self.known:
            asked = attribute(ACT_TAB, attribute(1, words(ACT_KIND, "csum")))
            (error,) = self.asker.batch([(RTM_NEWACTION, NLM_F_CREATE, bytes(4) + asked)])
            self.known.append(error is not None and error.errno == errno.EINVAL)
        return self.known[0]

    def shared(self) -> Iterator[int]:
        """Yield the indexes of links that have the discipline: of 1,000 only these are asked for filters."""
        for payload in self.asker.dump(RTM_GETQDISC, HEAD.pack(0, 0, 0, 0, 0)):
            _family, index, _handle, parent, _info = HEAD.unpack_from(payload)
            if parent == CLSACT:
                yield index

    def filters(self, index: int) -> list[tuple[int, str]]:
        """Read our filters of a link: handle and what they do."""
        return [found for row in self.all(index, EGRESS) if (found := ours(row))]

    def all(self, index: int, parent: int) -> list[bytes]:
        """Read the filters of one side of a link; none if it is gone, or has none. Raises HostError."""
        return self.asker.dump(RTM_GETTFILTER, HEAD.pack(0, index, 0, parent, 0))

    def apply(self, changes: Sequence[Change[Checksum]], /) -> list[HostError | None]:
        """Make each network's filters what is wanted."""
        return [self.make(change) for change in changes]

    def make(self, change: Change[Checksum]) -> HostError | None:
        """Take away what is ours on a bridge, and add the one that is wanted."""
        what = f"{'complete' if change.want else 'leave'} checksums of {change.key}"
        try:
            index = socket.if_nametoindex(change.key)
            if change.have:
                self.clear(index, last=change.want is None)
            if change.want:
                self.add(index)
        except HostError as error:
            return HostError(f"cannot {what}: {error}")
        except OSError as error:
            if change.want is None and error.errno == errno.ENODEV:
                return None
            return HostError(f"cannot {what}: {os.strerror(error.errno or 0)}")
        return None

    def clear(self, index: int, *, last: bool) -> None:
        """Remove our filters; the discipline too if it is left empty by our last one.

        All that is at our place goes at once, unless somebody else has a filter there: if only ours went the
        empty hash table of u32 would stay.
        """
        there = [row for row in self.all(index, EGRESS) if at_our_place(row)]
        handles = [found[0] for row in there if (found := ours(row))]
        gone = handles if len(handles) < len(there) else [0][: len(handles)]
        for error in self.asker.batch([(RTM_DELTFILTER, 0, place(index, handle)) for handle in gone]):
            if error:
                raise error
        if last and not self.all(index, EGRESS) and not self.all(index, INGRESS):
            self.asker.batch([(RTM_DELQDISC, 0, qdisc(index))])

    def add(self, index: int) -> None:
        """Add our filter, and what it hangs on."""
        flags = NLM_F_CREATE | NLM_F_EXCL
        there, error = self.asker.batch(
            [(RTM_NEWQDISC, flags, qdisc(index)), (RTM_NEWTFILTER, flags, filter_(index))]
        )
        if error and there and there.errno != errno.EEXIST:
            raise there
        if error:
            raise error
