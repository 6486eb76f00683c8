"""A booted machine as a virtualization host: an uplink made at boot, natnetd, and a guest behind vmbr1."""

import json
from functools import partial
from typing import Any, Self

from machine import Machine
from stream import Stream

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ABSENCE, tcp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import FIRST, Guest, Uplink, World

FILE = "/etc/natnetd.yaml"
LAST_GOOD = "/var/lib/natnetd/last-good.yaml"
ADDRESS, GATEWAY = "10.0.0.2/16", "10.0.0.1"
HOST, INTERNET = (FIRST.host[0].partition("/")[0], FIRST.internet[0].partition("/")[0])
HOST6, INTERNET6 = (FIRST.host[1].partition("/")[0], FIRST.internet[1].partition("/")[0])
ONE = """\
networks:
  vmbr1:
    description: Internal network
    addresses: 10.0.0.1/16
    nat: {uplink: vmbr0}
"""
BAD = ONE.replace("10.0.0.1", "10.0.0.300")
WHERE = f"{FILE}:4:16"
"""Where BAD is bad."""

# What ifupdown and Proxmox do at boot, as far as it matters: the uplink, and guests that start late.
UPLINK = f"""\
[Unit]
Description=The uplink, as networking.service of ifupdown2 makes it
DefaultDependencies=no
After=local-fs.target network-pre.target systemd-sysctl.service
Before=network.target network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link add {FIRST.bridge} up type bridge
ExecStart=ip address add {FIRST.host[0]} dev {FIRST.bridge}
ExecStart=ip address add {FIRST.host[1]} dev {FIRST.bridge} nodad
ExecStart=ip route add default via {FIRST.gateway[0].partition("/")[0]}
ExecStart=ip route add default via {FIRST.gateway[1].partition("/")[0]}

[Install]
WantedBy=network-online.target multi-user.target
"""
GUESTS = """\
[Unit]
Description=Guests, as pve-guests.service starts them: they need their bridges
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh -c 'ip -brief address >/run/guests.links'
ExecStart=-sh -c 'nft list table inet natnetd >/run/guests.table 2>&1'

[Install]
WantedBy=multi-user.target
"""
UNITS = {"networking.service": UPLINK, "pve-guests.service": GUESTS}


class Cabled(World):
    """A world whose uplinks the host has made itself: only the wire is missing."""

    def add_uplink(self, uplink: Uplink) -> Namespace:
        """Put a wire into it, with somebody outside at the other end."""
        outside = self._open.enter_context(Namespace.new(f"outside {uplink.bridge}"))
        self.host.ip(
            f"link add {uplink.port} type veth peer name eth0 netns {outside.path}",
            f"link set {uplink.port} up master {uplink.bridge}",
        )
        outside.ip(
            "link set eth0 up",
            *(f"address add {address} dev eth0 nodad" for address in uplink.gateway),
            *(f"address add {address} dev lo" for address in uplink.internet),
        )
        for ns, link in ((outside, "eth0"), (self.host, uplink.bridge)):
            wait_until(partial(ns.running, link), what=f"{link} to carry packets")
        return outside


class Surroundings:
    """Somebody outside, and a guest behind vmbr1; both end when the machine is switched off."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.world = Cabled(machine.net())
        self.guest: Guest = self.world.guest("web", "vmbr1", ADDRESS, GATEWAY)

    @classmethod
    def of(cls, machine: Machine, text: str = ONE) -> Self:
        """Configure the machine first."""
        configured(machine, text)
        return cls(machine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.world.close()

    def stream(self) -> Stream:
        """Begin to send."""
        return Stream(self.guest.ns, self.world.outside, INTERNET)

    def seen_as(self, to: str = INTERNET) -> str:
        """Return how somebody outside sees the guest now, without the port; empty if it gets nowhere."""
        with Echo(self.world.outside):
            try:
                return (tcp(self.guest.ns, to, deadline=ABSENCE) or "").rpartition(":")[0]
            except OSError:
                return ""

    def passes(self) -> None:
        """Demand that the guest gets out, under the host's address."""
        wait_until(lambda: self.seen_as() == HOST, what="the guest's way out, under the host's address")


def reload(machine: Machine, text: str = ONE, file: str = FILE) -> None:
    """Write the file and have it read. systemd does not always wait for the end of it (Type=notify)."""
    machine.write(file, text)
    machine.run("systemctl", "reload", "natnetd")


def configured(machine: Machine, text: str = ONE, file: str = FILE) -> None:
    """Write the file, have it read, and wait until there is nothing left to do."""
    reload(machine, text, file)
    wait_until(lambda: machine.look("natnetd", "plan").code == 0, 20, what="natnetd to do as the file says")


def status(machine: Machine) -> dict[str, Any]:
    """Return what natnetd status tells."""
    found: dict[str, Any] = json.loads(machine.look("natnetd", "status", "--json").out)
    return found


def line(machine: Machine) -> str:
    """Return our line in systemctl status."""
    return machine.show("natnetd", "StatusText")


def says(machine: Machine, text: str) -> None:
    """Wait for our line in systemctl status to be this."""
    wait_until(lambda: line(machine) == text, what=f"our line to be {text!r}, not {line(machine)!r}")


def network(machine: Machine) -> dict[str, str]:
    """Tell all that natnetd could change on it."""
    return {
        "links": machine.shell(
            "ip -details link show type bridge | grep -v 'vmbr0\\|timer\\|gc_timer' || true"
        ),
        "addresses": machine.run("ip", "-4", "-oneline", "address"),
        "rules": machine.run("nft", "--stateless", "list", "ruleset"),
        "forwarding": machine.shell(
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding || true"
        ),
    }


def has_network(machine: Machine) -> bool:
    """Say whether the bridge with its address, and the table, are there."""
    found = network(machine)
    return "10.0.0.1/16" in found["addresses"] and '"vmbr1"' in found["rules"]


def main_pid(machine: Machine) -> int:
    """Return the service's process, 0 if there is none."""
    return int(machine.show("natnetd", "MainPID"))


def up_again(machine: Machine, old: int) -> int:
    """Wait until another process is ready in place of `old`; return it."""

    def another() -> int:
        now = main_pid(machine)
        return now if now not in (0, old) and machine.show("natnetd", "ActiveState") == "active" else 0

    return wait_until(another, 60, what="natnetd to be started again")
