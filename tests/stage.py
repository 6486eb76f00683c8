"""A daemon on a fake host with a clock that is moved by hand: it plays what it is told to hear."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake import FakeHost
from running import ONE

from natnetd.daemon import PUBLISH, Daemon
from natnetd.errors import HostError
from natnetd.flows import Suspects
from natnetd.host import Layer, Scope, Snapshot
from natnetd.premises import Premises
from natnetd.publication import Outlets
from natnetd.report import Traffic
from natnetd.rows import Link
from natnetd.state import State
from natnetd.wake import Wake, Wakeup

MOMENT = 1e-6  # seconds by which a sleep is too long, as real ones are
STOP = Wakeup(stop=True)
ADDRESSES = Wakeup(Scope(frozenset({"vmbr1"}), frozenset({Layer.ADDRESS}), host=False))


class Nothing:
    """A walk that finds no flow to forget."""

    purged = 0

    def step(self) -> bool:
        return False


class Host(FakeHost):
    """A fake host that may be struck blind, and counts looks."""

    blind: bool = False
    generation: int = 7

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[Scope] = []
        self.traffic = Traffic()
        self.add_link("vmbr0", kind="bridge")

    def look(self, scope: Scope, *rest: Any) -> Snapshot:
        self.looks.append(scope)
        if self.blind:
            raise HostError("cannot read from the kernel: no")
        return super().look(scope, *rest)

    def sample(self) -> Traffic:
        if self.blind:
            raise HostError("cannot read nftables: no")
        return self.traffic

    def purge(self, suspects: Suspects, *, translated: bool = False) -> Nothing:
        assert suspects.inside, translated
        return Nothing()


@dataclass
class Script(Wake):
    """Plays what is heard, one after the other; a silence lasts as long as the loop is ready to sleep.

    What the loop has put off for a moment comes first.
    """

    acts: Iterator[Any] = field(default_factory=lambda: iter(()))
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def wait(self, timeout: float | None) -> Wakeup:
        assert timeout is not None
        if timeout <= PUBLISH:
            self.now += timeout + MOMENT
            return Wakeup()
        act = next(self.acts, STOP)
        if callable(act):
            act = act() or Wakeup()
        if act == Wakeup():
            self.slept.append(timeout)
            self.now += timeout + MOMENT
        return act if isinstance(act, Wakeup) else Wakeup()


@dataclass
class Events:
    """Notes what the loop asks to be told of."""

    ways: frozenset[str] = frozenset()

    def watch(
        self, bridges: Iterable[str], ways: Iterable[str], links: Mapping[str, Link], *, out: bool = False
    ) -> None:
        del out  # nothing is heard here
        assert set(bridges) <= set(links) | set(bridges)
        self.ways = frozenset(ways)


@dataclass
class Way:
    """Knows the way that the last look at everything saw."""

    known: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()

    def follow(self, known: frozenset[str], known6: frozenset[str], /) -> bool:
        self.known = known, known6
        return False

    def strange(self, seen: frozenset[str], seen6: frozenset[str], /) -> bool:
        return self.known != (seen, seen6)


@dataclass
class Stage:
    """A daemon and all that surrounds it."""

    directory: Path
    host: Host = field(default_factory=Host)
    script: Script = field(default_factory=Script)
    follows: list[float] = field(default_factory=list)
    way: Way | None = None

    def play(self, *acts: Any, text: str | None = ONE) -> Daemon:
        """Run a daemon through some acts, to its end."""
        if text is not None:
            self.write(text)
        self.script.acts = iter(acts)
        premises = Premises(
            host=self.host,
            wake=self.script,
            events=Events(),
            follow=lambda: self.follows.append(self.script.now),
            way=self.way,
            clock=self.script.clock,
        )
        outlets, state = Outlets(self.directory / "run"), State(self.directory / "state")
        daemon = Daemon(self.directory / "natnetd.yaml", premises, outlets, state)
        daemon.run()
        return daemon

    def write(self, text: str) -> None:
        (self.directory / "natnetd.yaml").write_text(text, "utf-8")

    def published(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "run" / "status.json").read_text("utf-8"))
        return found
