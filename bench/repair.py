"""How long it takes until the kernel is right again, beside a bare loop that knows the answer."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.disturb import Address, Element, Forwarding, Victim
from bench.disturb_whole import Bridge, Flush, FlushCommitted, Table
from bench.figures import Row, Spread
from bench.place import Asked, Place, place, rest

PATIENCE = 9
"""So often in a row natnetd repairs one thing at once; then it takes the same again for a fight."""
DEADLINE = 20.0
EAGER, PAUSE = 0.002, 0.00005
"""Seconds that it is asked without a break, and of each break after that."""


class LostError(Exception):
    """What was disturbed was not repaired."""


def once(victim: Victim, run: int) -> float:
    """Disturb, wait until it is right again, and return the seconds between."""
    done = victim.disturb(run)
    while True:
        right = victim.right(run)
        now = time.perf_counter()
        if right and victim.whole():
            return max(0.0, now - done)
        if now - done > DEADLINE:
            raise LostError(f"{type(victim).__name__} was not repaired within {DEADLINE:g} s")
        if now - done > EAGER:
            time.sleep(PAUSE)
        else:
            os.sched_yield()  # whoever repairs may have been woken on this CPU


def by_natnetd(there: Place, victim: Victim, runs: int) -> Spread:
    """Time repairs by the service, which must run; what it takes for a fight is left out."""
    times = []
    for run in range(runs):
        if run and run % (PATIENCE * victim.spread) == 0:
            there.reload()
        times.append(once(victim, run))
        there.rest()
    return Spread.of(times, 1000)


@contextmanager
def loop(*words: object) -> Iterator[int]:
    """Have a bare loop listen, and yield its process id."""
    command = [sys.executable, "-m", "bench.floor", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def by_floor(victim: Victim, runs: int, *words: object) -> Spread:
    """Time repairs by a bare loop."""
    times = []
    with loop(*words) as pid:
        for _ in range(runs):
            rest(pid)
            times.append(once(victim, 0))
        rest(pid)
    return Spread.of(times, 1000)


def compared(there: Place, victim: Victim, runs: int, *words: object) -> tuple[Spread, Spread]:
    """Time natnetd, then the floor."""
    try:
        there.start()
        ours = by_natnetd(there, victim, runs)
        there.stop()
        return ours, by_floor(victim, runs, *words)
    finally:
        victim.close()


KINDS: tuple[tuple[str, Callable[[int], Victim], str, tuple[float, float]], ...] = (
    ("deleted set element", Element, "element", (1.5, 1.5)),
    ("deleted address", Address, "address", (1.5, 1.5)),
    ("forwarding off", Forwarding, "forwarding", (1, 3)),
    ("table deleted by netlink", Table, "table", (3, 35)),
    ("`nft flush ruleset`, after its end", Flush, "table", (10, 35)),
    ("`nft flush ruleset`, after its commit", FlushCommitted, "table", (0, 0)),
)
"""What is disturbed, its class, the floor's loop, the most ms at 1 and at 1,000 networks (0: no target)."""


def rows(asked: Asked) -> Iterator[Row]:
    """Yield a row for each kind of disturbance."""
    for networks in asked.sizes:
        with place(asked.sandbox, networks) as there:
            for what, make, loop, limits in KINDS[:1] if asked.brief else KINDS:
                ours, floor = compared(there, make(networks), asked.runs, loop, networks)
                most = {1: limits[0], 1000: limits[1]}.get(networks) or None
                times = 3.0 if make is Table and networks == 1000 else None
                yield Row("repair", what, networks, "ms", ours, "floor", floor, most, times)
            for ports in () if asked.brief else (4, 50):
                victim = Bridge(there.host, ports)
                ours, floor = compared(there, victim, asked.runs, "bridge", networks, ports)
                what = f"bridge deleted, {ports} ports"
                yield Row("repair", what, networks, "ms", ours, "floor", floor, 5 + 0.3 * ports)
