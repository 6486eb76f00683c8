"""The door to nftables when somebody else is at the table too."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake import Nobody

from natnetd.errors import HostError
from natnetd.host import ALL, NO_HINT, Before, Hint, Layer, Scope
from natnetd.lab.netns import Namespace
from natnetd.linux import nfnl, open_host
from natnetd.linux.adding import fresh
from natnetd.linux.host import FEW
from natnetd.linux.nft import NftDoor
from natnetd.linux.nftext import script
from natnetd.page import PAGE
from natnetd.plan import Change
from natnetd.rows import CATCH_ALL, Block, Counter, Element, Table

WHOLE = Change(Layer.NFT, "nft", None, "table inet natnetd", None, Table(PAGE))


@pytest.fixture
def door(host: Namespace) -> Iterator[NftDoor]:  # noqa: ARG001  # it is that host's
    """Open it where our table is as it should be."""
    door = NftDoor()
    door.look()
    assert door.apply([WHOLE]) == [None]
    yield door
    door.asker.close()


def test_a_spelling_is_not_learned_from_what_somebody_changed_meanwhile(
    door: NftDoor, host: Namespace
) -> None:
    door.learned.clear()
    host.check(["nft", "chain inet natnetd count { policy drop; }"])
    door.learn([WHOLE])
    assert door.spelling == {}
    seen = door.look()
    assert seen is not None
    assert seen.blocks["chain count"] != PAGE["chain count"]


class Meanwhile:
    """A libnftables before whose every commit somebody else makes one."""

    def __init__(self, nft: Any, deed: Callable[[], object]) -> None:
        self.nft, self.deed = nft, deed

    def cmd_from_file(self, path: str) -> Any:
        self.deed()
        return self.nft.cmd_from_file(path)


def test_a_commit_without_effect_covers_nobody_elses(door: NftDoor, host: Namespace) -> None:
    """It makes no generation: the next one is somebody else's, and must be looked at."""
    add = [change(None, Element("nets", CATCH_ALL))]
    assert door.apply(add) == [None]
    door.look()
    before = nfnl.generation(door.asker)
    door.nft = Meanwhile(door.nft, lambda: host.check(["nft", "add counter inet natnetd theirs"]))
    assert door.apply(add) == [None]
    assert door.covered == before == nfnl.generation(door.asker) - 1


ROWS = (
    Element("nets", ("vmbr1",)),
    Element("pairs", ("vmbr1", "büro")),
    Element("tx", ("vmbr1",)),
    Element("exempt4", ("vmbr1", "10.0.0.0/24", "0.0.0.0/0")),
    Element("exempt6", ("vmbr1", "fd00:1::/64", "fd00:2::9")),
    Element("host_tcp", ("vmbr1", "20-30")),
    Element("host_udp", ("vmbr1", "53")),
    Element("cut6", ("vmbr1", "fd00::9")),
    Element("reserved4", ("vmbr1", "02:00:00:00:00:09", "10.0.0.9")),
    Element("rx", ("vmbr1",), count=Counter(3, 1500)),
    Element("snat4", ("vmbr1",), "192.0.2.1"),
    Element("snat4", ("vmbr2",), "192.0.2.1-192.0.2.9"),
    Element("snatp4", ("vmbr1",), "192.0.2.1 . 1024-65535"),
    Element("whole4", ("192.0.2.1",), "10.0.0.9", owner="büro"),
)


def change(have: Element | None, want: Element | None, network: str = "vmbr1") -> Change[Any]:
    return Change(Layer.NFT, "any", network, f"{have} {want}", have, want)


class Counting(Meanwhile):
    """A libnftables that counts commits."""

    def __init__(self, nft: Any) -> None:
        super().__init__(nft, self.count)
        self.commits = 0

    def count(self) -> None:
        self.commits += 1


def test_a_table_that_went_away_is_told_of_without_libnftables(door: NftDoor, host: Namespace) -> None:
    host.check(["nft", "delete", "table", "inet", "natnetd"])
    door.nft = Nobody()
    (error,) = door.apply([change(None, ROWS[0])])
    assert error is not None
    assert error.overtaken


