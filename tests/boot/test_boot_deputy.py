"""The root deputy, which shows networks to Proxmox VE by stanzas in /etc/network/interfaces."""

from pathlib import Path
from typing import Any

from host import ONE, Surroundings, configured, reload, says
from machine import Machine

from natnetd.lab.wait import wait_until

INTERFACES = "/etc/network/interfaces"
BEFORE = """\
# what the administrator wrote
auto lo
iface lo inet loopback

iface vmbr0 inet manual
	bridge-ports eno1
"""
STANZA = "iface vmbr1 inet static\n\taddress 10.0.0.1/16\n"
REGISTERED = f"proxmox: {{register: true}}\n{ONE}"
SECONDS = 10.0


def interfaces(machine: Machine) -> str:
    """Return the file as it is now."""
    return machine.path(INTERFACES).read_text("utf-8")


def test_stanza(machine: Machine, note: Any) -> None:
    machine.write(INTERFACES, BEFORE)
    with Surroundings.of(machine, REGISTERED) as around:
        wait_until(lambda: STANZA in interfaces(machine), SECONDS, what="the stanza")
        now = interfaces(machine)
        assert now.startswith(BEFORE)
        assert "#Internal network\n" in now
        seen = machine.path(INTERFACES).stat()
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o777) == (0, 0, 0o644)
        says(machine, "1 network in sync")
        around.passes()
    told = machine.run("systemd-analyze", "security", "--no-pager", "natnetd-deputy.service").splitlines()
    note(told[-1].strip("→ "))
    assert machine.run("systemctl", "is-enabled", "natnetd-deputy.path").strip() == "enabled"

    machine.reboot()
    assert machine.state() == "running"
    assert machine.show("natnetd-deputy.path", "ActiveState") == "active"
    assert interfaces(machine) == now
    configured(machine, REGISTERED.replace("Internal network", "Renamed"))
    wait_until(lambda: "#Renamed\n" in interfaces(machine), SECONDS, what="the new comment")
    configured(machine, ONE.replace("networks:", "proxmox: {register: false}\nnetworks:"))
    wait_until(lambda: interfaces(machine) == BEFORE, SECONDS, what="the stanza to go")
    assert not [text for text in machine.journal("--priority=warning") if "natnetd" in text]


def test_deputy_in_the_way_of_nothing(machine: Machine, deb: Path) -> None:
    """A flood of asks, and a deputy that fails, leave the path unit at work; so does an upgrade."""
    machine.write(INTERFACES, BEFORE)
    configured(machine, REGISTERED)
    wait_until(lambda: STANZA in interfaces(machine), SECONDS, what="the stanza")
    for number in range(8):
        reload(machine, REGISTERED.replace("Internal network", f"Name {number}"))
    wait_until(lambda: "#Name 7\n" in interfaces(machine), SECONDS, what="the last name")
    machine.run("systemctl", "stop", "natnetd-deputy.service")  # while it waits for more
    assert machine.state() == "running"
    machine.run("apt-get", "install", "-qy", "--reinstall", machine.copy(deb))
    configured(machine, REGISTERED)
    wait_until(
        lambda: "#Internal network\n" in interfaces(machine), SECONDS, what="the comment after an upgrade"
    )
    assert machine.show("natnetd-deputy.path", "ActiveState") == "active"
    assert machine.state() == "running"


def test_taken_down_and_purged(machine: Machine) -> None:
    """Teardown takes the stanza along; a purge what the deputy kept, but for the copy of the old file."""
    machine.write(INTERFACES, BEFORE)
    configured(machine, REGISTERED)
    wait_until(lambda: STANZA in interfaces(machine), SECONDS, what="the stanza")
    machine.run("systemctl", "stop", "natnetd")
    machine.run("natnetd", "teardown")
    wait_until(lambda: interfaces(machine) == BEFORE, SECONDS, what="the stanza to go")
    machine.run("apt-get", "purge", "-qy", "natnetd")
    left = [path for place in ("/var/lib", "/run") for path in machine.path(place).glob("natnetd*")]
    assert not [path.name for path in left]
    assert machine.state() == "running"
