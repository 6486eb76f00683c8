"""The unit file: systemd understands every line, and what it seals stays sealed."""

import re
import subprocess
from pathlib import Path

import pytest

from natnetd.cli import VERBS
from natnetd.state import RUNTIME_DIRECTORY, STATE_DIRECTORY

UNIT = Path(__file__).parents[1] / "packaging" / "systemd" / "natnetd.service"


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the root of a system that has the binaries the unit names."""
    for path in ("/usr/bin/natnetd", "/usr/bin/kill", "/bin/kill", "/usr/bin/true"):
        program = tmp_path / path[1:]
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n", "ascii")
        program.chmod(0o755)
    place = tmp_path / "etc/systemd/system"
    place.mkdir(parents=True)
    for name in ("sysinit.target", "basic.target", "shutdown.target", "multi-user.target"):
        (place / name).write_text("[Unit]\nDefaultDependencies=no\n", "ascii")
    return tmp_path


def verified(root: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (root / "etc/systemd/system/natnetd.service").write_text(text, "utf-8")
    return analyze("verify", "--man=no", "--recursive-errors=no", f"--root={root}", "natnetd.service")


def test_systemd_understands_the_unit(root: Path) -> None:
    done = verified(root, UNIT.read_text("utf-8"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_in_the_unit_would_be_seen(root: Path) -> None:
    wrong = UNIT.read_text("utf-8").replace("NoNewPrivileges=yes", "NoNewPrivilege=yes")
    assert verified(root, wrong).returncode != 0


def test_the_unit_leaves_little_to_attack() -> None:
    done = analyze("security", "--offline=yes", "--threshold=17", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_the_unit_names_verbs_and_directories_that_exist() -> None:
    text = UNIT.read_text("utf-8")
    started = re.findall(r"^Exec\w+=/usr/bin/natnetd (\w+)", text, re.MULTILINE)
    assert started == ["run", "check"]
    assert set(started) <= set(VERBS)
    assert f"/run/{re.search(r'^RuntimeDirectory=(.+)$', text, re.MULTILINE)[1]}" == RUNTIME_DIRECTORY  # type: ignore[index]
    assert f"/var/lib/{re.search(r'^StateDirectory=(.+)$', text, re.MULTILINE)[1]}" == STATE_DIRECTORY  # type: ignore[index]


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "KillMode=mixed",
        "AmbientCapabilities=CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "ReadWritePaths=/proc/sys/net",
    ],
)
def test_what_the_service_cannot_do_without_is_there(line: str) -> None:
    assert line in UNIT.read_text("utf-8").splitlines()
