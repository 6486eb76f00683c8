"""A program in a root of its own (an overlay), in the network namespace of a lab's host."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Self

from networks import INTERNET
from running import TWO, run, start, undone

from natnetd.errors import HostError
from natnetd.lab.service import Service
from natnetd.lab.traffic import ABSENCE, tcp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest, World

# One process namespace for all its commands, so that daemons end with it; of /proc/sys only net is writable.
HOLD = """
mount -t proc proc "$r/proc"
mount --bind "$r/proc/sys" "$r/proc/sys"
mount -o remount,bind,ro "$r/proc/sys"
mount --bind "$r/proc/sys/net" "$r/proc/sys/net"
mount -o remount,bind,rw "$r/proc/sys/net"
echo; exec sleep infinity
"""
PRIVATE = ["unshare", "--mount", "--propagation=slave", "--pid", "--ipc", "--fork", "--kill-child"]
PLAIN = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]


@dataclass
class Place:
    """The host under test: one guest behind vmbr1, the service, and what was seen of both."""

    world: World
    directory: Path
    service: Service
    guest: Guest
    seen: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def of(cls, world: World, directory: Path) -> Iterator[Self]:
        """Start the service and plug the guest in."""
        Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("0", "ascii")
        with start(world.host, directory, TWO) as service:
            guest = world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1")
            place = cls(world, directory, service, guest)
            wait_until(place.works, what="the guest's way out")
            yield place
            place.service.stop()

    def resume(self) -> None:
        """Start the service again."""
        self.service = start(self.world.host, self.directory, TWO)

    def works(self) -> bool:
        """Say whether the guest reaches the internet."""
        try:
            return tcp(self.guest.ns, INTERNET, deadline=ABSENCE) is not None
        except ConnectionRefusedError:  # by the other end
            return True
        except OSError:  # a router on the way refuses
            return False

    def disturb(
        self,
        what: str,
        harm: Callable[[], object],
        deadline: float = 10.0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Let it happen, and note what the service had to mend, and how soon all was right again.

        `meanwhile` is what somebody has to do by hand, as often as it takes.
        """
        before = len(self.service.lines())
        harm()
        end = time.monotonic()

        def mended() -> bool:
            meanwhile()
            return not undone(self.directory) and self.works()

        wait_until(mended, deadline, what=f"{what} to be mended")
        took = time.monotonic() - end
        drifts = [line.partition("drift: ")[2] for line in self.service.lines()[before:] if "drift: " in line]
        told = "; ".join(drifts) if drifts else "nothing of ours destroyed"
        self.seen.append(f"{what}: {told}; right {1e3 * took:.0f} ms after its end")

    def notes(self) -> list[str]:
        """Have the service look at everything, and return the notes that status shows."""
        reloads = self.service.heard().count("READY=1")
        self.service.process.send_signal(1)
        wait_until(lambda: self.service.heard().count("READY=1") > reloads, 20, what="the reload")
        path = self.directory / "run/status.json"

        def written() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(run(self.directory, "status", "--json").stdout)
            return found

        with suppress(FileNotFoundError):
            old = path.stat().st_mtime_ns
            with suppress(TimeoutError):
                wait_until(lambda: path.stat().st_mtime_ns > old, 2, what="the status")
        return [f["text"] for f in written()["findings"] if f["network"] in (None, "vmbr1")]

    def finding(self, what: str, part: str) -> str:
        """Demand that traffic is cut off and that status shows a note with these words."""
        wait_until(lambda: not self.works(), what=f"{what} to cut the guest off")
        notes = [text for text in self.notes() if part in text]
        assert notes, (what, self.notes())
        self.seen.append(f"{what}: cut off, and status says: {notes[0]}")
        return notes[0]


@dataclass
class Program:
    """A root file system with a program in it."""

    root: Path
    place: Place
    mounted: list[Path] = field(default_factory=list)
    holder: "subprocess.Popen[str] | None" = None
    enter: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, layer: Path | None, place: Place) -> Self:
        """Mount it: the machine's own root, and a copy of the layer on top, which is thrown away.

        The layer cannot be one more lower directory: it lies within the first.
        """
        top = Path(mkdtemp(dir="/run", prefix="neighbour."))
        for name in ("work", "root"):
            (top / name).mkdir()
        source = layer or top / "work"
        subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(top / "upper")], check=True)
        self = cls(top / "root", place)
        options = f"lowerdir=/,upperdir={top}/upper,workdir={top}/work"
        self.mount("-t", "overlay", "overlay", "-o", options, at="")
        self.mount("--rbind", "/dev", at="dev")
        self.mount("-t", "tmpfs", "tmpfs", at="run")
        self.mount("-t", "tmpfs", "tmpfs", at="tmp")
        self.mount("-t", "sysfs", "-o", "ro", "sysfs", at="sys")
        self.hold()
        return self

    def hold(self) -> None:
        """Make the process namespace that everything runs in."""
        hold = [*PRIVATE, "env", f"r={self.root}", "sh", "-euc", HOLD]
        self.holder = self.place.world.host.popen(hold, stdout=subprocess.PIPE)
        assert self.holder.stdout is not None
        self.holder.stdout.readline()
        (first,) = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text("ascii").split()
        self.enter = ["nsenter", f"--target={first}", "--mount", "--pid", "--ipc", "chroot", str(self.root)]

    def mount(self, *words: str, at: str) -> None:
        """Mount something in the root."""
        where = self.root / at
        where.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *words, str(where)], check=True)
        self.mounted.append(where)

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        there = self.root / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text, "utf-8")

    def words(self, *command: str) -> list[str]:
        """What runs a command in it."""
        return [*self.enter, *PLAIN, *command]

    def run(self, *command: str, deadline: float = 60.0) -> str:
        """Run a command in it; HostError if it fails."""
        return self.place.world.host.check(self.words(*command), deadline=deadline)

    def shell(self, line: str) -> str:
        """Run a line of shell in it, whatever becomes of it."""
        return self.run("sh", "-c", f"{line}; true")

    def daemon(self, *command: str) -> "subprocess.Popen[str]":
        """Start a daemon in it, which ends with it; its output is in /log."""
        with (self.root / "log").open("a", encoding="utf-8") as log:
            return self.place.world.host.popen(self.words(*command), stdout=log, stderr=subprocess.STDOUT)

    def until(self, *command: str, deadline: float = 30.0) -> None:
        """Wait until a command succeeds."""

        def succeeds() -> bool:
            with suppress(HostError):
                self.run(*command)
                return True
            return False

        wait_until(succeeds, deadline, what=f"{command}; the log: {self.log()}")

    def log(self) -> str:
        """What its daemons have written."""
        path = self.root / "log"
        return path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""

    def close(self) -> None:
        """End everything in it, and unmount it."""
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
        for where in reversed(self.mounted):
            subprocess.run(["umount", "-l", str(where)], check=False, capture_output=True)
        for name in ("upper", "work"):  # never through the root: what is mounted in it is the machine's
            rmtree(self.root.parent / name, ignore_errors=True)
        self.root.rmdir()
        self.root.parent.rmdir()
