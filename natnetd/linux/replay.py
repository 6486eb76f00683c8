"""Our table as the kernel tells of it, kept to be made again as it was.

Most of the time that it takes to make it is libnftables', which reads 386 lines of text. The kernel takes
what it tells, but for handles and figures; where it does not, libnftables does it after all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from natnetd.errors import HostError
from natnetd.linux.adding import Request, counting
from natnetd.linux.drops import CHAIN as RULE_CHAIN
from natnetd.linux.drops import EXPRESSIONS, GETRULE, USERDATA, comment
from natnetd.linux.elements import ELEMENTS, GETSETELEM, NEWSETELEM
from natnetd.linux.nested import each, inside
from natnetd.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, PAIR, Asker, attribute
from natnetd.linux.nfnl import NFT, TABLE_NAME, head
from natnetd.linux.structure import GETCHAIN, GETSET
from natnetd.rows import Block, Counter

NEWTABLE, NEWCHAIN, NEWRULE, NEWSET = NFT | 0, NFT | 3, NFT | 6, NFT | 9
NLM_F_APPEND = 0x800
TABLE, NAME = 1, 2
CHAIN = (TABLE, 3, 4, 5, 7, 10)  # name, hook, policy, type, flags
SET = (TABLE, NAME, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 17, 18)  # all but handle and figures
SET_ID = 10
ANONYMOUS = b"__"
UNTAKEN = {b"exthdr\0": 5, b"dynset\0": 6}  # NFTA_EXTHDR_FLAGS, NFTA_DYNSET_TIMEOUT: zero
# The numbers of attributes are those of linux/netfilter/nf_tables.h.


@dataclass(frozen=True, slots=True)
class Rule:
    """A request that makes a rule: what stands before its counter and behind it, if it has one."""

    chain: str
    reason: str
    before: bytes
    after: bytes | None

    def request(self, count: Counter) -> Request:
        """Write it, with a figure that its counter goes on from."""
        body = self.before if self.after is None else self.before + _listed(counting(count)) + self.after
        return NEWRULE, NLM_F_CREATE | NLM_F_APPEND, body


@dataclass(frozen=True, slots=True)
class Recording:
    """How a table with these blocks is made, in the order of the requests."""

    blocks: Mapping[str, Block]
    structure: tuple[Request, ...]
    rules: tuple[Rule, ...]

    def requests(self, wanted: Mapping[str, Block]) -> Iterator[Request]:
        """Yield what makes the table; a reason's first counter in a chain goes on from its figure."""
        yield from self.structure
        left = {name.removeprefix("chain "): dict(block.counts) for name, block in wanted.items()}
        for rule in self.rules:
            yield rule.request(left.get(rule.chain, {}).pop(rule.reason, Counter()))


def record(asker: Asker, family: int, blocks: Mapping[str, Block]) -> Recording | None:
    """Read how our table is made, which consists of these blocks; None if that cannot be had.

    Who calls makes sure that nobody has changed it meanwhile.
    """
    body = head(family) + attribute(TABLE, TABLE_NAME)
    try:
        sets, chains, rules = (
            [payload for payload in asker.dump(kind, body) if inside(payload[4:]).get(TABLE) == TABLE_NAME]
            for kind in (GETSET, GETCHAIN, GETRULE)
        )
        contents = list(_contents(asker, family, sets))
    except (OSError, HostError):
        return None
    made: list[Request] = [(NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, body)]
    made += [
        (NEWSET, NLM_F_CREATE, _kept(payload, SET) + attribute(SET_ID, number.to_bytes(4, "big")))
        for number, payload in enumerate(sets, 1)
    ]
    made += [(NEWCHAIN, NLM_F_CREATE, _kept(payload, CHAIN)) for payload in chains]
    return Recording(dict(blocks), (*made, *contents), tuple(map(_rule, rules)))


def _contents(asker: Asker, family: int, sets: list[bytes]) -> Iterator[Request]:
    """Yield what is in the sets that rules name in place; it must be there before them."""
    for payload in sets:
        name = inside(payload[4:])[NAME]
        if name.startswith(ANONYMOUS):
            about = head(family) + attribute(TABLE, TABLE_NAME) + attribute(NAME, name)
            for row in asker.dump(GETSETELEM, about):
                yield NEWSETELEM, NLM_F_CREATE, _kept(row, (TABLE, NAME, ELEMENTS))


def _rule(payload: bytes) -> Rule:
    """Take a rule apart at its first counter."""
    found = inside(payload[4:])
    about = head(payload[0]) + attribute(TABLE, TABLE_NAME) + attribute(RULE_CHAIN, found[RULE_CHAIN])
    said = found.get(USERDATA, b"")
    behind = attribute(USERDATA, said) if said else b""
    chain, reason = found[RULE_CHAIN].rstrip(b"\0").decode(), comment(said).rpartition(" ")[0]
    parts = [_listed(_taken(one)) for one in each(found.get(EXPRESSIONS, b""))]
    size = 4 + sum(map(len, parts))
    at = next((n for n, one in enumerate(parts) if inside(one[4:]).get(1) == b"counter\0"), None)
    first = about + PAIR.pack(size, EXPRESSIONS)
    if at is None:
        return Rule(chain, reason, first + b"".join(parts) + behind, None)
    return Rule(chain, reason, first + b"".join(parts[:at]), b"".join(parts[at + 1 :]) + behind)


def _taken(expression: bytes) -> bytes:
    """Leave out what the kernel tells of an expression and does not take (Linux 6.1 to 6.18).

    Flags of what writes a TCP option, even if there are none; and no time after which elements go.
    """
    found = inside(expression)
    about = inside(found.get(2, b""))
    untaken = UNTAKEN.get(found[1])
    if untaken is None or any(about.get(untaken, b"")):
        return expression
    inner = b"".join(attribute(kind, value) for kind, value in about.items() if kind != untaken)
    return attribute(1, found[1]) + attribute(2, inner)


def _listed(payload: bytes) -> bytes:
    """Make an entry of a list."""
    return attribute(1, payload)


def _kept(payload: bytes, names: tuple[int, ...]) -> bytes:
    """Leave out all other attributes of a message."""
    return head(payload[0]) + b"".join(attribute(k, v) for k, v in inside(payload[4:]).items() if k in names)
