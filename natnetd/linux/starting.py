"""The two ways of starting a dnsmasq: as root by ourselves, or by systemd, which the deputy asks."""

import os
import pwd
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from natnetd.linux.asking import ByDeputy, Errors
from natnetd.state import runtime_directory, state_directory

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
START_PATIENCE = 5.0  # seconds until it has all its sockets, and goes into the background
AT_ONCE = 50
STOP_PATIENCE = 2.0  # seconds between TERM and KILL
USER = "dnsmasq"  # made by dnsmasq-base
OPTIONS = "NATNETD_DNSMASQ_OPTIONS"
"""More words for its command line, for the lab: --no-ping saves a new guest three seconds."""

ROOT_ONLY = "dnsmasq is started and stopped by root: run natnetd as root, or as its package does"
UNIT = "natnetd-dnsmasq@"
UNIT_FILES = (
    Path("/etc/systemd/system", f"{UNIT}.service"),
    Path("/usr/lib/systemd/system", f"{UNIT}.service"),
    Path("/lib/systemd/system", f"{UNIT}.service"),
)
RESOLVERS = "/etc/resolv.conf"
RESOLVERS_AT = "NATNETD_RESOLV_CONF"
"""Another file, for the lab: there the machine's name servers are out of reach."""

BOOTED = Path("/run/systemd/system")  # sd_booted(3)


@dataclass(frozen=True, slots=True)
class Places:
    """Where files belong: texts, pids and leases; `units`: systemd runs the instances.

    `resolvers`: the file that says whom the host asks, resolv.conf(5).
    """

    files: Path
    pids: Path
    leases: Path
    units: bool = False
    resolvers: str = field(default_factory=lambda: os.environ.get(RESOLVERS_AT, RESOLVERS))


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

    def asked(self) -> Mapping[str, str | None]:
        """What was asked for and may still come, by network: NETWORK.DIGEST, or None for no instance."""


class Direct:
    """We are root: it goes into the background, where it outlives us."""

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Start them side by side, some at a time: each takes some 10 ms."""
        errors: Errors = {}
        names = list(files)
        for at in range(0, len(names), AT_ONCE):
            errors |= self.start_some({name: files[name] for name in names[at : at + AT_ONCE]})
        return errors

    def start_some(self, files: Mapping[str, Path]) -> Errors:
        """Start them side by side, and wait until each is at work."""
        errors: Errors = {}
        words = [*as_usual(), program() or "dnsmasq", *os.environ.get(OPTIONS, "").split(), *as_user()]
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

    def asked(self) -> Mapping[str, str | None]:
        """Nothing: when `start` returns, it runs."""
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

    def asked(self) -> Mapping[str, str | None]:
        """Nothing: when `start` returns, it runs."""
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


class Nobody:
    """We are not root, and nobody can be asked."""

    def start(self, files: Mapping[str, Path], /) -> Errors:
        """Say so."""
        return dict.fromkeys(files, ROOT_ONLY)

    def stop(self, running: Mapping[str, int], /) -> Errors:
        """Say so."""
        return dict.fromkeys(running, ROOT_ONLY)

    def reload(self, running: Mapping[str, int], /) -> Errors:
        """Say so."""
        return dict.fromkeys(running, ROOT_ONLY)

    def know(self, running: Mapping[str, str], /) -> None:
        """Nothing depends on it."""

    def asked(self) -> Mapping[str, str | None]:
        """Nothing."""
        return {}


def starter(units: bool) -> Starter:  # noqa: FBT001  # what `places` found
    """The way of starting that is open to us."""
    if os.geteuid() != 0:
        return ByDeputy() if units else Nobody()
    return Units() if units else Direct()


def as_user() -> list[str]:
    """Have it drop its rights; its own default where the user of Debian is not there."""
    with suppress(KeyError):
        pwd.getpwnam(USER)
        return [f"--user={USER}"]
    return []


def as_usual() -> list[str]:
    """Have it run as anything else does, where we ourselves go before others."""
    ours = os.nice(0)
    return ["nice", "-n", str(-ours)] if ours < 0 else []


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
