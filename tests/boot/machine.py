"""A Debian with a real systemd in a container of systemd-nspawn: boot it, cut its power, look inside.

Nothing on this machine has to run systemd, and nothing of it is touched: each boot has mount, process and
network namespaces of its own and a private view of cgroups (pure cgroup2, as systemd wants it). If this
process is killed, the kernel ends all of it (`unshare --kill-child`), and a reaper, which waits for that,
removes directories and cgroups.
"""

import itertools
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copy2
from tempfile import mkdtemp
from typing import Self

from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until

BOOT = 60.0  # seconds a boot may take: under one, but not on a busy machine
SHORT = 20.0

# Hosts with cgroup v1 have a tmpfs with many mounts there; in some containers there is nothing.
CGROUPS = """
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
"""
OVERLAY = """
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$home/upper,workdir=$home/work" "$home/root"
"""
# An own /run: nspawn leaves lock files there. Console and machine-id belong to the machine, not to us.
START = f"""{CGROUPS}
mkdir -p "/sys/fs/cgroup/$name"
echo 0 >"/sys/fs/cgroup/$name/cgroup.procs"
mount -t tmpfs tmpfs /run
{OVERLAY}
exec systemd-nspawn --quiet --directory="$home/root" --machine="$name" --boot --private-network \
  --register=no --keep-unit --link-journal=no --resolv-conf=off --timezone=off --console=pipe
"""
# Ends when our end of its standard input is closed, by us or by our death; then waits for the machine's.
REAPER = f"""{CGROUPS}
cat >/dev/null
for _ in $(seq 100); do
  [ -d "/sys/fs/cgroup/$name" ] || break
  find "/sys/fs/cgroup/$name" -depth -type d -exec rmdir {{}} \\; 2>/dev/null || sleep 0.1
done
rm -rf "$home"
"""
PRIVATE = ["unshare", "--mount", "--propagation=private"]
INSIDE = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
PLAIN = [
    *("/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"),
    *("TERM=dumb", "SYSTEMD_PAGER=cat", "DEBIAN_FRONTEND=noninteractive"),
]


_counter = itertools.count(1)


class CommandError(AssertionError):
    """A machine did not start, or a command inside did not end as it should."""


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    code: int
    out: str
    err: str


