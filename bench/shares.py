"""CPU time as systemd shares it out: a control group for natnetd, one for all dnsmasq, one for who looks on.

Without them all are in one group or shared out by session (sched(7), autogroup): `CPUWeight=` says nothing.
"""

import atexit
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

OLD, NEW = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
NAME = "natnetd-bench"
USUAL = 100
"""systemd.resource-control(5): what every unit has that says nothing."""


class Shares:
    """Groups below one of ours, where we may have them.

    They are made before /sys is hidden, and their files kept open.
    """

    def __init__(self, weights: dict[str, int]) -> None:
        self.doors: dict[str, TextIO] = {}
        old = OLD.is_dir()  # version 1 of control groups
        root = OLD if old else NEW
        file, unit = ("cpu.shares", 1024 / USUAL) if old else ("cpu.weight", 1)
        self.names = [*(f"{NAME}/{name}" for name in weights), NAME]
        self.root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        atexit.register(self.close)
        with suppress(OSError):
            for name in reversed(self.names if weights else []):
                (root / name).mkdir(exist_ok=True)
            if weights and not old:
                (root / NAME / "cgroup.subtree_control").write_text("+cpu")
            for name, weight in weights.items():
                (root / NAME / name / file).write_text(str(round(weight * unit)))
            groups = {"": root, **{name: root / NAME / name for name in weights}}
            self.doors = {name: (group / "cgroup.procs").open("w") for name, group in groups.items()}

    def join(self, name: str, pid: int) -> None:
        """Put a process into a group, if there are any; what it starts stays with it."""
        door = self.doors.get(name)
        if door is not None:
            with suppress(OSError):  # it has ended
                door.write(str(pid))
                door.flush()

    def close(self) -> None:
        """Leave the groups and take them away."""
        self.join("", os.getpid())
        for name in self.names:
            with suppress(OSError):
                os.rmdir(name, dir_fd=self.root)
