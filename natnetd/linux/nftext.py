"""Changes of our table, written as one nft script: one statement a line, in an order nft accepts."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from natnetd.page import KEY_TYPES, PAGES, RANGED, reason
from natnetd.plan import Change
from natnetd.rows import CATCH_ALL, TABLE, Block, Counter, Element, Table

COUNTER = re.compile(r"\bcounter\b")
NAMED = frozenset(name for name, types in KEY_TYPES.items() if set(types) == {"ifname"})
"""Sets whose keys are names of interfaces and nothing else: those that are filled by the thousand."""


def script(changes: Sequence[Change[Any]], table: str = TABLE) -> str:
    """Write a batch that builds a table of ours, or one that removes."""
    lines: list[str] = []
    blocks = [c for c in changes if isinstance(c.want or c.have, Block)]
    elements = [c for c in changes if isinstance(c.want or c.have, Element)]
    for change in changes:
        if isinstance(change.want, Table):
            lines += [f"add table {table}", *written(change.want.blocks.values(), table)]
    lines += structure([c for c in blocks if c.want is not None], table)
    lines += statements("delete", (c.have for c in elements if c.have is not None), table)
    lines += statements("add", (c.want for c in elements if c.want is not None), table)
    gone = [c.have.name for c in blocks if c.want is None and c.have]
    lines += [f"flush {name_in(name, table)}" for name in gone if name.startswith(("chain ", "map "))]
    lines += [f"delete {name_in(name, table)}" for name in sorted(gone, key=holds)]
    lines += [f"delete table {table}" for c in changes if c.want is None and isinstance(c.have, Table)]
    return "\n".join(lines) + "\n"


def holds(name: str) -> int:
    """Order by who holds whom: rules ask sets and maps, maps jump to chains, both use everything else."""
    return {"set": 0, "map": 0, "chain": 1}.get(name.partition(" ")[0], 2)


def name_in(name: str, table: str) -> str:
    """Write "chain forward" as nft wants it in a command."""
    kind, _, own = name.rpartition(" ")
    return f"{kind} {table} {own}"


def structure(changes: Sequence[Change[Block]], table: str) -> Iterator[str]:
    """Replace what differs: chains are emptied first, since what they ask can only be made anew then."""
    wanted = {c.want.name: c.want for c in changes if c.want}
    there = [(c.have, c.want) for c in changes if c.have and c.want]
    chains = [(have, want) for have, want in there if want.name.startswith("chain ")]
    yield from (f"flush {name_in(want.name, table)}" for _, want in chains)
    yield from (f"delete {name_in(w.name, table)}" for _, w in there if not w.name.startswith("chain "))
    yield from (f"delete {name_in(want.name, table)}" for have, want in chains if hook(have) != hook(want))
    yield from written((wanted[name] for name in PAGES[table] if name in wanted), table)


def hook(chain: Block) -> str:
    """A base chain's type, hook and priority: unlike its policy they cannot be changed in place."""
    return chain.header[0].partition(";")[0] if chain.header else ""


def written(blocks: Iterable[Block], table: str) -> Iterator[str]:
    """Write blocks as `nft list` would: in one table, so that chains may name each other in any order."""
    lines = [line for block in blocks for line in written_block(block)]
    if lines:
        yield from (f"table {table} {{", *lines, "}")


def written_block(block: Block) -> Iterator[str]:
    """Write one block."""
    yield f"\t{block.name} {{"
    yield from (f"\t\t{line}" for line in (*block.header, *seeded(block)))
    yield "\t}"


def seeded(chain: Block) -> Iterator[str]:
    """Start each reason's first counter from the figure it had."""
    left = dict(chain.counts)
    for rule in chain.rules:
        count = left.pop(reason(rule) or "", None)
        yield rule if count is None else COUNTER.sub(figures(count), rule, count=1)


def figures(count: Counter) -> str:
    """Write a counter with its values."""
    return f"counter packets {count.packets} bytes {count.bytes}"


def statements(verb: str, elements: Iterable[Element], table: str) -> Iterator[str]:
    """Write one statement for each set; concatenated parts and names in quotes."""
    by_set: dict[str, list[Element]] = {}
    for element in elements:
        by_set.setdefault(element.set, []).append(element)
    for name, rows in by_set.items():
        listed = ", ".join(written_element(row, bare=verb == "delete") for row in rows)
        yield f"{verb} element {table} {name} {{ {listed} }}"


def written_element(element: Element, *, bare: bool) -> str:
    """Write key, counter and value of an element; deleting takes the key alone."""
    if element.key == CATCH_ALL:
        key = "*"
    elif element.set in NAMED:
        key = '"' + '" . "'.join(element.key) + '"'
    else:
        types = zip(KEY_TYPES[element.set], element.key, strict=True)
        key = " . ".join(f'"{part}"' if kind == "ifname" else part for kind, part in types)
    if bare:
        return key
    count = f" {figures(element.count)}" if element.count else ""
    owner = f' comment "{element.owner}"' if element.owner else ""
    return f"{key}{count}{owner}" + (f" : {ranges(element)}" if element.value else "")


def ranges(element: Element) -> str:
    """Write a map's value; nft 1.0.6 takes no single address or port where a range may stand (EINVAL)."""
    if element.set not in RANGED:
        return element.value
    return " . ".join(p if "-" in p else f"{p}-{p}" for p in element.value.split(" . "))
