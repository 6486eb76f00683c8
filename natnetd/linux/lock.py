"""One natnetd for each network namespace: the lock, and the sign that tells who has it."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from natnetd.errors import HostError
from natnetd.linux.netlink import (
    HEADER,
    NETFILTER,
    NLM_F_ACK,
    NLM_F_REQUEST,
    attribute,
    failure,
    messages,
    open_socket,
)
from natnetd.linux.nfnl import head, refused
from natnetd.wake import Notice

ULOG_CONFIG = 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
LOCK_GROUP = 0x6E61
SIGN = b"\0natnetd"
ASKERS = 1024  # at one time


class Lock:
    """Held by whoever has the NFLOG group bound.

    The kernel releases it on death, and binding needs CAP_NET_ADMIN, so that no user can squat it. The
    sign beside it only tells the pid.
    """

    def __init__(self) -> None:
        """Take the lock. Raises HostError: somebody has it, with the pid if that can be told."""
        self.socket = open_socket(NETFILTER)
        body = head(0, LOCK_GROUP) + attribute(1, b"\1")  # NFULA_CFG_CMD: NFULNL_CFG_CMD_BIND
        self.socket.send(HEADER.pack(16 + len(body), ULOG_CONFIG, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
        datagram = self.socket.recv(8192)
        for _kind, _flags, _sequence, _sender, start, end in messages(datagram):
            error = failure(datagram[start:end])
            if error is not None:
                self.socket.close()
                raise taken(error) from error
        self.sign = announce()

    def release(self) -> None:
        """Give the lock back."""
        self.socket.close()
        if self.sign is not None:
            self.sign.close()


class Sign:
    """An abstract Unix socket: whoever connects is told our pid by the kernel, and nothing else.

    A source of the loop, which has to let the askers go: the kernel keeps those that nobody took in, and
    has no place for many.
    """

    def __init__(self) -> None:
        """Hold it up. Raises OSError: somebody took the name."""
        self.socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        try:
            self.socket.bind(SIGN)
        except OSError:
            self.socket.close()
            raise
        self.socket.listen(ASKERS)

    def fileno(self) -> int:
        """Readable when somebody has asked."""
        return self.socket.fileno()

    def read(self) -> Iterator[Notice]:
        """Let the askers go; that is no news."""
        with suppress(OSError):
            for _ in range(ASKERS):
                self.socket.accept()[0].close()
        yield from ()

    def close(self) -> None:
        """Take it down."""
        self.socket.close()


def announce() -> Sign | None:
    """Hold up a sign; that somebody took the name is no reason to stop."""
    with suppress(OSError):
        return Sign()
    return None


def holder() -> int | None:
    """Ask the sign for the pid of the natnetd that runs in this network namespace.

    Any user can hold up a sign, so only a process that has CAP_NET_ADMIN is believed.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.settimeout(1)
        try:
            asking.connect(SIGN)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return None
    pid: int = struct.unpack("=iii", credentials)[0]
    return pid if pid and may(pid) else None


def taken(error: OSError) -> HostError:
    """Say who has the lock."""
    if error.errno != errno.EPERM or not may(os.getpid()):
        return refused(error)
    pid = holder()
    who = f"natnetd[{pid}]" if pid else "another natnetd"
    return HostError(f"{who} keeps this host's networks")


def may(pid: int) -> bool:
    """Say whether a process has CAP_NET_ADMIN (bit 12 of CapEff, capabilities(7)); anybody may ask that."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return False
    line = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(line.split()[1], 16) >> 12 & 1)
