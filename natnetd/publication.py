"""What the world sees of the daemon: log, metrics, status.json, systemd's line. All made from reports."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from natnetd import status, systemd, words
from natnetd.dnsmasq import range_of
from natnetd.errors import HostError
from natnetd.guests import Counted
from natnetd.host import Finding, Scope
from natnetd.leases import Lease, counts
from natnetd.metrics import GuestSample, Metrics, Sample
from natnetd.model import Config
from natnetd.model import Metrics as Listen
from natnetd.report import Reason, Report, Traffic, states
from natnetd.rows import Counter, Link
from natnetd.scrape import Endpoint
from natnetd.state import State
from natnetd.tally import Tally
from natnetd.wanted import Wanted

log = logging.getLogger("natnetd")


@dataclass(slots=True)
class Outlets:
    """Where to, besides the state directory."""

    runtime: Path = Path("/run/natnetd")
    ring: Callable[[], None] = lambda: None
    log_dropped: Callable[[], int] = lambda: 0
    connections: Callable[[], tuple[int, int]] = lambda: (0, 0)
    nftables: str = ""
    leases: Callable[[str], Iterable[Lease]] = lambda _: ()
    guests: Callable[[], Counted] = Counted


class Publication:
    """Keeps what is told: counters that never go backwards, the last drifts, the last report."""

    def __init__(self, outlets: Outlets, state: State, wanted: Wanted) -> None:
        self.outlets = outlets
        self.state = state
        self.wanted = wanted
        self.metrics = Metrics(outlets.ring, outlets.nftables, self.busiest)
        self.endpoint: Endpoint | None = None
        self.listen: Listen | None = None
        self.tally: Tally = state.tally()
        self.report = Report(Reason.START)
        self.links: Mapping[str, Link] = {}
        self.findings: tuple[Finding, ...] = ()
        self.drifts: tuple[status.Drift, ...] = ()
        self.line = ""

    @property
    def config(self) -> Config:
        """The configuration in force, or an empty one."""
        return self.wanted.config or Config()

    # --- a pass

    def take_in(self, report: Report) -> None:
        """Log and count a pass. What costs more, `write` does later."""
        self.report = report
        self.tell()
        self.metrics.record(report, time.time())
        self.remember_links(report.scope)
        if report.seen.table is not None and report.scope.host and not report.outcomes:
            self.count(traffic(report))

    def tell(self) -> None:
        """Write the log: one line for each change, and what stands in the way since this pass."""
        report = self.report
        if report.blind:
            log.error("cannot look at the host: %s", report.blind)
        told = words.lines(report)
        for outcome, text in told[: words.MANY]:
            drift = text.startswith("drift")
            level = logging.ERROR if outcome.error else logging.WARNING if drift else logging.INFO
            fields = {"NATNETD_NETWORK": outcome.change.network or "", "NATNETD_KIND": outcome.change.kind}
            fields["NATNETD_CULPRIT"] = ", ".join(map(str, report.culprits))
            log.log(level, "%s", text, extra=fields)
            if drift:
                self.drifts = (*self.drifts, status.Drift(time.time(), text))[-status.DRIFTS_KEPT :]
        if len(told) > words.MANY:
            log.info("%s: and %d more changes", report.reason, len(told) - words.MANY)
        for finding in report.findings:
            if finding not in self.findings:
                log.warning("%s", finding)
        self.findings = report.findings

    def remember_links(self, scope: Scope) -> None:
        """Keep what was seen of links, which narrow looks renew in part."""
        seen = self.report.seen.links
        if scope.networks is not None:
            others = {name: link for name, link in self.links.items() if name not in scope.networks}
            self.links = {**others, **seen} if seen else self.links
        elif seen:
            self.links = seen

    # --- counters

    def count(self, now: Traffic) -> None:
        """Add a sample up; without a good file nobody knows which networks are no more."""
        tally = self.tally.advance(now)
        self.tally = tally if self.wanted.config is None else tally.only(self.wanted.config.networks)

    def busiest(self) -> GuestSample | None:
        """Read what guests moved, in a scrape's own thread: full sets take 0.3 s, and repairs do not wait.

        None: nobody asked, or the kernel does not tell.
        """
        config = self.config
        if config.metrics is None or not config.metrics.guests:
            return None
        try:
            return GuestSample.of(config, self.outlets.guests(), config.metrics.guests)
        except HostError as error:
            log.warning("cannot read what guests moved: %s", error)
            return None

    def show(self, generation: int) -> None:
        """Hand the present figures to scrapes, but not before they are kept: they never go backwards."""
        self.state.keep_tally(self.tally)
        report = self.report
        troubles = report.seen.before.troubles
        found = states(self.config.networks, report.findings, troubles.values())
        dropped = self.outlets.log_dropped()
        connections = self.outlets.connections()
        self.metrics.publish(
            Sample(
                found,
                self.tally.total,
                len(troubles),
                generation,
                dropped,
                connections,
                self.leases(time.time()),
            )
        )

    def leases(self, now: float) -> dict[str, tuple[int, int]]:
        """Count leases in force, and the addresses there are for them."""
        served = [network for network in self.config.networks.values() if network.dhcp]
        used = counts({network.name: self.outlets.leases(network.name) for network in served}, now)
        return {network.name: (used[network.name], range_of(network)) for network in served}

    # --- status

    def write(self) -> None:
        """Write status.json, and tell systemd if its line is another."""
        fresh = status.Status(
            pid=os.getpid(),
            at=time.time(),
            file=str(self.wanted.path),
            file_error=self.wanted.error,
            waiting=self.wanted.config is None,
            networks=status.networks(self.config, self.report, self.links, self.tally.total),
            findings=self.report.findings,
            drifts=self.drifts,
            dropped=self.tally.total.dropped,
            blind=self.report.blind or "",
        )
        text = status.text(fresh).encode("utf-8", "backslashreplace")
        self.state.write(self.outlets.runtime / "status.json", text)
        if fresh.line != self.line:
            systemd.notify(STATUS=fresh.line)
        self.line = fresh.line

    # --- the endpoint of the metrics

    def serve(self) -> None:
        """Serve the metrics where the file says; a port that is taken stops nothing and is tried again."""
        listen = self.config.metrics
        if self.endpoint and listen == self.listen:
            return
        self.close()
        self.listen = listen
        if listen is None:
            return
        try:
            self.endpoint = Endpoint(listen.host, listen.port, self.metrics.render)
        except HostError as error:
            log.error("%s; the networks are kept true all the same", error)
        else:
            self.endpoint.start()

    def close(self) -> None:
        """Free the port."""
        if self.endpoint:
            self.endpoint.stop()
        self.endpoint = None


def traffic(report: Report) -> Traffic:
    """The counters a look at the table has seen anyway."""
    table = report.seen.table
    if table is None:
        return Traffic()
    counts: dict[str, Counter] = {e.name: e.count for e in table.elements.values() if e.count}
    return Traffic(counts, table.drops)
