"""`make bench` in small: a row comes out; what it says is the machine's affair, not a test's."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def bench(*words: str) -> str:
    """Run it, in a process of its own: it goes into namespaces for good."""
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_forwards_stand_beside_none() -> None:
    told = bench("forwards", "--sizes", "1", "--runs", "2", "--brief").splitlines()
    assert [line for line in told if line.startswith("deleted set element, 1,000 forwards")]
    assert [line for line in told if line.startswith("deleted forward")]


def test_a_row_has_natnetd_beside_its_floor() -> None:
    told = bench("repair", "--sizes", "1", "--runs", "2", "--brief").splitlines()
    row = next(line for line in told if line.startswith("deleted set element"))
    assert "floor" in row.split()
    assert any("repair: deleted set element, 1 network" in line for line in told)
