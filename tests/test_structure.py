"""Our table is listed again only if it is built otherwise: a listing reads every element of every set."""

from collections.abc import Iterator
from socket import AF_INET, SOCK_DGRAM
from typing import Any

import pytest

from natnetd.host import Layer
from natnetd.lab.netns import Namespace
from natnetd.linux.drops import drops
from natnetd.linux.nft import NftDoor
from natnetd.linux.structure import structure
from natnetd.page import PAGE
from natnetd.plan import Change
from natnetd.rows import Counter, Element, Table


class Counting:
    """A libnftables that counts what it is asked to list."""

    def __init__(self, door: NftDoor) -> None:
        self.nft, self.lists = door.nft, 0

    def cmd(self, text: str) -> tuple[int, str, str]:
        self.lists += text.startswith("list table")
        answer: tuple[int, str, str] = self.nft.cmd(text)
        return answer

    def set_terse_output(self, on: bool) -> None:  # as the library has it
        self.nft.set_terse_output(on)

    def cmd_from_file(self, path: str) -> tuple[int, str, str]:
        answer: tuple[int, str, str] = self.nft.cmd_from_file(path)
        return answer


@pytest.fixture
def door(host: Namespace) -> Iterator[NftDoor]:  # noqa: ARG001  # it is that host's
    door = NftDoor()
    assert door.apply([Change(Layer.NFT, "nft", None, "table inet natnetd", None, Table(PAGE))]) == [None]
    door.look()
    yield door
    door.asker.close()


def test_a_table_that_is_built_as_it_was_is_not_listed_again(door: NftDoor, host: Namespace) -> None:
    door.nft = asked = Counting(door)
    for name in ("vmbr1", "vmbr2"):
        host.check(["nft", f'add element inet natnetd nets {{ "{name}" }}'])
        seen = door.look()
        assert seen is not None
        assert f"nets {name}" in seen.elements
        assert seen.blocks == PAGE
    own = Change(Layer.NFT, "x", "v", "k", None, Element("tx", ("v",), count=Counter(1, 2)))
    assert door.apply([own]) == [None]
    assert door.look() is not None
    assert asked.lists == 0


CHANGES = {
    "rule added": "add rule inet natnetd between accept",
    "rule deleted": "delete rule inet natnetd between handle {handle}",
    "rule replaced, with its handle": 'replace rule inet natnetd between handle {handle} accept comment "x"',
    "rule added and another deleted": "add rule inet natnetd between drop; "
    "delete rule inet natnetd between handle {handle}",
    "policy": "chain inet natnetd forward {{ policy drop; }}",
    "chain added": "add chain inet natnetd evil",
    "chain renamed": "rename chain inet natnetd between betwixt",
    "set added": "add set inet natnetd more {{ type ifname; }}",
    "object added": "add counter inet natnetd more",
    "table put to sleep": "add table inet natnetd {{ flags dormant; }}",
    "table exchanged": "delete table inet natnetd; add table inet natnetd",
}


@pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)
def test_whatever_is_built_otherwise_is_seen(door: NftDoor, host: Namespace, command: str) -> None:
    before = structure(door.asker)
    listed = host.check(["nft", "-a", "list", "chain", "inet", "natnetd", "between"])
    handle = listed.partition("@pairs accept")[2].partition("handle ")[2].split()[0]
    host.check(["nft", command.format(handle=handle)])
    assert structure(door.asker) != before
    seen = door.look()
    assert seen is not None
    assert (seen.blocks, seen.flags) != (PAGE, "")


def test_what_rules_have_counted_tells_nothing_of_how_it_is_built(door: NftDoor, host: Namespace) -> None:
    host.check(["nft", 'add element inet natnetd walled { "lo" }'])
    before = structure(door.asker)
    with host.socket(AF_INET, SOCK_DGRAM) as anybody:
        anybody.sendto(b"?", ("127.0.0.1", 9))
    assert drops(door.asker)["host input"].packets == 1
    assert structure(door.asker) == before


class Vanishing:
    """An asker between whose questions somebody deletes the table."""

    def __init__(self, door: NftDoor, host: Namespace) -> None:
        self.asker, self.host = door.asker, host

    def ask(self, *words: Any) -> Iterator[bytes]:
        return self.asker.ask(*words)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        self.host.check(["nft", "add table inet natnetd; delete table inet natnetd"])
        return self.asker.dump(kind, body)

    def transaction(self, *words: Any) -> None:
        self.asker.transaction(*words)

    def close(self) -> None:
        self.asker.close()


def test_a_table_that_goes_while_it_is_read_is_gone(door: NftDoor, host: Namespace) -> None:
    door.asker = Vanishing(door, host)  # type: ignore[assignment]
    assert structure(door.asker) is None
    door.listed = None
    assert door.look() is None
    door.learned.clear()
    door.recording = None
    assert door.apply([Change(Layer.NFT, "nft", None, "table inet natnetd", None, Table(PAGE))]) == [None]
    assert door.spelling == {}


def test_no_table_has_no_structure(door: NftDoor, host: Namespace) -> None:
    host.check(["nft", "delete table inet natnetd"])
    assert structure(door.asker) is None
    assert door.look() is None
