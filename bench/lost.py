"""What guests notice of restarts, and what gets out with a private source while something is disturbed."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench import place
from bench.disturb import Address, Element, Forwarding, Victim
from bench.disturb_whole import Bridge, FlushCommitted, Table
from bench.figures import Row, Spread
from bench.place import Asked, Place
from bench.repair import once
from bench.talk import Stream, Transfer, flows
from natnetd.lab.world import Guest

DEAF = """
table ip deaf {
    chain c {
        type filter hook prerouting priority raw; policy accept;
        ip saddr 10.0.0.0/8 counter comment "private"
        counter comment "all"
        udp dport 6000-65535 drop
    }
}
"""
"""Outside counts what arrives, by its source, and answers nothing."""


def restart(there: Place) -> None:
    """Stop it in the way of systemd, and start it."""
    there.stop()
    there.start()


def killed(there: Place) -> None:
    """Kill it, and start it."""
    assert there.service is not None
    there.service.stop(signal.SIGKILL)
    there.start()


STOPS: tuple[tuple[str, Callable[[Place], None]], ...] = (
    ("restart", restart),
    ("kill -9 and start", killed),
    ("reload", lambda there: there.reload()),
)


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for each size."""
    for networks in asked.sizes:
        with place.place(asked.sandbox, networks) as there:
            there.world.outside.check(["nft", "-f", "-"], stdin=DEAF)
            gateway = place.gateway(0)
            address = gateway.replace(".1/", ".2/")
            guest = there.world.guest("guest", place.name(0), address, gateway.partition("/")[0])
            there.start()
            for what, stop in STOPS[: 1 if asked.brief else None]:
                yield from through(there, guest, what, stop)
            if not asked.brief:
                yield from leaks(there, guest)


def through(there: Place, guest: Guest, what: str, stop: Callable[[Place], None]) -> Iterator[Row]:
    """Have a stream and a transfer go on through a restart, three times."""
    outside = there.world.outside
    stream, transfer = Stream(guest.ns, outside), Transfer(guest.ns, outside)
    time.sleep(0.3)
    for _ in range(3):
        stop(there)
    time.sleep(0.3)
    chunks, broken = transfer.end()
    sent, lost = stream.end()
    note = f"of {sent:,} datagrams; TCP: {broken or 'alive'}, {chunks:,} round trips"
    lost += bool(broken) * chunks
    yield Row("lost", f"{what}, three times", there.networks, "lost", Spread.of([lost]), most=0, note=note)


def victims(there: Place, guest: Guest) -> Iterator[tuple[str, Victim]]:
    """Make what can be disturbed around the guest's network, one after the other."""
    element, address = Element(there.networks), Address(there.networks)
    element.spread = address.spread = 1
    yield "set element", element
    yield "address", address
    yield "forwarding", Forwarding(there.networks)
    yield "table", Table(there.networks)
    yield "nft flush ruleset", FlushCommitted(there.networks)
    bridge = Bridge(there.host, 1)
    yield "bridge", bridge
    guest.plug()


def leaks(there: Place, guest: Guest) -> Iterator[Row]:
    """Begin 5,000 flows a second and disturb; then count what leaves with the guest's own source."""
    for what, victim in victims(there, guest):
        there.reload()
        with flows(guest.ns):
            time.sleep(0.3)
            start, took = Arrived.at(there), []
            for run in range(5):
                took.append(once(victim, run) * 1000)
                time.sleep(0.2)
            there.rest()
            time.sleep(0.3)
            repaired = Arrived.at(there)
            time.sleep(1.0)
            later = Arrived.at(there)
        victim.close()
        assert later.all - repaired.all > 1000, f"too little comes through after the {what}"
        out, all_ = repaired.private - start.private, repaired.all - start.all
        note = f"while it was away: {out:,} of {all_:,} in 5 repairs of {max(took):.1f} ms at most"
        left = Spread.of([later.private - repaired.private])
        yield Row(
            "lost", f"private sources after: {what}", there.networks, "packets", left, most=0, note=note
        )


class Arrived(NamedTuple):
    """What has come to somebody outside so far."""

    private: int
    all: int

    @classmethod
    def at(cls, there: Place) -> "Arrived":
        """Ask."""
        told = there.world.outside.check(["nft", "list", "table", "ip", "deaf"])
        return cls(*(int(count) for count in re.findall(r"counter packets (\d+)", told)))
