"""Sleep until there is a reason; say the reason and where to look.

An event only says where: the look at the kernel says what is true.
"""

import selectors
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from natnetd.host import Scope
from natnetd.report import Culprit
from natnetd.rows import Port

ROUNDS = 16  # times that sources are read before a look
NOTHING = Scope(frozenset(), frozenset(), host=False, exact=True)


@dataclass(frozen=True, slots=True)
class Notice:
    """What one source has to say: where to look, who did it, what a deletion's burst left behind.

    `urgent`: what follows it adds nothing to where to look, and there is much of it.
    """

    scope: Scope = NOTHING
    culprit: Culprit | None = None
    ports: Mapping[str, tuple[Port, ...]] = field(default_factory=dict)
    overrun: bool = False
    file: bool = False
    rung: bool = False
    reload: bool = False
    stop: bool = False
    urgent: bool = False


Orphans = Mapping[str, tuple[Port, ...]]


def orphaned(before: Orphans, now: Orphans) -> Orphans:
    """Add to the ports that lost their bridge those that did so now: the last one lost counts."""
    if not now:
        return before
    moved = {port.index for ports in now.values() for port in ports}
    kept = {bridge: tuple(p for p in ports if p.index not in moved) for bridge, ports in before.items()}
    return {bridge: kept.get(bridge, ()) + now.get(bridge, ()) for bridge in {**kept, **now}}


class Source(Protocol):
    """Something that can be waited for."""

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to say."""

    def read(self) -> Iterable[Notice]:
        """Say it all, without blocking."""


@dataclass(frozen=True, slots=True)
class Wakeup:
    """Everything that was said since the last sleep, as one."""

    scope: Scope = NOTHING
    culprits: tuple[Culprit, ...] = ()
    ports: Mapping[str, tuple[Port, ...]] = field(default_factory=dict)
    overrun: bool = False
    file: bool = False
    rung: bool = False
    reload: bool = False
    stop: bool = False

    @property
    def look(self) -> bool:
        """Whether the kernel said something that matters to us."""
        return bool(self.scope.layers)

    def __or__(self, notice: Notice) -> "Wakeup":
        """Take one more notice in."""
        known = notice.culprit is None or notice.culprit in self.culprits
        return Wakeup(
            self.scope | notice.scope if self.look else notice.scope,
            self.culprits if known else (*self.culprits, notice.culprit),  # type: ignore[arg-type]
            orphaned(self.ports, notice.ports),
            self.overrun or notice.overrun,
            self.file or notice.file,
            self.rung or notice.rung,
            self.reload or notice.reload,
            self.stop or notice.stop,
        )


SILENCE = Wakeup()
GATHER = 0.005  # seconds: no repair waits longer for the news of others
BUSY = 0.02  # seconds between two pieces of such news: a host is busy if they come faster


class Wake:
    """Waits on all sources at once."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.selector = selectors.DefaultSelector()
        self.disturbed = 0.0
        for source in sources:
            self.selector.register(source.fileno(), selectors.EVENT_READ, source)

    def wait(self, timeout: float | None) -> Wakeup:
        """Sleep for at most `timeout` seconds (None: for ever); tell what ended the sleep.

        What does not concern us ends no sleep: on a host whose guests come and go all the time such news is
        left to gather for a moment, which costs a third of reading it piece by piece.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            ready = self.selector.select(left)
            heard = self.listen(ready)
            if heard != SILENCE or not ready or left == 0.0:
                return heard
            now, last = time.monotonic(), self.disturbed
            self.disturbed = now
            if now - last < BUSY:
                time.sleep(GATHER if left is None else min(GATHER, left))

    def listen(self, ready: list[tuple[selectors.SelectorKey, int]]) -> Wakeup:
        """Take a burst whole: what is queued by now is read before the first look.

        A source that never falls silent keeps nobody from looking, though.
        """
        heard = SILENCE
        for _ in range(ROUNDS):
            for key, _events in ready:
                source: Source = key.data
                for notice in source.read():
                    heard |= notice
                    if notice.urgent:
                        return heard
            ready = self.selector.select(0) if not heard.stop else []
            if not ready:
                break
        return heard


class Signals:
    """SIGTERM and SIGINT stop, SIGHUP reloads."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setblocking(False)
        signal.set_wakeup_fd(self.far.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self.near.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell which signals came."""
        try:
            caught = set(self.near.recv(4096))
        except BlockingIOError:
            return
        if caught & {signal.SIGTERM, signal.SIGINT}:
            yield Notice(stop=True)
        if signal.SIGHUP in caught:
            yield Notice(reload=True)


class Bell:
    """Rung by another thread, heard by the loop."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setblocking(False)

    def ring(self) -> None:
        """Wake the loop; ringing twice is ringing once."""
        try:
            self.far.send(b"!")
        except BlockingIOError:
            return

    def fileno(self) -> int:
        """Readable when rung."""
        return self.near.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell that it rang."""
        try:
            self.near.recv(4096)
        except BlockingIOError:
            return
        yield Notice(rung=True)
