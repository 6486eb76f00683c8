"""The files of the networks' dnsmasq: what each runs with, what it has read, and which process it is."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from natnetd.dnsmasq import digest, text
from natnetd.linux.events import read_process
from natnetd.linux.starting import Places
from natnetd.linux.texts import Texts
from natnetd.rows import Server
from natnetd.state import replace_file

LISTS = "hosts", "names", "servers"
"""How files are called that are read again without a restart."""
UNKNOWN = ("?",)
"""Lines that nobody wants: what a process has read cannot be told."""


@dataclass(slots=True)
class Files:
    """Reads and writes them."""

    places: Places
    texts: Texts = field(default_factory=Texts)

    def names(self) -> Iterator[str]:
        """Yield networks that an instance was started for."""
        with suppress(OSError):
            for entry in os.scandir(self.places.pids):
                if entry.name.endswith(".pid"):
                    yield entry.name.removesuffix(".pid")

    def started_with(self, name: str, pid: int) -> str:
        """Tell a process's configuration from its command line; empty if it is none of ours."""
        before = f"--conf-file={self.places.files}/{name}."
        words = read_process(pid, "cmdline").split("\0")
        found = next((word for word in words if word.startswith(before) and word.endswith(".conf")), "")
        return found.removeprefix("--conf-file=")

    def lost(self) -> Iterator[tuple[str, tuple[int, str]]]:
        """Find all instances by their command lines (15 us for each process of the host)."""
        before = f"--conf-file={self.places.files}/"
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                words = read_process(int(entry.name), "cmdline").split("\0")
                for conf in (word.removeprefix("--conf-file=") for word in words if word.startswith(before)):
                    yield Path(conf).name.rsplit(".", 2)[0], (int(entry.name), conf)

    def pid(self, name: str) -> int | None:
        """Tell the process that a pid file names."""
        return pid_of(self.places.pids / f"{name}.pid")

    def server(self, name: str, conf: str) -> Server:
        """See what an instance runs with, and what it has read."""
        config = self.texts.of(conf)
        *lists, read = (self.texts.of(f"{self.places.files}/{name}.{end}") for end in (*LISTS, "read"))
        known = read.lines == (" ".join(text.digest for text in lists),)
        hosts, names, servers = (text.lines if known else UNKNOWN for text in lists)
        current = config.digest == conf.rsplit(".", 2)[-2]
        return Server(config.lines if current else UNKNOWN, hosts, names, servers)

    def conf(self, name: str, want: Server) -> Path:
        """Where a configuration belongs."""
        return self.places.files / f"{name}.{digest(want.config)}.conf"

    def write(self, name: str, want: Server) -> None:
        """Write the texts, each as a whole. Raises OSError."""
        if not self.places.units:  # or else the unit makes it, for its own user
            self.places.leases.mkdir(parents=True, exist_ok=True)
        files = [(self.places.files / f"{name}.{end}", rows) for end, rows in lists(want).items()]
        for path, rows in (*files, (self.conf(name, want), want.config)):
            if not path.exists() or lines(path) != rows:
                replace_file(path, text(rows).encode())

    def listed(self) -> dict[str, list[Path]]:
        """List our files by network, once: a search for each takes a minute at 1,000 networks."""
        found: dict[str, list[Path]] = {}
        for directory in {self.places.files, self.places.pids}:
            with suppress(OSError):
                for path in directory.iterdir():
                    found.setdefault(network_of(path.name), []).append(path)
        return found

    def tidy(self, name: str, want: Server | None, there: Iterable[Path]) -> None:
        """Note what was read by now, and remove what nobody reads any more."""
        kept = set()
        if want:
            kept = {f"{name}.{end}" for end in (*LISTS, "read", "pid")} | {self.conf(name, want).name}
            with suppress(OSError):
                replace_file(self.places.files / f"{name}.read", text([stamp(want)]).encode())
        for path in there:
            if path.name not in kept:
                with suppress(OSError):
                    path.unlink()


def network_of(file: str) -> str:
    """Name the network whose file it is; empty if it is no file of ours."""
    stem, _, ending = file.rpartition(".")
    if ending == "conf":
        return stem.rpartition(".")[0]
    return stem if ending in (*LISTS, "read", "pid") else ""


def lists(want: Server) -> dict[str, tuple[str, ...]]:
    """The lines of each list, by what its file is called."""
    return dict(zip(LISTS, (want.hosts, want.names, want.upstream), strict=True))


def stamp(want: Server) -> str:
    """What tells that its lists were read: a process that is younger than this has read them too."""
    return " ".join(map(digest, lists(want).values()))


def lines(path: Path) -> tuple[str, ...]:
    """Read a file's lines; none if there is no such file."""
    with suppress(OSError):
        return tuple(path.read_text("utf-8", "replace").splitlines())
    return ()


def pid_of(path: Path) -> int | None:
    """Read a pid file."""
    with suppress(OSError, ValueError):
        return int(path.read_text("ascii")) or None
    return None
