"""The loop: converge, say READY, sleep until there is a reason, look, repair, report."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from natnetd import status, systemd, words
from natnetd.errors import HostError
from natnetd.host import ALL, Before, Host, Scope
from natnetd.metrics import Metrics, Sample
from natnetd.model import Config
from natnetd.model import Metrics as Listen
from natnetd.reconcile import Pass, reconcile
from natnetd.report import Reason, Report, Traffic, states
from natnetd.rows import Counter, Link
from natnetd.scrape import Endpoint
from natnetd.state import State
from natnetd.wake import Bell, Wake, Wakeup
from natnetd.wanted import Wanted

log = logging.getLogger("natnetd")

VERIFY = 60.0  # seconds between two looks at everything
SETTLE = 0.1  # seconds a changed file is left alone: editors save twice
BLIND_RETRY = 1.0  # seconds
NEVER = float("inf")


class Watched(Host, Protocol):
    """A host whose counters can be read."""

    def sample(self) -> Traffic:
        """Read the counters. Raises HostError."""

    @property
    def generation(self) -> int:
        """The generation of the ruleset last looked at."""


class Watching(Protocol):
    """The source of link events, told what matters."""

    def watch(self, bridges: Iterable[str], ways: Iterable[str], links: Mapping[str, Link]) -> None:
        """Say which interfaces matter, and what is known of them."""


@dataclass(slots=True)
class Surroundings:
    """All that the loop stands on, made by whoever starts it."""

    host: Watched
    wake: Wake
    events: Watching
    bell: Bell
    follow: Callable[[], None] = lambda: None
    runtime: Path = Path("/run/natnetd")
    log_dropped: Callable[[], int] = lambda: 0
    nftables: str = ""
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Times:
    """When things are due, in monotonic seconds; infinity: never."""

    verify: float = 0.0
    file: float = NEVER
    retry: float = NEVER
    alive: float = NEVER

    def next(self) -> float:
        """The soonest."""
        return min(self.verify, self.file, self.retry, self.alive)


class Daemon:
    """One natnetd at work."""

    def __init__(self, path: Path, around: Surroundings, state: State) -> None:
        self.around = around
        self.wanted = Wanted(path, state)
        self.state = state
        self.metrics = Metrics(around.bell.ring, around.nftables)
        self.endpoint: Endpoint | None = None
        self.listen: Listen | None = None
        self.tally = state.tally()
        self.before = Before()
        self.report = Report(Reason.START)
        self.links: Mapping[str, Link] = {}
        self.drifts: tuple[status.Drift, ...] = ()
        self.times = Times()
        self.published: status.Status | None = None

    # --- the loop

    def run(self) -> None:
        """Keep the host true until told to stop; stopping changes nothing in the data path."""
        self.metrics.reloaded(good=self.wanted.load(), now=time.time())
        self.serve()
        self.go(Reason.START)
        systemd.notify(READY=1, STATUS=self.line())
        log.info("ready: %s", self.line())
        self.live()
        while True:
            heard = self.around.wake.wait(max(0.0, self.times.next() - self.around.clock()))
            self.live()
            if heard.stop:
                break
            self.answer(heard)
        systemd.notify(STOPPING=1)
        self.take(self.sample())
        self.state.keep_tally(self.tally)
        if self.endpoint:
            self.endpoint.stop()
        log.info("stopped; the networks stay as they are")

    def answer(self, heard: Wakeup) -> None:
        """Do what there is reason for."""
        now = self.around.clock()
        if heard.file:
            self.times.file = now + SETTLE
        if heard.look:
            self.go(Reason.EVENT, heard)
        settled = now >= self.times.file or (now >= self.times.verify and self.times.file == NEVER)
        if settled:
            self.times.file = NEVER
            self.around.follow()
        if heard.reload or (settled and self.wanted.changed()):
            self.reload()
        elif now >= self.times.retry:
            self.go(Reason.RETRY)
        elif now >= self.times.verify:
            self.serve()
            self.go(Reason.VERIFY)
        if heard.rung:
            self.take(self.sample())
            self.state.keep_tally(self.tally)
            self.show()

    def reload(self) -> None:
        """Read the file again."""
        systemd.notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        good = self.wanted.load()
        self.metrics.reloaded(good=good, now=time.time())
        if good:
            self.before = replace(self.before, troubles={})
            self.serve()
            self.go(Reason.RELOAD)
        else:
            self.publish()
        systemd.notify(READY=1, STATUS=self.line())

    def live(self) -> None:
        """Give systemd's watchdog a sign of life, and say when the next one is due."""
        period, now = systemd.watchdog_period(), self.around.clock()
        if period is not None and (self.times.alive == NEVER or now >= self.times.alive - period / 4):
            systemd.notify(WATCHDOG=1)
            self.times.alive = now + period

    # --- one pass

    def go(self, reason: Reason, heard: Wakeup | None = None) -> None:
        """Make one pass and report it."""
        config = self.wanted.config
        self.times.retry = NEVER
        if reason in (Reason.START, Reason.RELOAD, Reason.VERIFY, Reason.RETRY) or (heard and heard.overrun):
            self.times.verify = self.around.clock() + VERIFY
        if config is None:
            self.publish()
            return
        scope = heard.scope if heard and not heard.overrun else ALL
        before = replace(
            self.before,
            counters=self.tally.last.elements,
            drops=self.tally.last.drops,
            ports={**self.before.ports, **(heard.ports if heard else {})},
        )
        report = reconcile(config, self.around.host, Pass(reason, scope, before, self.around.clock))
        self.report = replace(report, culprits=heard.culprits if heard else ())
        self.before = report.seen.before
        if heard and heard.overrun:
            self.metrics.overruns.inc()
        self.after_pass(config, scope)

    def after_pass(self, config: Config, scope: Scope) -> None:
        """Log, count, publish, and see what is due next."""
        report = self.report
        self.tell()
        self.metrics.record(report, time.time())
        if report.seen.table is not None and not report.outcomes:
            self.take(traffic(report))
        self.remember_links(config, scope)
        if report.blind:
            self.times.retry = self.around.clock() + BLIND_RETRY
        elif self.before.troubles:
            self.times.retry = min(t.retry_at for t in self.before.troubles.values())
        old = self.published.findings if self.published else ()
        if report.outcomes or report.blind or scope == ALL or report.findings != old:
            self.publish()

    def remember_links(self, config: Config, scope: Scope) -> None:
        """Keep what was seen of links, for the status; say what matters after a look at all of them."""
        seen = self.report.seen
        if scope.networks is not None:
            others = {name: link for name, link in self.links.items() if name not in scope.networks}
            self.links = {**others, **seen.links} if seen.links else self.links
        elif seen.links:
            self.links = seen.links
            self.around.events.watch(config.networks, config.all.ways | seen.default_links, seen.links)

    def tell(self) -> None:
        """Write the log."""
        report = self.report
        if report.blind:
            log.error("cannot look at the host: %s", report.blind)
        told = words.lines(report)
        for outcome, text in told[: words.MANY]:
            level = (
                logging.ERROR
                if outcome.error
                else logging.WARNING
                if text.startswith("drift")
                else logging.INFO
            )
            fields = {"NATNETD_NETWORK": outcome.change.network or "", "NATNETD_KIND": outcome.change.kind}
            fields["NATNETD_CULPRIT"] = ", ".join(map(str, report.culprits))
            log.log(level, "%s", text, extra=fields)
            if text.startswith("drift"):
                self.drifts = (*self.drifts, status.Drift(time.time(), text))[-status.DRIFTS_KEPT :]
        if len(told) > words.MANY:
            log.info("%s: and %d more changes", report.reason, len(told) - words.MANY)
        old = self.published.findings if self.published else ()
        for finding in report.findings:
            if finding not in old:
                log.warning("%s", finding)

    # --- what the world sees

    def sample(self) -> Traffic:
        """Read the counters; nothing if that fails."""
        try:
            return self.around.host.sample()
        except HostError as error:
            log.warning("cannot read the counters: %s", error)
            return Traffic()

    def take(self, now: Traffic) -> None:
        """Add a sample up."""
        names = self.wanted.config.networks if self.wanted.config else {}
        self.tally = self.tally.advance(now).only(names)

    def publish(self) -> None:
        """Write status.json and tell systemd, if anything is new; hand the figures to scrapes."""
        config = self.wanted.config or Config()
        fresh = status.Status(
            pid=os.getpid(),
            at=time.time(),
            file=str(self.wanted.path),
            file_error=self.wanted.error,
            waiting=self.wanted.config is None,
            networks=status.networks(config, self.report, self.links, self.tally.total),
            findings=self.report.findings,
            drifts=self.drifts,
            dropped={reason: c.packets for reason, c in self.tally.total.drops.items()},
            blind=self.report.blind or "",
        )
        self.state.write(
            self.around.runtime / "status.json", status.text(fresh).encode("utf-8", "backslashreplace")
        )
        if self.published is None or fresh.line != self.published.line:
            systemd.notify(STATUS=fresh.line)
        self.published = fresh
        self.show()
        self.state.keep_tally(self.tally)

    def show(self) -> None:
        """Hand the present figures to the metrics."""
        config, report = self.wanted.config or Config(), self.report
        found = states(config.networks, report.findings, report.seen.before.troubles.values())
        self.metrics.publish(
            Sample(
                found,
                self.tally.total,
                len(self.before.troubles),
                self.around.host.generation,
                self.around.log_dropped(),
            )
        )

    def line(self) -> str:
        """One line for systemctl."""
        return self.published.line if self.published else ""

    def serve(self) -> None:
        """Serve the metrics where the file says; a port that is taken stops nothing and is tried again."""
        listen = (self.wanted.config or Config()).metrics
        if self.endpoint and listen == self.listen:
            return
        if self.endpoint:
            self.endpoint.stop()
            self.endpoint = None
        self.listen = listen
        if listen is None:
            return
        try:
            self.endpoint = Endpoint(listen.host, listen.port, self.metrics.render)
        except HostError as error:
            log.error("%s; the networks are kept true all the same", error)
        else:
            self.endpoint.start()


def traffic(report: Report) -> Traffic:
    """The counters a look at the table has seen anyway."""
    table = report.seen.table
    if table is None:
        return Traffic()
    counts: dict[str, Counter] = {e.name: e.count for e in table.elements.values() if e.count}
    return Traffic(counts, table.drops)
