"""Machines with the package in them, for Debian 12 and 13; `make boot-test`, and README.md here."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import places
import pytest
from host import UNITS, Surroundings
from machine import CommandError, Machine

SUITES = ("bookworm", "trixie")
LIVE: list[Machine] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI demand that nothing is skipped."""
    parser.addoption(
        "--must-boot", action="store_true", help="fail where no machine can be made, do not skip"
    )
    parser.addoption("--deb", type=Path, help="test this package, not one that is built of the tree")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Throw the last run's journals away."""
    if not hasattr(session.config, "workerinput"):
        for old in places.BUILD.glob("*.journal"):
            old.unlink()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on both, each by one worker of pytest-xdist only: the package is installed once then."""
    if "suite" in metafunc.fixturenames:
        marked = [pytest.param(suite, marks=pytest.mark.xdist_group(suite)) for suite in SUITES]
        metafunc.parametrize("suite", marked, scope="session")


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Path:
    """Find out whether machines can be made here at all."""
    where, why = places.place() if os.geteuid() == 0 else (None, "not root: use sudo")
    if where is None and request.config.getoption("--must-boot"):
        pytest.fail(f"cannot boot a machine here: {why}", pytrace=False)
    if where is None:
        pytest.skip(f"cannot boot a machine here: {why}")
    return where


@pytest.fixture(scope="session")
def deb(request: pytest.FixtureRequest, place: Path) -> Path:  # noqa: ARG001  # building it takes long
    """Give the package."""
    given: Path | None = request.config.getoption("--deb")
    return given or places.package()


@pytest.fixture(scope="session")
def root(suite: str, place: Path) -> Path:  # noqa: ARG001
    """Give the suite's root file system."""
    return places.rootfs(suite)


@pytest.fixture(scope="session")
def installed(suite: str, root: Path, place: Path, deb: Path) -> Iterator[Path]:
    """Install the package once, with what stands for the rest of a virtualization host; give that layer."""
    with Machine.make(suite, root, place=place) as machine:
        with alive(machine):
            for name, text in UNITS.items():
                machine.write(f"/etc/systemd/system/{name}", text)
            machine.run("systemctl", "enable", *UNITS)
            machine.run("apt-get", "install", "-qy", machine.copy(deb))
            machine.power_off()
        yield machine.home / "upper"


@pytest.fixture
def bare(suite: str, root: Path, place: Path) -> Iterator[Machine]:
    """Boot a machine that has never heard of natnetd."""
    with Machine.make(suite, root, place=place) as machine, alive(machine):
        yield machine


@pytest.fixture
def machine(suite: str, installed: Path, root: Path, place: Path) -> Iterator[Machine]:
    """Boot a machine on which the package was installed; its file asks for nothing."""
    with Machine.make(suite, installed, root, place=place) as machine, alive(machine):
        yield machine


@pytest.fixture
def around(machine: Machine) -> Iterator[Surroundings]:
    """Give the machine one network, with a guest in it and somebody outside."""
    with Surroundings.of(machine) as around:
        yield around


@contextmanager
def alive(machine: Machine) -> Iterator[None]:
    """Boot it, and keep it in mind for the case that the test fails."""
    try:
        machine.boot()
        LIVE.append(machine)
        yield
    except (
        CommandError,
        TimeoutError,
    ) as error:  # in a fixture: the machine will be gone when pytest reports
        raise CommandError(f"{error}\n{kept(machine, machine.name)}") from error
    finally:
        LIVE.clear()


def kept(machine: Machine, name: str) -> str:
    """Keep its journal and tell where."""
    path = places.BUILD / f"{name}.journal"
    try:
        machine.keep_journal(path)
    except (OSError, subprocess.SubprocessError) as error:
        return f"its journal could not be kept: {error}"
    return f"its journal, of all boots: {path.relative_to(places.ROOT)}"


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Any:
    """Take a line for the summary."""

    def take(text: str) -> None:
        request.node.user_properties.append(("seen", f"{request.node.name}: {text}"))

    return take


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Keep the journal of a machine that failed, and say where."""
    report = (yield).get_result()
    if report.failed and LIVE:
        name = re.sub(r"\W+", "-", item.name).strip("-")
        report.sections.append(("machine", kept(LIVE[-1], name)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was seen."""
    terminalreporter.section("seen")
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call":
            name = report.nodeid.rpartition("::")[2].partition("@")[0]
            terminalreporter.write_line(f"{report.duration:5.1f} s  {name}")
            for _, text in report.user_properties:
                terminalreporter.write_line(f"         {text.partition(': ')[2]}")
