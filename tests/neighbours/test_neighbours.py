"""What each neighbour destroys and how soon it is right again, or which note tells what to do."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from overlay import Place, Program

from natnetd.errors import HostError
from natnetd.lab.wait import wait_until

Make = Callable[..., Program]
RULES = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD {} [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n*nat\nCOMMIT\n"


def obey(program: Program, note: str) -> None:
    """Type the commands of a note."""
    commands = re.findall(r"[:;] ((?:nft|sysctl|iptables-\w+|ufw|firewall-cmd) [^;:]+)", note)
    assert commands, note
    for command in commands:
        program.run("sh", "-ec", command)


def mended(place: Place, program: Program, note: str) -> None:
    """Demand that what the note says helps, and that the note is gone."""
    obey(program, note)
    wait_until(place.works, what="the guest's way out")
    assert note not in place.notes()
    place.seen.append("  its command helps, and the note is gone")


def test_nftables_service(place: Place, program: Make) -> None:
    unit = next(
        p for p in map(Path, ("/lib", "/usr/lib")) if (p / "systemd/system/nftables.service").exists()
    )
    text = (unit / "systemd/system/nftables.service").read_text("utf-8")
    root = program("plain")
    for verb in ("ExecStart", "ExecReload", "ExecStop"):
        (line,) = re.findall(rf"^{verb}=(.+)$", text, re.MULTILINE)
        place.disturb(f"{verb} {line}", lambda line=line: root.run("sh", "-ec", line))


def test_sysctl_system(place: Place, program: Make) -> None:
    root = program("plain")
    root.write("/etc/sysctl.d/99-zz.conf", "net.ipv4.ip_forward = 0\nnet.ipv4.conf.all.rp_filter = 2\n")
    place.disturb("sysctl --system", lambda: root.shell("sysctl --system >/dev/null 2>&1"))


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_iptables_restore(place: Place, program: Make, kind: str) -> None:
    root = program("iptables", "iptables")
    restore = f"iptables-{kind}-restore"
    root.write("/etc/accept", RULES.format("ACCEPT"))
    root.write("/etc/drop", RULES.format("DROP"))
    place.disturb(restore, lambda: root.run("sh", "-ec", f"{restore} </etc/accept"))
    root.run("sh", "-ec", f"{restore} </etc/drop")
    mended(place, root, place.finding(f"{restore} with FORWARD DROP", f"iptables-{kind}'s table"))
    rule = f"iptables-{kind} -t nat -A POSTROUTING -s 10.0.0.0/16 -o vmbr0 -j MASQUERADE"
    root.run("sh", "-ec", rule)
    (note,) = [text for text in place.notes() if "translates 10.0.0.0/16 too" in text]
    obey(root, note)
    assert note not in place.notes()
    place.seen.append(f"the how-to's rule: status says: {note}")


INTERFACES = """
auto lo
iface lo inet loopback

auto vmbr1
iface vmbr1 inet static
    address 10.0.0.1/16
    bridge-ports none
    bridge-stp off
    bridge-fd 0
    post-up iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o vmbr0 -j MASQUERADE
