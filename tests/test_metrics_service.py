"""The running service's metrics: counters that never go backwards, taken ports, clients that idle."""

import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running import ONE, TWO, converged, reloaded, start, undone, written

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.traffic import ping
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest, World

SERVED = ONE.replace("metrics: false\n", "")
INTERNET = "198.51.100.7"
T = TypeVar("T")


def scrape(port: int = 9787, path: str = "/metrics") -> dict[str, float]:
    """Return every sample as the text of its name and labels."""
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def refused(port: int) -> bool:
    try:
        scrape(port)
    except ConnectionRefusedError:
        return True
    except OSError as error:
        return isinstance(getattr(error, "reason", None), ConnectionRefusedError)
    return False


def test_a_scrape_tells_what_is_the_case(world: World, directory: Path) -> None:
    with start(world.host, directory, SERVED):
        found = scrape()
        assert found["natnetd_network_in_sync{network=vmbr1}"] == 1
        assert found["natnetd_networks{state=in_sync}"] == 1
        assert found["natnetd_config_last_reload_successful{}"] == 1
        assert found["natnetd_reconciles_total{result=ok,trigger=start}"] == 1
        assert found["process_open_fds{}"] > 3
        assert found["natnetd_conntrack_entries_limit{}"] > 1000
        world.host.ip("address del 10.0.0.1/16 dev vmbr1")
        drift = "natnetd_drift_detected_total{change=missing,kind=address,layer=address,source=event}"
        wait_until(lambda: scrape().get(drift) == 1, what="the drift in a scrape")
        assert scrape()["natnetd_drift_repairs_total{layer=address,result=ok}"] == 1
        written(directory, SERVED.replace("10.0.0.1", "10.0.0.300"))
        wait_until(
            lambda: scrape()["natnetd_config_last_reload_successful{}"] == 0, what="the bad file in a scrape"
        )
        world.host.ip("link set vmbr0 down")
        wait_until(lambda: scrape()["natnetd_networks{state=waiting}"] == 1, what="the waiting network")
        assert scrape()["natnetd_network_in_sync{network=vmbr1}"] == 0
        with pytest.raises(HTTPError, match="404"):
            scrape(path="/nope")


