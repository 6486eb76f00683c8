"""What a dnsmasq for each network costs: its start, and repairs beside those of a host without."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.disturb import Address, Element, Victim
from bench.disturb_whole import Table
from bench.figures import Row, Spread
from bench.place import Asked, Place, as_in_unit, cpu, place, text
from bench.repair import by_natnetd
from bench.shares import Shares

REPAIRED: tuple[tuple[str, Callable[[int], Victim]], ...] = (
    ("deleted set element", Element),
    ("deleted address", Address),
    ("table deleted by netlink", Table),
)
QUIET = 20.0  # seconds


def rows(asked: Asked) -> Iterator[Row]:
    """Yield the repairs of networks that are served, beside those of the same ones that are not."""
    for networks in asked.sizes:
        with place(asked.sandbox, networks) as there:
            there.start()
            plain = dict(repairs(there, networks, asked.runs))
            idle = resting(there)
            started = reloaded(there, text(networks, dhcp=True))
            take_sides(there, asked.shares)
            yield Row("served", "all dnsmasq started", networks, "s", Spread.of([started]))
            served = dict(repairs(there, networks, asked.runs))
            for what, spread in served.items():
                yield Row("served", what, networks, "ms", spread, "without DHCP", plain[what])
            what = f"CPU over {QUIET:.0f} quiet seconds"
            yield Row("served", what, networks, "ms", resting(there), "without DHCP", idle)
            reloaded(there, text(networks))  # their processes would keep the namespace


def repairs(there: Place, networks: int, runs: int) -> Iterator[tuple[str, Spread]]:
    """Time some repairs by the service that runs."""
    for what, make in REPAIRED:
        victim = make(networks)
        there.reload()
        with no_worse_than_natnetd():
            spread = by_natnetd(there, victim, runs)
        yield what, spread
        victim.close()


def take_sides(there: Place, shares: Shares) -> None:
    """Give natnetd its own share of CPU time, all dnsmasq theirs, and whoever looks on one as natnetd's."""
    assert there.service is not None
    shares.join("natnetd", there.service.process.pid)
    shares.join("eye", os.getpid())
    for file in there.directory.glob("run/dnsmasq/*.pid"):
        shares.join("dnsmasq", int(file.read_text("ascii")))


@contextmanager
def no_worse_than_natnetd() -> Iterator[None]:
    """Look on with its priority: behind 1,000 dnsmasq that run, whoever looks sees a repair a second late."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, int(as_in_unit("Nice")))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, own)


def reloaded(there: Place, file: str) -> float:
    """Put a file in force; return the seconds until it is."""
    there.file.write_text(file, "utf-8")
    start = time.perf_counter()
    there.reload()
    return time.perf_counter() - start


def resting(there: Place) -> Spread:
    """Tell what the service costs while nothing happens."""
    assert there.service is not None
    pid = there.service.process.pid
    there.rest()
    before = cpu(pid)
    time.sleep(QUIET)
    return Spread.of([cpu(pid) - before], 1000)
