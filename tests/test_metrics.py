"""What Prometheus is told, and how the endpoint bears its clients; without a kernel."""

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from natnetd.errors import HostError
from natnetd.guests import LIMIT, Guest, Moved
from natnetd.host import Layer, State
from natnetd.metrics import COMMANDS, GuestSample, Metrics, Sample
from natnetd.plan import Change
from natnetd.report import Culprit, Outcome, Reason, Report, Traffic
from natnetd.rows import Address, Counter, Table
from natnetd.scrape import CLIENTS, Endpoint

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"
ROW = re.compile(r"\| `(natnetd_\w+)` \| (\w+) \| ([\w, ]*?) ?\| (.+) \|$", re.MULTILINE)

TABLE = Change(Layer.NFT, "nft", None, "table inet natnetd", None, Table())
ADDRESS = Change(
    Layer.ADDRESS, "address", "vmbr1", "10.0.0.1/16 on vmbr1", None, Address("vmbr1", "10.0.0.1/16")
)
FOREIGN = Change(Layer.NFT, "isolation", "vmbr1", "nets x", Address("x", "y"), None)


def prompt() -> Metrics:
    """Have metrics whose loop answers at once."""
    metrics = Metrics(lambda: metrics.publish(metrics.sample))
    return metrics


def exercised() -> Metrics:
    """Give every metric something to tell."""
    metrics = prompt()
    metrics.reloaded(good=True, now=100.0)
    outcomes = (Outcome(TABLE, None, 0.25), Outcome(FOREIGN, None, 0.5), Outcome(ADDRESS, "no", 0.75))
    metrics.record(Report(Reason.EVENT, outcomes=outcomes, took=1.0), 200.0)
    metrics.overruns.inc()
    traffic = Traffic(
        {"tx vmbr1": Counter(1, 100), "rx vmbr1": Counter(2, 200)}, {"isolation": Counter(7, 700)}
    )
    states = {"vmbr1": State.IN_SYNC, "vmbr2": State.WAITING}
    sample = Sample(states, traffic, retries=3, generation=42, log_dropped=5, connections=(3, 100))
    metrics.guests = lambda: GuestSample((Guest("vmbr1", "10.0.0.2", "web", Moved(1, 2, 3, 4, 5)),), 9)
    metrics.publish(replace(sample, leases={"vmbr1": (7, 239)}))
    return metrics


def told(metrics: Metrics) -> dict[str, float]:
    """Return every sample of ours as the text of its name and labels."""
    found: dict[str, float] = {}
    for family in families(metrics.render().decode()).values():
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def families(text: str) -> dict[str, Metric]:
    return {f.name: f for f in text_string_to_metric_families(text) if f.name.startswith("natnetd_")}


# --- what is told


