"""Whether somebody's firewall lets a packet through: a walk over its rules; pure.

It must not cry wolf: what a rule asks besides interfaces and state is not known here, so a drop of such a
rule does not count, and an accept may be one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from natnetd.around import Rule, Wall

DEPTH = 16  # jumps, as many as nftables allows
MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that is forwarded."""

    iif: str
    oif: str
    state: str


def exact(pattern: str) -> bool:
    """Say whether a pattern is the name of one interface."""
    return bool(pattern) and not pattern.startswith("!") and not pattern.endswith("*")


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


class Chain:
    """The rules of one chain: those for one interface only are found by its name."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.by_name: dict[str, list[int]] = {}
        for number, rule in enumerate(self.rules):
            name = rule.iif if exact(rule.iif) else rule.oif if exact(rule.oif) else ""
            self.by_name.setdefault(name, []).append(number)

    def met_by(self, packet: Packet) -> Iterator[Rule]:
        """Yield the rules that take a packet, in their order."""
        near = {number for name in {"", packet.iif, packet.oif} for number in self.by_name.get(name, ())}
        for number in sorted(near):
            if meets(self.rules[number], packet):
                yield self.rules[number]


@dataclass
class Judge:
    """Walks one wall for many packets: interfaces that its rules do not tell apart are walked for once."""

    wall: Wall
    known: dict[tuple[str, str, bool, str], bool] = field(default_factory=dict)

    @cached_property
    def chains(self) -> dict[str, Chain]:
        """Its chains, sorted for the walk."""
        return {name: Chain(rules) for name, rules in self.wall.chains.items()}

    @cached_property
    def asked(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Names, and beginnings of names, that its rules ask for."""
        rules = (rule for rules in self.wall.chains.values() for rule in rules)
        patterns = {pattern.lstrip("!") for rule in rules for pattern in (rule.iif, rule.oif)} - {""}
        starts = sorted(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
        return frozenset(patterns), tuple(starts)

    def alike(self, name: str) -> str:
        """What is the same for interfaces that no rule tells apart."""
        names, starts = self.asked
        return name if name in names else "*".join(start for start in starts if name.startswith(start))

    def drops(self, iif: str, oif: str, state: str) -> bool:
        """Say whether it drops such a packet for certain."""
        key = (self.alike(iif), self.alike(oif), iif == oif, state)
        if key not in self.known:
            ends = self.end(self.wall.chain, Packet(iif, oif, state)) or self.wall.policy
            self.known[key] = ends == "drop"
        return self.known[key]

    def end(self, chain: str, packet: Packet, depth: int = 0) -> str:
        """How a chain ends for a packet: accept, drop, maybe; empty: it returns."""
        if depth > DEPTH:
            return MAYBE
        for rule in self.chains[chain].met_by(packet) if chain in self.chains else ():
            ends = rule.verdict
            if ends in ("jump", "goto"):
                ends = self.end(rule.target, packet, depth + 1)
                if rule.verdict == "goto" and rule.sure:
                    return ends
            if ends in ("accept", MAYBE) and not rule.sure:
                return MAYBE
            if ends in ("accept", "drop", MAYBE) and rule.sure:
                return ends
            if ends == "return" and rule.sure:
                return ""
        return ""
