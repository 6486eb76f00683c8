"""The service and its place: one for each network namespace, few rights, full disks, no watches left."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import ONE, TWO, converged, kernel, natnetd, reloaded, run, start, undone, written

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.linux.lock import SIGN, holder

NOBODY = 65534
USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
UNIT = (
    *USER,
    "--inh-caps=-all,+net_admin",
    "--ambient-caps=-all,+net_admin",
    "--bounding-set=-all,+net_admin",
)
RIGHTLESS = (*USER, "--inh-caps=-all", "--bounding-set=-all")
TAMED_ROOT = ("setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin")

HARM = """
nft delete table inet natnetd
ip address del 10.0.0.1/16 dev vmbr1
ip link del vmbr2
echo 0 >/proc/sys/net/ipv4/ip_forward
"""
SQUAT = """
import socket
sign = socket.socket(socket.AF_UNIX)
sign.bind(b"\\0natnetd"); sign.listen()
print(flush=True); input()
"""
HOARD = """
import ctypes, resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
libc = ctypes.CDLL(None)
while libc.inotify_init() >= 0: pass
print(flush=True); input()
"""


def nobodys(directory: Path, user: int = NOBODY) -> Path:
    """Give the service's directories to the user it runs as, as systemd does."""
    for name in ("run", "state"):
        (directory / name).mkdir()
        os.chown(directory / name, user, user)
    return directory


@contextmanager
def nobody(host: Namespace, program: str, rightless: tuple[str, ...] = RIGHTLESS) -> Iterator[int]:
    """Run Python as a user without rights, from its first line of output until the end; tells its pid."""
    command = [*rightless, sys.executable, "-c", program]
    with host.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def refused(host: Namespace, directory: Path, command: tuple[str, ...] = ()) -> str:
    """Start a service that must end by itself with 1; return the one line it says."""
    second = Service(host, directory / "natnetd.yaml", directory / "second", command=command)
    with second:
        assert second.process.wait(10) == 1
        assert "READY=1" not in second.heard()
    (line,) = second.lines()
    return line


# --- one for each network namespace


def test_a_second_service_ends_and_names_the_first(host: Namespace, directory: Path) -> None:
    with start(host, directory) as first:
        line = refused(host, directory)
        assert line == f"natnetd: natnetd[{first.process.pid}] keeps this host's networks"
        assert first.process.poll() is None
    with start(host, directory):  # the lock went with its owner
        assert undone(directory) == ()


@pytest.mark.parametrize(
    ("verb", "instead"), [("apply", "systemctl reload natnetd"), ("teardown", "systemctl stop natnetd")]
)
def test_verbs_that_change_leave_it_to_the_service(
    host: Namespace, directory: Path, verb: str, instead: str
) -> None:
    with start(host, directory) as service:
        before = kernel(host)
        done = run(directory, verb)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"natnetd[{service.process.pid}] keeps this host's networks: " in done.stderr
        assert instead in done.stderr
        assert kernel(host) == before


def test_another_network_namespace_is_another_host(host: Namespace, directory: Path) -> None:
    with start(host, directory), Namespace.new("other") as other:
        there = directory / "there"
        there.mkdir()
        with start(other, there, TWO) as second:
            assert other.run(holder) == second.process.pid
            assert "vmbr2" in other.check(["ip", "link"])
            assert "vmbr2" not in host.check(["ip", "link"])


def test_a_user_who_takes_the_signs_name_stops_nothing_and_is_not_believed(
    host: Namespace, directory: Path
) -> None:
    with nobody(host, SQUAT) as squatter:
        assert holder() is None
        with start(host, directory) as service:
            assert reloaded(service) == []
            assert converged(directory)
            line = refused(host, directory)
            assert line == "natnetd: another natnetd keeps this host's networks"
            assert str(squatter) not in line
            assert "no daemon is running" in natnetd(directory, "status", code=2)


def test_the_service_is_found_however_often_it_is_asked_for(host: Namespace, directory: Path) -> None:
    with start(host, directory) as service:
        assert {holder() for _ in range(300)} == {service.process.pid}
        with socket.socket(socket.AF_UNIX) as asker:
            asker.connect(SIGN)
            assert asker.recv(1) == b""  # let go at once
    assert holder() is None


# --- few rights


