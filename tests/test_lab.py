"""The lab itself: its packets are real, its worlds are apart, and nothing of it stays behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from natnetd.errors import HostError
from natnetd.lab.echo import Echo
from natnetd.lab.netns import SETTINGS, Namespace
from natnetd.lab.sandbox import Sandbox
from natnetd.lab.sniffer import Packet, Sniffer
from natnetd.lab.traffic import ABSENCE, Connection, Flow, ping, tcp, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import SECOND, Guest, World

MASQUERADE = """
table ip adhoc {
    chain postrouting {
        type nat hook postrouting priority srcnat
        iifname "vmbr1" oifname "vmbr0" masquerade
    }
}
"""

DROP = """
table inet adhoc {
    chain input {
        type filter hook input priority filter; policy drop
    }
}
"""


@pytest.fixture
def guest(world: World) -> Guest:
    """Give the world an internal network with one guest."""
    world.host.ip("link add vmbr1 up type bridge", "addr add 10.0.0.1/16 dev vmbr1")
    return world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1")


@pytest.fixture
def translated(world: World, guest: Guest) -> Guest:
    """Give that network a way out."""
    world.host.check(["nft", "-f", "-"], stdin=MASQUERADE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", "ascii")
    return guest


def interfaces() -> list[str]:
    return [entry.name for entry in Path("/sys/class/net").iterdir()]


def test_a_fresh_host_is_empty_whatever_the_machine_is_like(host: Namespace) -> None:
    assert interfaces() == ["lo"]
    assert {key: Path("/proc/sys/net", key).read_text("ascii").strip() for key in SETTINGS} == SETTINGS
    assert ping(host, "127.0.0.1")
    assert ping(host, "::1")


def test_the_host_reaches_the_outside(world: World) -> None:
    targets = ("203.0.113.1", "198.51.100.7", "2001:db8:203::1", "2001:db8:198::7")
    assert [address for address in targets if not ping(world.host, address)] == []


def test_ping_says_no_when_nobody_answers(world: World) -> None:
    assert not ping(world.host, "203.0.113.99", deadline=0.1)
    assert not ping(world.outside, "10.0.0.1", deadline=0.1)


def test_ping_counts_answers(world: World) -> None:
    with Sniffer(world.outside, "eth0") as sniffer:
        assert ping(world.host, "203.0.113.1", count=3)
        assert sniffer.packets()[Packet("203.0.113.2", "203.0.113.1")] >= 3


def test_a_guest_reaches_its_gateway_and_its_neighbour(world: World, guest: Guest) -> None:
    world.host.ip("addr add fd00:1::1/64 dev vmbr1")
    neighbour = world.guest(
        "db", "vmbr1", ["10.0.0.3/16", "fd00:1::3/64"], ["10.0.0.1", "fd00:1::1"], kind="tap"
    )
    assert (guest.port, neighbour.port) == ("veth100i0", "tap101i0")
    assert ping(guest.ns, "10.0.0.1")
    assert ping(guest.ns, "10.0.0.3")
    assert ping(neighbour.ns, "fd00:1::1")
    assert not ping(guest.ns, "198.51.100.7", deadline=0.1)


def test_the_outside_sees_the_uplinks_address_of_a_translated_guest(world: World, translated: Guest) -> None:
    with Echo(world.outside) as echo:
        assert ping(translated.ns, "198.51.100.7")
        over_tcp = tcp(translated.ns, "198.51.100.7")
        assert over_tcp is not None
        assert over_tcp.startswith("203.0.113.2:")
        assert udp(translated.ns, "203.0.113.1", source_port=4000) == "203.0.113.2:4000"
        assert echo.asked == [over_tcp, "203.0.113.2:4000"]


def test_a_flow_and_a_connection_can_be_kept_going(world: World, translated: Guest) -> None:
    with (
        Echo(world.outside),
        Flow(translated.ns, "198.51.100.7") as flow,
        Connection(translated.ns, "198.51.100.7") as connection,
    ):
        for talk in (flow, connection):
            assert talk.ask() == talk.ask() == f"203.0.113.2:{talk.port}"
        translated.unplug()
        assert flow.ask(deadline=0.05) is None
        translated.plug()
        assert flow.ask() == f"203.0.113.2:{flow.port}"


def test_a_refusal_is_no_silence(world: World) -> None:
    with pytest.raises(ConnectionRefusedError):
        tcp(world.host, "203.0.113.1")
    with pytest.raises(ConnectionRefusedError):
        udp(world.host, "203.0.113.1")


def test_silence_is_none(world: World) -> None:
    world.outside.check(["nft", "-f", "-"], stdin=DROP)
    assert udp(world.host, "203.0.113.1", deadline=0.05) is None
    assert tcp(world.host, "203.0.113.1", deadline=0.05) is None


def test_the_outside_has_no_way_in_until_it_is_given_one(world: World, translated: Guest) -> None:
    with Echo(translated.ns):
        with pytest.raises(OSError, match="unreachable"):
            tcp(world.outside, "10.0.0.2", deadline=ABSENCE)
        world.let_outside_reach("10.0.0.0/16")
        answer = tcp(world.outside, "10.0.0.2")
    assert answer is not None
    assert answer.startswith("203.0.113.1:")


def test_the_sniffer_sees_a_private_source_leave(world: World, translated: Guest) -> None:
    with Sniffer(world.outside, "eth0") as sniffer:
        assert ping(translated.ns, "198.51.100.7")
        assert not [source for source in sniffer.sources() if source.startswith("10.")]
        world.host.check(["nft", "flush", "ruleset"])
        assert not ping(translated.ns, "198.51.100.9", deadline=0.1)
        assert sniffer.sources()["10.0.0.2"]
        assert sniffer.packets()[Packet("10.0.0.2", "198.51.100.9")]


def test_a_guest_can_wait_for_its_bridge(world: World) -> None:
    guest = world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1")
    world.host.ip("link add vmbr1 up type bridge", "addr add 10.0.0.1/16 dev vmbr1")
    assert not ping(guest.ns, "10.0.0.1", deadline=0.05)
    guest.plug()
    assert ping(guest.ns, "10.0.0.1")


def test_the_second_uplink_leads_to_another_outside(world: World) -> None:
    second = world.add_uplink(SECOND)
    with Sniffer(second, "eth0") as sniffer:
        assert ping(world.host, "198.51.100.9")
        assert ping(world.host, "2001:db8:198::9")
        assert ping(world.host, "198.51.100.7")
        assert {"198.51.100.9", "2001:db8:198::9"} <= set(sniffer.sources())
        assert "198.51.100.7" not in sniffer.sources()


def test_two_worlds_at_once_do_not_disturb_each_other(sandbox: Sandbox, world: World) -> None:
    with Echo(world.outside), Flow(world.host, "198.51.100.7") as flow:
        before = flow.ask()
        with sandbox.fresh_host() as other, World(other) as other_world:
            with pytest.raises(ConnectionRefusedError):
                udp(other_world.host, "198.51.100.7")
            assert ping(other_world.host, "198.51.100.7")
        assert before == flow.ask()
    assert "vmbr0" in interfaces()


def test_what_runs_in_a_namespace_raises_where_it_was_asked_for(host: Namespace) -> None:
    with pytest.raises(ZeroDivisionError):
        host.run(lambda: 1 // 0)


def test_a_failed_command_says_what_and_why(host: Namespace) -> None:
    with pytest.raises(
        HostError, match=r"^cannot run `ip link show nosuch` in host: exit 1: .*does not exist"
    ):
        host.check(["ip", "link", "show", "nosuch"])
    with pytest.raises(HostError, match="Command failed -:2\n  1  link set lo up\n  2  link set nosuch up"):
        host.ip("link set lo up", "link set nosuch up")
    with pytest.raises(HostError, match=r"it took over 0.01 s"):
        host.check(["sleep", "9"], deadline=0.01)


def test_a_person_can_enter_a_namespace(world: World) -> None:
    words = [*world.outside.enter_command(), "ip", "-brief", "address", "show", "eth0"]
    assert "203.0.113.1/24" in subprocess.check_output(words, text=True)


@pytest.mark.usefixtures("host")
def test_processes_of_a_namespace_end_with_it() -> None:
    with Namespace.new("guest") as ns:
        process = ns.popen(["sh", "-c", "ip -brief link; exec sleep 1000"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("lo ")
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL


def test_wait_until_returns_the_answer() -> None:
    answers = iter(["", "", "there"])
    assert wait_until(lambda: next(answers), what="an answer") == "there"


def test_wait_until_says_what_it_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"^waited 0.01 s in vain for snow; the last answer was \[\]$"):
        wait_until(list, deadline=0.01, what="snow")


KILLED_LAB = """
import sys
from natnetd.lab.echo import Echo
from natnetd.lab.sandbox import private
from natnetd.lab.traffic import udp
from natnetd.lab.world import SECOND, World

