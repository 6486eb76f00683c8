"""`table.nft` and nft's listings of it, read into blocks that can be compared line by line.

Both are written alike, since the page stands in nft's own canonical words (the same for nft 1.0.6 and
1.1.3). A rule carries a digest of its line on the page as its comment, after the reason for its drops.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources

from natnetd.rows import FRAMES, TABLE, Block, Counter

BLOCK = re.compile(r"\t([\w ]+) (\S+) \{$")
COMMENT = re.compile(r' comment "([^"]*)"$')
MENTION = re.compile(r"(?:@|\b(?:jump|goto) )(\w+)")
COUNTER = re.compile(r"\bcounter packets (\d+) bytes (\d+)")
PARTS = {
    "routed": "routed",
    "inbound": "inbound",
    "exempt": "exempting exempt4 exempt6",
    "closed4": "closed4",
    "closed6": "closed6",
    "routed6": "routed6 enter6",
    "pools": "snat4 snatp4",
    "persistent": "sticky",
    "random": "shuffled",
    "persistent and random": "both",
    "walls": "walled host_tcp host_udp input",
    "watch": "arrive watched depart cut4 cut6 cut_mac honest strict reserved reserved4",
    "bogons": "wary",
    "fresh": "fresh",
    "crowd": "crowd",
    "forwards": "arriving sending named anywhere doors door4 span4 whole4 anydoor4 anyspan4 "
    "door6 span6 whole6 anydoor6 anyspan6",
    "guests": "metered sent4 sent6 received4 received6 began4 began6 sent known received answered",
}
"""What is there only if a network uses it (`Network.parts`): sets, maps and chains of table.nft."""
PART_OF = {name: part for part, names in PARTS.items() for name in names.split()}


def read_blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (kind and name, lines) of each block of a table, as the page or `nft list table` writes it."""
    name, lines = "", list[str]()
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        if start := BLOCK.match(line):
            name, lines = f"{start[1]} {start[2]}", []
        elif line == "\t}":
            yield name, lines
            name = ""
        elif name and line:
            lines.append(line.removeprefix("\t\t"))


def block(name: str, lines: list[str]) -> Block:
    """Tell a chain's rules from its head; other blocks are all head."""
    if not name.startswith("chain "):
        return Block(name, tuple(lines))
    head = [line for line in lines[:1] if line.startswith("type ")]
    return Block(name, tuple(head), tuple(lines[len(head) :]))


def marked(rule: str) -> str:
    """Add to a rule of the page the digest of its line, as a comment that survives in the kernel."""
    digest = hashlib.sha256(rule.encode()).hexdigest()[:8]
    reason = COMMENT.search(rule)
    words = f"{reason[1]} {digest}" if reason else digest
    return f'{COMMENT.sub("", rule)} comment "{words}"'


def reason(rule: str) -> str | None:
    """Under which reason a rule of ours drops; None if it does not count drops."""
    comment = COMMENT.search(rule)
    if comment is None or "counter" not in rule.split():
        return None
    return comment[1].rpartition(" ")[0] or None


def filled(name: str) -> bool:
    """Whether a block of the page is a set or map whose elements are rows."""
    return not name.startswith("chain ") and name.split()[1] in KEY_TYPES


def part(name: str) -> str | None:
    """Which part of the page a block belongs to, if it does; each limit is one of its own."""
    own = name.split()[1]
    return own if own.startswith(("fresh_", "crowd_")) else PART_OF.get(own)


def mentioned(rule: str) -> set[str]:
    """Sets, maps and chains that a rule asks or leads to."""
    return set(MENTION.findall(COMMENT.sub("", rule)))


@cache
def page_with(used: frozenset[str]) -> Mapping[str, Block]:
    """The page of our first table without the parts that nobody uses, and without rules that ask them.

    What is left out costs no packet and no repair: with all of them the table of one network takes the
    kernel three times as long. Every rule left out is one that an empty set answers with "no".
    """
    there = {name: b for name, b in PAGE.items() if part(name) in (None, *used)}
    gone = {name.split()[1] for name in PAGE.keys() - there.keys()}
    return {
        name: replace(b, rules=tuple(rule for rule in b.rules if not mentioned(rule) & gone))
        for name, b in there.items()
    }


def dynamic(set_: Block) -> bool:
    """Whether a set is filled by packets: its elements are samples, not rows."""
    return any(line.startswith("flags dynamic") for line in set_.header)


def stateless(line: str) -> str:
    """A listed line without the figures of its counters."""
    return COUNTER.sub("counter", line)


def counting_on(blocks: Mapping[str, Block], drops: Mapping[str, Counter]) -> dict[str, Block]:
    """Have chains start from figures they had, which are known by reason and chain."""
    had: dict[str, dict[str, Counter]] = {}
    for key, count in drops.items():
        why, _, chain = key.partition(" ")
        had.setdefault(f"chain {chain}", {})[why] = count
    return {name: replace(block, counts=had.get(name, {})) for name, block in blocks.items()}


def known(table: str, block: Block) -> bool:
    """Whether a block is as it stands on a page, or without some of its rules."""
    own = PAGES[table].get(block.name)
    return own is not None and own.header == block.header and set(block.rules) <= set(own.rules)


def load_page(file: str) -> Mapping[str, Block]:
    """Read a page: what a table of ours must consist of, by block, in an order that nft can load."""
    text = resources.files("natnetd").joinpath(file).read_text("utf-8")
    plain = [block(name, lines) for name, lines in read_blocks(text)]
    return {b.name: Block(b.name, b.header, tuple(marked(rule) for rule in b.rules)) for b in plain}


PAGE = load_page("table.nft")
FRAME_PAGE = load_page("guard.nft")
PAGES: Mapping[str, Mapping[str, Block]] = {TABLE: PAGE, FRAMES: FRAME_PAGE}
SETS: Mapping[str, Block] = {
    name: b for page in PAGES.values() for name, b in page.items() if not name.startswith("chain ")
}
"""Sets and maps of both pages: no name stands on both."""
SAMPLED = frozenset(name.removeprefix("set ") for name, b in SETS.items() if dynamic(b))
"""Sets that packets fill: their elements are figures, not rows, and nobody keeps them true."""
KEY_TYPES: Mapping[str, tuple[str, ...]] = {
    name.split()[1]: tuple(b.header[0].removeprefix("type ").partition(" : ")[0].split(" . "))
    for name, b in SETS.items()
    if name.removeprefix("set ") not in SAMPLED
}
"""The types of a set's or map's key, part by part, by its name; of those whose elements are rows."""
VALUE_TYPES: Mapping[str, tuple[str, ...]] = {
    name.removeprefix("map "): tuple(b.header[0].partition(" : ")[2].removeprefix("interval ").split(" . "))
    for name, b in SETS.items()
    if name.startswith("map ") and not b.header[0].endswith(" : verdict")
}
"""The types of a map's values, part by part; of those that say no verdict."""
RANGED = frozenset(
    name.removeprefix("map ")
    for name, b in SETS.items()
    if name.startswith("map ") and " : interval " in b.header[0]
)
"""Maps each part of whose values is a range, if only from one to itself."""
INTERVALS = frozenset(name.split()[1] for name, b in SETS.items() if "flags interval" in b.header)
"""Sets and maps whose elements may be ranges."""
REASONS = tuple(
    dict.fromkeys(
        why for page in PAGES.values() for b in page.values() for rule in b.rules if (why := reason(rule))
    )
)
