"""The tests themselves: one that is killed leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

from machine import SHORT

from natnetd.lab.wait import wait_until

BOOTED = """
import sys
from pathlib import Path
from machine import Machine
machine = Machine.make("killed", Path(sys.argv[1]), place=Path(sys.argv[2])).boot()
print(machine.home, machine.name, machine.leader, machine.process.pid, flush=True)
machine.run("sleep", "infinity", deadline=600)
"""


def mine(name: str) -> list[str]:
    """Return the command lines on this whole machine in which a name stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [str(path)] if f"name={name}".encode() in path.read_bytes().split(b"\0") else []
        except OSError:  # ended meanwhile
            continue
    return found


def cgroups(name: str) -> list[str]:
    """Return a machine's groups; `os.walk` passes over those that other machines take away meanwhile."""
    return [at for at, groups, _ in os.walk("/sys/fs/cgroup") if name in groups]


def test_killed(suite: str, root: Path, place: Path) -> None:  # noqa: ARG001
    here = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", BOOTED, str(root), str(place)],
        env={"PYTHONPATH": f"{here}:{here.parents[1]}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        home, name, leader, holder = process.stdout.readline().split()
        assert Path(f"/proc/{leader}/root/run/systemd").exists()
        assert mine(name)
        process.kill()
    wait_until(
        lambda: not Path(f"/proc/{leader}").exists() and not Path(f"/proc/{holder}").exists(),
        SHORT,
        what="the machine to end with its test",
    )
    wait_until(lambda: not Path(home).exists() and not mine(name), SHORT, what="the reaper to end")
    assert not cgroups(name)
    assert name not in Path("/proc/self/mounts").read_text("utf-8")
