"""The root deputy: it trusts nobody, changes its own stanzas only, and files as a whole or not at all."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deputies import HOST, ONE, ROW, TWO, answered, ask, left, put, small_world

from natnetd.deputy import __main__ as program
from natnetd.deputy import asks, files
from natnetd.deputy.places import Places
from natnetd.deputy.register import recorded
from natnetd.lab.wait import wait_until


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return small_world(tmp_path)


# --- what it does


def test_it_registers_and_answers(places: Places) -> None:
    raw = put(places, {"serial": 1, "register": [ROW]})
    assert program.main(places, linger=0) == 0
    assert places.interfaces.read_bytes() == HOST + b"\n" + ONE.text + b"\n"
    assert answered(places) == {"asked": asks.digest(raw), "error": "", "errors": {}}
    assert recorded(places) == {"vmbr1": b"\n" + ONE.text + b"\n"}
    assert left(places) == [".pve-interfaces.lock", "interfaces", "interfaces.natnetd-backup"]
    for path in (places.answer, places.record):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_asking_twice_writes_once(places: Places) -> None:
    ask(places, ONE)
    before = files.version(places.interfaces.stat()), files.version(places.record.stat())
    ask(places, ONE)
    assert (files.version(places.interfaces.stat()), files.version(places.record.stat())) == before


def test_what_is_not_asked_for_any_more_goes(places: Places) -> None:
    ask(places, ONE, TWO)
    ask(places, TWO)
    assert ONE.text not in places.interfaces.read_bytes()
    assert TWO.text in places.interfaces.read_bytes()
    ask(places)
    assert places.interfaces.read_bytes() == HOST
    assert recorded(places) == {}


def test_mode_and_owner_stay(places: Places) -> None:
    os.chown(places.interfaces, 0, 4)
    ask(places, ONE)
    found = places.interfaces.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 0, 4)


def test_a_pending_file_is_edited_too_and_only_then(places: Places) -> None:
    """Else the next Apply, or boot, would take the stanza away, and the UI would show it as a difference."""
    places.pending.write_bytes(HOST + b"\nauto new\niface new inet manual\n")
    ask(places, ONE)
    for path in (places.interfaces, places.pending):
        assert path.read_bytes().endswith(b"\n" + ONE.text + b"\n")
    ask(places)
    assert places.pending.read_bytes() == HOST + b"\nauto new\niface new inet manual\n"


def test_the_backup_is_of_the_file_before_our_first_change(places: Places) -> None:
    ask(places)
    assert not places.backup.exists()
    ask(places, ONE)
    ask(places, TWO)
    assert places.backup.read_bytes() == HOST
    assert stat.S_IMODE(places.backup.stat().st_mode) == 0o640


def test_a_link_stays_one(places: Places) -> None:
    real = places.interfaces.parent / "interfaces.real"
    places.interfaces.rename(real)
    places.interfaces.symlink_to("interfaces.real")
    ask(places, ONE)
    assert places.interfaces.is_symlink()
    assert real.read_bytes() == HOST + b"\n" + ONE.text + b"\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"\niface vmbr1 inet manual\n\tbridge-ports none\n", 11),
        (b"\nauto vmbr1\n", 11),
        (b"\nallow-hotplug x vmbr1\n", 11),
        (b"\n" + ONE.text.replace(b"10.0.0.1", b"10.0.0.2"), 11),
    ],
)
def test_what_somebody_else_says_of_a_name_is_left_alone(places: Places, text: bytes, line: int) -> None:
    places.interfaces.write_bytes(HOST + text)
    assert ask(places, ONE, TWO) == 0
    assert places.interfaces.read_bytes().startswith(HOST + text)
    assert list(recorded(places)) == ["vmbr2"]
    told = f"{places.interfaces}:{line} speaks of vmbr1, and is not natnetd's"
    assert answered(places)["errors"] == {"vmbr1": told}


def test_a_sourced_file_counts(places: Places) -> None:
    child = places.interfaces.parent / "interfaces.d" / "mine"
    child.parent.mkdir()
    child.write_bytes(b"# x\nauto vmbr1\niface vmbr1 inet dhcp\n")
    places.interfaces.write_bytes(HOST.replace(b"/etc/network/", b""))
    ask(places, ONE)
    assert answered(places)["errors"] == {"vmbr1": f"{child}:3 speaks of vmbr1, and is not natnetd's"}
    assert ONE.text not in places.interfaces.read_bytes()


def test_with_the_record_lost_what_is_exactly_ours_is_ours(places: Places) -> None:
    ask(places, ONE)
    there = places.interfaces.read_bytes()
    places.record.write_bytes(b"{broken")
    ask(places, ONE)
    assert places.interfaces.read_bytes() == there
    assert list(recorded(places)) == ["vmbr1"]
    ask(places)
    assert ONE.text not in places.interfaces.read_bytes()


# --- distrust

ODD: dict[str, object] = {
    "no JSON": b"{",
    "no UTF-8": b'{"serial": 1, "register": []}\xff',
    "deep": b"[" * 100_000,
    "a huge number": b'{"serial": ' + b"9" * 100_000 + b"}",
    "a list": [],
    "no serial": {"register": [ROW]},
    "a serial that is none": {"serial": "1", "register": [ROW]},
    "an unknown verb": {"serial": 1, "register": [ROW], "exec": ["rm"]},
    "a verb twice": b'{"serial": 1, "register": [], "register": []}',
    "no list": {"serial": 1, "register": {"vmbr1": ROW}},
    "too many": {"serial": 1, "register": [{**ROW, "name": f"n{n}"} for n in range(asks.MOST + 1)]},
    "no object": {"serial": 1, "register": [ROW, "vmbr2"]},
    "a name twice": {"serial": 1, "register": [ROW, ROW]},
    "an unknown key": {"serial": 1, "register": [{**ROW, "up": "rm -rf /"}]},
    "a missing key": {"serial": 1, "register": [{"name": "vmbr1"}]},
    **{
        f"the name {name!r:.30}": {"serial": 1, "register": [ROW, {**ROW, "name": name}]}
        for name in (
            *(
                "",
                "lo",
                "all",
                "default",
                "a/b",
                "..",
                ".",
                "-x",
                "a b",
                "a\n",
                "\nauto a",
                "a:1",
                "ä",
                "x" * 16,
            ),
            *("a\0", "$(x)", None, 1, ["a"]),
        )
    },
    **{
        f"the address {told!r:.40}": {"serial": 1, "register": [ROW, {**ROW, "name": "b", "inet": told}]}
        for told in (
            *(
                "10.0.0.1",
                "10.0.0.1/33",
                "10.0.0.01/8",
                "fd00::1/64",
                " 10.0.0.1/8",
                "10.0.0.1/8\n\tup rm",
                "x",
            ),
            *(None, 167772161, ["10.0.0.1/8"]),
        )
    },
    **{
        f"the address {told!r}": {"serial": 1, "register": [ROW, {**ROW, "name": "b", "inet6": told}]}
        for told in ("fd00::1%x/64", "FD00::1/64", "10.0.0.1/8", "fd00::1/64\n")
    },
    **{
        f"the comment {told!r:.40}": {"serial": 1, "register": [ROW, {**ROW, "name": "b", "comment": told}]}
        for told in (
            *(
                "text",
                ["a\nauto b"],
                ["a\r"],
                ["\x1b[2J"],
                ["\u2028"],
                ["\x85"],
                ["a\\"],
                [""],
                [" "],
                [1],
                None,
            ),
            *(["x" * 256], ["\ud800"], ["a"] * 9),
        )
    },
}


@pytest.mark.parametrize("title", ODD)
def test_whatever_is_odd_is_refused_as_a_whole(
    places: Places, title: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ask(places, TWO)
    before = places.interfaces.read_bytes(), places.record.read_bytes(), left(places)
    raw = put(places, ODD[title])
    assert program.main(places, linger=0) == 1
    assert (places.interfaces.read_bytes(), places.record.read_bytes(), left(places)) == before
    told = answered(places)
    assert told["asked"] == asks.digest(raw)
    assert told["error"].startswith("refused: ")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("<3>refused: ")
    assert line.isprintable()


def huge(path: Path) -> None:
    path.write_bytes(b" " * (asks.LARGEST + 1))


def linked(path: Path) -> None:
    real = path.with_name("real")
    real.write_bytes(asks.written([ONE], 1))
    path.symlink_to(real)


def strangers(path: Path) -> None:
    path.write_bytes(asks.written([ONE], 1))
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, huge, linked, strangers])
def test_what_is_no_plain_file_of_its_user_is_not_read(places: Places, make: Callable[[Path], None]) -> None:
    make(places.asks)
    assert program.main(places, linger=0) == 1
    assert left(places) == ["interfaces"]
    assert not places.answer.exists()


def test_without_asks_there_is_nothing_to_do(places: Places) -> None:
    assert program.main(places, linger=0) == 0
    assert left(places) == ["interfaces"]


def test_the_user_who_may_ask_is_heard(places: Places) -> None:
    put(places, asks.written([ONE], 1))
    os.chown(places.asks, *(asks.pwd.getpwnam("nobody")[2:4]))
    assert program.main(places, linger=0) == 0
    assert ONE.text in places.interfaces.read_bytes()


def test_what_is_asked_meanwhile_is_heard_too(places: Places) -> None:
    """A path unit is deaf while its service runs."""
    put(places, asks.written([ONE], 1))
    with threading_main(places, linger=0.5) as running:
        wait_until(places.answer.exists, what="the first answer")
        raw = put(places, asks.written([TWO], 2))
        running.join(10)
    assert answered(places)["asked"] == asks.digest(raw)
    assert TWO.text in places.interfaces.read_bytes()


@contextmanager
def threading_main(places: Places, linger: float) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=program.main, args=(places, linger))
    thread.start()
    yield thread
    thread.join(10)
    assert not thread.is_alive()
