"""The door to our nftables table: libnftables writes it and lists its structure.

Nobody else's table is ever listed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from natnetd import page
from natnetd.errors import HostError
from natnetd.linux import nfnl
from natnetd.linux.adding import Request, adding, fresh, transact
from natnetd.linux.batch import Batch, written
from natnetd.linux.drops import drops
from natnetd.linux.elements import elements, get_element
from natnetd.linux.libnft import nftables_context, run, said
from natnetd.linux.netlink import NETFILTER, Asker
from natnetd.linux.nftext import script
from natnetd.linux.replay import Recording, record
from natnetd.linux.structure import Structure, structure
from natnetd.plan import Change
from natnetd.report import Traffic
from natnetd.rows import FRAMES, TABLE, Block, Element, Table

LISTINGS = 5  # tries to list the table undisturbed
FLAGS = re.compile(r"^\tflags ([\w, ]+)$", re.MULTILINE)


@dataclass(slots=True)
class NftDoor:
    """Looks at our table and changes it.

    `spelling` maps a line as this nft lists it to the line of the page, where the two differ; `seen` is the
    generation of the last look, `covered` that of the last one after which everything is repaired,
    `committed` that of our last commit, if nobody else's came between.

    Only a look covers a generation: a commit that had nothing to do makes none, and the next one is then
    somebody else's. A look that some networks are judged by covers none: what else it saw is still news.
    """

    nft: Any = field(default_factory=nftables_context)
    asker: Asker = field(default_factory=lambda: Asker(NETFILTER))
    spelling: dict[str, str] = field(default_factory=dict)
    learned: set[str] = field(default_factory=set)
    seen: int = -1
    covered: int = -1
    committed: int = -1
    last: Table | None = None
    listed: tuple[Structure, str] | None = None
    recording: Recording | None = None
    name: str = TABLE

    @property
    def family(self) -> int:
        """The number of the table's family."""
        return nfnl.BRIDGE if self.name == FRAMES else nfnl.INET

    def look(self, *, covers: bool = True) -> Table | None:
        """See our table; None if it is not there. Raises HostError.

        While the generation stands still so does the table: what was seen last is true, but for counters.
        """
        generation = nfnl.generation(self.asker)
        if covers:
            self.covered = generation
        if self.last is not None and generation == self.seen:
            return self.last
        self.seen = generation
        found = self.read()
        self.last = found and without_counts(found)
        return found

    def read(self) -> Table | None:
        """List our table and its elements. Raises HostError."""
        lines = self.listing()
        if lines is None:
            return None
        blocks = {name: self.spelled(name, rows) for name, rows in page.read_blocks(lines)}
        self.remember(blocks)
        flags = FLAGS.search(lines)
        elements = {e.name: e for e in self.elements(blocks)}
        return Table(blocks, elements, flags[1] if flags else "", drops(self.asker, self.family))

    def remember(self, blocks: Mapping[str, Block]) -> None:
        """Record how the table is made, which is as it should be and was just listed. Raises HostError."""
        known = self.recording is not None and self.recording.blocks == blocks
        if not known and all(page.known(self.name, block) for block in blocks.values()):
            found = record(self.asker, self.family, blocks)
            self.recording = found if nfnl.generation(self.asker) == self.seen else None

    def elements(self, blocks: Mapping[str, Block]) -> Iterator[Element]:
        """Read the elements of every set that is as it should be; what stands in others is void."""
        for name, block in page.PAGES[self.name].items():
            if page.filled(name) and blocks.get(name) == block:
                yield from elements(self.asker, name.split()[1], self.family)

    def look_at(self, asked: Iterable[tuple[str, tuple[str, ...]]]) -> Table:
        """See single elements of our table, whatever its size (20 us each). Raises HostError."""
        own = page.PAGES[self.name]
        mine = [(name, key) for name, key in sorted(asked) if {f"set {name}", f"map {name}"} & own.keys()]
        found = (get_element(self.asker, name, key, self.family) for name, key in mine)
        return Table(elements={e.name: e for e in found if e is not None}, whole=False)

    def sample(self) -> Traffic:
        """Read the counters: of networks by element, of drops by reason. Raises HostError."""
        counted = ("tx", "rx") if self.name == TABLE else ()
        found = {e.name: e.count for s in counted for e in elements(self.asker, s) if e.count}
        return Traffic(found, drops(self.asker, self.family))

    def listing(self) -> str | None:
        """List the structure, without elements; None if there is no table. Raises HostError.

        What was listed last is true while the table is built as it was: elements come and go meanwhile.
        """
        built = structure(self.asker, self.family)
        if built is None:
            return None
        if self.listed is not None and self.listed[0] == built:
            return self.listed[1]
        out = self.told()
        if out is not None:
            self.listed = (built, out) if structure(self.asker, self.family) == built else None
        return out

    def told(self) -> str | None:
        """Have libnftables list the structure; None if there is no table. Raises HostError.

        While somebody's transactions come or are refused it may tell of a chain twice, once without rules.
        """
        self.nft.set_terse_output(True)
        for _ in range(LISTINGS):
            code, out, problem = self.nft.cmd(f"list table {self.name}")
            if code and self.there:
                raise HostError(f"cannot list table {self.name}: {said(problem)}")
            if code:
                return None
            names = [name for name, _ in page.read_blocks(str(out))]
            if len(names) == len(set(names)):
                return str(out)
        why = "somebody changes rules all the time: see `nft monitor`"
        raise HostError(f"nft lists parts of table {self.name} twice: {why}")

    def spelled(self, name: str, lines: Iterable[str]) -> Block:
        """Read a listed block in the words of the page."""
        plain = [page.stateless(line) for line in lines]
        return page.block(name, [self.spelling.get(line, line) for line in plain])

    def apply(self, changes: Sequence[Change[Any]], /) -> list[HostError | None]:
        """Make all changes, in one transaction if it can be."""
        return Batch(self).apply(changes)

    @property
    def there(self) -> bool:
        """Whether the table is there, without looking at it. Raises HostError."""
        return nfnl.table_there(self.asker, self.family)

    def write(self, changes: Sequence[Change[Any]]) -> HostError | None:
        """Make all changes in one transaction; return why it was refused, if it was.

        If the table is gone libnftables is not asked: it takes 80 ms to say so of 2,000 elements, in a
        fight each time.
        """
        if self.by_hand(changes):
            return None
        if not any(isinstance(change.want, Table) for change in changes) and not self.there:
            return HostError(f"table {self.name} went away meanwhile", overtaken=True)
        error = self.commit(script(changes, self.name))
        if error is None:
            self.learn(changes)
        return error

    def by_hand(self, changes: Sequence[Change[Any]]) -> bool:
        """Make the table as it was, or add elements, in one transaction of our own; else libnftables does it.

        If the kernel refuses libnftables will say why.
        """
        requests = self.requests(changes)
        if not requests:
            return False
        self.last = None
        before = nfnl.generation(self.asker)
        try:
            transact(self.asker, requests)
        except OSError:
            if any(isinstance(change.want, Table) for change in changes):
                self.recording = None  # it may have been that
            return False
        self.committed = before + 1
        return True

    def requests(self, changes: Sequence[Change[Any]]) -> list[Request]:
        """Write changes as the kernel takes them; nothing if they are others than `by_hand` makes."""
        table = next((c.want for c in changes if c.have is None and isinstance(c.want, Table)), None)
        rest = [c for c in changes if c.want is not table] if table else changes
        rows, built = fresh(rest), self.recording
        if len(rows) < len(rest) or (table and (built is None or built.blocks != table.blocks)):
            return []
        whole = built.requests(table.blocks) if built and table else ()
        return [*whole, *adding(rows, self.family)]

    def commit(self, text: str) -> HostError | None:
        """Run a script as one transaction; return why it was refused, if it was."""
        self.last = None
        before = nfnl.generation(self.asker)
        error = run(self.nft, text)
        if error is None:
            self.committed = before + 1
        return error

    def learn(self, changes: Iterable[Change[Any]]) -> None:
        """Note how this nft spells what was just written, so that a newer one's words are no drift.

        Nothing is learned of a listing that somebody may have changed since, or that cannot be had just now.
        """
        fresh = {b.name: (*b.header, *b.rules) for change in changes for b in written(change.want)}
        fresh = {name: lines for name, lines in fresh.items() if not self.learned.issuperset(lines)}
        listing = None
        with suppress(HostError):
            listing = self.listing() if fresh else None
        if listing is None or nfnl.generation(self.asker) != self.committed:
            return
        for name, lines in page.read_blocks(listing):
            wanted = fresh.get(name, ())
            for have, want in zip(map(page.stateless, lines), wanted, strict=False):
                if len(lines) == len(wanted) and have != want:
                    self.spelling[have] = want
            self.learned.update(wanted)


def without_counts(table: Table) -> Table:
    """A table as it stays while nothing is committed: its counters go on."""
    plain = {name: e if e.count is None else replace(e, count=None) for name, e in table.elements.items()}
    return replace(table, elements=plain, drops={})
