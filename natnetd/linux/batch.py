"""Changes of a table in one transaction, and in as few as can be if something of it is refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from natnetd.errors import HostError
from natnetd.plan import Change
from natnetd.rows import CATCH_ALL, Block, Element, Table


class Writer(Protocol):
    """A table that takes transactions."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def there(self) -> bool:
        """Whether it is there. Raises HostError."""

    def write(self, changes: Sequence[Change[Any]], /) -> HostError | None:
        """Make all changes in one transaction; return why it was refused, if it was."""

    def look_at(self, asked: Iterable[tuple[str, tuple[str, ...]]], /) -> Table:
        """See single elements. Raises HostError."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Makes what can be made."""

    door: Writer

    def apply(self, changes: Sequence[Change[Any]], /) -> list[HostError | None]:
        """Make all changes in one transaction; if it fails, find whose network it is and do the rest."""
        if not changes:
            return []
        if len(changes) > 1 and any(c.have and isinstance(c.want, Table) for c in changes):
            return self.awake(changes)
        error = self.door.write(changes)
        if error is None:
            return [None] * len(changes)
        made_here = any(isinstance(change.want, Table) for change in changes)
        if not made_here and not self.door.there:
            return [HostError(f"table {self.door.name} went away meanwhile", overtaken=True)] * len(changes)
        return self.without_gone(changes) or self.by_network(changes, error)

    def without_gone(self, changes: Sequence[Change[Any]]) -> list[HostError | None] | None:
        """Make changes again without the removal of elements that are gone by now; None if none is.

        Who restores a ruleset while hundreds of them are being removed would have each tried alone (20 ms).
        """
        removed = {id(change): removal(change) for change in changes}
        keys_ = [(row.set, row.key) for row in removed.values() if row]
        try:
            there = self.door.look_at(keys_).elements
        except HostError:  # a set is of another type by now
            return None
        left = [c for c in changes if (row := removed[id(c)]) is None or row.name in there]
        if len(left) == len(changes):
            return None
        answers = dict(zip(map(id, left), self.apply(left), strict=True))
        return [answers.get(id(change)) for change in changes]

    def by_network(self, changes: Sequence[Change[Any]], error: HostError) -> list[HostError | None]:
        """Find by halves whose network it is that something is refused of, and make the other changes.

        What has to go goes first: something new may wait for it, of a network that cannot be built or not.
        """
        gone = [change.want is None for change in changes]
        if any(gone) and not all(gone):
            return self.in_turn(changes, gone)
        names = sorted({change.network or "" for change in changes})
        if len(names) == 1:
            return [error] * len(changes)
        near = frozenset(names[: len(names) // 2])
        return self.in_turn(changes, [(change.network or "") in near for change in changes])

    def in_turn(self, changes: Sequence[Change[Any]], first: Sequence[bool]) -> list[HostError | None]:
        """Apply some of the changes, then the others; keep the order of answers."""
        answers: dict[int, HostError | None] = {}
        for turn in (True, False):
            part = [i for i, early in enumerate(first) if early is turn]
            failed = {b.name: e for i, e in answers.items() if e for b in written(changes[i].want)}
            answers |= {i: error for i in part if (error := barred(changes[i].want, failed))}
            left = [i for i in part if i not in answers]
            answers |= dict(zip(left, self.apply([changes[i] for i in left]), strict=True))
        return [answers[i] for i in range(len(changes))]

    def awake(self, changes: Sequence[Change[Any]]) -> list[HostError | None]:
        """Wake a dormant table first: in that transaction the kernel makes no base chain (EINVAL)."""
        return self.in_turn(changes, [isinstance(change.want, Table) for change in changes])


def removal(change: Change[Any]) -> Element | None:
    """The element that a change takes away, if it can be asked for by its key."""
    row = change.have
    return row if change.want is None and isinstance(row, Element) and row.key != CATCH_ALL else None


def written(row: object) -> Iterable[Block]:
    """The blocks that a change writes."""
    return row.blocks.values() if isinstance(row, Table) else [row] if isinstance(row, Block) else []


def barred(row: object, failed: Mapping[str, HostError]) -> HostError | None:
    """Say why an element is not even tried: in a set of another type its name could be asked of DNS."""
    if not isinstance(row, Element):
        return None
    return failed.get(f"set {row.set}") or failed.get(f"map {row.set}")
