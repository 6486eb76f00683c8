"""What is disturbed, one class for each kind: how it is done, and how one sees that it is right again.

`disturb` returns when the disturbing call returned; `right` is asked in a tight loop, so it asks the kernel
for as little as decides; `whole` asks for everything, once.
"""

import os
import socket
import time
from typing import Protocol

from bench import place, raw
from natnetd.linux import dumps
from natnetd.linux.elements import get_element
from natnetd.linux.netlink import NETFILTER, ROUTE, Asker

FORWARDING = "/proc/sys/net/ipv4/{}"


class Victim(Protocol):
    """Something that is disturbed again and again; `spread` says over how many things."""

    spread: int

    def disturb(self, run: int) -> float:
        """Disturb it and return when that was done (perf_counter)."""

    def right(self, run: int) -> bool:
        """Say whether it is right again."""

    def whole(self) -> bool:
        """Say whether all is right that may have been disturbed."""

    def close(self) -> None:
        """Let go of the host: a socket keeps its namespace."""


class Asking:
    """Most have a line to the kernel by which they disturb, and one by which they ask."""

    line: raw.Line
    asker: Asker

    def whole(self) -> bool:
        """There is nothing else to be asked."""
        return True

    def close(self) -> None:
        """Let go of the host."""
        self.line.close()
        self.asker.close()


class Element(Asking):
    """An element of a set: the exit of one network after the other."""

    def __init__(self, networks: int) -> None:
        self.spread = networks
        self.line, self.asker = raw.netfilter(), Asker(NETFILTER)

    def key(self, run: int) -> tuple[str, ...]:
        """Name the element of a run."""
        return place.name(run % self.spread), place.UPLINK

    def disturb(self, run: int) -> float:
        """Delete it."""
        return self.line.send(raw.delete_element("exits", self.key(run)))

    def right(self, run: int) -> bool:
        """Ask for it."""
        return get_element(self.asker, "exits", self.key(run)) is not None


class Address(Asking):
    """The address of one network after the other."""

    def __init__(self, networks: int) -> None:
        self.spread = networks
        self.line, self.asker = raw.route(), Asker(ROUTE)
        self.indexes = [socket.if_nametoindex(place.name(i)) for i in range(networks)]

    def disturb(self, run: int) -> float:
        """Delete it."""
        number = run % self.spread
        return self.line.send(raw.delete_address(self.indexes[number], place.gateway(number)))

    def right(self, run: int) -> bool:
        """Look at its link's addresses."""
        index = self.indexes[run % self.spread]
        found = dumps.addresses(self.asker, {index: ""}, index).get("", ())
        return any(not row.interface.startswith("fe80") for row in found)


class Forwarding:
    """The kernel's switch."""

    spread = 1

    def __init__(self, networks: int) -> None:
        paths = (
            "ip_forward",
            f"conf/{place.name(networks - 1)}/forwarding",
            f"conf/{place.UPLINK}/forwarding",
        )
        self.files = [os.open(FORWARDING.format(path), os.O_RDWR) for path in paths]

    def disturb(self, run: int) -> float:  # noqa: ARG002  # there is but one
        """Switch it off."""
        os.pwrite(self.files[0], b"0\n", 0)
        return time.perf_counter()

    def right(self, run: int) -> bool:  # noqa: ARG002
        """Read it, and that of the last bridge and of the uplink."""
        return all(os.pread(file, 4, 0).startswith(b"1") for file in self.files)

    def whole(self) -> bool:
        """There is nothing else to be asked."""
        return True

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            os.close(file)
