"""Changes and how they are found: the algebra of have and want."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar

from natnetd.host import ALL, Layer, Scope, Snapshot
from natnetd.intervals import in_the_way
from natnetd.model import Config
from natnetd.page import mentioned
from natnetd.rows import Address, Block, Element

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Change(Generic[Row]):
    """One step from `have` to `want`; None stands for "not there". `network` None: host-wide."""

    layer: Layer
    kind: str
    network: str | None
    key: str
    have: Row | None
    want: Row | None

    @property
    def name(self) -> str:
        """What is changed: the same over all passes, for back-off and for counting."""
        return f"{self.kind} {self.key}"

    @property
    def sort(self) -> str:
        """How it drifted: missing, modified or foreign."""
        if self.have is None:
            return "missing"
        return "foreign" if self.want is None else "modified"

    def __str__(self) -> str:
        sign = {"missing": "+", "foreign": "-", "modified": "~"}[self.sort]
        return f"{sign} {self.kind} {self.key}{self.details}"

    @property
    def details(self) -> str:
        """What differs, field by field, when a thing is modified."""
        if self.have is None or self.want is None:
            return ""
        pairs = [
            (f.name, getattr(self.have, f.name), getattr(self.want, f.name))
            for f in fields(self.want)  # type: ignore[arg-type]  # every row is a dataclass
            if f.compare
        ]
        told = [f"{n} {_word(a)} → {_word(b)}" for n, a, b in pairs if a != b and not isinstance(b, tuple)]
        return " " + ", ".join(told) if told else " (altered)"


def _word(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


class Kind(Protocol):
    """One kind of thing natnetd keeps true: a module in `natnetd.kinds`, pure."""

    @property
    def NAME(self) -> str:  # noqa: N802  # a module's constant
        """What it is called in plans and metrics."""

    @property
    def LAYER(self) -> Layer:  # noqa: N802
        """The door its changes go through."""

    def plan(self, config: Config, seen: Snapshot, /) -> Iterable[Change[Any]]:
        """Say what has to change. Looks at nothing but its arguments."""


Plan = tuple[Change[Any], ...]


def diff(
    layer: Layer, kind: str, network: str | None, want: Mapping[str, Row], have: Mapping[str, Row]
) -> Iterator[Change[Row]]:
    """Yield what turns `have` into `want`, in a stable order."""
    for key in sorted(want.keys() | have.keys()):
        if want.get(key) != have.get(key):
            yield Change(layer, kind, network, key, have.get(key), want.get(key))


def diff_blocks(
    layer: Layer, kind: str, want: Mapping[str, Block], have: Mapping[str, Block]
) -> Iterator[Change[Block]]:
    """Yield the changes of a table's structure.

    A set of another type can only be made anew, while no rule asks it: chains that do are written with it.
    """
    changes = list(diff(layer, kind, None, want, have))
    yield from changes
    anew = {c.key.split()[1] for c in changes if c.have and c.want and not c.key.startswith("chain ")}
    done = {c.key for c in changes}
    for name in sorted(want.keys() & have.keys() - done) if anew else ():
        if any(mentioned(rule) & anew for rule in want[name].rules):
            yield Change(layer, kind, None, name, have[name], want[name])


def diff_elements(
    kind: str, want: Iterable[Element], seen: Snapshot, sets: frozenset[str], layer: Layer = Layer.NFT
) -> Iterator[Change[Element]]:
    """Yield the changes of the sets a kind fills."""
    wanted = {e.name: e for e in want}
    table = seen.table if layer is Layer.NFT else seen.frames
    there = {} if table is None else table.elements
    have = {name: e for name, e in there.items() if e.set in sets}
    if wanted == have:
        return
    if not have:  # all at once, as after a flush: this is what 1,000 networks wait for
        for name, row in sorted(wanted.items()):
            yield Change(layer, kind, row.network, name, None, row)
        return
    for name in sorted(wanted.keys() | have.keys()):
        if wanted.get(name) != have.get(name):
            row = wanted.get(name) or have[name]
            yield Change(layer, kind, row.network, name, have.get(name), wanted.get(name))


def make_plan(kinds: Sequence[Kind], config: Config, seen: Snapshot, scope: Scope = ALL) -> Plan:
    """Build up along `kinds`, then take away backwards: deletions come last.

    Narrowing both inputs only saves work; what is out of scope is left out here, exactly.
    """
    narrow, near = scope.narrow(config), seen.within(scope)
    changes = [
        change
        for kind in kinds
        if kind.LAYER in scope.layers
        for change in kind.plan(narrow, near)
        if change in scope
    ]
    build = [change for change in changes if change.want is not None]
    remove = [change for change in reversed(changes) if change.want is None]
    return (*build, *remove)


def phases(kinds: Sequence[Kind], plan: Plan) -> Iterator[tuple[Layer, Plan]]:
    """Split a plan into batches, each for one door and either building or removing.

    Kinds of one layer that stand side by side are one batch; those that stand apart are not, even if
    nothing between them changes: NAT and isolation do not wait for statistics. What is in the way of
    something new is removed in the batch that brings it, first.
    """
    runs = groupby(kinds, lambda kind: kind.LAYER)
    phase = {kind.NAME: number for number, (_, run) in enumerate(runs) for kind in run}
    early = making_room(plan)

    def order(change: Change[Any]) -> tuple[bool, int]:
        number = phase[change.kind]
        return (True, -number) if change.want is None and change.name not in early else (False, number)

    ordered = sorted(plan, key=lambda c: (order(c), c.want is not None)) if early else plan
    for _, group in groupby(ordered, order):
        batch = tuple(group)
        yield batch[0].layer, batch


def making_room(plan: Plan) -> frozenset[str]:
    """Name the removals that something new waits for."""
    if not plan or plan[-1].want is not None:
        return frozenset()
    new = [c.want for c in plan if c.have is None]
    gone = {c.have: c.name for c in plan if c.want is None and isinstance(c.have, Address | Element)}
    there, wanted = ([row for row in rows if isinstance(row, Element)] for rows in (gone, new))
    early = {gone[row] for row in in_the_way(there, wanted)}
    return frozenset(early | {gone[row] for row in of_another_length(gone, new)})


def of_another_length(gone: Iterable[object], new: Iterable[object]) -> Iterator[Address]:
    """Yield addresses that come back with another prefix length.

    IPv6 knows an address without it, and refuses the second (ipv6_add_addr: EEXIST); IPv4 takes both.
    """
    coming = {bare(row) for row in new if isinstance(row, Address)}
    for row in gone:
        if isinstance(row, Address) and ":" in row.interface and bare(row) in coming:
            yield row


def bare(row: Address) -> tuple[str, str]:
    """An address on its link, without its prefix length."""
    return row.link, row.interface.partition("/")[0]
