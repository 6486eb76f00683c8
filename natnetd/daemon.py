"""The loop: converge, say READY, sleep until there is a reason, look, repair, report."""

import gc
import logging
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from natnetd import systemd
from natnetd.errors import HostError
from natnetd.forgetting import Forgetting
from natnetd.host import ALL, Before, Layer, Scope
from natnetd.host import State as NetworkState
from natnetd.model import Config
from natnetd.patience import next_try
from natnetd.premises import Premises
from natnetd.publication import Outlets, Publication
from natnetd.reconcile import TABLES, Pass, reconcile
from natnetd.report import Reason, Report
from natnetd.state import State
from natnetd.wake import NOTHING, Wakeup, orphaned
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
TURN = 0.0002  # seconds a scrape's thread may keep Python from the loop (5 ms by itself), at each system call
UNHEARD = 0.1  # seconds until systemd is told again what it had no room for


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

    def __init__(self, path: Path, premises: Premises, outlets: Outlets, state: State) -> None:
        self.premises = premises
        self.wanted = Wanted(path, state)
        self.public = Publication(outlets, state, self.wanted)
        self.before = Before()
        self.times = Times()
        self.retry_scope = ALL
        self.missed = NOTHING  # what is to be looked at by the next pass, whatever its reason
        self.forgetting = Forgetting(premises.host, self.public.metrics.purged.inc)
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
        sys.setswitchinterval(TURN)
        systemd.notify(READY=1, STATUS=self.public.line)
        log.info("ready: %s", self.public.line)
        self.live()
        while True:
            heard = self.premises.wake.wait(self.patience())
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
        left = max(0.0, self.times.next() - self.premises.clock())
        return 0.0 if self.forgetting.walk else min(left, UNHEARD) if systemd.WAITING else left

    def answer(self, heard: Wakeup) -> None:
        """Do what there is reason for: repairs first, the status last."""
        now = self.premises.clock()
        if heard.file:
            self.times.file = now + SETTLE
        if heard.look and not self.held(heard):
            self.go(Reason.EVENT, heard)
        else:
            self.forgetting.step()
        self.answer_clock(now, reload=heard.reload)
        if heard.rung:
            self.sample()
            self.public.show(self.premises.host.generation)
        if self.premises.clock() >= self.times.publish:
            self.publish()

    def answer_clock(self, now: float, *, reload: bool) -> None:
        """Do what is due."""
        settled = now >= self.times.file or (now >= self.times.verify and self.times.file == NEVER)
        if settled:
            self.times.file = NEVER
            self.premises.follow()
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
        period, now = systemd.watchdog_period(), self.premises.clock()
        if period is not None and (self.times.alive == NEVER or now >= self.times.alive - period / 4):
            systemd.notify(WATCHDOG=1)
            self.times.alive = now + period
        systemd.notify()

    # --- one pass

    def go(self, reason: Reason, heard: Wakeup | None = None) -> None:
        """Make one pass and report it."""
        config, host = self.wanted.config, self.premises.host
        scope = self.where(reason, heard) | self.missed
        if scope == ALL:
            self.times.verify = self.premises.clock() + VERIFY
        self.times.retry = NEVER
        if config is None:
            return
        heard = heard or Wakeup()
        last, ports = self.public.tally.last, orphaned(self.before.ports, heard.ports)
        before = replace(self.before, counters=last.elements, drops=last.drops, ports=ports)
        report = reconcile(
            config, host, Pass(reason, scope, before, self.premises.clock, culprits=heard.culprits)
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
            self.premises.events.watch(config.networks, ways, report.seen.links, out=out)
        waiting = next_try(self.before)
        if report.blind:
            self.times.retry, self.retry_scope = self.premises.clock() + BLIND_RETRY, ALL
        elif waiting:
            self.times.retry, self.retry_scope = waiting
        self.follow_way(config, report)
        if served_anew(config, report):
            self.times.verify = min(self.times.verify, self.premises.clock() + LISTEN)
        self.forgetting.after(config, report)
        if news:
            soon = max(self.premises.clock() + PUBLISH, self.quiet_until)
            self.times.publish = min(self.times.publish, soon)

    def follow_way(self, config: Config, report: Report) -> None:
        """Hear of another way to the internet wherever one matters that the file does not name.

        A look at less than everything may see one that is about to be told of, or gone again by then.
        """
        way, seen = self.premises.way, (report.seen.auto, report.seen.auto6)
        matters = config.all.follows or config.all.any_way or config.all.forwards6
        if not matters or way is None or report.blind:
            return
        looked = config.all.follows or report.scope.networks is None
        if way.follow(*seen) if report.scope == ALL else looked and way.strange(*seen):
            self.times.retry = self.premises.clock()
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

    def sample(self) -> None:
        """Read the counters and add them up."""
        try:
            self.public.count(self.premises.host.sample())
        except HostError as error:
            log.warning("cannot read the counters: %s", error)

    def publish(self) -> None:
        """Write the status down and hand the figures to scrapes."""
        start, self.times.publish = self.premises.clock(), NEVER
        self.public.write()
        self.public.show(self.premises.host.generation)
        took = self.premises.clock() - start
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
