"""The service as a process: start, reload, stop, restart, and what it does about a file that is bad."""

import json
import os
import signal
import time
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

import pytest
from running import (
    BAD,
    ONE,
    TWO,
    converged,
    kernel,
    natnetd,
    reloaded,
    ruleset_generation,
    start,
    undone,
    written,
)

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World


def status(service: Service) -> dict[str, object]:
    found: dict[str, object] = json.loads((service.runtime / "status.json").read_text("utf-8"))
    return found


def address_there(host: Namespace, cidr: str) -> bool:
    return f" {cidr} " in host.check(["ip", "-o", "address"])


def swap_in(directory: Path, text: str) -> None:
    """Write aside and rename, as editors do."""
    aside = directory / "natnetd.yaml~"
    aside.write_text(text, "utf-8")
    aside.rename(directory / "natnetd.yaml")


# --- start and stop


def test_ready_is_said_once_everything_is_true(world: World, directory: Path) -> None:
    with start(world.host, directory, TWO) as service:
        assert undone(directory) == ()
        assert "STATUS=2 networks in sync" in service.heard()
        assert service.heard().index("READY=1") >= service.heard().index("STATUS=2 networks in sync")
        assert service.lines()[-1] == "natnetd: ready: 2 networks in sync"


def test_a_network_that_waits_for_its_uplink_is_built_all_the_same(host: Namespace, directory: Path) -> None:
    with start(host, directory) as service:
        assert "STATUS=1 network, 1 not in sync: vmbr1 waiting" in service.heard()
        assert address_there(host, "10.0.0.1/16")
        host.ip("link add vmbr0 up type bridge")
        wait_until(lambda: "STATUS=1 network in sync" in service.heard(), what="the network to be in sync")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_changes_nothing(world: World, directory: Path, number: signal.Signals) -> None:
    with start(world.host, directory, TWO) as service:
        before = kernel(world.host)
        service.send(number)
        assert service.process.wait(10) == 0
        assert kernel(world.host) == before
        assert service.lines()[-1] == "natnetd: stopped; the networks stay as they are"
        assert service.heard()[-1] == "STOPPING=1"


def test_a_restart_after_kill_9_writes_nothing(world: World, directory: Path) -> None:
    first = start(world.host, directory, TWO)
    first.stop(signal.SIGKILL)
    before, generation, lines = kernel(world.host), ruleset_generation(), len(first.lines())
    words = ["ip", "monitor", "address", "netconf"]
    with world.host.popen(words, stdout=-1) as monitor, ExitStack() as end:
        end.callback(monitor.kill)
        with start(world.host, directory, TWO) as second:
            second.wait_line("ready: 2 networks in sync", after=lines)
            assert second.lines()[lines:] == ["natnetd: ready: 2 networks in sync"]
            assert (kernel(world.host), ruleset_generation()) == (before, generation)
        world.host.ip("link add last type bridge")
        assert monitor.stdout is not None
        heard = list(takewhile(lambda line: "last" not in line, monitor.stdout))
        assert not [line for line in heard if "vmbr1" in line or "vmbr2" in line]


def test_what_was_broken_while_it_was_down_is_repaired_at_the_start(world: World, directory: Path) -> None:
    with start(world.host, directory) as service:
        service.stop(signal.SIGKILL)
    world.host.check(["nft", "flush", "ruleset"])
    world.host.ip("address del 10.0.0.1/16 dev vmbr1")
    with start(world.host, directory) as service:
        assert undone(directory) == ()
        assert "natnetd: start: + address 10.0.0.1/16 on vmbr1; done after" in service.log.read_text("utf-8")


# --- reload


@pytest.mark.parametrize("way", ["SIGHUP", "in place", "renamed over", "deleted and written anew"])
def test_a_changed_file_comes_into_force_by_itself(world: World, directory: Path, way: str) -> None:
    with start(world.host, directory) as service:
        path, words = directory / "natnetd.yaml", len(service.heard())
        if way == "renamed over":
            swap_in(directory, TWO)
        elif way == "deleted and written anew":
            path.unlink()
            service.wait_line("there is no such file")
            path.write_text(TWO, "utf-8")
        else:
            path.write_text(TWO, "utf-8")
        if way == "SIGHUP":
            service.send(signal.SIGHUP)
        service.wait_line("natnetd: reload: + address 10.20.0.1/24 on vmbr2; done after")
        end = ["READY=1", "STATUS=2 networks in sync"]
        wait_until(lambda: service.heard()[-2:] == end, what="the end of the reload")
        told = [word for word in service.heard()[words:] if not word.startswith("STATUS")]
        stamp = int(told[-2].removeprefix("MONOTONIC_USEC="))
        assert told[-3:] == ["RELOADING=1", f"MONOTONIC_USEC={stamp}", "READY=1"]
        assert 0 <= time.monotonic_ns() // 1000 - stamp < 60_000_000
        assert undone(directory) == ()


