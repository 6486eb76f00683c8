"""The loop: converge, say READY, sleep until there is a reason, look, repair, report."""

import gc
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from natnetd import systemd
from natnetd.doors import Row
from natnetd.errors import HostError
from natnetd.flows import Suspects, gap, suspects
from natnetd.host import ALL, Before, Host, Layer, Scope
from natnetd.host import State as NetworkState
from natnetd.model import Config
from natnetd.patience import next_try
from natnetd.publication import Outlets, Publication
from natnetd.reconcile import TABLES, Pass, reconcile
from natnetd.report import Reason, Report, Traffic
from natnetd.rows import Link
from natnetd.stale import shut
from natnetd.state import State
from natnetd.wake import NOTHING, Wake, Wakeup, orphaned
from natnetd.wanted import Wanted

log = logging.getLogger("natnetd")

NEVER = float("inf")
VERIFY = 60.0  # seconds between two looks at everything
LISTEN = 2.0  # seconds after which a dnsmasq hears at a new address, or will not by itself
SETTLE = 0.1  # seconds a changed file is left alone: editors save twice
PUBLISH = 0.05  # seconds the status may lag behind: repairs go first
PUBLISH_SHARE = 0.1  # of the time at most: it costs 40 ms for 1,000 networks
BLIND_RETRY = 1.0  # seconds
GARBAGE = 50_000  # objects between two looks for cycles, which cost 5 ms of a plan for 1,000 networks
UNHEARD = 0.1  # seconds until systemd is told again what it had no room for


class Walk(Protocol):
    """A walk through conntrack, in slices."""

    purged: int

    def step(self) -> bool:
        """Do one slice; say whether more is to come. Raises OSError."""


class Watched(Host, Protocol):
    """A host whose counters can be read, and whose leaked flows can be forgotten."""

    def sample(self) -> Traffic:
        """Read the counters. Raises HostError."""

    def purge(self, suspects: Suspects, *, translated: bool = False) -> Walk:
        """Begin to forget flows that are against the rules, untranslated ones or all. Raises HostError."""

    @property
    def generation(self) -> int:
        """The generation of the ruleset up to which nothing is news any more."""


class Following(Protocol):
    """The source of news about the way to the internet."""

    def follow(self, known: frozenset[str], known6: frozenset[str], /) -> bool:
        """Take it that these ways are known; the first time return whether they are others by now."""

    def strange(self, seen: frozenset[str], seen6: frozenset[str], /) -> bool:
        """Say whether these ways are others than those that are known."""


class Watching(Protocol):
    """The source of link events, told what matters."""

    def watch(
        self, bridges: Iterable[str], ways: Iterable[str], links: Mapping[str, Link], *, out: bool = False
    ) -> None:
        """Say which interfaces matter, and what is known of them."""


@dataclass(slots=True)
class Surroundings:
    """All that the loop stands on, made by whoever starts it."""

    host: Watched
    wake: Wake
    events: Watching
    follow: Callable[[], None] = lambda: None
    way: Following | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Times:
    """When things are due, in monotonic seconds; infinity: never."""

    verify: float = 0.0
    file: float = NEVER
    retry: float = NEVER
    alive: float = NEVER
    publish: float = NEVER

    def next(self) -> float:
        """The soonest."""
        return min(self.verify, self.file, self.retry, self.alive, self.publish)


