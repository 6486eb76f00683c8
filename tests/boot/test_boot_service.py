"""The service under systemd: its file, a reload, a bad file, the watchdog, and sudden deaths."""

import signal
from typing import Any

import pytest
from host import (
    BAD,
    FILE,
    HOST,
    LAST_GOOD,
    ONE,
    WHERE,
    Surroundings,
    configured,
    has_network,
    main_pid,
    network,
    says,
    up_again,
)
from machine import CommandError, Machine

from natnetd.lab.traffic import ping
from natnetd.lab.wait import wait_until

GATEWAY = "10.0.0.1"
WATCHDOG = "[Service]\nWatchdogSec=2\n"
AT_ONCE = "[Service]\nRestartSec=100ms\n"
"""So that ten deaths come quicker than the start limit that systemd has by default: 5 in 10 seconds."""
KILLS = 10
LAST_GOOD_HOLDS = "1 network in sync; the file is bad, the last good one is in force"


def test_first_network(machine: Machine) -> None:
    """From the file as installed to a guest that reaches the internet: one edit and a reload."""
    says(machine, "0 networks in sync")
    pid = main_pid(machine)
    configured(machine, ONE)
    assert has_network(machine)
    with Surroundings(machine) as around:
        assert ping(around.guest.ns, GATEWAY)
        assert around.seen_as() == HOST
    says(machine, "1 network in sync")
    assert main_pid(machine) == pid


def test_bad_file(around: Surroundings) -> None:
    """A bad file fails the reload visibly and changes nothing; also not over a boot."""
    machine, pid = around.machine, main_pid(around.machine)
    before = network(machine)
    machine.write(FILE, BAD)
    with pytest.raises(CommandError):
        machine.run("systemctl", "reload", "natnetd")
    complaint = f"{WHERE}: networks.vmbr1.addresses"
    says(machine, LAST_GOOD_HOLDS)
    told = machine.journal("--unit=natnetd")
    assert [text for text in told if text.startswith(complaint)], "the service itself"
    assert [text for text in told if text.startswith(f"natnetd: {complaint}")], "and the reload"
    assert complaint in machine.run("systemctl", "status", "natnetd")
    shown = machine.look("natnetd", "status")
    assert (shown.code, complaint in shown.out) == (1, True)
    assert (machine.show("natnetd", "ActiveState"), main_pid(machine)) == ("active", pid)
    assert network(machine) == before
    around.passes()

    around.world.close()
    machine.reboot()
    assert machine.state() == "running"
    assert has_network(machine)
    says(machine, LAST_GOOD_HOLDS)
    with Surroundings(machine) as again:
        again.passes()
        configured(machine, ONE)
        says(machine, "1 network in sync")


def test_bad_file_without_a_good_one(machine: Machine) -> None:
    machine.run("systemctl", "stop", "natnetd")
    machine.run("rm", LAST_GOOD)
    machine.write(FILE, BAD)
    machine.reboot()
    assert machine.state() == "running"
    assert machine.show("natnetd", "ActiveState") == "active"
    says(machine, f"no good configuration: waiting for {FILE}")
    assert [text for text in machine.journal("--unit=natnetd") if text.startswith(WHERE)]
    found = network(machine)
    assert "natnetd" not in found["rules"]
    assert "vmbr1" not in found["links"]
    assert set(found["forwarding"].split()) == {"0"}
    machine.write(FILE, ONE)
    wait_until(lambda: has_network(machine), what="the network, once the file is good")


def test_drop_in(around: Surroundings) -> None:
    machine = around.machine
    configured(machine, "networks:\n  vault:\n    addresses: 10.30.0.1/24\n", "/etc/natnetd.d/vault.yaml")
    assert "10.30.0.1/24" in machine.run("ip", "-brief", "address", "show", "dev", "vault")
    says(machine, "2 networks in sync")
    machine.path("/etc/natnetd.d/vault.yaml").unlink()
    wait_until(lambda: "vault" not in network(machine)["links"], what="the network to go without a reload")
    around.passes()


def drop_in(machine: Machine, text: str) -> None:
    """Change the unit as an administrator does."""
    machine.write("/etc/systemd/system/natnetd.service.d/test.conf", text)
    machine.run("systemctl", "daemon-reload")


def test_watchdog(around: Surroundings) -> None:
    machine = around.machine
    drop_in(machine, WATCHDOG)
    machine.run("systemctl", "restart", "natnetd")
    pid = main_pid(machine)
    with around.stream() as stream:
        machine.run("kill", f"-{signal.SIGSTOP.name}", str(pid))
        up_again(machine, pid)
    assert stream.figures.whole, stream.figures
    assert [text for text in machine.journal("--unit=natnetd") if "Watchdog timeout" in text]
    assert machine.show("natnetd", "NRestarts") == "1"
    assert has_network(machine)


def test_killed_again_and_again(around: Surroundings, note: Any) -> None:
    """However often it dies, systemd starts it again; nobody's packets get lost."""
    machine = around.machine
    drop_in(machine, AT_ONCE)
    pid = main_pid(machine)
    with around.stream() as stream:
        for _ in range(KILLS):
            machine.run("kill", "-KILL", str(pid))
            pid = up_again(machine, pid)
    note(f"{KILLS} kills, {stream.figures}")
    assert stream.figures.whole, stream.figures
    assert machine.show("natnetd", "NRestarts") == str(KILLS)
    says(machine, "1 network in sync")
