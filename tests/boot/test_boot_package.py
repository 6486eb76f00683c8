"""The package: installed, judged by systemd, removed, purged, installed again; always without a network."""

import re
from pathlib import Path
from typing import Any

from host import BAD, FILE, Surroundings, configured, has_network, line, main_pid, network, says
from machine import Machine

EXPOSURE = 1.7
"""What `systemd-analyze security` may say at most; Debian 12's and 13's both know this scale, 0 to 10."""
NET_ADMIN = 1 << 12


def test_install(bare: Machine, deb: Path) -> None:
    bare.run("apt-get", "install", "-qy", bare.copy(deb))
    assert bare.run("systemctl", "is-active", "natnetd").strip() == "active"
    assert bare.run("systemctl", "is-enabled", "natnetd").strip() == "enabled"
    assert 'Status: "0 networks in sync"' in bare.run("systemctl", "status", "natnetd")
    before = network(bare)
    assert "natnetd" not in before["rules"]
    assert before["forwarding"].split()[0] == "0"
    assert not quarrels(bare)
    assert bare.state() == "running"


def test_privileges(machine: Machine) -> None:
    status = machine.path(f"/proc/{main_pid(machine)}/status").read_text("ascii")
    found = dict(each.split(":\t", 1) for each in status.splitlines() if ":\t" in each)
    user = machine.run("id", "-u", "natnetd").strip()
    assert user != "0"
    assert set(found["Uid"].split()) == {user}
    masks = {name: int(found[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")}
    assert masks == dict.fromkeys(masks, NET_ADMIN)
    assert found["NoNewPrivs"] == "1"
    stat = machine.path(f"/proc/{main_pid(machine)}/stat").read_text("ascii")
    assert stat.rpartition(")")[2].split()[16] == "-10"  # proc_pid_stat(5): nice


def test_systemd_finds_no_fault(machine: Machine, note: Any) -> None:
    told = machine.run("systemd-analyze", "security", "--no-pager", "natnetd.service").splitlines()[-1]
    exposure = re.search(r"natnetd\.service: ([\d.]+)", told)
    assert exposure, told
    note(f"exposure {exposure[1]}")
    assert float(exposure[1]) <= EXPOSURE
    verified = machine.look(
        "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "natnetd.service"
    )
    assert (verified.code, verified.out, verified.err) == (0, "", "")
    assert machine.state() == "running"
    assert not quarrels(machine)
    note(machine.run("systemd-analyze", "time").splitlines()[0])
    blame = machine.run("systemd-analyze", "blame").splitlines()
    note("".join(each.strip() for each in blame if each.endswith("natnetd.service")))


def test_removed_by_hand(around: Surroundings, note: Any) -> None:
    """Removing the package leaves guests online, and prints how to take all down: it is true."""
    machine = around.machine
    with around.stream() as stream:
        told = machine.run("apt-get", "remove", "-qy", "natnetd")
    note(f"remove: {stream.figures}")
    assert stream.figures.whole, stream.figures
    assert has_network(machine)
    assert "networks stay up" in told
    commands = re.findall(r"^  (nft .*|ip .*)$", told, re.MULTILINE)
    assert len(commands) == 2, told
    assert machine.path(FILE).exists()
    for command in commands:
        machine.run("sh", "-ec", command)
    assert "vmbr1" not in network(machine)["links"]
    assert "natnetd" not in network(machine)["rules"]


def test_purged_and_installed_again(around: Surroundings, deb: Path) -> None:
    machine = around.machine
    told = machine.run("apt-get", "purge", "-qy", "natnetd")
    assert "networks stay up" in told
    assert "its networks are still up" in told
    left = [
        name
        for name in (FILE, "/etc/natnetd.d", "/run/natnetd", "/usr/bin/natnetd")
        if machine.path(name).exists()
    ]
    assert not left
    assert not list(machine.path("/var/lib").glob("natnetd*"))
    assert not machine.look("systemctl", "list-unit-files", "--no-legend", "natnetd*").out
    assert has_network(machine)
    around.passes()

    machine.run("apt-get", "install", "-qy", machine.copy(deb))
    assert machine.run("systemctl", "is-active", "natnetd").strip() == "active"
    assert "vmbr1" in network(machine)["links"], "a guest is plugged in"
    configured(machine)
    around.passes()
    says(machine, "1 network in sync")


def test_teardown(around: Surroundings) -> None:
    machine = around.machine
    refused = machine.look("natnetd", "teardown")
    assert refused.code == 1
    assert "systemctl stop natnetd" in refused.err, refused.err
    machine.run("systemctl", "stop", "natnetd")
    around.passes()
    machine.run("natnetd", "teardown")
    assert "vmbr1" not in network(machine)["links"]
    assert "natnetd" not in network(machine)["rules"]
    told = machine.run("apt-get", "purge", "-qy", "natnetd")
    assert "still up" not in told
    assert "stay up" not in told


def test_installed_over_a_bad_file(bare: Machine, deb: Path) -> None:
    """A file that was there before, and is bad, is left alone: the service is up and says why."""
    bare.write(FILE, BAD)
    bare.run("apt-get", "-o", "Dpkg::Options::=--force-confold", "install", "-qy", bare.copy(deb))
    assert bare.path(FILE).read_text("utf-8") == BAD
    assert bare.run("systemctl", "is-active", "natnetd").strip() == "active"
    assert FILE in line(bare)
    assert "natnetd" not in network(bare)["rules"]


def quarrels(machine: Machine) -> list[str]:
    """Return warnings in the journal that are ours, or about us."""
    own = machine.journal("--priority=warning", "--unit=natnetd")
    others = [each for each in machine.journal("--priority=warning") if "natnetd" in each]
    failed = machine.run("systemctl", "--failed", "--no-legend", "--plain").splitlines()
    return [*own, *others, *failed]
