"""A busy host: what foreign links that come and go cost natnetd, and what they and scrapes delay."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from bench import place
from bench.disturb import Address, Victim
from bench.figures import Row, Spread
from bench.makers import busy
from bench.place import PORT, Asked, Place, cpu
from bench.repair import PATIENCE, loop, once
from natnetd.lab.netns import Namespace

RATE = 200.0
SPAN = 10.0
PAUSE = 0.15
"""Seconds between two repairs: nobody rests meanwhile."""
SCRAPER = f"""
import urllib.request
while True:
    urllib.request.urlopen("http://127.0.0.1:{PORT}/metrics").read()
"""


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for each size."""
    for networks in asked.sizes:
        with place.place(asked.sandbox, networks, metrics=True) as there:
            for kind in ("veth",) if asked.brief else ("veth", "tap"):
                yield load(there, kind)
            if not asked.brief:
                yield from delays(there, asked)


def load(there: Place, kind: str) -> Row:
    """Tell the CPU that news of others cost natnetd; beside it a loop that only hears them."""
    service = there.start()
    with busy(there.host, RATE, kind) as made:
        ours, rate = share(service.process.pid, made)
    there.stop()
    with loop("address", 1) as pid, busy(there.host, RATE, kind) as made:
        floor, _ = share(pid, made)
    return Row(
        "busy",
        f"CPU of a core at {rate:.0f} {kind}s/s",
        there.networks,
        "%",
        ours,
        "bare listener",
        floor,
        most=5.0,
    )


def share(pid: int, made: Callable[[], int]) -> tuple[Spread, float]:
    """Tell a process's share of a core, and the rate of what was made meanwhile."""
    shares, start, first = [], time.monotonic(), made()
    for _ in range(5):
        before, since = cpu(pid), time.monotonic()
        time.sleep(SPAN / 5)
        shares.append((cpu(pid) - before) / (time.monotonic() - since))
    return Spread.of(shares, 100), (made() - first) / (time.monotonic() - start)


@contextmanager
def scraping(host: Namespace) -> Iterator[None]:
    """Scrape again and again."""
    process = host.popen([sys.executable, "-c", SCRAPER])
    time.sleep(0.5)
    yield
    assert process.poll() is None
    process.kill()
    process.wait()


def delays(there: Place, asked: Asked) -> Iterator[Row]:
    """Repair an address in quiet, on a busy host, and while somebody scrapes."""
    service, victim = there.start(), Address(there.networks)
    times = {}
    storms: Mapping[str, AbstractContextManager[object]] = {
        "quiet": nullcontext(),
        "busy": busy(there.host, RATE, "veth"),
        "scraped": scraping(there.host),
    }
    for name, storm in storms.items():
        with storm:
            times[name] = repairs(there, victim, asked.runs)
    assert service.process.poll() is None
    there.stop()
    victim.spread = 1
    with loop("address", 1), busy(there.host, RATE, "veth"):
        floor = repairs(there, victim, asked.runs)
    victim.close()
    quiet = times["quiet"]
    yield delayed("deleted address, busy host", there, times["busy"], quiet, 5.0)
    yield Row(
        "busy", "deleted address, busy host", there.networks, "ms", times["busy"], "floor, as busy", floor
    )
    yield delayed("deleted address, while scraped", there, times["scraped"], quiet, 10.0)


def delayed(what: str, there: Place, ours: Spread, quiet: Spread, most: float) -> Row:
    """Compare with quiet; the target is a delay."""
    return Row("busy", what, there.networks, "ms", ours, "natnetd in quiet", quiet, quiet.median + most)


def repairs(there: Place, victim: Victim, runs: int) -> Spread:
    """Time repairs; where there is but one network, no more than natnetd takes for no fight."""
    times = []
    for run in range(runs):
        if there.service is not None and run % (PATIENCE * victim.spread) == 0:
            there.reload()
        times.append(once(victim, run))
        time.sleep(PAUSE)
    return Spread.of(times, 1000)
