"""DHCP and DNS under systemd: the units, who starts them, and what becomes of a guest's lease."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from host import ONE, Surroundings, configured, reload, says, status
from leasing import Client
from machine import Machine

from natnetd.lab.wait import wait_until

SECONDS = 15.0
DHCP = f"{ONE}    dhcp: true\n"
RESERVED = f"{ONE}    dhcp: {{reservations: {{mac: 'MAC', address: 10.0.0.77, name: web}}}}\n"
SQUATTER = """\
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.1", 53))
time.sleep(600)
"""


def units(machine: Machine) -> list[str]:
    """Name the instances that run."""
    listed = machine.run(
        "systemctl", "list-units", "--plain", "--no-legend", "--state=active", "natnetd-dnsmasq@*.service"
    )
    return [line.split()[0] for line in listed.splitlines()]


def pid(machine: Machine) -> str:
    """Return the process of the one instance."""
    (found,) = pids(machine)
    return found


def pids(machine: Machine) -> list[str]:
    """Return the processes of all instances; one that ends meanwhile has 0."""
    return [machine.show(unit, "MainPID") for unit in units(machine)]


def another(machine: Machine, first: str) -> bool:
    """Whether there is one instance, and it is not the first one any more."""
    found = pids(machine)
    return len(found) == 1 and found[0] not in (first, "0")


def test_guests_get_addresses(machine: Machine, tmp_path: Path, note: Any) -> None:
    configured(machine, DHCP)
    wait_until(lambda: len(units(machine)) == 1, SECONDS, what="an instance")
    first = pid(machine)
    with Surroundings(machine) as around:
        web = around.guest
        web.ns.ip("address flush dev eth0")
        client = Client(web, tmp_path, "udhcpc")
        told = client.bound()
        assert (told.router, told.dns, told.domain) == ("10.0.0.1", "10.0.0.1", "vmbr1.internal")
        assert told.address in machine.run("natnetd", "leases")

        machine.run("systemctl", "restart", "natnetd")
        says(machine, "1 network in sync")
        assert pid(machine) == first, "a restart of natnetd restarts no dnsmasq"

        configured(machine, RESERVED.replace("MAC", address_of(web)))
        assert pid(machine) == first, "a reservation takes no restart"
        wait_until(lambda: client.renew().address == "10.0.0.77", SECONDS, what="the reserved address")

        machine.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")
        servers = partial(machine.look, "cat", "/run/natnetd/dnsmasq/vmbr1.servers")
        wait_until(lambda: servers().out == "server=192.0.2.53\n", SECONDS, what="the host's name servers")
        assert pid(machine) == first, "other name servers take no restart"

        machine.run("systemctl", "kill", "--signal=KILL", units(machine)[0])
        wait_until(lambda: another(machine, first), SECONDS, what="it back")
        wait_until(lambda: status(machine)["networks"][0]["state"] == "in_sync", SECONDS, what="rest")

        configured(machine, DHCP.replace("dhcp: true", "dhcp: {lease_time: 2h}"))
        wait_until(lambda: len(units(machine)) == 1, SECONDS, what="one instance, with the new text")
    for name in (units(machine)[0], "natnetd-dnsmasq.service"):
        note(machine.run("systemd-analyze", "security", "--no-pager", name).splitlines()[-1].strip("→ "))
    machine.reboot()
    assert machine.state() == "running"
    wait_until(lambda: len(units(machine)) == 1, SECONDS, what="an instance after the boot")
    configured(machine, ONE)
    wait_until(lambda: units(machine) == [], SECONDS, what="the instance to go")
    assert not [text for text in machine.journal("--priority=warning") if "natnetd" in text]


def test_who_holds_the_port_is_named(machine: Machine) -> None:
    configured(machine, ONE)
    machine.write("/root/squatter.py", SQUATTER)
    machine.run("systemd-run", "--unit=squatter", "python3", "/root/squatter.py")
    wait_until(lambda: "10.0.0.1:53" in machine.run("ss", "-Hlun"), SECONDS, what="the port to be taken")
    reload(machine, DHCP)
    named = partial(finding, machine, "port 53 of 10.0.0.1 is held by squatter.service: stop it")
    wait_until(named, SECONDS, what="a finding that names who holds the port")
    machine.run("systemctl", "stop", "squatter")
    wait_until(lambda: len(units(machine)) == 1, 60, what="an instance once the port is free")
    wait_until(lambda: status(machine)["networks"][0]["state"] == "in_sync", SECONDS, what="rest")


def finding(machine: Machine, words: str) -> bool:
    """Say whether the status has a finding with these words."""
    return words in machine.look("natnetd", "status").out


def address_of(guest: Any) -> str:
    """Return a guest's MAC address."""
    (link,) = json.loads(guest.ns.check(["ip", "-j", "link", "show", "eth0"]))
    return str(link["address"])
