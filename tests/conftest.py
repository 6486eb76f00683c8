"""Fixtures: a fresh host in a network namespace of its own for each test, and the lab's world around it."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from networks import Networks

from natnetd.lab.netns import Namespace
from natnetd.lab.sandbox import Sandbox, private
from natnetd.lab.world import World


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """Hide this process (each of pytest-xdist's) from the machine before its first test of the kernel."""
    if os.geteuid() != 0:
        pytest.fail("the tests need root (they make network namespaces): use sudo", pytrace=False)
    return private()


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
def net(world: World) -> Iterator[Networks]:
    """Have natnetd at hand on that host."""
    with Networks.of(world) as networks:
        yield networks
