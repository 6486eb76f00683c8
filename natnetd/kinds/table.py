"""The constant part of the packet path: the table as a whole, or the blocks of it that differ."""

from collections.abc import Iterable, Mapping
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.page import counting_on, page_with
from natnetd.plan import Change, diff, diff_blocks
from natnetd.rows import TABLE, Block, Table

NAME = "nft"
LAYER = Layer.NFT


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want the page as soon as there is a network, and no table without one."""
    if seen.table is not None and not seen.table.whole:  # a look at single elements says nothing of it
        return
    key = f"table {TABLE}"
    if seen.table is None or not config.all.populated:
        have = {} if seen.table is None else {key: Table(seen.table.blocks)}
        want = {key: Table(page(config, seen))} if config.all.populated else {}
        yield from diff(LAYER, NAME, None, want, have)
        return
    yield from diff(LAYER, NAME, None, {key: Table()}, {key: Table(flags=seen.table.flags)})
    yield from diff_blocks(LAYER, NAME, page(config, seen), seen.table.blocks)


def page(config: Config, seen: Snapshot) -> Mapping[str, Block]:
    """The page with the parts in use.

    Its drop counters go on from the figures of the table, or else the last ones seen.
    """
    drops = {**seen.before.drops, **(seen.table.drops if seen.table else {})}
    return counting_on(page_with(config.all.parts), drops)
