"""What a fight costs: somebody deletes our table, or sets an MTU back, a hundred times a second."""

import os
import signal
import sys
import time
from collections.abc import Iterator

from bench import place
from bench.busy import share
from bench.disturb_whole import Table
from bench.figures import Row
from bench.place import Asked, Place
from natnetd.lab.wait import wait_until

RATE = 100.0
LATER = 12.0
"""Seconds after which the first repairs, which follow at once, are over."""
TABLE = f"""
import time
from contextlib import suppress
from bench import raw
line = raw.netfilter()
while True:
    with suppress(OSError):
        line.send(raw.delete_table())
    time.sleep({1 / RATE})
"""
MTU = f"(while sleep {1 / RATE}; do echo link set {place.name(0)} mtu 1400; done) | ip -batch - -force"
LOOPS = {"table": [sys.executable, "-c", TABLE], "MTU": ["sh", "-c", MTU]}


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for each size."""
    for networks in asked.sizes:
        with place.place(asked.sandbox, networks) as there:
            for what in LOOPS:
                yield from fight(there, what)


def fight(there: Place, what: str) -> Iterator[Row]:
    """Tell natnetd's share of a core over the first ten seconds, and over ten later ones; then see it end."""
    service = there.start()
    attacker = there.host.popen(LOOPS[what], start_new_session=True)
    start = time.monotonic()
    first, _ = share(service.process.pid, lambda: 0)
    time.sleep(max(0.0, LATER - (time.monotonic() - start)))
    later, _ = share(service.process.pid, lambda: 0)
    assert attacker.poll() is None
    os.killpg(attacker.pid, signal.SIGKILL)
    attacker.wait()
    yield Row("fight", f"{what}: CPU of a core, first 10 s", there.networks, "%", first, most=20.0)
    yield Row("fight", f"{what}: CPU of a core, later", there.networks, "%", later, most=20.0)
    victim = Table(there.networks)
    wait_until(victim.whole, 30, what="all to be right again")
    victim.close()
    there.stop()
