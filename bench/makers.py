"""A busy host: foreign links that come and go.

`python -m bench.makers NUMBER PAIRS_A_SECOND KIND` is one maker; it writes down how many it has made.
"""

import fcntl
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bench import raw
from natnetd.lab.netns import Namespace

TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x1002
MAKERS = 8
"""Deleting a link waits for the kernel (RCU), so that one process makes 50 pairs a second at most."""


def veths(number: int) -> Callable[[], None]:
    """Make and delete a pair of veths."""
    line = raw.route()
    made = raw.add_veth(f"veth9{number:02d}i0", f"fwln9{number:02d}i0")
    gone = raw.delete_link(f"veth9{number:02d}i0")
    with suppress(OSError):  # of a maker that was killed
        line.send(gone)

    def once() -> None:
        line.send(made)
        line.send(gone)

    return once


def taps(number: int) -> Callable[[], None]:
    """Make a tap and let it go."""
    asked = struct.pack("16sH22x", f"tap9{number:02d}i0".encode(), IFF_TAP_NO_PI)

    def once() -> None:
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, asked)
        os.close(tun)

    return once


KINDS = {"veth": veths, "tap": taps}


def make(once: Callable[[], None], rate: float) -> None:
    """Work at a rate, if it can be had."""
    start, done = time.monotonic(), 0
    while True:
        once()
        done += 1
        if (ahead := done / rate - (time.monotonic() - start)) > 0:
            time.sleep(ahead)
        os.pwrite(1, f"{done:12}\n".encode(), 0)


@contextmanager
def busy(host: Namespace, rate: float, kind: str) -> Iterator[Callable[[], int]]:
    """Have makers at work side by side; yields a function that tells how many pairs they have made."""
    counts = [os.memfd_create(f"maker{i}") for i in range(MAKERS)]
    command = (sys.executable, "-m", "bench.makers")
    processes = [
        host.popen([*command, str(i), str(rate / MAKERS), kind], stdout=count)
        for i, count in enumerate(counts)
    ]

    def made() -> int:
        return sum(int(os.pread(count, 12, 0) or b"0") for count in counts)

    try:
        while made() < MAKERS:
            time.sleep(0.05)
            assert all(process.poll() is None for process in processes)
        yield made
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for count in counts:
            os.close(count)


if __name__ == "__main__":
    make(KINDS[sys.argv[3]](int(sys.argv[1])), float(sys.argv[2]))