def test_everything_a_report_and_a_sample_say_is_told() -> None:
    found = told(exercised())
    expected = {
        "natnetd_config_last_reload_successful{}": 1,
        "natnetd_config_last_reload_success_timestamp_seconds{}": 100,
        "natnetd_config_reloads_total{result=ok}": 1,
        "natnetd_drift_detected_total{change=missing,kind=nft,layer=nft,source=event}": 1,
        "natnetd_drift_detected_total{change=foreign,kind=isolation,layer=nft,source=event}": 1,
        "natnetd_drift_detected_total{change=missing,kind=address,layer=address,source=event}": 1,
        "natnetd_drift_culprits_total{command=unknown}": 1,
        "natnetd_drift_repairs_total{layer=nft,result=ok}": 2,
        "natnetd_drift_repairs_total{layer=address,result=error}": 1,
        "natnetd_drift_repair_duration_seconds_sum{layer=nft}": 0.5,
        "natnetd_drift_repair_duration_seconds_count{layer=nft}": 1,
        "natnetd_reconciles_total{result=error,trigger=event}": 1,
        "natnetd_reconcile_duration_seconds_sum{trigger=event}": 1,
        "natnetd_reconcile_last_success_timestamp_seconds{}": 0,
        "natnetd_netlink_overruns_total{}": 1,
        "natnetd_last_unprotected_window_seconds{}": 0.25,
        "natnetd_networks{state=in_sync}": 1,
        "natnetd_networks{state=waiting}": 1,
        "natnetd_networks{state=failed}": 0,
        "natnetd_network_in_sync{network=vmbr1}": 1,
        "natnetd_network_in_sync{network=vmbr2}": 0,
        "natnetd_network_forwarded_packets_total{direction=egress,network=vmbr1}": 1,
        "natnetd_network_forwarded_bytes_total{direction=ingress,network=vmbr1}": 200,
        "natnetd_dropped_packets_total{reason=isolation}": 7,
        "natnetd_retry_queue_changes{}": 3,
        "natnetd_nft_generation{}": 42,
        "natnetd_log_records_dropped_total{}": 5,
        "natnetd_conntrack_entries{}": 3,
        "natnetd_conntrack_entries_limit{}": 100,
        "natnetd_guest_bytes_total{direction=egress,guest=10.0.0.2,network=vmbr1}": 1,
        "natnetd_guest_packets_total{direction=egress,guest=10.0.0.2,network=vmbr1}": 2,
        "natnetd_guest_bytes_total{direction=ingress,guest=10.0.0.2,network=vmbr1}": 3,
        "natnetd_guest_packets_total{direction=ingress,guest=10.0.0.2,network=vmbr1}": 4,
        "natnetd_guest_connections_total{guest=10.0.0.2,network=vmbr1}": 5,
        "natnetd_guests_counted{}": 9,
        "natnetd_guests_counted_limit{}": LIMIT,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_culprits_are_told_by_name_and_only_so_many() -> None:
    metrics = prompt()
    for number in range(COMMANDS + 5):
        by = (Culprit(f"c{number:02}", number), Culprit("nft", number + 1000), Culprit("nft", number + 2000))
        metrics.record(Report(Reason.EVENT, outcomes=(Outcome(TABLE),), culprits=by), 200.0)
    metrics.record(Report(Reason.EVENT, culprits=(Culprit("idle", 1),)), 200.0)
    series = {n: v for n, v in told(metrics).items() if n.startswith("natnetd_drift_culprits_total")}
    assert len(series) == COMMANDS + 1
    assert series["natnetd_drift_culprits_total{command=nft}"] == COMMANDS + 5
    assert series["natnetd_drift_culprits_total{command=c18}"] == 1
    assert series["natnetd_drift_culprits_total{command=other}"] == 6


@pytest.mark.parametrize("reason", [Reason.START, Reason.RELOAD, Reason.RETRY])
def test_what_a_start_or_a_new_file_asks_for_is_no_drift(reason: Reason) -> None:
    metrics = prompt()
    metrics.record(Report(reason, outcomes=(Outcome(ADDRESS),)), 300.0)
    found = told(metrics)
    assert not [
        name for name in found if name.startswith(("natnetd_drift_detected", "natnetd_drift_repairs"))
    ]
    assert found[f"natnetd_reconciles_total{{result=ok,trigger={reason}}}"] == 1
    assert found["natnetd_reconcile_last_success_timestamp_seconds{}"] == 300


def test_a_bad_file_is_told_and_leaves_the_time_of_the_good_one() -> None:
    metrics = exercised()
    metrics.reloaded(good=False, now=900.0)
    found = told(metrics)
    assert found["natnetd_config_last_reload_successful{}"] == 0
    assert found["natnetd_config_last_reload_success_timestamp_seconds{}"] == 100
    assert found["natnetd_config_reloads_total{result=error}"] == 1


def test_a_table_that_could_not_be_made_closes_no_window() -> None:
    metrics = prompt()
    metrics.record(Report(Reason.EVENT, outcomes=(Outcome(TABLE, "refused", 9.0),)), 1.0)
    assert told(metrics)["natnetd_last_unprotected_window_seconds{}"] == 0


def test_the_document_lists_every_metric_with_its_type_and_labels() -> None:
    documented = {
        name: (kind, {label for label in labels.split(", ") if label})
        for name, kind, labels, _meaning in ROW.findall(DOCUMENT.read_text("utf-8"))
    }
    told_: dict[str, tuple[str, set[str]]] = {}
    for name, family in families(exercised().render().decode()).items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        full = f"{name}_total" if family.type == "counter" else name
        if not name.endswith("_created"):
            told_[full] = (family.type, labels)
    assert documented == told_


def test_names_and_help_pass_prometheus_own_check() -> None:
    text = exercised().render()
    assert b"# HELP natnetd_networks Networks by state.\n" in text
    promtool = shutil.which("promtool")
    if promtool is not None:
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# --- the endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Serve something on any free port."""
    served = Endpoint("127.0.0.1", 0, lambda: b"figures 1\n")
    served.start()
    yield served
    served.stop()


def get(endpoint: Endpoint, path: str = "/metrics", method: str = "GET") -> tuple[int, bytes]:
    asking = HTTPConnection("127.0.0.1", endpoint.server_port, timeout=5)
    asking.request(method, path)
    answer = asking.getresponse()
    return answer.status, answer.read()


def test_a_scrape_ends_the_connection_and_tells_its_format(endpoint: Endpoint) -> None:
    with urlopen(f"http://127.0.0.1:{endpoint.server_port}/metrics", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.headers["Connection"] == "close"
        assert answer.read() == b"figures 1\n"


def test_other_paths_and_methods_are_refused_with_a_hint(endpoint: Endpoint) -> None:
    assert get(endpoint, "/metrics?x=1") == (200, b"figures 1\n")
    assert get(endpoint, "/nope") == (404, b"see /metrics\n")
    assert b'href="/metrics"' in get(endpoint, "/")[1]
    assert get(endpoint, method="POST")[0] == 501


def test_idle_and_hostile_clients_keep_no_scrape_waiting(endpoint: Endpoint) -> None:
    where = ("127.0.0.1", endpoint.server_port)
    with ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(socket.create_connection(where, timeout=5))
            client.send((b"", b"\x16\x03\x01\x02\x00", b"GET", b"A" * 5000)[number % 4])
        assert get(endpoint) == (200, b"figures 1\n")
        assert len(endpoint.clients) <= CLIENTS
        assert threading.active_count() < 60


def test_garbage_is_answered_or_dropped_and_the_next_client_is_served(endpoint: Endpoint) -> None:
    for garbage in (b"\0" * 100 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70000 + b"\r\n"):
        with socket.create_connection(("127.0.0.1", endpoint.server_port), timeout=5) as client:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            client.recv(1000)
    assert get(endpoint)[0] == 200


def test_a_port_that_is_taken_is_refused_in_words_and_a_stopped_one_is_free(endpoint: Endpoint) -> None:
    with pytest.raises(
        HostError, match=rf"^cannot serve metrics at 127.0.0.1:{endpoint.server_port}: Address"
    ):
        Endpoint("127.0.0.1", endpoint.server_port, lambda: b"")
    first = Endpoint("127.0.0.1", 0, lambda: b"")
    first.start()
    first.stop()
    second = Endpoint("127.0.0.1", first.server_port, lambda: b"second")
    second.start()
    assert get(second)[1] == b"second"
    second.stop()


def test_ipv6_is_served_and_named_in_brackets() -> None:
    served = Endpoint("::1", 0, lambda: b"six")
    served.start()
    with urlopen(f"http://[::1]:{served.server_port}/metrics", timeout=5) as answer:
        assert answer.read() == b"six"
    with pytest.raises(HostError, match=rf"at \[::1\]:{served.server_port}: "):
        Endpoint("::1", served.server_port, lambda: b"")
    served.stop()


def test_a_scrape_rings_for_a_fresh_sample_and_takes_the_last_one_if_none_comes() -> None:
    rings: list[int] = []
    metrics = Metrics(lambda: rings.append(1))
    metrics.publish(Sample({"vmbr1": State.IN_SYNC}))
    assert b'natnetd_network_in_sync{network="vmbr1"} 1' in metrics.render()
    assert rings == [1]


def test_a_scrape_waits_for_the_sample_it_rang_for() -> None:
    def fresh() -> None:
        threading.Thread(target=lambda: metrics.publish(Sample(generation=7))).start()

    metrics = Metrics(fresh)
    assert b"natnetd_nft_generation 7.0" in metrics.render()