world = World(private().host)
world.add_uplink(SECOND)
world.host.ip("link add vmbr1 up type bridge", "addr add 10.0.0.1/16 dev vmbr1")
guest = world.guest("web", "vmbr1", "10.0.0.2/16", "10.0.0.1")
Echo(guest.ns)
assert udp(world.host, "10.0.0.2")
world.host.check(["ip", "netns", "add", "named"])
world.host.check(["nft", "add table inet natnetd"])
world.host.check(["sysctl", "-q", "net.ipv4.ip_forward=1"])
for ns in (world.host, guest.ns, world.outside):
    ns.popen(["sleep", "1000"])
open("/run/natnetd.lock", "w")
print("ready", flush=True)
sys.stdin.read()
"""
MARK = "NATNETD_KILLED_LAB"


def surroundings() -> dict[str, object]:
    """Everything about this process's host that a lab could leave traces in."""
    commands = ("ip -j link", "ip -j addr", "ip -j route", "ip netns", "nft list ruleset", "ls -A /run")
    said: dict[str, object] = {words: subprocess.check_output(words.split(), text=True) for words in commands}
    said["mounts"] = Path("/proc/mounts").read_text("utf-8")
    for root, _, files in os.walk("/proc/sys/net"):
        for path in (Path(root, file) for file in files):
            with suppress(OSError):  # some can only be written, some only be read with an interface up
                said[str(path)] = path.read_bytes()
    return said


def marked_processes(mark: bytes) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # they come and go
            if mark in (process / "environ").read_bytes():
                yield int(process.name)


@pytest.mark.usefixtures("host")
def test_nothing_is_left_of_a_lab_that_was_killed() -> None:
    before = surroundings()
    mark = f"{MARK}={os.getpid()}"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), MARK: str(os.getpid())}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_LAB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as lab:
        assert lab.stdout is not None
        assert lab.stdout.readline() == "ready\n"
        assert len(list(marked_processes(mark.encode()))) == 5
        assert surroundings() == before
        lab.kill()
    wait_until(lambda: not list(marked_processes(mark.encode())), what="the lab's processes to end")
    assert surroundings() == before
