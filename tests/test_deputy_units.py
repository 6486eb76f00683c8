"""The deputies' units: systemd understands them, they leave little to attack, and agree with the program."""

import re
import subprocess
from pathlib import Path

import pytest

from natnetd.deputy import instances
from natnetd.deputy.__main__ import LINGER
from natnetd.deputy.places import Places
from natnetd.deputy.register import PATIENCE

UNITS = Path(__file__).parents[1] / "packaging" / "systemd"
PATH, SERVICE = UNITS / "natnetd-deputy.path", UNITS / "natnetd-deputy.service"
STARTING = UNITS / "natnetd-dnsmasq.path", UNITS / "natnetd-dnsmasq.service"
EACH = pytest.mark.parametrize(("path", "service"), [(PATH, SERVICE), STARTING], ids=["register", "dnsmasq"])


def told(unit: Path, key: str) -> str:
    """Return the one value of a key; it must be there once."""
    (value,) = re.findall(rf"^{key}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)
    return str(value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the root of a system that has the units, and what they name."""
    for name in ("usr/bin/python3", "usr/bin/true"):
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n", "ascii")
        program.chmod(0o755)
    place = tmp_path / "etc/systemd/system"
    place.mkdir(parents=True)
    for name in ("sysinit.target", "basic.target", "shutdown.target", "paths.target"):
        (place / name).write_text("[Unit]\nDefaultDependencies=no\n", "ascii")
    for unit in (PATH, SERVICE, *STARTING):
        (place / unit.name).write_bytes(unit.read_bytes())
    return tmp_path


def verified(root: Path, path: Path = PATH) -> "subprocess.CompletedProcess[str]":
    words = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", f"--root={root}", path.name)
    return subprocess.run(words, capture_output=True, text=True, check=False)


@EACH
def test_systemd_understands_them(root: Path, path: Path, service: Path) -> None:
    assert path.stem == service.stem
    done = verified(root, path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", [PATH, SERVICE], ids=lambda unit: unit.suffix)
def test_a_mistake_would_be_seen(root: Path, unit: Path) -> None:
    wrong = root / "etc/systemd/system" / unit.name
    wrong.write_text(
        re.sub(r"^(\w+)LimitIntervalSec=", r"\1LimitsIntervalSec=", wrong.read_text(), flags=re.MULTILINE)
    )
    assert "LimitsIntervalSec" in verified(root).stderr


@EACH
def test_they_leave_little_to_attack(path: Path, service: Path) -> None:
    assert path.stem == service.stem
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=7", str(service)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_they_name_the_places_of_the_program() -> None:
    places = Places()
    assert told(PATH, "PathChanged") == str(places.asks)
    assert f"/run/{told(SERVICE, 'RuntimeDirectory')}" == str(places.answer.parent)
    assert f"/var/lib/{told(SERVICE, 'StateDirectory')}" == str(places.record.parent)
    assert told(SERVICE, "ReadWritePaths") == f"-{places.interfaces.parent}"
    assert told(SERVICE, "ExecStart").endswith(" -m natnetd.deputy")


def test_they_name_the_places_of_the_one_that_starts_dnsmasq() -> None:
    places, (path, service) = Places().of_verb("dnsmasq"), STARTING
    assert told(path, "PathChanged") == str(places.asks)
    assert f"/run/{told(service, 'RuntimeDirectory')}" == str(places.answer.parent)
    assert told(service, "ExecStart").endswith(" -m natnetd.deputy dnsmasq")
    assert int(told(service, "TimeoutStartSec")) > 3 * instances.PATIENCE


@EACH
def test_no_number_of_asks_makes_them_fail_for_good(path: Path, service: Path) -> None:
    """systemd.unit(5) and systemd.path(5): a limit that is hit leaves the path unit failed."""
    assert told(service, "StartLimitIntervalSec") == "0"
    assert told(path, "TriggerLimitIntervalSec") == "0"
    assert LINGER > 0


def test_it_has_no_capability_and_time_enough_for_the_lock() -> None:
    assert told(SERVICE, "CapabilityBoundingSet") == ""
    assert int(told(SERVICE, "TimeoutStartSec")) > PATIENCE
    # The answer and the record are read by the service's user.
    assert (told(SERVICE, "RuntimeDirectoryMode"), told(SERVICE, "StateDirectoryMode")) == ("0755", "0755")
    assert told(SERVICE, "RuntimeDirectoryPreserve") == "yes"
