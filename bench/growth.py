"""What growth costs: the same at 10, 100, 1,000 and 5,000 networks, and the exponent."""

import math
import time
from collections.abc import Iterator, Mapping

from bench import place
from bench.converge import floor, timed
from bench.disturb import Element
from bench.figures import Row, Spread
from bench.place import Asked
from bench.repair import by_natnetd
from natnetd.linux import open_host
from natnetd.reconcile import Pass, reconcile

SIZES = (10, 100, 1000, 5000)
FLOOR = "ip -batch + nft -f"


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for each size, then the exponents."""
    found: dict[str, dict[int, float]] = {}
    for networks in SIZES[: 2 if asked.brief else None]:
        for row in at(asked, networks):
            found.setdefault(row.what, {})[networks] = row.ours.median
            if row.other:
                found.setdefault(FLOOR, {})[networks] = row.other.median
            yield row
    for what, figures in found.items():
        slope = Spread.of([exponent(figures)])
        yield Row("growth", f"exponent: {what}", max(figures), "", slope)


def at(asked: Asked, networks: int) -> Iterator[Row]:
    """Yield the rows of one size."""
    beside = timed(asked, floor, networks, 1)
    with place.place(asked.sandbox, networks) as there:
        yield Row("growth", "converge", networks, "ms", Spread.of([there.took], 1000), FLOOR, beside)
        yield Row("growth", "verify", networks, "ms", verify(networks, min(asked.runs, 10)))
        victim = Element(networks)
        there.start()
        ours = by_natnetd(there, victim, min(asked.runs, 30))
        victim.close()
        yield Row("growth", "repair of an element", networks, "ms", ours)


def verify(networks: int, runs: int) -> Spread:
    """Time passes that find nothing to do."""
    wanted, host, times = place.wanted(networks), open_host(), []
    for _ in range(runs + 1):
        start = time.perf_counter()
        report = reconcile(wanted, host, Pass(clock=time.monotonic))
        times.append(time.perf_counter() - start)
        assert not report.outcomes
    host.close()
    return Spread.of(times[1:], 1000)


def exponent(figures: Mapping[int, float]) -> float:
    """Fit a power: the slope of the least squares on logarithmic axes."""
    points = [(math.log(n), math.log(value)) for n, value in figures.items()]
    x, y = (math.fsum(axis) / len(points) for axis in zip(*points, strict=True))
    rise = math.fsum((a - x) * (b - y) for a, b in points)
    return rise / math.fsum((a - x) ** 2 for a, _ in points)
