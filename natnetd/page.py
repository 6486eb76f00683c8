"""`table.nft` and nft's listings of it, read into blocks that can be compared line by line.

Both are written alike, since the page stands in nft's own canonical words (the same for nft 1.0.6 and
1.1.3). A rule carries a digest of its line on the page as its comment, after the reason for its drops.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib import resources

from natnetd.rows import Block

BLOCK = re.compile(r"\t([\w ]+) (\S+) \{$")
COMMENT = re.compile(r' comment "([^"]*)"$')
COUNTER = re.compile(r"\bcounter packets (\d+) bytes (\d+)")


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


def stateless(line: str) -> str:
    """A listed line without the figures of its counters."""
    return COUNTER.sub("counter", line)


def load_page() -> Mapping[str, Block]:
    """Read `table.nft`: what our table must consist of, by block, in an order that nft can load."""
    text = resources.files("natnetd").joinpath("table.nft").read_text("utf-8")
    plain = [block(name, lines) for name, lines in read_blocks(text)]
    return {b.name: Block(b.name, b.header, tuple(marked(rule) for rule in b.rules)) for b in plain}


PAGE = load_page()
KEY_TYPES: Mapping[str, tuple[str, ...]] = {
    name.split()[1]: tuple(b.header[0].removeprefix("type ").partition(" : ")[0].split(" . "))
    for name, b in PAGE.items()
    if not name.startswith("chain ")
}
"""The types of a set's or map's key, part by part, by its name."""
VALUE_TYPES: Mapping[str, tuple[str, ...]] = {
    name.removeprefix("map "): tuple(b.header[0].partition(" : ")[2].removeprefix("interval ").split(" . "))
    for name, b in PAGE.items()
    if name.startswith("map ")
}
"""The types of a map's values, part by part."""
RANGED = frozenset(
    name.removeprefix("map ")
    for name, b in PAGE.items()
    if name.startswith("map ") and " : interval " in b.header[0]
)
"""Maps each part of whose values is a range, if only from one to itself."""
REASONS = tuple(dict.fromkeys(why for b in PAGE.values() for rule in b.rules if (why := reason(rule))))