def test_elements_added_by_hand_are_those_that_nft_would_add(door: NftDoor, host: Namespace) -> None:
    changes = [change(None, row) for row in ROWS]
    assert len(fresh(changes)) == len(ROWS)
    door.nft = Counting(nft := door.nft)
    assert door.apply(changes) == [None] * len(ROWS)
    assert door.nft.commits == 0
    door.nft = nft
    by_hand = host.check(["nft", "list", "table", "inet", "natnetd"])
    kinds = {row.set: "set" if f"set {row.set}" in PAGE else "map" for row in ROWS}
    emptied = "".join(f"flush {kind} inet natnetd {name}\n" for name, kind in kinds.items())
    host.check(["nft", "-f", "-"], stdin=emptied)
    assert door.commit(script(changes)) is None
    assert by_hand == host.check(["nft", "list", "table", "inet", "natnetd"])
    assert {row.name for row in ROWS} == (door.look() or Table()).elements.keys()


class Stuttering:
    """A libnftables that so many times lists a chain twice, empty then, as it has been seen to do."""

    def __init__(self, nft: Any, times: int) -> None:
        self.nft, self.times = nft, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.nft, name)

    def cmd(self, text: str) -> tuple[int, str, str]:
        code, out, problem = self.nft.cmd(text)
        self.times -= 1
        again = f"\n\tchain leave {{\n\t}}\n{'}'}\n" if self.times >= 0 else "}\n"
        return code, str(out).removesuffix("}\n") + again, problem


def test_a_chain_that_is_listed_twice_is_no_drift(door: NftDoor) -> None:
    door.nft = Stuttering(door.nft, 3)
    seen = door.look()
    assert seen is not None
    assert seen.blocks == PAGE
    door.listed = door.last = None
    door.nft.times = 99
    with pytest.raises(HostError, match="twice"):
        door.look()


def test_a_key_that_the_kernel_refuses_is_explained_and_spoils_no_other(door: NftDoor) -> None:
    good, bad = Element("nets", ("vmbr1",)), Element("nets", ("x" * 20,))
    fine, refused = door.apply([change(None, good, "a"), change(None, bad, "b")])
    assert fine is None
    assert str(refused).startswith("nft: ")
    assert (door.look() or Table()).elements.keys() == {good.name}


def test_what_makes_room_goes_though_its_network_cannot_be_built(door: NftDoor) -> None:
    old, new = (
        Element("span4", ("203.0.113.2", "tcp", ports), "10.0.0.5", owner=name)
        for ports, name in (("90-99", "b"), ("95-120", "a"))
    )
    assert door.apply([change(None, old, "b")]) == [None]
    bad = Element("nets", ("x" * 20,))
    gone, refused, come = door.apply([change(old, None, "b"), change(None, bad, "b"), change(None, new, "a")])
    assert gone is come is None
    assert refused is not None
    assert (door.look() or Table()).elements.keys() == {new.name}


def test_what_is_gone_already_is_not_tried_one_by_one(door: NftDoor) -> None:
    rows = [Element("closed", (f"ghost{n}",)) for n in range(300)]
    assert door.apply([change(None, row) for row in rows[:100:3]]) == [None] * 34
    door.nft = Counting(door.nft)
    removals = [change(row, None, row.key[0]) for row in rows]
    bad = change(Element("closed", CATCH_ALL), None, "bad")
    *fine, refused = door.apply([*removals, bad])
    assert fine == [None] * 300
    assert refused is not None
    assert door.nft.commits < 20
    assert (door.look() or Table()).elements == {}


@pytest.mark.parametrize(
    "changes",
    [
        [change(Element("nets", ("a",)), Element("nets", ("b",)))],
        [change(None, Element("nets", CATCH_ALL, owner=""))],
        [change(None, Element("nets", ("a",))), change(Element("nets", ("b",)), None)],
        [WHOLE],
        [],
    ],
)
def test_what_is_more_than_additions_is_left_to_libnftables(changes: list[Change[Any]]) -> None:
    assert fresh(changes) == []


@pytest.mark.parametrize(
    ("scope", "hint"),
    [
        (Scope(None, frozenset({Layer.NFT, Layer.LINK}), host=False), NO_HINT),
        (
            Scope(frozenset({"vmbr1"}), frozenset({Layer.NFT}), host=False),
            Hint(tuple(Element("nets", (f"g{n}",)) for n in range(FEW * 8 + 1))),
        ),
    ],
    ids=["a link that nobody wants", "many elements"],
)
def test_what_a_look_at_some_networks_sees_of_the_others_is_still_news(
    door: NftDoor, host: Namespace, scope: Scope, hint: Hint
) -> None:
    """Its plan does not make a lost table anew, so the news of the loss must not be taken for old."""
    wide = open_host()
    try:
        wide.look(ALL, Before())
        assert wide.generation == nfnl.generation(door.asker)
        host.check(["nft", "flush ruleset"])
        assert wide.look(scope, Before(), hint).table is None
        assert wide.generation < nfnl.generation(door.asker)
        wide.look(Scope(None, frozenset({Layer.NFT})), Before())
        assert wide.generation == nfnl.generation(door.asker)
    finally:
        wide.close()


