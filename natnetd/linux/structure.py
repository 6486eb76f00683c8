"""Whether our table is still built as it was when it was last listed, read by hand.

libnftables 1.0.6 reads the elements of every set even for a listing that leaves them out, 4.5 us each: 20 ms
for 1,000 networks, and 400 ms for dynamic sets that are full. This takes 1 ms, whatever is in the sets.
"""

import errno

from natnetd.errors import HostError
from natnetd.linux.drops import EXPRESSIONS, GETRULE
from natnetd.linux.nested import each, inside
from natnetd.linux.netlink import Asker, attribute
from natnetd.linux.nfnl import GETTABLE, INET, NFT, TABLE_NAME, head, refused

GETCHAIN, GETSET, GETOBJECT, GETFLOWTABLE = NFT | 4, NFT | 10, NFT | 19, NFT | 23
TABLE = (2, 3, 4)  # flags, use, handle
PARTS = (
    (GETCHAIN, (2, 3, 4, 5, 7, 10)),  # handle, name, hook, policy, type, flags
    (
        GETRULE,
        (2, 3, EXPRESSIONS, 7),
    ),  # chain, handle (which `nft replace rule` keeps), what it does, comment
    (GETSET, (2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 15, 16)),  # all but what is in it
    (GETOBJECT, (2, 3, 6)),  # name, type, handle
    (GETFLOWTABLE, (2, 5, 6)),  # name, handle, flags
)
"""What is asked for, and the attributes that tell (linux/netfilter/nf_tables.h)."""

Structure = tuple[tuple[bytes | None, ...], ...]


def structure(asker: Asker, family: int = INET) -> Structure | None:
    """Read what tells our table from any other, or from itself built otherwise; None if it is not there.

    Raises HostError.
    """
    body = head(family) + attribute(1, TABLE_NAME)
    try:
        rows = [told(inside(payload[4:]), TABLE) for payload in asker.ask(GETTABLE, body)]
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise refused(error) from error
    for kind, names in PARTS:
        try:
            payloads = asker.dump(kind, body)
        except HostError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None  # it went away since it was asked for
            raise
        for payload in payloads:
            found = inside(payload[4:])
            if found.get(1) != TABLE_NAME:  # the kernel tells of the chains of every table of this family
                continue
            if kind == GETRULE:
                found[EXPRESSIONS] = without_figures(found.get(EXPRESSIONS, b""))
            rows.append((kind.to_bytes(2, "big"), *told(found, names)))
    return tuple(rows)


def told(found: dict[int, bytes], names: tuple[int, ...]) -> tuple[bytes | None, ...]:
    """Pick these attributes of a message."""
    return tuple(map(found.get, names))


def without_figures(expressions: bytes) -> bytes:
    """Leave out what a rule's counter has counted."""
    if b"counter\0" not in expressions:
        return expressions
    return b"".join(b"counter" if inside(one).get(1) == b"counter\0" else one for one in each(expressions))
