"""The table of the bridges made again as the kernel told of it, on a kernel that can have it."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake import Nobody

from natnetd.host import Layer
from natnetd.lab.netns import Namespace
from natnetd.linux.nft import NftDoor
from natnetd.page import FRAME_PAGE
from natnetd.plan import Change
from natnetd.rows import FRAMES, Element, Table

ROWS = (
    Element("truthful", ("vmbr1",)),
    Element("own4", ("vmbr1", "10.0.0.0/24")),
    Element("own6", ("vmbr1", "fd00:1::/64")),
    Element("gateway_mac", ("vmbr1", "52:54:00:12:34:56")),
)


def change(want: Any, network: str | None = None) -> Change[Any]:
    return Change(Layer.GUARD, "frames", network, f"{want}", None, want)


@pytest.fixture
def door(host: Namespace) -> Iterator[NftDoor]:  # noqa: ARG001  # it is that host's
    door = NftDoor(name=FRAMES)
    yield door
    door.asker.close()


def test_it_is_the_same_table(host: Namespace, door: NftDoor) -> None:
    changes = [change(Table(FRAME_PAGE)), *(change(row, "vmbr1") for row in ROWS)]
    assert set(door.apply(changes)) == {None}
    before = host.check(["nft", "list", "table", *FRAMES.split()])
    assert door.look()
    host.check(["nft", "delete", "table", *FRAMES.split()])
    assert door.look() is None
    door.nft = Nobody()
    assert set(door.apply(changes)) == {None}
    assert host.check(["nft", "list", "table", *FRAMES.split()]) == before