def test_a_file_behind_links_that_are_swapped_comes_into_force(world: World, directory: Path) -> None:
    """As Kubernetes and others do it: natnetd.yaml -> ..data/natnetd.yaml, and ..data is swapped."""
    for name, text in (("old", ONE), ("new", TWO)):
        (directory / name).mkdir()
        (directory / name / "natnetd.yaml").write_text(text, "utf-8")
    (directory / "..data").symlink_to("old")
    (directory / "natnetd.yaml").symlink_to("..data/natnetd.yaml")
    with Service(world.host, directory / "natnetd.yaml", directory).wait_ready() as service:
        (directory / "..tmp").symlink_to("new")
        (directory / "..tmp").rename(directory / "..data")
        service.wait_line("reload: + bridge vmbr2")
        swap_in(directory / "new", ONE)
        service.wait_line("reload: - bridge vmbr2")


def test_a_directory_of_the_file_that_is_made_anew_is_followed(world: World, directory: Path) -> None:
    place = directory / "etc"
    with Service(world.host, place / "natnetd.yaml", directory).wait_ready() as service:
        place.mkdir()
        (place / "natnetd.yaml").write_text(ONE, "utf-8")
        service.wait_line("reload: + bridge vmbr1")
        place.rename(directory / "away")
        service.wait_line("stays in force")
        place.mkdir()
        (place / "natnetd.yaml").write_text(TWO, "utf-8")
        service.wait_line("reload: + bridge vmbr2")


def test_a_reload_without_news_changes_nothing(world: World, directory: Path) -> None:
    with start(world.host, directory, TWO) as service:
        before, generation = kernel(world.host), ruleset_generation()
        assert reloaded(service) == []
        assert (kernel(world.host), ruleset_generation()) == (before, generation)


def test_a_network_taken_out_of_the_file_is_taken_down_and_the_others_stay(
    world: World, directory: Path
) -> None:
    with start(world.host, directory, TWO) as service:
        written(directory, ONE)
        service.wait_line("reload: - bridge vmbr2")
        assert converged(directory)
        assert not Path("/sys/class/net/vmbr2").exists()
        assert address_there(world.host, "10.0.0.1/16")
        written(directory, "networks: {}\nmetrics: false\n")
        service.wait_line("reload: - bridge vmbr1")
        assert "natnetd" not in world.host.check(["nft", "list", "tables"])


# --- a bad file


def test_a_bad_file_keeps_the_last_good_one_in_force_also_over_a_restart(
    world: World, directory: Path
) -> None:
    with start(world.host, directory) as service:
        before = kernel(world.host)
        written(directory, BAD)
        service.wait_line("natnetd.yaml:5:16: networks.vmbr1.addresses", "10.0.0.300/16")
        service.wait_line("the last good configuration stays in force")
        wait_until(lambda: service.heard()[-1].startswith("STATUS="), what="a status")
        assert (
            service.heard()[-1] == "STATUS=1 network in sync; the file is bad, the last good one is in force"
        )
        assert kernel(world.host) == before
        assert "10.0.0.300" in natnetd(directory, "status", code=1)
        world.host.ip("address del 10.0.0.1/16 dev vmbr1")
        service.wait_line("drift: + address 10.0.0.1/16 on vmbr1")
        service.stop(signal.SIGKILL)
    with Service(world.host, directory / "natnetd.yaml", directory).wait_ready() as service:
        assert (
            f"the last good configuration is in force: {service.state}/last-good.yaml" in service.lines()[-2]
        )
        assert kernel(world.host) == before
        assert "10.0.0.300" in natnetd(directory, "status", code=1)
        written(directory, TWO)
        service.wait_line("reload: + bridge vmbr2")
        wait_until(lambda: "STATUS=2 networks in sync" in service.heard(), what="the good file in force")
        assert "10.0.0.300" not in natnetd(directory, "status")


def test_the_same_bad_file_is_complained_of_once(world: World, directory: Path) -> None:
    with start(world.host, directory) as service:
        written(directory, BAD)
        service.wait_line("stays in force")
        swap_in(directory, BAD)
        swap_in(directory, TWO)
        service.wait_line("reload: + bridge vmbr2")
        assert len([line for line in service.lines() if "10.0.0.300" in line]) == 1


