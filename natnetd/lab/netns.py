"""A network namespace held by an open file: run code and commands in it; it is gone with its last user."""

import fcntl
import os
import shlex
import socket
import struct
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from natnetd.errors import HostError
from natnetd.lab.libc import CLONE_NEWNET, die_with, setns, unshare

T = TypeVar("T")

# net.core.devconf_inherit_init_net: by default a new namespace copies IPv4's `all` and `default` from the
# machine, so a machine that forwards would hand that on. The order counts: ip_forward writes the others.
SETTINGS = {
    "ipv4/ip_forward": "0",
    "ipv4/conf/default/forwarding": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # No duplicate address detection, link-local addresses included: they are usable at once.
    "ipv6/conf/default/accept_dad": "0",
}

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP, _IFF_RUNNING = 0x1, 0x40


class Namespace:
    """A network namespace; `name` is for people, nothing in the file system carries it."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self._processes: list[subprocess.Popen[str]] = []

    @classmethod
    def new(cls, name: str) -> "Namespace":
        """Make a namespace with lo up and the lab's SETTINGS; takes about 1 ms."""

        def make() -> Namespace:
            unshare(CLONE_NEWNET)
            return cls.current(name)

        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(make).result()

    @classmethod
    def current(cls, name: str) -> "Namespace":
        """Hold the calling thread's own, new namespace and prepare it as `new` does."""
        for key, value in SETTINGS.items():
            # /proc/sys/net shows the namespace of the thread that opens the file.
            Path("/proc/sys/net", key).write_text(value, "ascii")
        _set_up("lo")
        # /proc/self would be the namespace of the main thread.
        return cls(name, os.open("/proc/thread-self/ns/net", os.O_RDONLY))

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The file by which another process enters, while this one lives."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def enter_command(self) -> list[str]:
        """Return what a person types before a command (or alone, for a shell) to be in this namespace."""
        return ["nsenter", f"--mount=/proc/{os.getpid()}/ns/mnt", f"--net={self.path}"]

    def run(self, call: Callable[[], T]) -> T:
        """Call it in a thread inside the namespace; returns its result or raises what it raised.

        Sockets keep the namespace they were made in and may be used anywhere afterwards. /proc/sys/net is
        right there; /proc/net is the main thread's, use /proc/thread-self/net.
        """

        def enter() -> T:
            setns(self.fd, CLONE_NEWNET)
            return call()

        # A thread that changed its namespace cannot serve anybody else, so it is thrown away (0.1 ms).
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(enter).result()

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Make a socket that lives in the namespace."""
        return self.run(lambda: socket.socket(family, kind, protocol))

    def check(self, command: Sequence[str], *, stdin: str = "", deadline: float = 10.0) -> str:
        """Run a command and return what it wrote; HostError if it fails or takes over `deadline` seconds."""
        # setpriv: a preexec_fn makes Python fork instead of vfork, 3-6 ms (growing with memory), not 2.
        return self._finish(["setpriv", "--pdeathsig", "KILL", *command], command, stdin, deadline)

    def ip(self, *lines: str) -> None:
        """Run lines of iproute2 as one batch (1.5 ms); HostError, with the lines, at the first that fails."""
        command = ["ip", "-batch", "-"]
        try:
            # It ends by itself, whatever becomes of us: no setpriv, which costs 1 ms.
            self._finish(command, command, "\n".join(lines), 10.0)
        except HostError as error:
            numbered = "\n".join(f"{number:3}  {line}" for number, line in enumerate(lines, 1))
            raise HostError(f"{error}\n{numbered}") from error

    def _finish(self, words: Sequence[str], command: Sequence[str], stdin: str, deadline: float) -> str:
        start = f"cannot run `{shlex.join(command)}` in {self.name}"
        try:
            done = self.run(
                lambda: subprocess.run(
                    words, input=stdin, text=True, capture_output=True, check=False, timeout=deadline
                )
            )
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{start}: it took over {deadline:g} s") from error
        if done.returncode != 0:
            raise HostError(f"{start}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a process that is killed with the namespace, and when the calling *thread* ends.

        `options` are subprocess.Popen's. stdin is empty and text is on unless they say otherwise; a pipe must
        be read. What the process starts in turn dies with it only if it sees to it itself.
        """
        parent = os.getpid()

        def enter() -> None:
            setns(self.fd, CLONE_NEWNET)
            die_with(parent)

        settled = {"stdin": subprocess.DEVNULL, "text": True} | options
        process: subprocess.Popen[str] = subprocess.Popen(command, preexec_fn=enter, **settled)  # noqa: PLW1509 (the child only makes system calls)
        self._processes.append(process)
        return process

    def running(self, interface: str) -> bool:
        """Tell whether packets can pass an interface: up, with carrier, and its queue in place."""
        # The queue of a link that came up is put in place a little later, by the kernel's linkwatch: until
        # then it loses packets in silence. IFF_RUNNING follows that, not the carrier.
        return bool(self.run(lambda: _flags(interface)) & _IFF_RUNNING)

    def up(self, interface: str) -> bool:
        """Tell whether an interface is there and was switched on."""
        with suppress(OSError):
            return bool(self.run(lambda: _flags(interface)) & _IFF_UP)
        return False

    def close(self) -> None:
        """Kill what was started here and let go; the kernel frees the namespace with its last socket."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
        self._processes.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _flags(interface: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        request = struct.pack("16sH22x", interface.encode(), 0)
        answer = fcntl.ioctl(door, _SIOCGIFFLAGS, request)
    return int(struct.unpack_from("H", answer, 16)[0])


def _set_up(interface: str) -> None:
    request = struct.pack("16sH22x", interface.encode(), _flags(interface) | _IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        fcntl.ioctl(door, _SIOCSIFFLAGS, request)