"""


def unplugging(place: Place, root: Program, what: str, command: str) -> None:
    """Run what takes guests out of their bridge, which looks like somebody unplugging them; plug in again.

    ifupdown2 does so for `bridge-ports none` (Proxmox's own build does not), NetworkManager with a profile,
    and a moment after its command has ended.
    """
    place.disturb(what, lambda: root.shell(command), 30, partial(plugged_again, place))


def plugged_again(place: Place) -> None:
    """Plug the guest in, if it is not."""
    if "master" not in place.world.host.check(["ip", "-o", "link", "show", "dev", place.guest.port]):
        place.seen.append(f"  unplugged {place.guest.port}, which is not mended: plugged in by hand")
        place.guest.plug()


def test_ifupdown2(place: Place, program: Make) -> None:
    root = program("ifupdown2", "ifupdown2", "iptables")
    root.write("/etc/network/interfaces", INTERFACES)
    root.write("/run/network/.keep", "")
    for command in ("ifreload -a", "ifreload -a", "ifdown vmbr1", "ifup vmbr1"):
        unplugging(place, root, command, command)
    (note,) = {text for text in place.notes() if "translates 10.0.0.0/16 too" in text}
    place.seen.append(f"its post-up line: status says: {note}")


def test_ufw(place: Place, program: Make) -> None:
    root = program("ufw", "ufw")
    place.disturb("ufw allow, not enabled", lambda: root.shell("ufw allow 22/tcp"))
    root.run("ufw", "--force", "enable")
    mended(place, root, place.finding("ufw enable", "ufw (chain"))
    place.disturb("ufw reload", lambda: root.run("ufw", "reload"))


def bus(root: Program) -> None:
    """Start the system bus."""
    root.run("mkdir", "-p", "/run/dbus")
    root.daemon("dbus-daemon", "--system", "--nofork", "--nopidfile")
    wait_until((root.root / "run/dbus/system_bus_socket").exists, what="the system bus")


def test_firewalld(place: Place, program: Make) -> None:
    root = program("firewalld", "firewalld")
    bus(root)
    root.daemon("firewalld", "--nofork", "--nopid")
    root.until("firewall-cmd", "--state")
    note = place.finding("firewalld start", "firewalld (chain")
    mended(place, root, note)
    place.disturb("firewall-cmd --reload", lambda: root.run("firewall-cmd", "--reload"), 30)


@pytest.mark.parametrize("first", ["natnetd", "docker"])
def test_dockerd(place: Place, program: Make, first: str) -> None:
    root = program("docker", "docker.io", "iptables")
    root.run("mkdir", "-p", "/var/lib/docker")
    root.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib/docker")
    root.run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")  # the machine's own may be version 1
    if first == "docker":
        place.service.stop()
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0", "ascii")
    docker = root.daemon("dockerd", "--storage-driver=vfs", "--bip=172.31.99.1/24")

    def up() -> bool:
        if docker.poll() is not None:
            pytest.skip(f"dockerd does not run here: {root.log().splitlines()[-1]}")
        return "DOCKER-USER" in place.world.host.check(["nft", "list", "ruleset"])

    wait_until(up, 30, what="dockerd's rules")
    if first == "natnetd":
        place.disturb("dockerd start", lambda: None)
        return
    place.resume()
    mended(place, root, place.finding("dockerd before natnetd", "Docker (chain"))


NAT = """<network><name>nat1</name><forward mode='nat'/><bridge name='virbr7' stp='off' delay='0'/>
<ip address='10.77.1.1' netmask='255.255.255.0'/></network>"""


def test_libvirt(place: Place, program: Make) -> None:
    root = program("libvirt", "libvirt-daemon", "libvirt-clients", "dnsmasq-base", "iptables")
    root.write("/nat.xml", NAT)
    root.run("useradd", "--system", "--user-group", "libvirt-qemu")  # as libvirt-daemon-system does
    root.daemon("libvirtd")
    virsh = "virsh -q -c network:///system"
    root.until("sh", "-c", f"{virsh} net-list")
    place.disturb(
        "virsh net-start of a NAT network",
        lambda: root.run("sh", "-ec", f"{virsh} net-define /nat.xml && {virsh} net-start nat1"),
        30,
    )
    place.disturb("virsh net-destroy", lambda: root.run("sh", "-ec", f"{virsh} net-destroy nat1"), 30)


@pytest.mark.parametrize("match", ["Kind=bridge", "Name=vmbr*"])
def test_systemd_networkd(place: Place, program: Make, match: str) -> None:
    root = program("plain")
    text = f"[Match]\n{match}\n[Network]\nAddress=10.99.0.1/24\nLinkLocalAddressing=no\n"
    root.write("/etc/systemd/network/10-all.network", text)
    root.run(
        "sh",
        "-ec",
        "cd /run; mkdir -p systemd/netif/links systemd/netif/leases; chown -R systemd-network: systemd/netif",
    )

    def began() -> None:
        networkd = root.daemon("/lib/systemd/systemd-networkd")

        def configured() -> bool:
            if networkd.poll() is not None:
                pytest.skip(f"systemd-networkd does not run here: {root.log().splitlines()[-1:]}")
            return "10.99.0.1/24" in place.world.host.check(["ip", "address", "show", "dev", "vmbr1"])

        wait_until(configured, 30, what=f"networkd to take vmbr1: {root.log()}")

    place.disturb(f"systemd-networkd with [Match] {match}, which adds its address", began, 30)


def test_networkmanager(place: Place, program: Make) -> None:
    root = program("network-manager", "network-manager")
    bus(root)
    nm = root.daemon("NetworkManager", "--no-daemon")

    def up() -> bool:
        if nm.poll() is not None:
            pytest.skip(f"NetworkManager does not run here: {root.log().splitlines()[-1:]}")
        with suppress(HostError):
            return "vmbr1" in root.run("nmcli", "-t", "device")
        return False

    place.disturb(
        "NetworkManager start", lambda: wait_until(up, 60, what=f"NetworkManager: {root.log()}"), 30
    )
    place.seen.append("  " + " ".join(root.run("nmcli", "-t", "-f", "DEVICE,STATE", "device").split()))
    profile = "nmcli connection add type bridge con-name x ifname vmbr1 ipv4.method manual"
    profile += " ipv4.addresses 10.99.0.1/24"
    for what, command in (
        ("a profile of its own for vmbr1", f"{profile} && nmcli connection up x"),
        ("that profile down", "nmcli connection down x"),
    ):
        unplugging(place, root, f"nmcli: {what}", command)
        address = place.world.host.check(["ip", "-o", "-4", "address", "show", "dev", "vmbr1"])
        place.seen.append(f"  its address on vmbr1: {'yes' if '10.99.0.1/24' in address else 'no'}")
