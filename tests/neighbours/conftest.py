"""Real programs beside the real service, each in an overlay over this machine's root; `make neighbours`."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from overlay import Place, Program

from natnetd.lab.sandbox import Sandbox, private
from natnetd.lab.world import World

LAYER = Path(__file__).with_name("layer.sh")
SEEN: list[tuple[str, str]] = []

Installed = Callable[..., Path]


@pytest.fixture(scope="session")
def machine() -> Iterator[tuple[int, ...]]:
    """Keep a way back to the machine's own namespaces, where packages come from."""
    found = tuple(os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt"))
    yield found
    for fd in found:
        os.close(fd)


@pytest.fixture(scope="session")
def sandbox(machine: tuple[int, ...]) -> Sandbox:  # noqa: ARG001  # first the one, then the other
    """Hide from the machine."""
    if os.geteuid() != 0:
        pytest.fail("needs root: use sudo", pytrace=False)
    return private()


@pytest.fixture(scope="session")
def installed(machine: tuple[int, ...]) -> Iterator[Installed]:
    """Install packages into a layer, once; skip where that cannot be.

    NATNETD_NEIGHBOURS names a directory that keeps layers from one run to the next.
    """
    net, mnt = machine
    kept = os.environ.get("NATNETD_NEIGHBOURS", "")
    with TemporaryDirectory(dir="/var/tmp", prefix="natnetd-neighbours.", ignore_cleanup_errors=True) as temp:

        def install(name: str, *packages: str) -> Path:
            layer = Path(kept or temp, name)
            if not (layer / "done").exists():
                layer.mkdir(parents=True, exist_ok=True)
                enter = ["nsenter", f"--net=/proc/self/fd/{net}", f"--mount=/proc/self/fd/{mnt}"]
                done = subprocess.run(
                    [*enter, str(LAYER), str(layer), *packages],
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=600,
                    pass_fds=machine,
                )
                if done.returncode != 0:
                    reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                    pytest.skip(f"cannot install {' '.join(packages)}: {' '.join(reason)}")
                (layer / "done").touch()
            return layer / "upper"

        yield install


@pytest.fixture
def place(world: World, directory: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give the test a host with one guest, and at the end tell what was seen."""
    with Place.of(world, directory) as place:
        yield place
        SEEN.extend((request.node.name.removeprefix("test_"), line) for line in place.seen)


@pytest.fixture
def program(installed: Installed, place: Place) -> Iterator[Callable[..., Program]]:
    """Put the root with a program's packages together."""
    opened: list[Program] = []

    def make(name: str, *packages: str) -> Program:
        layer = installed(name, *packages) if packages else None
        opened.append(Program.over(layer, place))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what each neighbour did."""
    terminalreporter.section("neighbours")
    for name, line in SEEN:
        terminalreporter.write_line(f"{name:34} {line}")
