"""Beside udev and systemd-networkd with a file for all interfaces: our bridges stay ours."""

from host import Surroundings, has_network
from machine import Machine

from natnetd.lab.wait import wait_until

ALL = """\
[Match]
Name=*

[Network]
Address=192.0.2.99/24
LinkLocalAddressing=no
ConfigureWithoutCarrier=yes
"""
# Else it takes the uplink's address, and guests' ports out of our bridge: they are not natnetd's.
OTHERS = "[Match]\nName=vmbr0 eno1 veth*\n\n[Link]\nUnmanaged=yes\n"


def start_udev(machine: Machine) -> None:
    """Start udev, which nspawn's read-only /sys keeps from starting.

    Only the tmpfs /sys becomes writable; what is mounted in it, with the real machine's devices, does not.
    Events of network devices come to the namespace that these are in, so udev sees this machine's.
    """
    machine.run("mount", "-o", "remount,rw", "/sys")
    machine.run("systemctl", "start", "systemd-udevd")


def addresses(machine: Machine, link: str) -> list[str]:
    """Return the IPv4 addresses of an interface."""
    return [each.split()[3] for each in machine.run("ip", "-4", "-o", "address", "show", link).splitlines()]


def test_networkd_leaves_ours_alone(machine: Machine) -> None:
    start_udev(machine)
    machine.shell("ip link add other up type bridge; ip address add 198.18.7.1/24 dev other")
    machine.write("/etc/systemd/network/40-others.network", OTHERS)
    machine.write("/etc/systemd/network/50-all.network", ALL)
    with Surroundings.of(machine) as around:
        known = machine.run("udevadm", "info", "--query=property", "/sys/class/net/vmbr1").splitlines()
        assert {"ID_NET_MANAGED_BY=natnetd", "NM_UNMANAGED=1"} <= set(known)
        machine.run("systemctl", "start", "systemd-networkd")
        wait_until(
            lambda: addresses(machine, "other") == ["192.0.2.99/24"],
            20,
            what="networkd to take another's bridge",
        )
        states = machine.run("networkctl", "list", "--no-legend", "--no-pager").splitlines()
        assert [each.split()[-1] for each in states if each.split()[1] == "vmbr1"] == ["unmanaged"]
        assert addresses(machine, "vmbr1") == ["10.0.0.1/16"]
        assert has_network(machine)
        assert not [text for text in machine.journal("--unit=natnetd") if "drift" in text]
        around.passes()
