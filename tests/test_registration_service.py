"""The real service and Proxmox VE's list: without rights it asks the deputy, as root it writes itself."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import NATNETD, ONE, reloaded, start, written
from test_daemon_place import NOBODY, UNIT, nobodys
from test_deputy import HOST

from natnetd.deputy import __main__ as program
from natnetd.deputy import asks, files
from natnetd.deputy.places import Places
from natnetd.deputy.stanzas import Entry
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World

IN_OPEN = 0x20
REGISTER = f"proxmox: {{register: true}}\n{ONE}"
ENTRY = Entry("vmbr1", "10.0.0.1/16", "", ("Internal network",))
MINE = HOST + b"\n" + ENTRY.text + b"\n"


@dataclass
class Office:
    """Proxmox VE's files in a world of their own, and a deputy that answers when it is called."""

    directory: Path
    places: Places

    @property
    def env(self) -> Mapping[str, str]:
        return {"NATNETD_ROOT": str(self.directory / "root")}

    def text(self) -> bytes:
        return self.places.interfaces.read_bytes()

    def put(self, raw: bytes, *, pending: bool = False) -> None:
        """Write aside and rename, as Proxmox VE does."""
        path = self.places.pending if pending else self.places.interfaces
        fresh = path.with_name(f"{path.name}.tmp.1")
        fresh.write_bytes(raw)
        fresh.rename(path)

    def deputy(self) -> bool:
        """Be the path unit once: answer if there is something to answer."""
        if not self.places.asks.exists():
            return False
        raw = self.places.asks.read_bytes()
        if self.places.answer.exists() and asks.digest(raw).encode() in self.places.answer.read_bytes():
            return False
        program.main(self.places, linger=0)
        return True

    def becomes(self, raw: bytes, what: str) -> None:
        """Wait for the file to be so, with the deputy at work."""

        def there() -> bool:
            self.deputy()
            return self.text() == raw

        wait_until(there, 15, what=what)


@pytest.fixture
def office(directory: Path) -> Office:
    places = Places.under(directory / "root", owner="nobody")
    for path in (places.interfaces, places.asks, places.answer, places.mounts):
        path.parent.mkdir(parents=True)
    places.interfaces.write_bytes(HOST)
    places.mounts.write_bytes(Path("/proc/self/mountinfo").read_bytes())
    os.chown(places.asks.parent, NOBODY, NOBODY)
    return Office(nobodys(directory), places)


@contextmanager
def serving(world: World, office: Office, text: str = REGISTER, *, root: bool = False) -> Iterator[Service]:
    command = () if root else UNIT
    with start(world.host, office.directory, text, command=command, env=office.env) as service:
        yield service


def stat_of(office: Office) -> list[object]:
    """The versions of everything that somebody could write."""
    paths = (office.places.interfaces, office.places.asks, office.places.record, office.places.answer)
    return [files.version(path.stat()) if path.exists() else None for path in paths]


@pytest.mark.parametrize("root", [False, True], ids=["by the deputy", "as root"])
def test_networks_come_are_repaired_and_go(world: World, office: Office, root: bool) -> None:
    with serving(world, office, root=root) as service:
        office.becomes(MINE, "the stanza")
        # Somebody changes the address in the UI, and applies.
        after = len(service.lines())
        office.put(MINE.replace(b"10.0.0.1/16", b"10.0.0.9/16"))
        office.becomes(MINE, "the repair")
        drift = "drift: ~ registration vmbr1 in interfaces address 10.0.0.9/16 → 10.0.0.1/16; repaired"
        service.wait_line(drift, after=after)
        # Somebody removes it, and it is only pending.
        office.put(HOST, pending=True)
        wait_until(
            lambda: office.deputy() or office.places.pending.read_bytes() == MINE, 15, what="the pending file"
        )
        service.wait_line("drift: + registration vmbr1 in interfaces.new; repaired", after=after)
        office.places.pending.unlink()
        written(office.directory, "metrics: false\nnetworks: {}\nproxmox: true\n")
        office.becomes(HOST, "the end of the stanza")
        service.wait_line("reload: - registration vmbr1 in interfaces; done")
        assert not [line for line in service.lines() if "failed" in line]
        assert office.places.asks.exists() is not root


def test_a_stanza_of_somebody_else_is_left_alone_and_told(world: World, office: Office) -> None:
    theirs = HOST + b"\nauto vmbr1\niface vmbr1 inet manual\n\tbridge-ports none\n"
    office.put(theirs)
    note = (
        f"i note vmbr1: not registered with Proxmox VE: {office.places.interfaces}:12 speaks of vmbr1 already"
    )
    with serving(world, office) as service:
        service.wait_line(note)
        assert "STATUS=1 network in sync" in service.heard()
        assert not office.places.asks.exists()
        assert office.text() == theirs
        # As soon as it is gone, ours comes.
        office.put(HOST)
        office.becomes(MINE, "the stanza")