@pytest.mark.parametrize("text", [BAD, "", "# nothing\n", None])
def test_a_first_start_without_a_good_file_waits_for_it(
    world: World, directory: Path, text: str | None
) -> None:
    before, path = kernel(world.host), directory / "natnetd.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    with Service(world.host, path, directory).wait_ready() as service:
        assert f"STATUS=no good configuration: waiting for {path}" in service.heard()
        assert f"nothing is changed until {path} is good" in service.log.read_text("utf-8")
        assert kernel(world.host) == before
        assert f"waiting for {path}" in natnetd(directory, "status", code=1)
        written(directory)
        service.wait_line("reload: + bridge vmbr1")
        assert converged(directory)
        wait_until(lambda: service.heard()[-1] == "STATUS=1 network in sync", what="the good news")


@pytest.mark.parametrize("text", ["", "\n", "{}\n", "networks:\n", "metrics: false\n"])
def test_an_empty_file_deletes_nothing(world: World, directory: Path, text: str) -> None:
    with start(world.host, directory) as service:
        before, lines = kernel(world.host), len(service.lines())
        written(directory, text)
        service.wait_line("stays in force", after=lines)
        assert kernel(world.host) == before


# --- what it stands on


def test_status_is_published_as_a_whole_and_for_everybody(world: World, directory: Path) -> None:
    with start(world.host, directory) as service:
        found = status(service)
        assert found["pid"] == service.process.pid
        assert found["networks"][0]["name"] == "vmbr1"  # type: ignore[index]
        assert (service.runtime / "status.json").stat().st_mode & 0o444 == 0o444
        assert [path.name for path in service.runtime.iterdir()] == ["status.json"]
        assert sorted(path.name for path in service.state.iterdir()) == ["counters.json", "last-good.yaml"]


def test_the_status_knows_guests_also_after_a_look_at_the_table_alone(world: World, directory: Path) -> None:
    with start(world.host, directory) as service:
        world.guest("web", "vmbr1", "10.0.0.2/16")
        reloaded(service)
        world.host.check(["nft", "delete table inet natnetd"])
        service.wait_line("drift: + nft table")
        wait_until(lambda: "drifts" in status(service), what="the drift in the status")
        assert status(service)["networks"][0]["guests"] == 1  # type: ignore[index]


def test_signs_of_life_come_as_often_as_systemd_asks(host: Namespace, directory: Path) -> None:
    with start(host, directory, env={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": ""}) as service:
        wait_until(lambda: service.heard().count("WATCHDOG=1") >= 5, what="five signs of life")


def test_signs_of_life_come_also_from_a_service_that_is_always_woken(
    host: Namespace, directory: Path
) -> None:
    with start(host, directory, env={"WATCHDOG_USEC": "400000"}) as service:
        first = service.heard().count("WATCHDOG=1")

        def woken() -> bool:
            service.send(signal.SIGHUP)
            return service.heard().count("WATCHDOG=1") >= first + 3

        wait_until(woken, what="signs of life")


def test_a_systemd_that_does_not_listen_keeps_nobody_waiting(world: World, directory: Path) -> None:
    with start(world.host, directory) as service:
        for number in range(30):
            text = ONE.replace("Internal network", f"Network {number}")
            (directory / "natnetd.yaml").write_text(text, "utf-8")
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda n=number: alias("vmbr1") == f"Network {n}", what="the new description")
        world.host.ip("link del vmbr1")
        service.wait_line("drift: + bridge vmbr1")
        wait_until(lambda: settled(service.heard()), what="the end of the last reload")
        before = service.heard().count("READY=1")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.heard().count("READY=1") > before, what="the news after that")


def settled(heard: list[str]) -> bool:
    """Whether the last reload has ended."""
    return next(word for word in reversed(heard) if word in ("READY=1", "RELOADING=1")) == "READY=1"


def alias(bridge: str) -> str:
    """Read a bridge's alias."""
    return Path(f"/sys/class/net/{bridge}/ifalias").read_text("utf-8").strip()


def test_without_a_watchdog_there_are_no_signs_of_life(host: Namespace, directory: Path) -> None:
    other = str(os.getpid())
    with start(host, directory, env={"WATCHDOG_USEC": "1000", "WATCHDOG_PID": other}) as service:
        reloaded(service)
        assert "WATCHDOG=1" not in service.heard()


def test_it_takes_as_many_descriptors_as_a_thousand_dnsmasq_need(world: World, directory: Path) -> None:
    with start(world.host, directory, command=("prlimit", "--nofile=256:4096")) as service:
        limits = Path(f"/proc/{service.process.pid}/limits").read_text("ascii")
        (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
        assert line.split()[3:5] == ["4096", "4096"]
