"""The two ways of starting a dnsmasq: as root by ourselves, or by systemd, which the deputy asks."""

import os
import pwd
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from natnetd.errors import HostError
from natnetd.state import runtime_directory, state_directory

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
START_PATIENCE = 5.0  # seconds until it has all its sockets, and goes into the background
STOP_PATIENCE = 2.0  # seconds between TERM and KILL
ANSWER_PATIENCE = 10.0  # seconds
USER = "dnsmasq"  # made by dnsmasq-base
OPTIONS = "NATNETD_DNSMASQ_OPTIONS"
"""More words for its command line, for the lab: --no-ping saves a new guest three seconds."""

Errors = dict[str, str]  # by network

UNIT = "natnetd-dnsmasq@"
UNIT_FILES = (
    Path("/etc/systemd/system", f"{UNIT}.service"),
    Path("/usr/lib/systemd/system", f"{UNIT}.service"),
    Path("/lib/systemd/system", f"{UNIT}.service"),
)
BOOTED = Path("/run/systemd/system")  # sd_booted(3)


@dataclass(frozen=True, slots=True)
class Places:
    """Where files belong: texts, pids and leases; `units`: systemd runs the instances."""

    files: Path
    pids: Path
    leases: Path
    units: bool = False


def places() -> Places:
    """Say where, on this host: under systemd, if our unit is installed, or by ourselves."""
    files = runtime_directory() / "dnsmasq"
    if BOOTED.is_dir() and any(path.exists() for path in UNIT_FILES):
        return Places(files, Path("/run/natnetd-dnsmasq"), Path("/var/lib/natnetd-dnsmasq"), units=True)
    return Places(files, files, state_directory() / "dnsmasq")


def program() -> str | None:
    """Where dnsmasq is; None: it is not installed."""
    return shutil.which("dnsmasq", path=os.environ.get("NATNETD_DNSMASQ_PATH", PATH))


class Starter(Protocol):
    """A way of having instances run. Nothing is raised: errors are told by network."""

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Start one with each configuration."""

    def stop(self, running: Mapping[str, int], /) -> Errors:
        """Stop the processes behind these pidfds, and wait for their end."""

    def reload(self, running: Mapping[str, int], /) -> Errors:
        """Have reservations and names read again."""

    def know(self, running: Mapping[str, str], /) -> None:
        """Hear which instances run, by network: as NETWORK.DIGEST."""

    def awaited(self) -> Mapping[str, str]:
        """Which instances were asked for and may still come, as NETWORK.DIGEST."""


class Direct:
    """We are root: it goes into the background, where it outlives us."""

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Start all side by side: each takes some 10 ms."""
        errors: Errors = {}
        words = [program() or "dnsmasq", *os.environ.get(OPTIONS, "").split(), *as_user()]
        begun: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        for name, path in files.items():
            # No pipe: who goes into the background might hold it open.
            said = os.memfd_create(f"dnsmasq {name}", os.MFD_CLOEXEC)
            try:
                begun[name] = self.begin([*words, f"--conf-file={path}"], said), said
            except OSError as error:
                os.close(said)
                errors[name] = f"cannot start dnsmasq: {error.strerror}"
        end = time.monotonic() + START_PATIENCE
        for name, (process, said) in begun.items():
            if text := finished(process, said, end):
                errors[name] = text
        return errors

    def begin(self, words: list[str], said: int) -> "subprocess.Popen[bytes]":
        """Start one, apart from our terminal and our signals. Raises OSError."""
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={"PATH": PATH},
            start_new_session=True,
        )

    def stop(self, running: Mapping[str, int], /) -> Errors:
        """Ask all to end, then wait for each."""
        for fd in running.values():
            send(fd, signal.SIGTERM)
        end = time.monotonic() + STOP_PATIENCE
        for fd in running.values():
            if not ended(fd, max(0.0, end - time.monotonic())):
                send(fd, signal.SIGKILL)
                ended(fd, STOP_PATIENCE)
        return {}

    def reload(self, running: Mapping[str, int], /) -> Errors:
        """Send SIGHUP."""
        for fd in running.values():
            send(fd, signal.SIGHUP)
        return {}

    def know(self, running: Mapping[str, str], /) -> None:
        """Nothing depends on it."""

    def awaited(self) -> Mapping[str, str]:
        """None: when `start` returns, it runs."""
        return {}


