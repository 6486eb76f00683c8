"""Boots: everything is there before the first guest, and again after each reboot and each power cut."""

from typing import Any

from host import FILE, ONE, Surroundings, has_network, says
from machine import Machine

SLOW = "[Service]\nExecStartPre=sleep 1\n"
"""Uplinks take a while, longer than we: so that the order is not right by accident."""
BEFORE = ("systemd-sysctl.service", "networking.service", "nftables.service")
OURS = "natnetd.service"
AFTER = ("network-online.target", "pve-guests.service")


def entered(machine: Machine, unit: str) -> int:
    """Return when a unit became active, in microseconds; 0 if it is not."""
    return int(machine.show(unit, "ActiveEnterTimestampMonotonic"))


def all_is_there(machine: Machine) -> None:
    """Demand that the machine is as the file says, and was when guests started."""
    assert machine.state() == "running"
    says(machine, "1 network in sync")
    assert has_network(machine)
    assert not [text for text in machine.journal("--unit=natnetd") if "drift" in text or "waiting" in text]
    assert "10.0.0.1/16" in machine.path("/run/guests.links").read_text("utf-8")
    assert '"vmbr1"' in machine.path("/run/guests.table").read_text("utf-8")
    with Surroundings(machine) as around:
        around.passes()


def test_boots(machine: Machine, note: Any) -> None:
    machine.write(FILE, ONE)
    machine.write("/etc/systemd/system/networking.service.d/slow.conf", SLOW)
    machine.run("systemctl", "enable", "nftables.service")
    machine.power_off()
    machine.boot()
    times = {unit: entered(machine, unit) for unit in (*BEFORE, OURS, *AFTER)}
    assert 0 not in times.values(), times
    note(", ".join(f"{unit} {(at - times[OURS]) / 1000:+.0f} ms" for unit, at in times.items()))
    assert max(times[unit] for unit in BEFORE) <= times[OURS] <= min(times[unit] for unit in AFTER), times
    blame = machine.run("systemd-analyze", "blame").splitlines()
    note("".join(each.strip() for each in blame if each.endswith(OURS)))
    all_is_there(machine)

    machine.reboot()
    all_is_there(machine)
    machine.power_cut()
    machine.boot()
    all_is_there(machine)
    assert len(machine.run("journalctl", "--list-boots", "--quiet", "--no-pager").splitlines()) >= 4
