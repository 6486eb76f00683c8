"""`natnetd leases`, how leases are read, and what the metrics say of them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from leasing import Client, crowd
from running import natnetd, run, start

from natnetd import config
from natnetd.lab.world import World
from natnetd.leases import Known, Lease, counts, known, parse
from natnetd.linux.leased import LeaseFiles

FILE = """\
networks:
  vmbr1:
    addresses: 10.0.0.1/24
    nat: {uplink: vmbr0}
    dhcp: {ranges: 10.0.0.16-10.0.0.115, reservations: [
      {mac: 52:54:00:00:00:01, address: 10.0.0.9, name: web},
      {mac: 52:54:00:00:00:02, address: 10.0.0.20, name: db}]}
  vmbr2: {addresses: 10.2.0.1/24, dhcp: true}
  vmbr3: {addresses: 10.3.0.1/24}
"""
LEASES = """\
1795528337 52:54:00:00:00:02 10.0.0.20 * 01:52:54:00:00:00:02
0 52:54:00:00:00:03 10.0.0.17 three *
100 52:54:00:00:00:04 10.0.0.18 old *
duid 00:01:00:01:2f
1795528337 12345 fd00::5 six 00:01
"""


def test_a_file_of_leases_is_read() -> None:
    leases = list(parse(LEASES.splitlines()))
    assert leases == [
        Lease("10.0.0.20", "52:54:00:00:00:02", "", 1795528337),
        Lease("10.0.0.17", "52:54:00:00:00:03", "three", 0),
        Lease("10.0.0.18", "52:54:00:00:00:04", "old", 100),
    ]
    network = config.parse(FILE, "f").networks["vmbr1"]
    assert list(known(network, leases, 200.0)) == [
        Known("vmbr1", "10.0.0.9", "52:54:00:00:00:01", "web", None, reserved=True),
        Known("vmbr1", "10.0.0.17", "52:54:00:00:00:03", "three", 0),
        Known("vmbr1", "10.0.0.20", "52:54:00:00:00:02", "db", 1795528337, reserved=True),
    ]
    assert counts({"vmbr1": leases}, 200.0) == {"vmbr1": 2}


def test_files_are_read_again_if_they_are_others(tmp_path: Path) -> None:
    files = LeaseFiles(tmp_path)
    assert files.of("vmbr1") == ()
    path = tmp_path / "vmbr1.leases"
    path.write_text(LEASES)
    assert len(files.of("vmbr1")) == 3
    assert files.of("vmbr1") is files.of("vmbr1")
    path.write_text(LEASES.partition("\n")[0])
    assert len(files.of("vmbr1")) == 1
    path.unlink()
    assert files.of("vmbr1") == ()


@pytest.fixture
def crowded(world: World, directory: Path) -> Iterator[Path]:
    with start(world.host, directory, FILE, env={"NATNETD_DNSMASQ_OPTIONS": "--no-ping"}):
        guest = world.guest("one", "vmbr1", [])
        crowd(guest.ns, 7)
        address = Client(guest, directory, "dhclient").bound().address
        guest.ns.ip(f"addr add {address}/24 dev eth0")
        os.environ["ONE"] = address
        yield directory


def test_guests_are_shown_and_asked(crowded: Path) -> None:
    state = {"STATE_DIRECTORY": str(crowded / "state")}
    rows = json.loads(natnetd(crowded, "leases", "--json", **state))
    assert {row["network"] for row in rows} == {"vmbr1"}
    assert len(rows) == 10
    assert [row["name"] for row in rows if row["reserved"]] == ["web", "db"]
    assert [(r["name"], r["address"]) for r in rows if r["answers"]] == [("one", os.environ["ONE"])]
    text = natnetd(crowded, "leases", "vmbr1", **state)
    assert text.splitlines()[0].split() == [
        "NETWORK",
        "ADDRESS",
        "MAC",
        "NAME",
        "EXPIRES",
        "RESERVED",
        "ANSWERS",
    ]
    assert natnetd(crowded, "leases", "vmbr2", **state) == "no leases\n"
    wrong = run(crowded, "leases", "vmbr3", **state)
    assert wrong.returncode == 1
    assert wrong.stderr == "natnetd: there is no network vmbr3 with dhcp (known: vmbr1, vmbr2)\n"


def test_metrics_count_them(crowded: Path) -> None:  # noqa: ARG001
    with urlopen("http://127.0.0.1:9787/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    told = {line for line in lines if line.startswith("natnetd_dhcp")}
    assert told == {
        'natnetd_dhcp_leases{network="vmbr1"} 8.0',
        'natnetd_dhcp_leases{network="vmbr2"} 0.0',
        'natnetd_dhcp_range_addresses{network="vmbr1"} 101.0',
        'natnetd_dhcp_range_addresses{network="vmbr2"} 239.0',
    }
