"""Elements of our sets and maps, added by hand: what is lost most often is back in 0.15 ms, not in 0.6.

libnftables reads what there is of everybody's tables before it adds one element.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from natnetd.linux.elements import (
    CHAIN,
    COMMENT,
    DATA,
    ELEMENTS,
    EXPRESSION,
    KEY,
    KEY_END,
    NESTED,
    NEWSETELEM,
    USERDATA,
    VERDICT,
    packed,
)
from natnetd.linux.netlink import NLM_F_CREATE, Asker, attribute
from natnetd.linux.nfnl import INET, NFT, TABLE_NAME, head
from natnetd.page import KEY_TYPES, RANGED, VALUE_TYPES
from natnetd.plan import Change
from natnetd.rows import CATCH_ALL, Counter, Element

BEGIN, END = 0x10, 0x11  # NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END
VALUE, CODE, JUMP = 1, 1, struct.pack(">i", -3)  # NFTA_DATA_VALUE, NFTA_VERDICT_CODE, NFT_JUMP
AT_ONCE = 200  # elements in one message: the length of an attribute has 16 bits
PLAIN = struct.Struct("=HHHHHH")

Request = tuple[int, int, bytes]
"""Type, flags, payload."""


def fresh(changes: Sequence[Change[Any]]) -> list[Element]:
    """The rows of changes that add elements and do nothing else; none if one of them does."""
    rows = [c.want for c in changes if c.have is None and isinstance(c.want, Element)]
    return rows if len(rows) == len(changes) and all(row.key != CATCH_ALL for row in rows) else []


def transact(asker: Asker, requests: Sequence[Request]) -> None:
    """Make changes in one transaction. Raises OSError: refused, and nothing is changed."""
    asker.transaction(requests, (BEGIN, head(0, NFT >> 8), END))


def adding(rows: Sequence[Element], family: int = INET) -> Iterator[Request]:
    """Yield the requests that add elements."""
    for name, same in groupby(rows, lambda row: row.set):
        entries = [entry(row) for row in same]
        about = head(family) + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
        for at in range(0, len(entries), AT_ONCE):
            some = b"".join(entries[at : at + AT_ONCE])
            yield NEWSETELEM, NLM_F_CREATE, about + attribute(ELEMENTS | NESTED, some)


def entry(row: Element) -> bytes:
    """Write one element as the kernel takes it."""
    low, high = packed(KEY_TYPES[row.set], row.key)
    size = len(low)
    if low == high and not (row.value or row.count or row.owner):
        return PLAIN.pack(12 + size, 1 | NESTED, 8 + size, KEY | NESTED, 4 + size, 1) + low
    parts = [attribute(KEY | NESTED, attribute(1, low))]
    if high != low:
        parts.append(attribute(KEY_END | NESTED, attribute(1, high)))
    if row.value:
        parts.append(attribute(DATA | NESTED, data(row)))
    if row.count:
        parts.append(attribute(EXPRESSION | NESTED, counting(row.count)))
    if row.owner:
        said = row.owner.encode("utf-8", "surrogateescape") + b"\0"
        parts.append(attribute(USERDATA, bytes((COMMENT, len(said))) + said))
    return attribute(1 | NESTED, b"".join(parts))


def data(row: Element) -> bytes:
    """Write what a map says of a key: a jump, a value, or its first and its last one."""
    verb, _, chain = row.value.partition(" ")
    if verb == "jump":
        jump = attribute(CODE, JUMP) + attribute(CHAIN, chain.encode() + b"\0")
        return attribute(VERDICT | NESTED, jump)
    low, high = packed(VALUE_TYPES[row.set], tuple(row.value.split(" . ")))
    return attribute(VALUE, low + high if row.set in RANGED else low)


def counting(count: Counter) -> bytes:
    """Write a counter that goes on from a figure."""
    figures = attribute(1, struct.pack(">Q", count.bytes)) + attribute(2, struct.pack(">Q", count.packets))
    return attribute(1, b"counter\0") + attribute(2 | NESTED, figures)
