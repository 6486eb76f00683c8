"""dnsmasq under the service: who kills it, takes its port or its bridge is undone; natnetd comes and goes."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from leasing import Client
from running import natnetd, reloaded, start

from natnetd.lab.names import resolve, serve_names
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.state import replace_file

NOBODY = 5  # REFUSED: whom could it ask?
FILE = """\
metrics: false
networks:
  vmbr1:
    addresses: 10.0.0.1/24
    nat: {uplink: vmbr0}
    dhcp: true
  vmbr2:
    addresses: 10.2.0.1/24
    nat: {uplink: vmbr0}
"""
RESERVED = FILE.replace(
    "dhcp: true", "dhcp: {reservations: {mac: 52:54:00:00:00:01, address: 10.0.0.9, name: web}}"
)


def started(world: World, directory: Path, text: str = FILE, **env: str) -> Service:
    return start(world.host, directory, text, env={"NATNETD_DNSMASQ_OPTIONS": "--no-ping", **env})


def pid(directory: Path) -> int:
    return int((directory / "run/dnsmasq/vmbr1.pid").read_text())


def states(directory: Path) -> dict[str, str]:
    told = json.loads((directory / "run/status.json").read_text("utf-8"))
    return {network["name"]: network["state"] for network in told["networks"]}


def why(directory: Path) -> str:
    told = json.loads((directory / "run/status.json").read_text("utf-8"))
    return " ".join(text for network in told["networks"] for text in network["why"])


def test_a_kill_is_drift_and_repaired(world: World, directory: Path) -> None:
    with started(world, directory) as service:
        client = Client(world.guest("one", "vmbr1", []), directory, "udhcpc")
        first, before = client.bound(), pid(directory)
        os.kill(before, signal.SIGKILL)
        assert "repaired in" in service.wait_line("drift: + dhcp vmbr1")
        assert pid(directory) != before
        assert client.renew() == first


def test_one_whose_pid_file_was_removed_is_found_and_replaced(world: World, directory: Path) -> None:
    with started(world, directory) as service:
        before, lines = pid(directory), len(service.lines())
        (directory / "run/dnsmasq/vmbr1.pid").unlink()
        reloaded(service)
        service.wait_line("+ dhcp vmbr1", after=lines)
        assert pid(directory) != before
        wait_until(lambda: not Path(f"/proc/{before}").exists() or dead(before), what="the end of the first")
        assert states(directory)["vmbr1"] == "in_sync"


def test_one_that_was_there_before_its_bridge_is_no_server(world: World, directory: Path) -> None:
    """It has bound the port of DHCP to no interface, which hides the others from the kernel's lookup."""
    two = FILE.replace("10.2.0.1/24\n", "10.2.0.1/24\n    dhcp: true\n")
    with started(world, directory, two) as service:
        (conf,) = (directory / "run/dnsmasq").glob("vmbr2.*.conf")
        file = directory / "run/dnsmasq/vmbr2.pid"
        service.send(signal.SIGSTOP)
        world.host.ip("link del vmbr2")
        killed = int(file.read_text())
        os.kill(killed, signal.SIGKILL)
        world.host.check(["dnsmasq", f"--conf-file={conf}"])
        early = int(file.read_text())
        assert early != killed
        world.host.ip("link add vmbr2 up type bridge", "addr add 10.2.0.1/24 dev vmbr2")
        holds = partial(world.host.check, ["ss", "-Hlun", "src", "10.2.0.1:53"])
        wait_until(holds, what="it to have found the bridge")
        before = len(service.lines())
        service.send(signal.SIGCONT)
        service.wait_line("dhcp vmbr2", "repaired in", after=before)
        wait_until(
            lambda: not Path(f"/proc/{early}").exists() or dead(early), what="the end of the early one"
        )
        wait_until(lambda: set(states(directory).values()) == {"in_sync"}, what="rest")
        reloaded(service)
        assert not [line for line in service.lines()[before:] if "dhcp vmbr1" in line]
        assert Client(world.guest("one", "vmbr1", []), directory, "udhcpc").bound().address
        assert Client(world.guest("two", "vmbr2", []), directory, "udhcpc").bound().address


