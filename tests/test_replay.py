"""The table made again as the kernel told of it: nobody could tell it from what libnftables has made."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake import Nobody
from good_files import GOOD

from natnetd.host import Layer, Scope, Snapshot
from natnetd.kinds import KINDS
from natnetd.lab.netns import Namespace
from natnetd.linux.netlink import Asker
from natnetd.linux.nft import NftDoor
from natnetd.linux.nftext import script
from natnetd.model import Config
from natnetd.page import PAGE, counting_on, page_with
from natnetd.plan import Change, make_plan, phases
from natnetd.rows import TABLE, Block, Counter, Element, Table

NFT = Scope(None, frozenset({Layer.NFT}))
FILES = {name: wanted for name, (_, wanted) in GOOD.items() if wanted.all.populated}
REASON = "untranslated"


@pytest.fixture
def door(host: Namespace) -> Iterator[NftDoor]:  # noqa: ARG001  # it is that host's
    door = NftDoor()
    yield door
    door.asker.close()


def batches(config: Config) -> list[Sequence[Change[Any]]]:
    """What makes the table of a file, phase by phase."""
    return [
        [change for change in batch if change.layer is Layer.NFT]
        for _, batch in phases(KINDS, make_plan(KINDS, config, Snapshot(), NFT))
    ]


def listing(host: Namespace) -> str:
    return host.check(["nft", "list", "table", *TABLE.split()])


def lost(host: Namespace, door: NftDoor) -> None:
    """Have it looked at, and deleted."""
    assert door.look()
    assert door.recording
    host.check(["nft", "delete", "table", *TABLE.split()])
    assert door.look() is None
    door.nft = Nobody()


@pytest.mark.parametrize("config", FILES.values(), ids=FILES.keys())
def test_it_is_the_same_table(host: Namespace, door: NftDoor, config: Config) -> None:
    for batch in batches(config):
        assert door.commit(script(batch)) is None
        door.learn(batch)
    before = listing(host)
    lost(host, door)
    for batch in batches(config):
        assert set(door.apply(batch)) == {None}
    assert listing(host) == before


def test_it_counts_on(host: Namespace, door: NftDoor) -> None:
    whole = {name: Block(b.name, b.header, b.rules, {REASON: Counter(7, 900)}) for name, b in PAGE.items()}
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(whole))
    assert door.apply([change]) == [None]
    before = listing(host)
    assert before.count("counter packets 7 bytes 900") == 1
    lost(host, door)
    assert door.apply([change]) == [None]
    assert listing(host) == before


@pytest.mark.parametrize("recorded", [True, False])
def test_a_reason_of_two_chains_goes_on_in_each(host: Namespace, door: NftDoor, recorded: bool) -> None:
    had = {"spoofed leave": Counter(7, 900), "spoofed watched": Counter(3, 100), "exit leave": Counter(1, 60)}
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(counting_on(PAGE, had)))
    assert door.apply([change]) == [None]
    nft = door.nft
    lost(host, door)
    if not recorded:
        door.recording, door.nft = None, nft
    assert door.apply([change]) == [None]
    assert {key: count for key, count in door.sample().drops.items() if count.packets} == had


def test_what_was_built_otherwise_is_not_repeated(host: Namespace, door: NftDoor) -> None:
    """A rule of somebody's in our table is no part of it when it comes back."""
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(PAGE))
    assert door.apply([change]) == [None]
    before = listing(host)
    assert door.look()
    host.check(["nft", "add", "rule", *TABLE.split(), "count", "counter"])
    lost(host, door)
    assert door.apply([change]) == [None]
    assert listing(host) == before


def test_another_page_than_the_recorded_one_is_written(host: Namespace, door: NftDoor) -> None:
    """As after a reload that was overtaken by somebody's flush: other limits are in use now."""
    some = page_with(frozenset())
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(some))
    assert door.apply([change]) == [None]
    before = listing(host)
    host.check(["nft", "delete", "table", *TABLE.split()])
    assert door.apply([replace(change, want=Table(PAGE))]) == [None]
    nft = door.nft
    lost(host, door)
    door.nft = nft
    assert door.apply([change]) == [None]
    assert listing(host) == before


class Meanwhile:
    """An asker before whose questions about some sets somebody adds a rule."""

    def __init__(self, asker: Asker, host: Namespace) -> None:
        self.asker, self.host = asker, host

    def __getattr__(self, name: str) -> Any:
        return getattr(self.asker, name)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        if b"__set" in body:
            self.host.check(["nft", "add", "rule", *TABLE.split(), "count", "counter"])
        return self.asker.dump(kind, body)


def test_what_changes_while_it_is_recorded_is_not_kept(host: Namespace, door: NftDoor) -> None:
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(PAGE))
    assert door.apply([change]) == [None]
    door.asker = Meanwhile(asker := door.asker, host)  # type: ignore[assignment]
    assert door.look()
    assert door.recording is None
    door.asker = asker


def test_nobody_elses_table_is_taken_for_it(host: Namespace, door: NftDoor) -> None:
    """The kernel refuses it where one of that name has come; libnftables says what is wrong with that."""
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(PAGE))
    assert door.apply([change]) == [None]
    nft = door.nft
    lost(host, door)
    door.nft = nft
    host.check(["nft", f"table {TABLE} {{ set nets {{ type ipv4_addr; }}; }}"])
    assert door.apply([change]) != [None]
    assert door.recording is None


def test_an_element_that_is_refused_says_nothing_of_the_table(door: NftDoor) -> None:
    change = Change(Layer.NFT, "nft", None, f"table {TABLE}", None, Table(PAGE))
    assert door.apply([change]) == [None]
    assert door.look()
    bad = Element("nets", ("x" * 20,))
    assert door.apply([Change(Layer.NFT, "isolation", "x", bad.name, None, bad)]) != [None]
    assert door.recording
