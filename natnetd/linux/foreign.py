"""Other people's nftables chains that our packets pass, read raw and in small parts.

Only chains that hook into forwarding or translate sources, and what they jump to; libnftables would load
everything of everybody (and may not understand it).
"""

import ipaddress
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from natnetd.around import Rule, Translation, Wall
from natnetd.errors import HostError
from natnetd.linux.asked import Asked
from natnetd.linux.expressions import Reading
from natnetd.linux.nested import each
from natnetd.linux.netlink import Asker, attribute, attributes
from natnetd.linux.nfnl import NFT, TABLE_NAME, head

GETCHAIN, GETRULE, GETSETELEM = NFT | 4, NFT | 7, NFT | 13
FAMILIES = {1: "inet", 2: "ip"}
TABLE, CHAIN_NAME, HOOK, POLICY, TYPE = 1, 3, 4, 5, 7
RULE_TABLE, RULE_CHAIN, HANDLE, EXPRESSIONS = 1, 2, 3, 4
FORWARD, POSTROUTING = 2, 4
MANY_CHAINS, MANY_RULES, MANY_ELEMENTS = 200, 2000, 200
"""A firewall bigger than that is not walked through."""


class TooBigError(Exception):
    """There is too much to be read."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base chain."""

    family: int
    table: bytes
    name: bytes
    kind: str
    hook: int
    policy: str

    @property
    def place(self) -> str:
        """Its table in nft's words."""
        return f"{FAMILIES[self.family]} {text(self.table)}"

    @property
    def tool(self) -> str:
        """The command that edits it: iptables-nft spells its chains in capitals."""
        compat = self.family == 2 and text(self.table) in ("filter", "nat") and text(self.name).isupper()
        return "iptables-nft" if compat else "nft"


def text(name: bytes) -> str:
    """Read a name."""
    return name.rstrip(b"\0").decode("utf-8", "surrogateescape")


@dataclass(slots=True)
class Foreign:
    """Reads them, by one generation of the ruleset; `links` are names by index."""

    asker: Asker
    links: Mapping[int, str] = field(default_factory=dict)
    left: int = MANY_RULES

    def bases(self) -> Iterator[Base]:
        """Yield base chains of IPv4 that are not ours. Raises HostError."""
        for payload in self.asker.dump(GETCHAIN, head(0)):
            found = attributes(payload, 4, len(payload))
            if HOOK not in found or payload[0] not in FAMILIES or found[TABLE] == TABLE_NAME:
                continue
            hook = struct.unpack(">I", attributes(found[HOOK], 0, len(found[HOOK]))[1])[0]
            drops = found.get(POLICY, b"\0\0\0\1") == bytes(4)  # NF_DROP
            kind = text(found.get(TYPE, b""))
            policy = "drop" if drops else "accept"
            yield Base(payload[0], found[TABLE], found[CHAIN_NAME], kind, hook, policy)

    def walls(self, bases: tuple[Base, ...]) -> Iterator[Wall]:
        """Read the chains that forwarded packets pass. Raises HostError."""
        for base in bases:
            if base.hook == FORWARD and base.kind == "filter":
                try:
                    chains = self.reachable(base)
                except TooBigError:
                    continue
                yield Wall(base.tool, base.place, text(base.name), base.policy, chains)

    def reachable(self, base: Base) -> dict[str, tuple[Rule, ...]]:
        """Read a chain and all that it jumps to. Raises HostError, TooBigError."""
        chains: dict[str, tuple[Rule, ...]] = {}
        todo = [text(base.name)]
        while todo:
            name = todo.pop()
            if name in chains:
                continue
            if len(chains) >= MANY_CHAINS:
                raise TooBigError
            rows = tuple(rule for reading, _handle in self.rules(base, name) for rule in reading.rules)
            chains[name] = rows
            todo += [rule.target for rule in rows if rule.target]
        return chains

    def translations(self, bases: tuple[Base, ...]) -> Iterator[Translation]:
        """Read rules that translate a source, of chains that do nothing else. Raises HostError."""
        for base in bases:
            if base.hook != POSTROUTING or base.kind != "nat":
                continue
            try:
                found = [*self.rules(base, text(base.name))]
            except TooBigError:
                continue
            for reading, handle in found:
                asked = reading.ways[0] if reading.ways else Asked()
                if reading.translates and asked.source:
                    to = reading.to and str(ipaddress.IPv4Address(reading.to))
                    yield Translation(
                        base.tool,
                        base.place,
                        text(base.name),
                        asked.source,
                        asked.oif,
                        to or "",
                        handle,
                        asked.sure and not asked.iif,
                    )

    def rules(self, base: Base, chain: str) -> Iterator[tuple[Reading, int]]:
        """Read the rules of one chain. Raises HostError, TooBigError."""
        name = chain.encode("utf-8", "surrogateescape") + b"\0"
        body = head(base.family) + attribute(RULE_TABLE, base.table) + attribute(RULE_CHAIN, name)
        for payload in self.asker.dump(GETRULE, body):
            self.left -= 1
            if self.left < 0:
                raise TooBigError
            found = attributes(payload, 4, len(payload))
            handle = struct.unpack(">Q", found[HANDLE])[0]
            reading = Reading(self.links, lambda name: self.elements(base, name))
            for expression in each(found.get(EXPRESSIONS, b"")):
                reading.take(expression)
            yield reading, handle

    def elements(self, base: Base, name: bytes) -> list[dict[int, bytes]] | None:
        """Read a set that a rule asks; None for too many. Raises HostError."""
        body = head(base.family) + attribute(1, base.table) + attribute(2, name)
        found = [
            attributes(element, 0, len(element))
            for payload in self.asker.dump(GETSETELEM, body)
            for element in each(attributes(payload, 4, len(payload)).get(3, b""))
        ]
        return found if len(found) <= MANY_ELEMENTS else None


def read(asker: Asker, links: Mapping[int, str]) -> tuple[tuple[Wall, ...], tuple[Translation, ...]]:
    """Read all there is; what cannot be read, or changes meanwhile, is left out."""
    foreign = Foreign(asker, links)
    try:
        bases = tuple(foreign.bases())
        return tuple(foreign.walls(bases)), tuple(foreign.translations(bases))
    except HostError:
        return (), ()