def test_nothing_is_put_into_a_set_that_could_not_be_mended(door: NftDoor, host: Namespace) -> None:
    """A name in a set of addresses would be taken for a host's, and DNS be asked for it."""
    host.check(["nft", "-f", "-"], stdin="flush table inet natnetd\ndelete set inet natnetd nets\n")
    host.check(["nft", "add set inet natnetd nets { type ipv4_addr; }"])
    broken = Block("chain count", PAGE["chain count"].header, ("nonsense",))
    changes = [
        Change(Layer.NFT, "nft", None, "set nets", Block("set nets", ("type ipv4_addr",)), PAGE["set nets"]),
        Change(Layer.NFT, "nft", None, "chain count", PAGE["chain count"], broken),
        Change(Layer.NFT, "isolation", "vmbr1", "nets vmbr1", None, Element("nets", ("vmbr1",))),
        Change(Layer.NFT, "nat", "vmbr1", "closed vmbr1", None, Element("closed", ("vmbr1",))),
    ]
    structure, chain, barred, other = door.apply(changes)
    assert structure is not None
    assert chain is barred is structure
    assert other is None


@pytest.fixture
def name_server(host: Namespace, directory: Path) -> Iterator[socket.socket]:
    """Be the host's only name server, and answer nothing."""
    host.ip("link set lo up")
    (directory / "resolv.conf").write_text("nameserver 127.0.0.1\n", "ascii")
    resolv = str(Path("/etc/resolv.conf").resolve())
    subprocess.run(["mount", "--bind", str(directory / "resolv.conf"), resolv], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        server.setblocking(False)
        yield server
    subprocess.run(["umount", resolv], check=True)


APPLY = """
from natnetd.host import Layer
from natnetd.linux.nft import NftDoor
from natnetd.plan import Change
from natnetd.rows import Element
add = Change(Layer.NFT, "isolation", "vmbr1", "nets vmbr1", None, Element("nets", ("vmbr1",)))
print(NftDoor().apply([add])[0])
"""


def test_no_name_server_is_asked_when_a_set_was_exchanged_meanwhile(
    door: NftDoor, host: Namespace, name_server: socket.socket
) -> None:
    assert door.asker is not None
    host.check(["nft", "-f", "-"], stdin="flush table inet natnetd\ndelete set inet natnetd nets\n")
    host.check(["nft", "add set inet natnetd nets { type ipv4_addr; }"])
    assert "Could not resolve hostname" in host.check([sys.executable, "-c", APPLY])
    with pytest.raises(BlockingIOError):
        name_server.recv(1000)


def test_drops_are_read_as_nft_lists_them(door: NftDoor, host: Namespace) -> None:
    """By hand, for speed; a rule of somebody in our chain, with a comment of his, counts for nothing.

    Nor does a chain of ours that he renamed: the new one goes on from its figures.
    """
    host.check(["nft", "-f", "-"], stdin=RULES)
    found = {why: count for why, count in door.sample().drops.items() if count.packets}
    assert found == {"twice count": Counter(5, 300), "once count": Counter(7, 70)}
    listed = host.check(["nft", "list chain inet natnetd count"])
    assert all(f'comment "{comment}' in listed for comment in ("twice 1", "twice 2", "once 3", "theirs"))


RULES = """
add rule inet natnetd count counter packets 2 bytes 100 drop comment "twice 1"
add rule inet natnetd count counter packets 3 bytes 200 drop comment "twice 2"
add rule inet natnetd count ip saddr 192.0.2.1 counter packets 7 bytes 70 comment "once 3"
add rule inet natnetd count counter packets 9 bytes 90 comment "theirs"
add rule inet natnetd count counter packets 9 bytes 90
add chain inet natnetd c226
add rule inet natnetd c226 counter packets 9 bytes 90 drop comment "twice 1"
"""