class Meter:
    """Counts a guest's packets as the metrics tell them; demands that no counter ever goes backwards."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.last: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """Scrape, and compare with the last time."""
        now = scrape()
        backwards = {
            name: (value, now.get(name))
            for name, value in self.last.items()
            if "_total{" in name and name.startswith(("natnetd_network", "natnetd_dropped"))
            if now.get(name, -1) < value
        }
        assert backwards == {}
        self.last = now
        return now

    def stands_still(self, disturb: Callable[[], T]) -> T:
        """Disturb while no packet passes, and demand that none is counted."""
        before = self.read()
        result = disturb()
        after = self.read()
        moved = {name for name in before if "_forwarded_" in name and before[name] != after[name]}
        assert moved == set()
        return result

    def moves(self, packets: int) -> None:
        """Let the guest ping, and demand that it is counted."""
        names = [
            f"natnetd_network_forwarded_packets_total{{direction={d},network=vmbr1}}"
            for d in ("egress", "ingress")
        ]
        before = self.read()
        wait_until(lambda: ping(self.guest.ns, INTERNET, packets), what="the guest's ping")

        def counted() -> bool:
            """A scrape of a busy service may have the figures of a moment ago."""
            after = self.read()
            return all(after[name] - before.get(name, 0) >= packets for name in names)

        wait_until(counted, what=f"{packets} packets to be counted")
        size = "natnetd_network_forwarded_bytes_total{direction=egress,network=vmbr1}"
        assert self.read()[size] - before.get(size, 0) >= packets * 28


ZERO = """
delete element inet natnetd tx { "vmbr1" }
add element inet natnetd tx { "vmbr1" counter packets 0 bytes 0 }
"""


def test_counters_only_grow_whatever_becomes_of_the_kernels_own(world: World, directory: Path) -> None:
    text = TWO.replace("metrics: false\n", "")
    host, service = world.host, start(world.host, directory, text)
    meter = Meter(world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1"))
    meter.moves(20)

    def restart(number: signal.Signals) -> Service:
        assert service.stop(number) == (0 if number is signal.SIGTERM else -9)
        return start(host, directory, text)

    def harm(command: list[str], stdin: str = "") -> Callable[[], object]:
        return lambda: (host.check(command, stdin=stdin), converged(directory))

    for disturb in (
        harm(["nft", "delete", "table", "inet", "natnetd"]),
        harm(["nft", "flush", "ruleset"]),
        harm(["nft", 'delete element inet natnetd tx { "vmbr1" }']),
        harm(["nft", "-f", "-"], ZERO),
        harm(["nft", "-f", "-"], ZERO.replace("tx", "rx")),
        harm(["nft", "flush", "chain", "inet", "natnetd", "between"]),
        lambda: reloaded(service),
    ):
        meter.stands_still(disturb)
        meter.moves(5)
    for number in (signal.SIGTERM, signal.SIGKILL):
        service = meter.stands_still(lambda number=number: restart(number))  # type: ignore[misc]
        meter.moves(5)
    service.stop(signal.SIGKILL)
    host.check(["nft", "flush", "ruleset"])
    with start(host, directory, text):
        meter.moves(5)
        egress = "natnetd_network_forwarded_packets_total{direction=egress,network=vmbr1}"
        assert meter.read()[egress] >= 20 + 5 * 10


def test_dropped_packets_are_counted_by_reason_over_the_loss_of_the_table(
    world: World, directory: Path
) -> None:
    text = TWO.replace("metrics: false\n", "").replace("    reach: vmbr1\n", "")
    with start(world.host, directory, text):
        guest = world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1")
        world.guest("db", "vmbr2", "10.20.0.2/24", "10.20.0.1")
        name = "natnetd_dropped_packets_total{reason=isolation}"
        meter = Meter(guest)
        for expected in (1, 2):
            assert not ping(guest.ns, "10.20.0.2", deadline=0.1)
            assert meter.read()[name] >= expected
            world.host.check(["nft", "delete", "table", "inet", "natnetd"])
            assert converged(directory)
        assert meter.read()[name] >= 2


def test_a_taken_port_is_said_stops_nothing_and_is_tried_again(world: World, directory: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 9787))
        squatter.listen()
        with start(world.host, directory, SERVED) as service:
            line = "natnetd: cannot serve metrics at 127.0.0.1:9787: Address already in use; "
            assert service.lines()[0] == line + "the networks are kept true all the same"
            assert undone(directory) == ()
            world.host.ip("address del 10.0.0.1/16 dev vmbr1")
            service.wait_line("drift: + address 10.0.0.1/16")
            squatter.close()
            assert reloaded(service) == []
            assert scrape()["natnetd_network_in_sync{network=vmbr1}"] == 1


def test_idle_and_hostile_clients_do_not_hold_up_a_scrape_or_a_repair(world: World, directory: Path) -> None:
    with start(world.host, directory, SERVED) as service, ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", 9787), timeout=5))
            client.send((b"", b"\x16\x03\x01", b"GET /metrics HT", b"A" * 5000)[number % 4])
        assert scrape()["natnetd_network_in_sync{network=vmbr1}"] == 1
        world.host.ip("address del 10.0.0.1/16 dev vmbr1")
        service.wait_line("drift: + address 10.0.0.1/16")
        assert service.stop() == 0


def test_the_file_moves_the_port_and_turns_metrics_off_and_on(host: Namespace, directory: Path) -> None:
    with start(host, directory, ONE) as service:
        assert refused(9787)
        for text, serving, silent in (
            ("metrics: {listen: 127.0.0.1:9788}\n", 9788, 9787),
            ("metrics: {listen: 127.0.0.1:9789}\n", 9789, 9788),
            ("", 9787, 9789),
        ):
            written(directory, ONE.replace("metrics: false\n", text))
            reloaded(service)
            assert scrape(serving)["natnetd_networks{state=waiting}"] == 1
            assert refused(silent)
        written(directory, ONE)
        reloaded(service)
        assert refused(9787)
