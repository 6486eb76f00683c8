"""What guests moved, read from the sets that packets fill; only when somebody asks (2.6 us an element)."""

import socket
from collections.abc import Iterator

from natnetd.errors import HostError
from natnetd.guests import Counted, Moved
from natnetd.linux.elements import ELEMENTS, GETSETELEM, KEY, counter, elements, value
from natnetd.linux.nested import each, inside
from natnetd.linux.netlink import Asker, attribute
from natnetd.linux.nfnl import TABLE_NAME, head
from natnetd.rows import Counter

FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}
ZERO = Counter()


def counted(asker: Asker) -> Counted:
    """Read all six sets; those that are not there count nothing. Raises HostError."""
    found = {
        s: dict(figures(asker, s))
        for s in (f"{w}{v}" for w in ("sent", "received", "began") for v in FAMILIES)
    }
    guests: dict[str, Moved] = {}
    for family in FAMILIES:
        sent, received, began = (found[f"{what}{family}"] for what in ("sent", "received", "began"))
        for address in sent.keys() | received.keys() | began.keys():
            connections = began.get(address, ZERO).packets
            guests[address] = Moved.of(sent.get(address, ZERO), received.get(address, ZERO), connections)
    return Counted(guests, max(map(len, found.values())))


def figures(asker: Asker, name: str) -> Iterator[tuple[str, Counter]]:
    """Read one set: addresses and what is counted of each. Raises HostError."""
    body = head() + attribute(1, TABLE_NAME) + attribute(2, name.encode() + b"\0")
    try:
        payloads = asker.dump(GETSETELEM, body)
    except HostError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return
        raise permitted(error) from error
    for payload in payloads:
        for raw in each(inside(payload[4:]).get(ELEMENTS, b"")):
            one = inside(raw)
            count = counter(one)
            if KEY in one and count is not None:
                yield socket.inet_ntop(FAMILIES[name[-1]], value(one[KEY])), count


def networks(asker: Asker) -> dict[str, Moved]:
    """Read what each network moved as a whole. Raises HostError."""
    try:
        found = {e.name: e.count or ZERO for name in ("tx", "rx") for e in elements(asker, name)}
    except HostError as error:
        raise permitted(error) from error
    names = {name.partition(" ")[2] for name in found}
    return {n: Moved.of(found.get(f"tx {n}", ZERO), found.get(f"rx {n}", ZERO)) for n in names}


def permitted(error: HostError) -> HostError:
    """Say what is missing if it is the permission."""
    if isinstance(error.__cause__, PermissionError):
        return HostError("the kernel tells its counters to root only (CAP_NET_ADMIN): write sudo before it")
    return error
