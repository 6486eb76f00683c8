"""Sleeping until there is a reason: what was said is put together, and nobody keeps the loop from waking."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natnetd.host import Layer, Scope
from natnetd.linux.files import FileWatch, steps
from natnetd.report import Culprit
from natnetd.rows import Port
from natnetd.wake import Bell, Notice, Wake, Wakeup, orphaned


class Pipe:
    """A source with things to say; each word is told once, unless it never falls silent."""

    def __init__(self, *notices: Notice, endless: bool = False) -> None:
        self.near, self.far = os.pipe()
        self.notices, self.endless = list(notices), endless
        if notices:
            os.write(self.far, b"!")

    def fileno(self) -> int:
        return self.near

    def read(self) -> Iterable[Notice]:
        if not self.endless:
            os.read(self.near, 100)
        return self.notices


ADDRESS = Scope(frozenset({"vmbr1"}), frozenset({Layer.ADDRESS}), host=False)
TABLE = Scope(None, frozenset({Layer.NFT}))
NFT = Culprit("nft", 7)


def test_silence_ends_with_the_timeout_and_says_nothing() -> None:
    assert Wake([Pipe()]).wait(0) == Wakeup()
    assert not Wakeup().look


def test_everything_that_is_queued_is_taken_at_once() -> None:
    heard = Wake([Pipe(Notice(ADDRESS)), Pipe(Notice(TABLE, culprit=NFT)), Pipe(Notice(file=True))]).wait(
        None
    )
    assert heard.scope.layers == {Layer.ADDRESS, Layer.NFT}
    assert (heard.scope.networks, heard.scope.host) == (None, True)
    assert heard.culprits == (NFT,)
    assert heard.file
    assert heard.look


def test_a_source_that_never_falls_silent_does_not_keep_the_loop_from_looking() -> None:
    heard = Wake([Pipe(Notice(rung=True), endless=True), Pipe(Notice(ADDRESS))]).wait(None)
    assert heard.scope == ADDRESS
    assert heard.rung


def test_what_is_urgent_waits_for_nothing_else() -> None:
    heard = Wake([Pipe(Notice(ADDRESS, urgent=True), Notice(file=True))]).wait(None)
    assert heard == Wakeup(ADDRESS)


def test_a_single_notice_keeps_its_small_scope() -> None:
    assert (Wakeup() | Notice(ADDRESS)).scope == ADDRESS
    assert (Wakeup() | Notice(rung=True) | Notice(ADDRESS)).scope == ADDRESS


def test_a_culprit_is_named_once_and_ports_are_put_together() -> None:
    heard = Wakeup()
    for notice in (
        Notice(TABLE, NFT),
        Notice(TABLE, NFT),
        Notice(ports={"a": (Port(1, "a"),)}),
        Notice(ports={"b": (Port(2, "b"),)}),
    ):
        heard |= notice
    assert heard.culprits == (NFT,)
    assert heard.ports == {"a": (Port(1, "a"),), "b": (Port(2, "b"),)}


def test_a_port_belongs_to_the_bridge_it_lost_last() -> None:
    one, two, three = Port(1, "a"), Port(2, "a"), Port(3, "a")
    before = {"a": (one, two, three)}
    assert orphaned(before, {}) == before
    assert orphaned(before, {"a": (one,)}) == {"a": (two, three, one)}
    moved = Port(2, "b")
    assert orphaned(before, {"b": (moved,)}) == {"a": (one, three), "b": (moved,)}


scopes = st.builds(
    Scope,
    st.none() | st.frozensets(st.sampled_from(["vmbr1", "vmbr2"])),
    st.frozensets(st.sampled_from(list(Layer)), min_size=1),
    st.booleans(),
)


@given(st.lists(scopes, min_size=1, max_size=5))
def test_together_scopes_cover_what_each_of_them_covers(many: list[Scope]) -> None:
    heard = Wakeup()
    for scope in many:
        heard |= Notice(scope)
    for scope in many:
        assert scope.layers <= heard.scope.layers
        assert heard.scope.networks is None or (scope.networks or frozenset()) <= heard.scope.networks
        assert scope.host <= heard.scope.host
        assert (scope.networks is None) <= (heard.scope.networks is None)


SIGNALS = """
import os, signal, sys
from natnetd.wake import Signals, Wake
wake = Wake([Signals()])
print("up", flush=True)
heard = wake.wait(10)
while not (heard.stop or heard.reload):
    heard = wake.wait(10)
print(heard.stop, heard.reload)
"""


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGTERM, "True False"), (signal.SIGINT, "True False"), (signal.SIGHUP, "False True")],
)
def test_signals_are_news_like_any_other(number: signal.Signals, told: str) -> None:
    with subprocess.Popen([sys.executable, "-c", SIGNALS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.communicate(timeout=10)[0] == f"{told}\n"
    assert process.returncode == 0


def test_a_bell_wakes_from_another_thread_once_however_often_it_is_rung() -> None:
    bell = Bell()
    wake = Wake([bell])
    threading.Thread(target=lambda: [bell.ring() for _ in range(100_000)]).start()
    assert wake.wait(10).rung
    heard = wake.wait(0.2)
    while heard.rung:
        heard = wake.wait(0.2)
    assert list(bell.read()) == []


# --- the way to the file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make /…/etc/natnetd.yaml, a link to data/natnetd.yaml."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "natnetd.yaml").write_text("networks: {}\n", "utf-8")
    (tmp_path / "etc" / "natnetd.yaml").symlink_to("../data/natnetd.yaml")
    return tmp_path


def heard(watch: FileWatch) -> bool:
    """Say whether anything about the file was told; what happened before this call is queued already."""
    told = False
    while select.select([watch], [], [], 0)[0]:
        told = any(notice.file for notice in watch.read()) or told
    return told


def test_the_way_leads_through_links_and_parents(place: Path) -> None:
    way = list(steps(place / "etc" / "natnetd.yaml"))
    assert way[0] == (Path("/"), place.parts[1])
    assert (place / "etc", "natnetd.yaml") in way
    assert way[-1] == (place / "data", "natnetd.yaml")


def test_changes_of_the_file_and_of_the_way_are_heard_and_neighbours_are_not(place: Path) -> None:
    watch = FileWatch(place / "etc" / "natnetd.yaml")
    assert not heard(watch)
    (place / "data" / "other.yaml").write_text("x", "utf-8")
    (place / "etc" / "data").write_text("x", "utf-8")
    assert not heard(watch)
    (place / "data" / "natnetd.yaml").write_text("changed", "utf-8")
    assert heard(watch)
    (place / "data" / "natnetd.yaml").chmod(0o600)
    assert heard(watch)
    (place / "etc" / "natnetd.yaml").unlink()
    assert heard(watch)
    (place / "etc" / "natnetd.yaml").write_text("x", "utf-8")
    assert heard(watch)
    (place / "etc").rename(place / "gone")
    assert heard(watch)
    watch.follow()
    (place / "etc").mkdir()
    assert heard(watch)
    watch.follow()
    (place / "etc" / "natnetd.yaml").write_text("x", "utf-8")
    assert heard(watch)
    watch.close()


def test_a_link_to_itself_is_borne(tmp_path: Path) -> None:
    (tmp_path / "natnetd.yaml").symlink_to("natnetd.yaml")
    watch = FileWatch(tmp_path / "natnetd.yaml")
    (tmp_path / "natnetd.yaml").unlink()
    assert heard(watch)
    watch.close()