def test_it_keeps_everything_true_as_a_user_with_one_capability(world: World, directory: Path) -> None:
    with start(world.host, nobodys(directory), TWO, command=UNIT) as service:
        status = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
        assert f"Uid:\t{NOBODY}\t{NOBODY}" in status
        assert "CapEff:\t0000000000001000" in status
        assert undone(directory) == ()
        world.guest("web", "vmbr2", "10.20.0.2/24")
        world.host.check(["sh", "-ec", HARM])
        assert converged(directory)
        for words in (
            "+ nft table",
            "+ address 10.0.0.1/16",
            "port veth100i0 on vmbr2",
            "ip_forward value 0 → 1",
        ):
            service.wait_line(words)
        assert natnetd(directory, "status").startswith(f"natnetd[{service.process.pid}] keeps ")
        assert service.stop() == 0
        assert (service.state / "counters.json").stat().st_uid == NOBODY


@pytest.mark.parametrize("command", [RIGHTLESS, TAMED_ROOT], ids=["user", "root"])
def test_without_the_capability_it_says_so_in_one_line(
    host: Namespace, directory: Path, command: tuple[str, ...]
) -> None:
    written(directory)
    line = refused(host, directory, command)
    assert line == "natnetd: needs CAP_NET_ADMIN: run it as root or by its systemd unit"


# --- disks and watches


@pytest.mark.parametrize("how", ["full", "read-only", "missing"])
def test_a_disk_that_cannot_be_written_stops_nothing(world: World, directory: Path, how: str) -> None:
    state, host = directory / "state", world.host
    with mounted(state, "size=4k" if how == "full" else "size=1m"):
        if how == "full":
            (state / "fill").write_bytes(b"x" * 4096)
        elif how == "read-only":
            host.check(["mount", "-o", "remount,ro", str(state)])
        env = {"STATE_DIRECTORY": "/proc/nowhere"} if how == "missing" else {}
        with start(host, directory, TWO, env=env) as service:
            host.check(["sh", "-ec", HARM])
            service.wait_line("drift: + nft table")
            assert converged(directory)
            assert reloaded(service) == []
            complaints = [line for line in service.lines() if "cannot write" in line]
            assert len(complaints) == len(set(complaints)) == 2, complaints
            assert natnetd(directory, "status").startswith(f"natnetd[{service.process.pid}]")


def test_without_a_place_for_the_status_it_is_looked_up(world: World, directory: Path) -> None:
    with mounted(directory / "run", "size=4k"):
        (directory / "run" / "fill").write_bytes(b"x" * 4096)
        with start(world.host, directory) as service:
            assert len([line for line in service.lines() if "status.json: No space left" in line]) == 1
            assert "this is a look at the host: 1 network in sync" in natnetd(directory, "status")


def test_the_first_directory_of_systemds_lists_is_used(host: Namespace, directory: Path) -> None:
    lists = {
        "RUNTIME_DIRECTORY": f"{directory}/r1:{directory}/r2",
        "STATE_DIRECTORY": f"{directory}/s1:{directory}/s2",
    }
    with start(host, directory, env=lists):
        assert (directory / "r1" / "status.json").exists()
        assert (directory / "s1" / "last-good.yaml").read_text("utf-8") == ONE
        assert not (directory / "r2").exists() | (directory / "s2").exists()


def test_broken_state_is_said_and_overwritten(host: Namespace, directory: Path) -> None:
    (directory / "state").mkdir()
    (directory / "state" / "counters.json").write_text('{"last": 7}', "utf-8")
    with start(host, directory) as service:
        assert "natnetd: the counters in " in service.lines()[0]
        assert "start from zero" in service.lines()[0]
        assert service.stop() == 0
        assert (service.state / "counters.json").read_text("utf-8") != '{"last": 7}'


def test_without_watches_the_file_is_read_on_request(world: World, directory: Path) -> None:
    rightless, unit = (tuple(w.replace(str(NOBODY), "65533") for w in words) for words in (RIGHTLESS, UNIT))
    place = nobodys(directory, 65533)  # watches are counted by user, and other tests run as nobody
    with nobody(world.host, HOARD, rightless), start(world.host, place, ONE, command=unit) as service:
        assert "cannot watch" in service.lines()[0]
        written(directory, TWO)
        service.send(signal.SIGHUP)
        service.wait_line("reload: + bridge vmbr2")


def test_a_file_that_may_not_be_read_is_taken_once_it_may(world: World, directory: Path) -> None:
    path = written(directory)
    path.chmod(0o600)
    with Service(world.host, path, nobodys(directory), command=UNIT).wait_ready() as service:
        assert "may not be read by this user" in service.lines()[0]
        path.chmod(0o644)
        service.wait_line("reload: + bridge vmbr1")
        wait_until(lambda: "STATUS=1 network in sync" in service.heard(), what="the file to be in force")
