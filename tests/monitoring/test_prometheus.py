"""A real Prometheus scrapes the real service: alerts fire and end, and the dashboard has its answers."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from running import ONE, start, undone

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.traffic import ping
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World

ROOT = Path(__file__).parents[2]
RULES = ROOT / "packaging/prometheus/natnetd.rules.yml"
DASHBOARD = json.loads((ROOT / "packaging/grafana/natnetd.json").read_text("utf-8"))
SERVED = ONE.replace("metrics: false\n", "metrics: {guests: 3}\n") + "    count_guests: true\n"
PORT = 19090
PROMETHEUS = """
global: {scrape_interval: 250ms, evaluation_interval: 250ms}
rule_files: [rules.yml]
scrape_configs:
  - job_name: natnetd
    static_configs: [{targets: ["127.0.0.1:9787"]}]
"""
QUERIES = [(panel["title"], t["expr"]) for panel in DASHBOARD["panels"] for t in panel.get("targets", ())]
VARIABLES = {"$instance": ".*", "$network": ".*", "$__rate_interval": "5s", "$__range": "1m"}


def asked(path: str, **words: str) -> Any:
    """Ask Prometheus; nothing while it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{PORT}/api/v1/{path}?{urlencode(words)}", timeout=5) as answer:
            return json.load(answer)["data"]
    except URLError:
        return {}


def result(query: str) -> list[Any]:
    """Ask a query; HTTPError if Prometheus does not understand it."""
    found: list[Any] = asked("query", query=query).get("result", [])
    return found


def firing() -> set[str]:
    """Name the alerts that fire."""
    return {a["labels"]["alertname"] for a in asked("alerts").get("alerts", ()) if a["state"] == "firing"}


@contextmanager
def prometheus(host: Namespace, directory: Path) -> Iterator[None]:
    """Run one in the host; what waits for minutes in the rules waits for none here."""
    (directory / "prometheus.yml").write_text(PROMETHEUS, "utf-8")
    (directory / "rules.yml").write_text(re.sub(r" for: \d+m", " for: 0s", RULES.read_text("utf-8")), "utf-8")
    words = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/tsdb",
        f"--web.listen-address=127.0.0.1:{PORT}",
        "--log.level=error",
    ]
    with host.popen(words) as process:
        wait_until(lambda: result("up"), 30, what="Prometheus to have scraped")
        yield
        assert process.poll() is None
        process.terminate()


@pytest.fixture
def service(world: World, directory: Path) -> Iterator[Service]:
    with start(world.host, directory, SERVED) as service, prometheus(world.host, directory):
        yield service


def test_every_query_of_the_dashboard_has_an_answer(service: Service, world: World, directory: Path) -> None:
    guest = world.guest("guest", "vmbr1", "10.0.0.7/16", "10.0.0.1")
    wait_until(lambda: ping(guest.ns, "198.51.100.7"), what="the guest to get out")
    world.host.check(["nft", "delete table inet natnetd"])
    world.host.ip("address del 10.0.0.1/16 dev vmbr1")
    wait_until(lambda: not undone(directory), what="the repair")
    assert ping(guest.ns, "198.51.100.7")  # what guests moved went with the table
    for title, expr in QUERIES:
        query = re.sub(r"\$\w+", lambda found: VARIABLES[found[0]], expr)
        wait_until(lambda query=query: result(query), 30, what=f"an answer to {title}: {query}")
    assert service.process.poll() is None


def test_a_bad_file_and_an_end_of_the_service_are_told_and_their_ends_too(
    service: Service, directory: Path
) -> None:
    wait_until(lambda: result("natnetd_config_last_reload_successful == 1"), 30, what="all to be well")
    assert firing() == set()
    (directory / "natnetd.yaml").write_text(SERVED.replace("10.0.0.1", "10.0.0.300"), "utf-8")
    wait_until(lambda: firing() == {"NatnetdConfigReloadFailed"}, 30, what="the alert of the file")
    (directory / "natnetd.yaml").write_text(SERVED, "utf-8")
    wait_until(lambda: firing() == set(), 30, what="its end")
    service.stop()
    wait_until(lambda: "NatnetdDown" in firing(), 30, what="the alert of the end")


def test_a_network_that_waits_is_told(service: Service, world: World) -> None:
    world.host.ip("link set vmbr0 down")
    service.wait_line("waiting vmbr1")
    wait_until(lambda: firing() == {"NatnetdNetworkNotInSync"}, 30, what="the alert of the network")
    world.host.ip("link set vmbr0 up")
    wait_until(lambda: firing() == set(), 30, what="its end")


def test_the_rules_pass_their_own_tests() -> None:
    for words in (
        ["check", "rules", str(RULES)],
        ["test", "rules", str(RULES.with_name("natnetd.test.yml"))],
    ):
        run = subprocess.run(["promtool", *words], text=True, capture_output=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


def test_each_rule_is_tested_and_explained() -> None:
    text, tests = RULES.read_text("utf-8"), RULES.with_name("natnetd.test.yml").read_text("utf-8")
    alerts = re.findall(r"alert: (\w+)", text)
    operations = (ROOT / "docs/operations.md").read_text("utf-8")
    assert len(alerts) == len(set(alerts)) >= 8
    for alert in alerts:
        assert f"alertname: {alert}" in tests
        assert f"`{alert}`" in operations


def test_what_is_served_is_as_prometheus_wants_it(service: Service) -> None:
    with urlopen("http://127.0.0.1:9787/metrics", timeout=5) as answer:
        served = answer.read()
    run = subprocess.run(["promtool", "check", "metrics"], input=served, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert service.process.poll() is None
