"""What a rule of somebody's firewall asks of a packet, gathered one condition at a time."""

import struct
from dataclasses import dataclass

from natnetd.around import ESTABLISHED, NEW, Rule

IS_ESTABLISHED, IS_NEW, EVERY = 0x02, 0x08, 0xFF  # bits of connection states, nft's and iptables' alike
BY_STATE = 1
TCP = 6  # the packets that are asked about: whoever drops those drops what matters
ALWAYS = frozenset({"comment"})


@dataclass(slots=True)
class Asked:
    """Conditions of one rule; `sure`: there are no others but, perhaps, the source."""

    iif: str = ""
    oif: str = ""
    source: str = ""
    states: int = EVERY
    sure: bool = True

    def link(self, side: str, pattern: str) -> None:
        """Ask for an interface; of two conditions on one side, the second is not understood."""
        if getattr(self, side):
            self.sure = False
        else:
            setattr(self, side, pattern)

    def protocol(self, number: int, *, equal: bool) -> None:
        """Ask for a protocol, or for any other."""
        if (number == TCP) != equal:
            self.never()

    def never(self) -> None:
        """Ask for what no packet of ours is."""
        self.states = 0

    def rule(self, verdict: str, target: str = "") -> Rule | None:
        """Make the rule; None: it is not for our packets."""
        new, established = self.states & IS_NEW, self.states & IS_ESTABLISHED
        if not new and not established:
            return None
        state = "" if new and established else NEW if new else ESTABLISHED
        return Rule(verdict, target, self.iif, self.oif, state, self.sure and not self.source)

    def match(self, name: str, revision: int, content: bytes) -> None:
        """Take in a match of iptables: xt_conntrack (3), xt_state; others are not understood."""
        if name == "conntrack" and revision == 3 and len(content) >= 152:
            flags, inverted, states = struct.unpack_from("=HHH", content, 146)
            self.states &= (~states if inverted & BY_STATE else states) if flags & BY_STATE else EVERY
            self.sure = self.sure and flags == BY_STATE
        elif name == "state" and len(content) >= 4:
            self.states &= struct.unpack_from("=I", content)[0]
        elif name not in ALWAYS:
            self.sure = False


def verdict_of(target: str) -> str:
    """What a target of iptables does to a packet; empty: it goes on."""
    return {"REJECT": "drop", "NFQUEUE": "accept"}.get(target, "")


def address_of(revision: int, content: bytes) -> bytes:
    """The first address that SNAT of iptables gives: the first revision has a number in front of it."""
    return content[4:8] if revision else content[8:12]
