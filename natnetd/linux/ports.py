"""Who holds a port of this network namespace: /proc/net/udp and tcp (proc(5)); root sees which process."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTEN, UNCONNECTED = "0A", "07"  # TCP_LISTEN; what an unconnected UDP socket shows (TCP_CLOSE)
STATES = {"tcp": LISTEN, "udp": UNCONNECTED}


@dataclass(frozen=True, slots=True)
class Holder:
    """A socket that holds a port at an IPv4 address (0.0.0.0: at all)."""

    protocol: str
    address: str
    uid: int
    inode: int


def holders(port: int) -> Iterator[Holder]:
    """Yield who holds a port; only IPv4, and what listens for IPv6 and IPv4 alike."""
    wanted = f":{port:04X}"
    for protocol, state in STATES.items():
        for family in ("", "6"):
            for line in lines(f"/proc/thread-self/net/{protocol}{family}"):
                words = line.split()
                if len(words) > 9 and words[1].endswith(wanted) and words[3] == state:
                    address = decoded(words[1].partition(":")[0])
                    if address:
                        yield Holder(protocol, address, int(words[7]), int(words[9]))


def lines(path: str) -> list[str]:
    """Read a table of the kernel, without its head."""
    with suppress(OSError):
        return Path(path).read_text("ascii").splitlines()[1:]
    return []


def decoded(hexadecimal: str) -> str:
    """An address as the kernel prints it, in its own byte order; empty for one of IPv6."""
    raw = int(hexadecimal, 16)
    if len(hexadecimal) > 8:
        return "" if raw else "0.0.0.0"  # noqa: S104  # what is told, nothing binds it
    return socket.inet_ntoa(raw.to_bytes(4, sys.byteorder))


def inodes(pid: int) -> frozenset[int]:
    """Sockets of a process; none if we may not look."""
    found = set()
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(entry.path)  # noqa: PTH115  # 2 us, not 10
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return frozenset(found)


def unit_of(cgroup: int | None) -> str:
    """Name the systemd unit of a control group, whose id is the inode of its directory; empty for none."""
    for where, directories, _ in os.walk("/sys/fs/cgroup") if cgroup else ():
        for name in directories:
            with suppress(OSError):
                if name.endswith((".service", ".scope")) and Path(where, name).stat().st_ino == cgroup:
                    return name
    return ""


def process_of(inode: int) -> int | None:
    """Find the process that has a socket; None if that cannot be told."""
    names = os.listdir("/proc")  # noqa: PTH208
    return next((int(name) for name in names if name.isdigit() and inode in inodes(int(name))), None)


def named(pid: int) -> str:
    """Name a process, like dnsmasq[123]."""
    with suppress(OSError):
        return f"{Path('/proc', str(pid), 'comm').read_text('utf-8', 'replace').strip()}[{pid}]"
    return f"somebody[{pid}]"


def owner(inode: int) -> str:
    """Name the process that has a socket; empty if that cannot be told."""
    pid = process_of(inode)
    return named(pid) if pid else ""
