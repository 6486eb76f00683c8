"""The root deputy and its files: locks, strange files, deaths in the middle."""

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deputies import HOST, ONE, answered, ask, left, put, small_world

from natnetd.deputy import asks, files
from natnetd.deputy.places import Places
from natnetd.deputy.register import recorded, register
from natnetd.errors import HostError


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return small_world(tmp_path)


@contextmanager
def held(places: Places) -> Iterator[None]:
    """Hold Proxmox VE's lock, as its API does."""
    with places.lock.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def test_the_lock_is_waited_for(places: Places) -> None:
    with held(places):
        thread = threading.Thread(target=register, args=([ONE], places))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert places.interfaces.read_bytes() == HOST
    thread.join(10)
    assert ONE.text in places.interfaces.read_bytes()


def test_the_lock_is_not_waited_for_without_end(places: Places) -> None:
    with held(places), pytest.raises(HostError, match="somebody holds this lock"):
        register([ONE], places, patience=0.1)


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    subprocess.run(["chattr", "+i", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_an_immutable_file_is_an_error_and_stays(places: Places) -> None:
    with immutable(places.interfaces):
        assert ask(places, ONE) == 1
    assert places.interfaces.read_bytes() == HOST
    assert left(places) == [".pve-interfaces.lock", "interfaces", "interfaces.natnetd-backup"]
    assert "Operation not permitted (is it immutable? see lsattr" in answered(places)["error"]


@pytest.mark.parametrize("make", [Path.mkdir, lambda p: p.symlink_to(p.name), os.mkfifo, lambda _: None])
def test_what_is_no_file_is_an_error(places: Places, make: Callable[[Path], None]) -> None:
    places.interfaces.unlink()
    make(places.interfaces)
    assert ask(places, ONE) == 1
    assert str(places.interfaces) in answered(places)["error"]


def test_nothing_to_take_out_of_no_file_is_no_error(places: Places) -> None:
    ask(places, ONE)
    places.interfaces.unlink()
    assert ask(places) == 0
    assert recorded(places) == {}


def test_who_writes_without_the_lock_loses_nothing(places: Places) -> None:
    """Proxmox VE's Apply renames without its lock; the file is read again then."""
    text = files.read(places.interfaces)
    assert text is not None
    fresh = places.interfaces.with_name("x")
    fresh.write_bytes(HOST + b"# theirs\n")
    fresh.replace(places.interfaces)
    with pytest.raises(files.ChangedError):
        files.replace(text, b"ours")
    assert places.interfaces.read_bytes() == HOST + b"# theirs\n"
    places.interfaces.unlink()
    with pytest.raises(files.ChangedError):
        files.replace(text, b"ours")
    assert left(places) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from natnetd.deputy import files
from natnetd.deputy.places import Places
from natnetd.deputy.register import register
from natnetd.deputy.stanzas import Entry
files.unchanged = lambda text: os.kill(os.getpid(), signal.SIGKILL)
register([Entry("vmbr1", "10.0.0.1/16", "", ("Internal network",))], Places.under(Path(sys.argv[1])))
"""


def test_a_kill_before_the_rename_leaves_the_old_file_and_heals(places: Places, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert places.interfaces.read_bytes() == HOST
    assert ".interfaces.natnetd-new" in left(places)
    ask(places, ONE)
    assert places.interfaces.read_bytes() == HOST + b"\n" + ONE.text + b"\n"
    assert ".interfaces.natnetd-new" not in left(places)


def test_the_program_runs_by_itself(places: Places, tmp_path: Path) -> None:
    put(places, asks.written([ONE], 1))
    env = {"NATNETD_ROOT": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-m", "natnetd.deputy"], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert ONE.text in places.interfaces.read_bytes()
    loaded = "import sys; import natnetd.deputy.__main__; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", loaded], env=env, capture_output=True, check=True, text=True)
    ours = {name for name in told.stdout.split() if name.startswith("natnetd")}
    assert {name for name in ours if not name.startswith("natnetd.deputy")} == {"natnetd", "natnetd.errors"}
