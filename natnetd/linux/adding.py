"""Plain elements of sets of ours, added by hand: what is lost most often is back in 0.15 ms, not in 0.6.

libnftables reads what there is of everybody's tables before it adds one element.
"""

from collections.abc import Sequence
from typing import Any

from natnetd.linux.elements import NEWSETELEM, naming
from natnetd.linux.netlink import NLM_F_CREATE, Asker
from natnetd.linux.nfnl import INET, NFT, head
from natnetd.plan import Change
from natnetd.rows import CATCH_ALL, Element

BEGIN, END = 0x10, 0x11  # NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END
FEW = 50  # elements: above that libnftables' reading does not count


def keys(changes: Sequence[Change[Any]]) -> list[Element]:
    """The rows of changes that add a few keys and nothing else: no value, figures or comment."""
    rows = [c.want for c in changes if c.have is None and isinstance(c.want, Element) and bare(c.want)]
    return rows if len(rows) == len(changes) <= FEW else []


def bare(row: Element) -> bool:
    """Whether a row is a key alone."""
    return row.key != CATCH_ALL and not (row.value or row.count or row.owner)


def add(asker: Asker, rows: Sequence[Element], family: int = INET) -> None:
    """Add elements in one transaction. Raises OSError: refused, and nothing is changed."""
    requests = [(NEWSETELEM, NLM_F_CREATE, naming(row.set, row.key, family)) for row in rows]
    asker.transaction(requests, (BEGIN, head(0, NFT >> 8), END))
