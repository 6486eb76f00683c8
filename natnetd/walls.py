"""Whether somebody's firewall lets a packet through: a walk over its rules; pure.

It must not cry wolf: what a rule asks besides interfaces and state is not known here, so a drop of such a
rule does not count, and an accept may be one.
"""

from dataclasses import dataclass, field

from natnetd.around import Rule, Wall

DEPTH = 16  # jumps, as many as nftables allows
MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that is forwarded."""

    iif: str
    oif: str
    state: str


def like(pattern: str, name: str) -> bool:
    """Say whether an interface is one that a rule asks for."""
    if pattern.startswith("!"):
        return not like(pattern[1:], name)
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return pattern in ("", name)


def meets(rule: Rule, packet: Packet) -> bool:
    """Say whether a rule takes a packet, as far as can be told."""
    return rule.state in ("", packet.state) and like(rule.iif, packet.iif) and like(rule.oif, packet.oif)


def end(wall: Wall, chain: str, packet: Packet, depth: int = 0) -> str:
    """How a chain ends for a packet: accept, drop, maybe; empty: it returns."""
    if depth > DEPTH:
        return MAYBE
    for rule in wall.chains.get(chain, ()):
        if not meets(rule, packet):
            continue
        ends = rule.verdict
        if ends in ("jump", "goto"):
            ends = end(wall, rule.target, packet, depth + 1)
            if rule.verdict == "goto" and rule.sure:
                return ends
        if ends in ("accept", MAYBE) and not rule.sure:
            return MAYBE
        if ends in ("accept", "drop", MAYBE) and rule.sure:
            return ends
        if ends == "return" and rule.sure:
            return ""
    return ""


@dataclass(slots=True)
class Judge:
    """Walks one wall for many packets: interfaces that no rule names are all alike to it."""

    wall: Wall
    named: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    known: dict[tuple[str, str, str], bool] = field(default_factory=dict)

    @classmethod
    def of(cls, wall: Wall) -> "Judge":
        """Collect the names that its rules ask for."""
        rules = (rule for rules in wall.chains.values() for rule in rules)
        asked = {pattern.lstrip("!") for rule in rules for pattern in (rule.iif, rule.oif)} - {""}
        prefixes = tuple(sorted(pattern[:-1] for pattern in asked if pattern.endswith("*")))
        return cls(wall, frozenset(asked), prefixes)

    def drops(self, iif: str, oif: str, state: str) -> bool:
        """Say whether it drops such a packet for certain."""
        key = (self.alike(iif), self.alike(oif), state)
        if key not in self.known:
            packet = Packet(iif, oif, state)
            ends = end(self.wall, self.wall.chain, packet) or self.wall.policy
            self.known[key] = ends == "drop"
        return self.known[key]

    def alike(self, name: str) -> str:
        """A name, or nothing if no rule asks for it."""
        return name if name in self.named or name.startswith(self.prefixes) else ""
