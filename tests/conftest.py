"""Fixtures: a fresh host in a network namespace of its own for each test, and the lab's world around it."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from networks import Networks
from running import at_home
from stage import Stage

from natnetd.lab import libc
from natnetd.lab.netns import Namespace
from natnetd.lab.sandbox import Sandbox, private
from natnetd.lab.world import World

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("natnetd", deadline=None)  # no test depends on a millisecond
settings.load_profile("natnetd")


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """Hide this process (each of pytest-xdist's) from the machine before its first test of the kernel."""
    if os.geteuid() != 0:
        pytest.fail("the tests need root (they make network namespaces): use sudo", pytrace=False)
    made = private()
    open_way(ROOT)
    return made


def open_way(tree: Path) -> None:
    """Let every user reach the tree, in this mount namespace: one cloned into /root is closed to them."""
    closed = next((path for path in reversed(tree.parents) if not path.stat().st_mode & stat.S_IXOTH), None)
    if closed is None:
        return
    aside = Path("/run/natnetd-tree")
    aside.mkdir()
    libc.mount(str(tree), str(aside), "", libc.MS_BIND)
    libc.mount("tmpfs", str(closed), "tmpfs", 0)
    closed.chmod(0o755)
    tree.mkdir(parents=True)
    libc.mount(str(aside), str(tree), "", libc.MS_BIND)


@pytest.fixture
def host(sandbox: Sandbox) -> Iterator[Namespace]:
    """Put the test into an empty host; everything in it is gone afterwards."""
    with sandbox.fresh_host() as host:
        yield host


@pytest.fixture
def directory(host: Namespace) -> Iterator[Path]:  # noqa: ARG001  # /run is private from then on
    """Make a directory that every user may enter, for the service's file, log and state."""
    with TemporaryDirectory(dir="/run", prefix="natnetd.", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def world(host: Namespace) -> Iterator[World]:
    """Give the host an uplink, and somebody outside."""
    with World(host) as world:
        yield world


@pytest.fixture
def places(directory: Path) -> Iterator[None]:
    """Keep the dnsmasq of this process's own passes in the test's directory; to be asked for before `net`."""
    with at_home(directory):
        yield


@pytest.fixture
def net(world: World) -> Iterator[Networks]:
    """Have natnetd at hand on that host."""
    with Networks.of(world) as networks:
        yield networks


@pytest.fixture
def stage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Stage:
    """Set the stage; the log is kept."""
    caplog.set_level(logging.INFO)
    return Stage(tmp_path)
