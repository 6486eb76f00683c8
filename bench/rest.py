"""What natnetd costs while nothing happens: passes, CPU, memory, start, scrapes."""

import gc
import select
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import place
from bench.figures import Row, Spread
from bench.place import PORT, Asked, Place, cpu
from natnetd.daemon import GARBAGE
from natnetd.lab.service import Service
from natnetd.lab.world import FIRST
from natnetd.linux import open_host
from natnetd.linux.dumps import IFLA_IFNAME, text
from natnetd.linux.events import IPV4_IFADDR, IPV4_NETCONF, LINKS, drain
from natnetd.linux.netlink import NETFILTER, ROUTE, Asker, attributes, messages, open_socket
from natnetd.linux.nfnl import generation
from natnetd.reconcile import Pass, reconcile

QUIET = 65.0
"""Seconds of quiet, one verify (each 60 s) among them."""


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for each size."""
    for networks in asked.sizes:
        with place.place(asked.sandbox, networks, metrics=True) as there:
            yield from passes(networks, asked)
            if not asked.brief:
                yield starts(there, asked)
                there.start()
                yield scrapes(there, asked)
                yield from quiet(there)


def passes(networks: int, asked: Asked) -> Iterator[Row]:
    """Look at everything when nothing has changed, as the verify does; and a host seen for the first time."""
    wanted, host = place.wanted(networks), open_host()
    gc.collect()
    gc.freeze()  # as the service does
    usual = gc.get_threshold()
    gc.set_threshold(GARBAGE)
    report = reconcile(wanted, host, Pass(clock=time.monotonic))
    assert not report.outcomes
    times = []
    for _ in range(min(asked.runs, 20)):
        start = time.perf_counter()
        report = reconcile(wanted, host, Pass(clock=time.monotonic))
        times.append(time.perf_counter() - start)
    first = []
    for _ in range(min(asked.runs, 20)):
        host.nft.last = None
        start = time.perf_counter()
        reconcile(wanted, host, Pass(clock=time.monotonic))
        first.append(time.perf_counter() - start)
    host.close()
    gc.unfreeze()
    gc.set_threshold(*usual)
    limit = 90.0 if networks == 1000 else None
    yield Row("rest", "verify", networks, "ms", Spread.of(times, 1000), most=limit)
    yield Row("rest", "verify, foreign ruleset change", networks, "ms", Spread.of(first, 1000), most=limit)


def starts(there: Place, asked: Asked) -> Row:
    """From the start of the process to READY, on a host that is as it should be; nothing may be written."""
    times, written = [], 0
    for _ in range(min(asked.runs, 10)):
        asker, listener = Asker(NETFILTER), open_socket(ROUTE, (LINKS, IPV4_IFADDR, IPV4_NETCONF))
        before = generation(asker)
        times.append(ready(there))
        written += generation(asker) - before + foreign(listener)
        asker.close()
        listener.close()
    limit = {1: 600.0, 1000: 2500.0}.get(there.networks)
    note = f"{written} writes"
    return Row("rest", "start to READY", there.networks, "ms", Spread.of(times, 1000), most=limit, note=note)


def ready(there: Place) -> float:
    """Start the service, wait for READY, and stop it."""
    start = time.perf_counter()
    service = Service(there.host, there.file, there.directory)
    while "READY=1" not in service.heard():
        select.select([service.listener], [], [], 60)
    took = time.perf_counter() - start
    place.rest(service.process.pid)
    service.stop()
    return took


def foreign(listener: object) -> int:
    """Count the kernel's news, but for those of the uplink's port: its carrier is told of when it suits."""
    count = 0
    for datagram in drain(listener):  # type: ignore[arg-type]
        for *_, start, end in messages(datagram or b""):
            found = attributes(datagram or b"", start + 16, end)
            count += text(found.get(IFLA_IFNAME, b"")) not in ("lo", FIRST.port)
    return count


def scrape() -> bytes:
    """Scrape the metrics once."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
        found: bytes = answer.read()
    return found


def scrapes(there: Place, asked: Asked) -> Row:
    """Scrape at rest."""
    times = []
    for _ in range(asked.runs):
        start = time.perf_counter()
        found = scrape()
        times.append(time.perf_counter() - start)
        there.rest()
    note = f"{len(found) / 1024:.0f} KiB"
    limit = 40.0 if there.networks == 1000 else None
    return Row("rest", "scrape", there.networks, "ms", Spread.of(times, 1000), most=limit, note=note)


def quiet(there: Place) -> Iterator[Row]:
    """Leave it alone for a minute with one verify, after scrapes; then look at its memory."""
    assert there.service is not None
    pid = there.service.process.pid
    before = cpu(pid)
    time.sleep(QUIET)
    share = (cpu(pid) - before) / QUIET
    yield Row("rest", "CPU of a core", there.networks, "%", Spread.of([share], 100), most=0.2)
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    kib = int(status.partition("VmRSS:")[2].split()[0])
    limit = 50.0 if there.networks == 1 else 64.0
    yield Row("rest", "RSS", there.networks, "MiB", Spread.of([kib / 1024]), most=limit)