def opened(fd: int) -> bool:
    """Whether a file was opened since the last question (inotify(7))."""
    try:
        return bool(os.read(fd, 1 << 16))
    except BlockingIOError:
        return False


def test_nothing_is_written_or_read_at_rest(world: World, office: Office) -> None:
    """A look at everything asks the files' versions only; a change is read."""
    with serving(world, office) as service:
        office.becomes(MINE, "the stanza")
        wait_until(lambda: not office.deputy(), what="the last answer")
        before = stat_of(office)
        libc = ctypes.CDLL(None)
        fd = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(fd, os.fsencode(office.places.interfaces.parent), IN_OPEN) > 0

        def quiet() -> bool:
            opened(fd)
            return reloaded(service) == [] and not opened(fd)

        wait_until(quiet, what="a look that reads nothing, once the files have settled")
        assert stat_of(office) == before
        os.utime(office.places.interfaces)
        wait_until(lambda: opened(fd), what="the file to be read")
        os.close(fd)


def test_without_an_answer_it_says_so_and_goes_on_once_there_is_one(world: World, office: Office) -> None:
    with serving(world, office) as service:
        service.wait_line("failed: natnetd-deputy has not answered", deadline=20)
        wait_until(
            lambda: any("vmbr1 failed" in word for word in service.heard()), what="the state to be failed"
        )
        office.becomes(MINE, "the stanza")
        wait_until(lambda: service.heard()[-1] == "STATUS=1 network in sync", what="the state to be in sync")


def test_what_the_deputy_refuses_is_said(world: World, office: Office) -> None:
    with serving(world, office) as service:
        subprocess.run(["chattr", "+i", str(office.places.interfaces)], check=True)
        try:
            wait_until(
                lambda: office.deputy() or any("immutable" in line for line in service.lines()),
                what="the refusal",
            )
        finally:
            subprocess.run(["chattr", "-i", str(office.places.interfaces)], check=True)
        office.becomes(MINE, "the stanza")
        wait_until(lambda: service.heard()[-1] == "STATUS=1 network in sync", what="the state to be in sync")


def test_auto_asks_nothing_where_there_is_no_proxmox(world: World, office: Office) -> None:
    with serving(world, office, ONE) as service:
        service.wait_line("ready")
        assert not office.places.asks.exists()
    mounted = b"99 1 0:50 / /etc/pve rw,relatime shared:1 - fuse /dev/fuse rw,user_id=0\n"
    with office.places.mounts.open("ab") as stream:
        stream.write(mounted)
    with serving(world, office, ONE):
        office.becomes(MINE, "the stanza")


@pytest.mark.usefixtures("world")
def test_apply_and_teardown_do_it_themselves(office: Office) -> None:
    config = written(office.directory, REGISTER)
    env = {**os.environ, **office.env}

    def verb(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [*NATNETD, "--config", str(config), *words], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout

    assert "+ registration vmbr1 in interfaces" in verb("plan", code=2)
    assert office.text() == HOST
    assert "+ registration vmbr1 in interfaces" in verb("apply")
    assert office.text() == MINE
    assert verb("plan") == "nothing to do\n"
    assert "- registration vmbr1 in interfaces" in verb("teardown")
    assert office.text() == HOST
    assert not office.places.asks.exists()


MACHINE = """
from pathlib import Path
from natnetd.lab import libc
from natnetd.lab.sandbox import private
libc.unshare(libc.CLONE_NEWNS)
libc.mount("none", "/", "", libc.MS_REC | libc.MS_PRIVATE)
libc.mount("tmpfs", "/etc", "tmpfs", 0)
for name in ("network", "pve"):
    Path("/etc", name).mkdir()
Path("/etc/network/interfaces").write_text("mine")
libc.mount("tmpfs", "/etc/pve", "tmpfs", 0)
private()
assert "/etc/pve" not in Path("/proc/self/mountinfo").read_text()
assert list(Path("/etc/network").iterdir()) == []
Path("/etc/network/interfaces").write_text("the lab's")
libc.unmount("/etc/network")
assert Path("/etc/network/interfaces").read_text() == "mine"
"""


def test_the_lab_never_writes_into_the_files_of_a_proxmox_host() -> None:
    subprocess.run([sys.executable, "-c", MACHINE], check=True)