def dead(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_one_that_took_an_address_along_lets_go_of_it(world: World, directory: Path) -> None:
    """Bridges whose names are exchanged: dnsmasq keeps what it has bound there, now another network's."""
    dns = FILE.replace("10.2.0.1/24\n", "10.2.0.1/24\n    dns: true\n")
    with started(world, directory, dns) as service:
        world.host.ip("addr add 10.77.0.1/24 dev vmbr2")
        holds = partial(world.host.check, ["ss", "-Hlun", "src", "10.77.0.1:53"])
        wait_until(holds, what="the second one to take the address")
        service.send(signal.SIGSTOP)
        world.host.ip(
            "link set vmbr1 down name aside",
            "link set vmbr2 down name vmbr1",
            "link set aside down name vmbr2",
        )
        before = len(service.lines())
        service.send(signal.SIGCONT)
        service.wait_line("is held by the dnsmasq of vmbr2: it is started anew", after=before)
        wait_until(lambda: set(states(directory).values()) == {"in_sync"}, 20, what="peace")
        assert Client(world.guest("one", "vmbr1", []), directory, "udhcpc").bound().address
        assert resolve(world.guest("two", "vmbr2", "10.2.0.9/24").ns, "10.2.0.1", "x.vmbr2.internal") == 3


def test_a_number_in_a_pid_file_that_is_anybodys_is_left_alone(world: World, directory: Path) -> None:
    with started(world, directory) as service, sleeping() as innocent:
        before, lines = pid(directory), len(service.lines())
        file = directory / "run/dnsmasq/vmbr1.pid"
        file.write_text(f"{innocent.pid}\n")
        reloaded(service)
        service.wait_line("+ dhcp vmbr1", after=lines)
        wait_until(lambda: not Path(f"/proc/{before}").exists() or dead(before), what="the end of the first")
        assert innocent.poll() is None
        assert states(directory)["vmbr1"] == "in_sync"


@contextmanager
def sleeping() -> "Iterator[subprocess.Popen[bytes]]":
    """Have a process that is nobody's business."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_neither_a_restart_nor_a_kill_of_natnetd_touches_it(world: World, directory: Path) -> None:
    with started(world, directory) as service:
        before = pid(directory)
        service.stop()
    with started(world, directory) as service:
        assert pid(directory) == before
        service.stop(signal.SIGKILL)
    with started(world, directory) as service:
        assert pid(directory) == before
        os.kill(before, signal.SIGKILL)
        service.wait_line("drift: + dhcp vmbr1")


def test_it_goes_before_nobody_even_if_natnetd_does(world: World, directory: Path) -> None:
    options = {"NATNETD_DNSMASQ_OPTIONS": "--no-ping"}
    with start(world.host, directory, FILE, command=("nice", "-n", "-10"), env=options) as service:
        assert os.getpriority(os.PRIO_PROCESS, service.process.pid) == -10
        assert os.getpriority(os.PRIO_PROCESS, pid(directory)) == 0


def test_a_reservation_is_read_without_a_restart(world: World, directory: Path) -> None:
    with started(world, directory) as service:
        before = pid(directory)
        guest = world.guest("one", "vmbr1", "10.0.0.200/24")
        (directory / "natnetd.yaml").write_text(RESERVED, "utf-8")
        assert any("~ dhcp vmbr1" in line for line in reloaded(service))
        wait_until(
            lambda: resolve(guest.ns, "10.0.0.1", "web.vmbr1.internal") == ["10.0.0.9"], what="the name"
        )
        assert pid(directory) == before
        hosts = directory / "run/dnsmasq/vmbr1.hosts"
        hosts.write_text("", "ascii")
        (directory / "natnetd.yaml").write_text(RESERVED + "\n", "utf-8")
        reloaded(service)
        assert "52:54:00:00:00:01" in hosts.read_text()


def test_the_hosts_name_servers_are_followed(world: World, directory: Path) -> None:
    """Written in place, moved there, or reached by another link: none takes a restart."""
    file, other = directory / "resolv.conf", directory / "elsewhere/stub.conf"
    file.write_text("search example.org\n", "ascii")
    other.parent.mkdir()
    with (
        serving(world, "198.51.100.7", "far.example"),
        started(world, directory, NATNETD_RESOLV_CONF=str(file)) as service,
    ):
        guest, before = world.guest("one", "vmbr1", "10.0.0.200/24"), pid(directory)
        asked = partial(resolve, guest.ns, "10.0.0.1", "far.example")
        assert asked() == NOBODY
        file.write_text("nameserver 198.51.100.7\n", "ascii")
        wait_until(lambda: asked() == ["198.51.100.7"], what="an answer from outside")
        replace_file(file, b"nameserver 198.51.100.8\n")
        service.wait_line("~ dhcp vmbr1")
        told(directory, "198.51.100.8")
        other.write_text("nameserver 198.51.100.8\nnameserver 198.51.100.9\n", "ascii")
        file.unlink()
        file.symlink_to(other)
        told(directory, "198.51.100.8", "198.51.100.9")
        other.write_text("nameserver 198.51.100.7\n", "ascii")
        told(directory, "198.51.100.7")
        wait_until(lambda: asked() == ["198.51.100.7"], what="an answer by way of the link")
        assert pid(directory) == before


def told(directory: Path, *servers: str) -> None:
    """Wait until dnsmasq is told to ask these."""
    file = directory / "run/dnsmasq/vmbr1.servers"
    want = [f"server={server}" for server in servers]
    wait_until(lambda: file.read_text().splitlines() == want, what=f"{want}")


@contextmanager
def serving(world: World, address: str, name: str) -> Iterator[None]:
    """Have somebody outside know a name."""
    server = serve_names(world.outside, address, name)
    yield
    server.kill()
    server.wait()


def test_a_bridge_made_anew_is_served(world: World, directory: Path) -> None:
    with started(world, directory) as service:
        guest = world.guest("one", "vmbr1", [])
        client = Client(guest, directory, "udhcpc")
        first = client.bound()
        world.host.ip("link del vmbr1")
        service.wait_line("drift: ~ dhcp vmbr1 deaf vmbr1 → none")
        guest.ns.ip(f"addr add {first.address}/24 dev eth0")
        assert client.renew() == first


def test_somebody_at_the_port_is_named_and_waited_out(world: World, directory: Path) -> None:
    world.host.ip("link add vmbr1 type bridge", "link set vmbr1 up", "addr add 10.0.0.1/24 dev vmbr1")
    with world.host.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.bind(("10.0.0.1", 53))
        door.listen()
        with started(world, directory) as service:
            comm = Path("/proc/self/comm").read_text().strip()
            who = f"port 53 of 10.0.0.1 is held by {comm}[{os.getpid()}]"
            service.wait_line("+ dhcp vmbr1; failed", who)
            wait_until(lambda: who in why(directory), what="the reason in the status")
            assert states(directory) == {"vmbr1": "failed", "vmbr2": "in_sync"}
            door.close()
            wait_until(lambda: states(directory)["vmbr1"] == "in_sync", 60, what="peace")
            guest = world.guest("one", "vmbr1", "10.0.0.200/24")
            assert resolve(guest.ns, "10.0.0.1", "nobody.vmbr1.internal") == 3


def test_without_dnsmasq_others_are_kept_true(world: World, directory: Path) -> None:
    with started(world, directory, NATNETD_DNSMASQ_PATH="/nonexistent") as service:
        told = [line for line in service.lines() if "dnsmasq" in line]
        assert told == ["natnetd: ? waiting vmbr1: dnsmasq is not installed: apt install dnsmasq-base"]
        assert states(directory) == {"vmbr1": "waiting", "vmbr2": "in_sync"}
        world.host.ip("link del vmbr1")
        service.wait_line("+ bridge vmbr1", "repaired")
        assert not (directory / "run/dnsmasq").exists()


def test_teardown_stops_it_and_keeps_the_leases(world: World, directory: Path) -> None:
    with started(world, directory) as service:
        service.stop()
    process = pid(directory)
    state = {"STATE_DIRECTORY": str(directory / "state")}
    assert "- dhcp vmbr1" in natnetd(directory, "teardown", **state)
    assert process not in running()
    assert list((directory / "run/dnsmasq").iterdir()) == []
    assert (directory / "state/dnsmasq/vmbr1.leases").exists()


def running() -> set[int]:
    """Processes that are more than a record of their end."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


def test_somebody_at_the_port_of_dhcp_is_named_too(world: World, directory: Path) -> None:
    with world.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("0.0.0.0", 67))
        with started(world, directory) as service:
            comm = Path("/proc/self/comm").read_text().strip()
            service.wait_line("+ dhcp vmbr1; failed", f"port 67 of vmbr1 is held by {comm}[{os.getpid()}]")
            door.close()
            wait_until(lambda: states(directory)["vmbr1"] == "in_sync", 60, what="peace")