class Daemon:
    """One natnetd at work."""

    def __init__(self, path: Path, around: Surroundings, outlets: Outlets, state: State) -> None:
        self.around = around
        self.wanted = Wanted(path, state)
        self.public = Publication(outlets, state, self.wanted)
        self.before = Before()
        self.times = Times()
        self.retry_scope = ALL
        self.missed = NOTHING  # what is to be looked at by the next pass, whatever its reason
        self.walk: Walk | None = None
        self.suspects: tuple[Config, Suspects] | None = None
        self.shut: frozenset[Row] = frozenset()  # forwards whose flows are to be forgotten
        self.quiet_until = 0.0

    # --- the loop

    def run(self) -> None:
        """Keep the host true until told to stop; stopping changes nothing in the data path."""
        self.public.metrics.reloaded(good=self.wanted.load(), now=time.time())
        self.public.serve()
        self.go(Reason.START)
        self.publish()
        gc.freeze()
        gc.set_threshold(GARBAGE)
        systemd.notify(READY=1, STATUS=self.public.line)
        log.info("ready: %s", self.public.line)
        self.live()
        while True:
            heard = self.around.wake.wait(self.patience())
            self.live()
            if heard.stop:
                break
            self.answer(heard)
        systemd.notify(STOPPING=1)
        self.sample()
        self.publish()
        self.public.close()
        log.info("stopped; the networks stay as they are")

    def patience(self) -> float:
        """Seconds to sleep at most; none while there are flows to forget."""
        left = max(0.0, self.times.next() - self.around.clock())
        return 0.0 if self.walk else min(left, UNHEARD) if systemd.WAITING else left

    def answer(self, heard: Wakeup) -> None:
        """Do what there is reason for: repairs first, the status last."""
        now = self.around.clock()
        if heard.file:
            self.times.file = now + SETTLE
        if heard.look and not self.held(heard):
            self.go(Reason.EVENT, heard)
        elif self.walk:
            self.forget()
        self.answer_clock(now, reload=heard.reload)
        if heard.rung:
            self.sample()
            self.public.show(self.around.host.generation)
        if self.around.clock() >= self.times.publish:
            self.publish()

    def answer_clock(self, now: float, *, reload: bool) -> None:
        """Do what is due."""
        settled = now >= self.times.file or (now >= self.times.verify and self.times.file == NEVER)
        if settled:
            self.times.file = NEVER
            self.around.follow()
        if reload or (settled and self.wanted.changed()):
            self.reload()
        elif now >= self.times.retry:
            self.go(Reason.RETRY)
        elif now >= self.times.verify:
            self.public.serve()
            self.go(Reason.VERIFY)

    def reload(self) -> None:
        """Read the file again; whatever becomes of that, look at everything."""
        systemd.notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        good = self.wanted.load()
        self.public.metrics.reloaded(good=good, now=time.time())
        if good:
            self.before = replace(self.before, troubles={}, bouts={})
            self.public.serve()
        self.go(Reason.RELOAD if good else Reason.VERIFY)
        self.publish()
        systemd.notify(READY=1, STATUS=self.public.line)

    def live(self) -> None:
        """Give systemd's watchdog a sign of life, and say when the next one is due."""
        period, now = systemd.watchdog_period(), self.around.clock()
        if period is not None and (self.times.alive == NEVER or now >= self.times.alive - period / 4):
            systemd.notify(WATCHDOG=1)
            self.times.alive = now + period
        systemd.notify()

    # --- one pass

    def go(self, reason: Reason, heard: Wakeup | None = None) -> None:
        """Make one pass and report it."""
        config, host = self.wanted.config, self.around.host
        scope = self.where(reason, heard) | self.missed
        if scope == ALL:
            self.times.verify = self.around.clock() + VERIFY
        self.times.retry = NEVER
        if config is None:
            return
        heard = heard or Wakeup()
        last, ports = self.public.tally.last, orphaned(self.before.ports, heard.ports)
        before = replace(self.before, counters=last.elements, drops=last.drops, ports=ports)
        report = reconcile(
            config, host, Pass(reason, scope, before, self.around.clock, culprits=heard.culprits)
        )
        self.missed = scope if report.blind else NOTHING
        forgiven = self.before.troubles.keys() - report.seen.before.troubles.keys()
        self.before = report.seen.before
        if heard.overrun:
            self.public.metrics.overruns.inc()
        self.after_pass(config, report, news=bool(forgiven))

    def where(self, reason: Reason, heard: Wakeup | None) -> Scope:
        """Say where to look: where the kernel points, where something waits, else everywhere."""
        if heard:
            return ALL if heard.overrun else heard.scope
        return self.retry_scope if reason is Reason.RETRY else ALL

    def after_pass(self, config: Config, report: Report, *, news: bool) -> None:
        """Report, and see what is due next; `news`: something that failed does so no more."""
        news = bool(
            news
            or report.outcomes
            or report.blind
            or report.scope == ALL
            or report.findings != self.public.findings
        )
        self.public.take_in(report)
        if report.scope.networks is None and report.seen.links:
            ways = config.all.ways | report.seen.default_links | report.seen.auto | report.seen.auto6
            out = config.all.forwards6  # then a new uplink hears no routers by itself: natnetd.kinds.router
            self.around.events.watch(config.networks, ways, report.seen.links, out=out)
        waiting = next_try(self.before)
        if report.blind:
            self.times.retry, self.retry_scope = self.around.clock() + BLIND_RETRY, ALL
        elif waiting:
            self.times.retry, self.retry_scope = waiting
        self.follow_way(config, report)
        if served_anew(config, report):
            self.times.verify = min(self.times.verify, self.around.clock() + LISTEN)
        self.shut |= shut(report)
        if gap(report):
            self.begin_to_forget(config, ruled_anew=report.reason is Reason.RELOAD)
        if news:
            soon = max(self.around.clock() + PUBLISH, self.quiet_until)
            self.times.publish = min(self.times.publish, soon)

    def follow_way(self, config: Config, report: Report) -> None:
        """Hear of another way to the internet wherever one matters that the file does not name.

        A look at less than everything may see one that is about to be told of, or gone again by then.
        """
        way, seen = self.around.way, (report.seen.auto, report.seen.auto6)
        matters = config.all.follows or config.all.any_way or config.all.forwards6
        if not matters or way is None or report.blind:
            return
        looked = config.all.follows or report.scope.networks is None
        if way.follow(*seen) if report.scope == ALL else looked and way.strange(*seen):
            self.times.retry = self.around.clock()
            self.retry_scope = self.missed = ALL

    def held(self, heard: Wakeup) -> bool:
        """Say whether what was heard is only more of a fight over the table, to be looked at when due."""
        fought = {
            trouble.layer
            for trouble in self.before.troubles.values()
            if trouble.network is None and trouble.state is NetworkState.CONTESTED
        }
        tables = heard.scope.layers & fought & TABLES  # the retry of one layer looks at no other
        return heard.look and tables == heard.scope.layers and not heard.overrun

    # --- what is not urgent

    def begin_to_forget(self, config: Config, *, ruled_anew: bool) -> None:
        """Start to look for flows that slipped out through a hole, or that the new rules do not let live."""
        try:
            if self.suspects is None or self.suspects[0] is not config:
                self.suspects = config, suspects(config)
            them = self.suspects[1]
            if self.shut:
                them, ruled_anew = suspects(config, self.shut), True
            self.walk = self.around.host.purge(them, translated=ruled_anew)
        except (HostError, OSError) as error:
            log.warning("cannot look for leaked flows: %s", error)

    def forget(self) -> None:
        """Forget one slice of leaked flows."""
        if self.walk is None:
            return
        try:
            more = self.walk.step()
        except OSError as error:
            log.warning("cannot look for leaked flows: %s", error)
            more = False
        if not more:
            self.public.metrics.purged.inc(self.walk.purged)
            if self.walk.purged:
                log.warning("forgot %d flows that were against the rules", self.walk.purged)
            self.walk, self.shut = None, frozenset()

    def sample(self) -> None:
        """Read the counters and add them up."""
        try:
            self.public.count(self.around.host.sample())
        except HostError as error:
            log.warning("cannot read the counters: %s", error)

    def publish(self) -> None:
        """Write the status down and hand the figures to scrapes."""
        start, self.times.publish = self.around.clock(), NEVER
        self.public.write()
        self.public.show(self.around.host.generation)
        took = self.around.clock() - start
        self.quiet_until = start + took / PUBLISH_SHARE


def served_anew(config: Config, report: Report) -> bool:
    """Whether interfaces have changed by which dnsmasq serves guests.

    It follows by itself, but not if another one still holds the port: then it never tries again. A look
    at once is too early to see that (`ServiceDoor.look`).
    """
    scope = report.scope
    if scope == ALL or not scope.layers & {Layer.ADDRESS, Layer.LINK}:
        return False
    near = config.networks.keys() if scope.networks is None else scope.networks & config.networks.keys()
    return any(config.networks[name].dns for name in near)