class Units:
    """We are root on a host with systemd: units natnetd-dnsmasq@NETWORK.DIGEST.service."""

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Start units; systemd waits until each is ready."""
        return {name: text for name, path in files.items() if (text := systemctl("start", unit(path.stem)))}

    def stop(self, running: Mapping[str, int], /) -> Errors:
        """Stop every unit of these networks, and wait for its end."""
        pattern = [f"{UNIT}{name}.????????????.service" for name in running]
        text = systemctl("stop", *pattern) if pattern else ""
        return dict.fromkeys(running, text) if text else {}

    def reload(self, running: Mapping[str, int], /) -> Errors:
        """Send SIGHUP."""
        return Direct().reload(running)

    def know(self, running: Mapping[str, str], /) -> None:
        """Nothing depends on it."""

    def awaited(self) -> Mapping[str, str]:
        """None: when `start` returns, it runs."""
        return {}


def unit(instance: str) -> str:
    """Name the unit of an instance, NETWORK.DIGEST."""
    return f"{UNIT}{instance}.service"


def systemctl(*words: str) -> str:
    """Have systemd do something; says why it failed, or nothing."""
    try:
        done = subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, check=False, timeout=30, env={"PATH": PATH}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot run systemctl: {error}"
    return done.stderr.strip().splitlines()[0] if done.returncode and done.stderr.strip() else ""


class ByDeputy:
    """We are not root: the deputy starts units natnetd-dnsmasq@NETWORK.DIGEST.service, and stops others.

    `ask` is told all instances that shall run, as NETWORK.DIGEST, and which of them are to reload; it raises
    HostError. Asking blocks nothing: what was asked for counts as done for ten seconds.
    """

    def __init__(
        self,
        ask: Callable[[frozenset[str], frozenset[str]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ask = ask
        self.clock = clock
        self.wanted: dict[str, str] = {}
        self.since: dict[str, float] = {}

    def know(self, running: Mapping[str, str], /) -> None:
        """Learn what runs: what was not asked for by us was so by an earlier natnetd."""
        self.wanted = {**running, **self.wanted}
        for name in running:
            self.since.pop(name, None)

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Ask for these too."""
        late = files.keys() & self.since.keys() - self.awaited().keys()
        self.wanted |= {name: path.stem for name, path in files.items()}
        self.since |= dict.fromkeys(files, self.clock())
        errors = self.tell(files)
        return (
            dict.fromkeys(late, "natnetd-deputy has not started it: systemctl status natnetd-deputy") | errors
        )

    def stop(self, running: Mapping[str, int], /) -> Errors:
        """Ask for all but these; one that is started anew with another text is asked for by `start`."""
        for name in running:
            self.wanted.pop(name, None)
            self.since.pop(name, None)
        return self.tell(running)

    def reload(self, running: Mapping[str, int], /) -> Errors:
        """Ask for the same, and for a reload."""
        return self.tell(running, frozenset(self.wanted[name] for name in running if name in self.wanted))

    def tell(self, names: Collection[str], again: frozenset[str] = frozenset()) -> Errors:
        """Ask if it is about any network, and say why it could not be asked."""
        if not names:
            return {}
        try:
            self.ask(frozenset(self.wanted.values()), again)
        except HostError as error:
            return dict.fromkeys(names, str(error))
        return {}

    def awaited(self) -> Mapping[str, str]:
        """Those that were asked for a short time ago."""
        now = self.clock()
        return {n: self.wanted[n] for n, at in self.since.items() if now - at < ANSWER_PATIENCE}


def alone(_wanted: frozenset[str], _again: frozenset[str], /) -> None:
    """Where nobody can be asked."""
    raise HostError("dnsmasq is started by root: run natnetd as root, or with natnetd-deputy")


def starter(units: bool) -> Starter:  # noqa: FBT001  # what `places` found
    """The way of starting that is open to us."""
    if os.geteuid() != 0:
        return ByDeputy(alone)
    return Units() if units else Direct()


def as_user() -> list[str]:
    """Have it drop its rights; its own default where the user of Debian is not there."""
    with suppress(KeyError):
        pwd.getpwnam(USER)
        return [f"--user={USER}"]
    return []


def finished(process: "subprocess.Popen[bytes]", said: int, end: float) -> str:
    """Wait until it is in the background; says why it is not, or nothing."""
    try:
        code = process.wait(max(0.0, end - time.monotonic()))
        told = os.pread(said, 4096, 0).decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"dnsmasq did not start within {START_PATIENCE:g} s"
    finally:
        os.close(said)
    words = told.removeprefix("dnsmasq: ").splitlines()
    return f"dnsmasq does not start: {words[-1] if words else f'exit code {code}'}" if code else ""


def send(fd: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(fd, number)


def ended(fd: int, patience: float) -> bool:
    """Wait for the end of a process for some seconds."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(patience * 1000))