@dataclass
class Machine:
    """A machine: its file system is `layers` (the lowest last), with what it writes on top of them."""

    name: str
    layers: tuple[Path, ...]
    home: Path
    reaper: "subprocess.Popen[bytes]"
    process: "subprocess.Popen[bytes] | None" = None
    leader: int = 0
    nets: list[Namespace] = field(default_factory=list)

    @classmethod
    def make(cls, name: str, *layers: Path, place: Path) -> Self:
        """Make one that is switched off; what it writes stays below `place` until it is thrown away."""
        home = Path(mkdtemp(prefix=f"natnetd-boot-{name}.", dir=place))
        home.chmod(0o755)
        for part in ("upper", "work", "root"):
            (home / part).mkdir()
        unique = f"{name}-{os.getpid()}-{next(_counter)}"  # a host's name: letters, digits, hyphens
        reaper = subprocess.Popen(
            [*PRIVATE, "sh", "-ec", REAPER],
            env={**os.environ, "name": unique, "home": str(home)},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return cls(unique, layers, home, reaper)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.throw_away()

    # --- switched on and off

    def boot(self) -> Self:
        """Switch it on and wait until systemd has done all it has to do."""
        words = {"name": self.name, "home": str(self.home), "lower": ":".join(map(str, self.layers))}
        with (self.home / "console").open("ab") as console:
            self.process = subprocess.Popen(
                # setpriv ends unshare with us; unshare ends its namespace's first process with itself.
                [
                    *(
                        "setpriv",
                        "--pdeathsig",
                        "KILL",
                        *PRIVATE,
                        "--pid",
                        "--mount-proc",
                        "--fork",
                        "--kill-child",
                    ),
                    *("sh", "-ec", START),
                ],
                env={**os.environ, **words},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self.leader = wait_until(self._find_leader, BOOT, what=f"{self.name}'s first process")
        wait_until(lambda: self.state() in ("running", "degraded"), BOOT, what=f"{self.name} to boot")
        return self

    def state(self) -> str:
        """Say what systemd says of the whole: running, degraded, starting, ..."""
        return self.look("systemctl", "is-system-running").out.strip()

    def power_off(self) -> None:
        """Switch it off as one should (systemd(1): SIGRTMIN+4)."""
        os.kill(self.leader, signal.SIGRTMIN + 4)
        self._gone()

    def power_cut(self) -> None:
        """Pull the plug: nothing inside gets to know."""
        os.kill(self.leader, signal.SIGKILL)
        self._gone()

    def reboot(self) -> Self:
        """Switch it off and on."""
        self.power_off()
        return self.boot()

    def throw_away(self) -> None:
        """Cut its power and remove all that is left of it."""
        if self.process:
            self.process.kill()
            self._gone()
        self.reaper.communicate(timeout=SHORT)

    def _gone(self) -> None:
        while self.nets:
            self.nets.pop().close()
        assert self.process is not None
        self.process.wait(BOOT)
        self.process, self.leader = None, 0

    def _find_leader(self) -> int:
        """Find the process that is number 1 inside, and is systemd by now."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise CommandError(
                f"{self.name} did not start: {(self.home / 'console').read_text('utf-8', 'replace')}"
            )
        nested = len(_numbers(os.getpid())) + 2
        for pid in _descendants(self.process.pid):
            with suppress(OSError):
                numbers = _numbers(pid)
                program = Path(f"/proc/{pid}/exe").readlink().name
                if len(numbers) == nested and numbers[-1] == 1 and program == "systemd":
                    return pid
        return 0

    # --- inside

    @property
    def enter(self) -> str:
        """The command that gives a person a shell inside."""
        return shlex.join(["nsenter", f"--target={self.leader}", *INSIDE, "--", *PLAIN, "bash", "-l"])

    def look(self, *words: str, stdin: str = "", deadline: float = 60.0) -> Done:
        """Run a command inside as root, in a plain environment."""
        done = subprocess.run(
            ["nsenter", f"--target={self.leader}", *INSIDE, "--", *PLAIN, *words],
            input=stdin,
            text=True,
            errors="replace",
            capture_output=True,
            check=False,
            timeout=deadline,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *words: str, code: int = 0, stdin: str = "", deadline: float = 60.0) -> str:
        """Run a command inside that must end with `code`; return what it wrote to standard output."""
        done = self.look(*words, stdin=stdin, deadline=deadline)
        if done.code != code:
            raise CommandError(f"{' '.join(words)}: exit {done.code}, not {code}:\n{done.out}{done.err}")
        return done.out

    def shell(self, lines: str, code: int = 0) -> str:
        """Run lines of sh."""
        return self.run("sh", "-ec", lines, code=code)

    def path(self, name: str) -> Path:
        """Return where we see the absolute path `name` of it."""
        return Path(f"/proc/{self.leader}/root{name}") if self.leader else self.home / "upper" / name[1:]

    def write(self, name: str, text: str) -> None:
        """Write a file, over an old one as an editor does: beside it, then renamed."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, "utf-8")
        beside.rename(path)

    def copy(self, source: Path, directory: str = "/root") -> str:
        """Copy a file of ours into it; return the absolute path there."""
        copy2(source, self.path(directory))
        return f"{directory}/{source.name}"

    def net(self) -> Namespace:
        """Open its network namespace, until it is switched off."""
        self.nets.append(Namespace(self.name, os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY)))
        return self.nets[-1]

    # --- units

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, *words: str) -> Sequence[str]:
        """Return lines of the journal of this boot, messages only; `words` as for journalctl."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--boot", "--quiet", "--output=cat", "--no-pager", *words).splitlines()

    def keep_journal(self, path: Path) -> None:
        """Write the journal of all boots and the console to a file of ours."""
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = ["journalctl", "--no-pager", "--output=short-precise", "--no-hostname"]
        if self.leader:
            text = self.look("sh", "-c", f"journalctl --sync; {' '.join(journal)}").out
        else:
            where = self.home / "upper/var/log/journal"
            text = subprocess.run(
                [*journal, "-D", str(where)], capture_output=True, text=True, errors="replace", check=False
            ).stdout
        console = (self.home / "console").read_text("utf-8", "replace")
        path.write_text(f"{text}\n--- console ---\n{console}", "utf-8")


def _numbers(pid: int) -> list[int]:
    """Return a process's numbers, from our namespace's to the innermost (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    (line,) = [line for line in status.splitlines() if line.startswith("NSpid:")]
    return [int(word) for word in line.split()[1:]]


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            found += [int(child), *_descendants(int(child))]
    return found
