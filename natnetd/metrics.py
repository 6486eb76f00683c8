"""Prometheus: what is counted from reports, and the figures of the last sample.

Scrapes run in threads of their own. Each rings the loop for a fresh sample and waits a short time for
it; rendering happens in the scrape's thread, from frozen values.
"""

import platform
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from natnetd import __version__
from natnetd.exposition import of_networks
from natnetd.guests import LIMIT, Counted, Guest, busiest
from natnetd.host import State
from natnetd.model import Config
from natnetd.report import Reason, Report, Traffic
from natnetd.rows import Table

BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
PATIENCE = 0.5  # seconds a scrape waits for a fresh sample
CONNECTIONS = ("natnetd_conntrack_entries", "natnetd_conntrack_entries_limit")
COMMANDS = 20
"""So many culprits get a series of their own: whoever changes his name all the time shall not fill a disk."""


@dataclass(frozen=True, slots=True)
class GuestSample:
    """The busiest guests, and how many there are; a guest that is not among them has no series."""

    busiest: tuple[Guest, ...] = ()
    fullest: int = 0

    @classmethod
    def of(cls, config: Config, counted: Counted, most: int) -> "GuestSample":
        """Choose them."""
        return cls(tuple(busiest(config, counted, most)), counted.fullest)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a scrape shows that is not counted from reports."""

    states: dict[str, State] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    retries: int = 0
    generation: int = 0
    log_dropped: int = 0
    connections: tuple[int, int] = (0, 0)  # how many there are, and how many may be
    leases: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # in force, and addresses, by network


class Metrics:
    """All of natnetd's metrics; `record` is the loop's, `render` a scrape's."""

    def __init__(
        self,
        ring: Callable[[], None] = lambda: None,
        nftables: str = "",
        guests: Callable[[], GuestSample | None] = lambda: None,
    ) -> None:
        self.ring = ring
        self.guests = guests
        self.sample = Sample()
        self.fresh = threading.Condition()
        self.samples = 0
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self.build(nftables)

    def build(self, nftables: str) -> None:
        """Declare what is counted from reports."""
        labels = ["version", "python", "nftables", "kernel"]
        about = Gauge("natnetd_build_info", "Versions in use.", labels, registry=self.registry)
        about.labels(__version__, platform.python_version(), nftables, platform.release()).set(1)
        self.build_file()
        self.build_drift()
        self.build_passes()

    def build_file(self) -> None:
        """Declare what becomes of the file."""
        gauge, count = partial(Gauge, registry=self.registry), partial(Counter, registry=self.registry)
        self.config_ok = gauge(
            "natnetd_config_last_reload_successful", "Whether the configuration file is in force."
        )
        self.config_at = gauge(
            "natnetd_config_last_reload_success_timestamp_seconds", "When it came into force."
        )
        self.reloads = count("natnetd_config_reloads", "Times the file was read.", ["result"])

    def build_drift(self) -> None:
        """Declare what drifted, and what became of it."""
        gauge, count = partial(Gauge, registry=self.registry), partial(Counter, registry=self.registry)
        self.drifts = count(
            "natnetd_drift_detected",
            "Things found other than they should be.",
            ["layer", "kind", "change", "source"],
        )
        self.culprits = count(
            "natnetd_drift_culprits", "Passes that found drift, by the command that caused it.", ["command"]
        )
        self.commands: set[str] = set()
        self.repairs = count("natnetd_drift_repairs", "Repairs of drift.", ["layer", "result"])
        self.repair_time = Histogram(
            "natnetd_drift_repair_duration_seconds",
            "From the wake-up to the repair.",
            ["layer"],
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.window = gauge(
            "natnetd_last_unprotected_window_seconds",
            "How long the table was last found missing, from the wake-up until NAT and isolation were back.",
        )

    def build_passes(self) -> None:
        """Declare what passes did, and when."""
        gauge, count = partial(Gauge, registry=self.registry), partial(Counter, registry=self.registry)
        self.passes = count("natnetd_reconciles", "Passes.", ["trigger", "result"])
        self.pass_time = Histogram(
            "natnetd_reconcile_duration_seconds",
            "Duration of a pass.",
            ["trigger"],
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.success_at = gauge(
            "natnetd_reconcile_last_success_timestamp_seconds", "When a pass last left nothing undone."
        )
        self.overruns = count(
            "natnetd_netlink_overruns", "Times the kernel's events were lost, and everything was looked at."
        )
        self.purged = count(
            "natnetd_conntrack_purged_entries", "Flows forgotten because they had left untranslated."
        )

    def record(self, report: Report, now: float) -> None:
        """Count a pass; `now` is in seconds since 1970."""
        result = "ok" if report.ok else "error"
        self.passes.labels(report.reason, result).inc()
        self.pass_time.labels(report.reason).observe(report.took)
        if report.ok:
            self.success_at.set(now)
        if report.reason in (Reason.EVENT, Reason.VERIFY):
            self.count_drift(report)

    def count_drift(self, report: Report) -> None:
        """Count what had drifted and how its repair went."""
        changes = [outcome.change for outcome in report.outcomes]
        for labels, times in Tally((c.layer, c.kind, c.sort, report.reason) for c in changes).items():
            self.drifts.labels(*labels).inc(times)
        for command in self.bounded({c.name for c in report.culprits} or {"unknown"}) if changes else ():
            self.culprits.labels(command).inc()
        results = ((o.change.layer, "error" if o.error else "ok") for o in report.outcomes)
        for (layer, result), times in Tally(results).items():
            self.repairs.labels(layer, result).inc(times)
        for outcome in report.outcomes:
            if isinstance(outcome.change.want, Table) and outcome.change.have is None and not outcome.error:
                self.window.set(outcome.after)
        for layer, after in {o.change.layer: o.after for o in report.outcomes}.items():
            self.repair_time.labels(layer).observe(after)

    def bounded(self, commands: set[str]) -> set[str]:
        """Name the commands that have a series, and "other" for those that come too late for one."""
        for command in sorted(commands):
            if len(self.commands) < COMMANDS:
                self.commands.add(command)
        return {command if command in self.commands else "other" for command in commands}

    def reloaded(self, *, good: bool, now: float) -> None:
        """Count a reading of the file."""
        self.reloads.labels("ok" if good else "error").inc()
        self.config_ok.set(int(good))
        if good:
            self.config_at.set(now)

    def publish(self, sample: Sample) -> None:
        """Hand a fresh sample to whoever waits for it."""
        with self.fresh:
            self.sample = sample
            self.samples += 1
            self.fresh.notify_all()

    def render(self) -> bytes:
        """Answer a scrape: ask for a fresh sample, take the last one if none comes in time."""
        with self.fresh:
            seen = self.samples
            self.ring()
            self.fresh.wait_for(lambda: self.samples > seen, PATIENCE)
        sample, text = self.sample, bytes(generate_latest(self.registry))
        return text + of_networks(sample.states, sample.traffic.elements).encode()

    def collect(self) -> Iterator[Any]:
        """Yield the figures of the sample, but those of each network, for prometheus_client."""
        sample = self.sample
        yield from of_states(sample)
        family = CounterMetricFamily(
            "natnetd_dropped_packets", "Packets dropped, by reason.", labels=["reason"]
        )
        for reason, count in sorted(sample.traffic.dropped.items()):
            family.add_metric([reason], count)
        yield family
        yield GaugeMetricFamily(
            "natnetd_retry_queue_changes", "Changes that failed and wait.", value=sample.retries
        )
        yield GaugeMetricFamily(
            "natnetd_nft_generation", "Generation of the ruleset.", value=sample.generation
        )
        for name, about, value in zip(
            CONNECTIONS, ("there are.", "there may be."), sample.connections, strict=True
        ):
            yield GaugeMetricFamily(name, f"Connections (conntrack entries) {about}", value=value)
        yield from of_leases(sample)
        if (guests := self.guests()) is not None:
            yield from of_guests(guests)
        yield CounterMetricFamily(
            "natnetd_log_records_dropped", "Log records the journal did not take.", value=sample.log_dropped
        )


def of_leases(sample: Sample) -> Iterator[Any]:
    """Yield how many addresses guests have by DHCP, and how many they could."""
    leases = GaugeMetricFamily("natnetd_dhcp_leases", "Leases in force.", labels=["network"])
    room = GaugeMetricFamily(
        "natnetd_dhcp_range_addresses", "Addresses to be had by DHCP.", labels=["network"]
    )
    for name, (used, there) in sorted(sample.leases.items()):
        leases.add_metric([name], used)
        room.add_metric([name], there)
    yield leases
    yield room


def of_guests(sample: GuestSample) -> Iterator[Any]:
    """Yield what the busiest guests moved."""
    size = CounterMetricFamily(
        "natnetd_guest_bytes", "Bytes forwarded for a guest.", labels=["network", "guest", "direction"]
    )
    packets = CounterMetricFamily(
        "natnetd_guest_packets", "Packets forwarded for a guest.", labels=["network", "guest", "direction"]
    )
    began = CounterMetricFamily(
        "natnetd_guest_connections", "Connections that a guest began.", labels=["network", "guest"]
    )
    for guest in sample.busiest:
        labels, moved = [guest.network, guest.address], guest.total
        size.add_metric([*labels, "egress"], moved.sent_bytes)
        size.add_metric([*labels, "ingress"], moved.received_bytes)
        packets.add_metric([*labels, "egress"], moved.sent_packets)
        packets.add_metric([*labels, "ingress"], moved.received_packets)
        began.add_metric(labels, moved.connections)
    yield from (size, packets, began)
    for name, about, value in (
        ("natnetd_guests_counted", "Addresses in the fullest set of guests.", sample.fullest),
        ("natnetd_guests_counted_limit", "Addresses it takes.", LIMIT),
    ):
        yield GaugeMetricFamily(name, about, value=value)


def of_states(sample: Sample) -> Iterator[Any]:
    """Yield how many networks are in which state."""
    states = GaugeMetricFamily("natnetd_networks", "Networks by state.", labels=["state"])
    counted = Tally(sample.states.values())
    for state in State:
        states.add_metric([state], counted[state])
    yield states
