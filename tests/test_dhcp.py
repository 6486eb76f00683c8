"""What guests are told and answered: real clients, real packets."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from leasing import Client, Told, crowd
from networks import Networks

from natnetd.lab.names import resolve
from natnetd.lab.wait import wait_until
from natnetd.linux.deaths import dead

CLIENTS = ("udhcpc", "dhclient")
PLAIN = "{vmbr1: {addresses: 10.0.0.1/24, nat: {uplink: vmbr0}, dhcp: true}}"

pytestmark = pytest.mark.usefixtures("places")


def become(net: Networks, networks: str) -> None:
    net.become(f" {networks}")
    report = net.become(f" {networks}")
    assert list(map(str, report.outcomes)) == []


def pid(directory: Path, network: str = "vmbr1") -> int:
    return int((directory / f"run/dnsmasq/{network}.pid").read_text())


@contextmanager
def pidfd(process: int) -> Iterator[Callable[[], bool]]:
    """Follow a process; yields whether it has ended."""
    fd = os.pidfd_open(process)
    yield lambda: dead(fd)
    os.close(fd)


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "run/dnsmasq").iterdir())


@pytest.mark.parametrize("program", CLIENTS)
def test_a_guest_that_knows_nothing_is_told_all(net: Networks, directory: Path, program: str) -> None:
    become(
        net,
        """{vmbr1: {addresses: 10.0.0.1/24, mtu: 1400, nat: {uplink: vmbr0}, dhcp: true,
            dns: {domain: lab.internal}}}""",
    )
    told = Client(net.guest("one", "vmbr1"), directory, program).bound()
    assert told == Told(told.address, "10.0.0.1", "10.0.0.1", "lab.internal", "1400")
    assert told.address.startswith("10.0.0.")
    assert 16 <= int(told.address.rpartition(".")[2]) <= 254


@pytest.mark.parametrize("program", CLIENTS)
def test_a_closed_network_gets_routes_to_what_it_reaches_and_no_gateway(
    net: Networks, directory: Path, program: str
) -> None:
    become(
        net,
        """{vault: {addresses: 10.0.0.1/24, reach: [vmbr2], dhcp: true},
            vmbr2: {addresses: [10.20.0.1/16, 10.30.0.1/24], nat: true}}""",
    )
    told = Client(net.guest("one", "vault"), directory, program).bound()
    routes = ("10.20.0.0/16 10.0.0.1", "10.30.0.0/24 10.0.0.1")
    assert told == Told(told.address, "", "10.0.0.1", "vault.internal", "", routes)


def test_a_router_elsewhere_is_named_in_the_routes_too(net: Networks, directory: Path) -> None:
    become(
        net,
        """{vmbr1: {addresses: 10.0.0.1/24, nat: true, reach: vmbr2, dhcp: {options: {router: 10.0.0.2}}},
            vmbr2: {addresses: 10.20.0.1/16}}""",
    )
    told = Client(net.guest("one", "vmbr1"), directory, "dhclient").bound()
    assert told.router == "10.0.0.2"
    assert told.routes == ("0.0.0.0/0 10.0.0.2", "10.20.0.0/16 10.0.0.1")


def test_a_reservation_is_heard_of_at_renewal_without_a_restart(net: Networks, directory: Path) -> None:
    become(net, PLAIN)
    guest = net.guest("one", "vmbr1")
    client = Client(guest, directory, "udhcpc")
    first = client.bound()
    assert client.renew() == first
    before = pid(directory)
    mac = link_address(guest.ns)
    become(
        net,
        f"""{{vmbr1: {{addresses: 10.0.0.1/24, nat: {{uplink: vmbr0}},
            dhcp: {{reservations: {{mac: '{mac}', address: 10.0.0.9, name: web}}}}}}}}""",
    )
    wait_until(lambda: renewed(client) == "10.0.0.9", 20, what="the reserved address")
    assert pid(directory) == before
    become(net, PLAIN)
    assert pid(directory) == before


def renewed(client: Client) -> str:
    """Ask again; an address that may not be kept is refused, and another one asked for."""
    return client.renew().address


def link_address(ns: Any) -> str:
    return str(ns.check(["ip", "-br", "link", "show", "eth0"]).split()[2])


def test_static_only_gives_to_nobody_else(net: Networks, directory: Path) -> None:
    known, other = net.guest("known", "vmbr1"), net.guest("other", "vmbr1")
    become(
        net,
        f"""{{vmbr1: {{addresses: [10.0.0.1/24, 10.1.0.1/24], dhcp: {{static_only: true,
            reservations: {{mac: '{link_address(known.ns)}', address: 10.1.0.9}}}}}}}}""",
    )
    known.plug()
    other.plug()
    lost = Client(other, directory, "udhcpc")
    assert Client(known, directory, "udhcpc").bound().address == "10.1.0.9"
    assert lost.environment().get("ip") is None


def test_two_hundred_guests_at_once(net: Networks) -> None:
    become(net, PLAIN)
    got = crowd(net.guest("many", "vmbr1").ns, 200)
    assert len(set(got.values())) == 200


def test_leases_outlive_a_kill(net: Networks, directory: Path) -> None:
    become(net, PLAIN)
    client = Client(net.guest("one", "vmbr1"), directory, "udhcpc")
    first, before = client.bound(), pid(directory)
    with pidfd(before) as ended:
        os.kill(before, signal.SIGKILL)
        wait_until(ended, what="its end")
    report = net.become(f" {PLAIN}")
    assert [str(o.change) for o in report.outcomes] == ["+ dhcp vmbr1"]
    assert pid(directory) != before
    assert client.renew() == first


def test_it_serves_again_on_a_bridge_made_anew(net: Networks, directory: Path) -> None:
    become(net, PLAIN)
    guest = net.guest("one", "vmbr1")
    client = Client(guest, directory, "udhcpc")
    first = client.bound()
    net.world.host.ip("link del vmbr1")
    report = net.become(f" {PLAIN}")
    assert "~ dhcp vmbr1 deaf vmbr1 → none" in [str(o.change) for o in report.outcomes]
    guest.plug()
    guest.ns.ip(f"addr add {first.address}/24 dev eth0")
    assert client.renew() == first
    assert resolve(guest.ns, "10.0.0.1", "one.vmbr1.internal") == [first.address]
    become(net, PLAIN)


def test_a_bridge_made_anew_by_somebody_is_found_too(net: Networks, directory: Path) -> None:
    become(net, PLAIN)
    before = pid(directory)
    net.world.host.ip("link del vmbr1", "link add vmbr1 type bridge", "link set vmbr1 up")
    become(net, PLAIN)
    assert pid(directory) != before


def test_names_of_guests_and_records(net: Networks, directory: Path) -> None:
    networks = """{vmbr1: {addresses: 10.0.0.1/24, nat: {uplink: vmbr0},
        dhcp: {reservations: {mac: 52:54:00:00:00:99, address: 10.0.0.9, name: idle}},
        dns: {domain: lab.internal, upstream: 203.0.113.1, records: [
            {name: db, address: 10.0.0.30}, {name: db, address: 10.0.0.31},
            {name: x.example, address: 192.0.2.1}]}},
        vmbr2: {addresses: 10.2.0.1/24, nat: {uplink: vmbr0}, dhcp: true}}"""
    become(net, networks)
    far = [
        "dnsmasq",
        "-k",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
    ]
    net.world.outside.popen([*far, "--address=/example.org/198.51.100.7"])
    one, two = net.guest("one", "vmbr1", "10.0.0.201/24"), net.guest("two", "vmbr1", "10.0.0.202/24")
    address = Client(one, directory, "dhclient").bound().address
    wait_until(lambda: resolve(two.ns, "10.0.0.1", "www.example.org"), 10, what="an answer from outside")
    expected: dict[str, object] = {
        "one.lab.internal": [address],
        "idle.lab.internal": ["10.0.0.9"],
        "x.example": ["192.0.2.1"],
        "nobody.lab.internal": 3,
        "www.example.org": ["198.51.100.7"],
    }
    assert {name: resolve(two.ns, "10.0.0.1", name) for name in expected} == expected
    both = resolve(two.ns, "10.0.0.1", "db.lab.internal")
    assert isinstance(both, list)
    assert sorted(both) == ["10.0.0.30", "10.0.0.31"]


def test_only_guests_are_answered(net: Networks) -> None:
    become(
        net,
        """{vmbr1: {addresses: 10.0.0.1/24, routed: true, inbound: vmbr0, dhcp: true,
            dns: {records: {name: db, address: 10.0.0.30}}},
            vmbr2: {addresses: 10.2.0.1/24, reach: vmbr1}}""",
    )
    net.world.let_outside_reach("10.0.0.0/24")
    inside = net.guest("inside", "vmbr1", "10.0.0.200/24")
    beside = net.guest("beside", "vmbr2", "10.2.0.200/24")
    assert resolve(inside.ns, "10.0.0.1", "db.vmbr1.internal") == ["10.0.0.30"]
    assert resolve(beside.ns, "10.0.0.1", "db.vmbr1.internal", patience=0.5) is None
    assert resolve(net.world.outside, "10.0.0.1", "db.vmbr1.internal", patience=0.5) is None


def test_a_change_of_text_restarts_only_that_one(net: Networks, directory: Path) -> None:
    two = "vmbr2: {addresses: 10.2.0.1/24, dhcp: true}"
    become(net, f"{{vmbr1: {{addresses: 10.0.0.1/24, dhcp: true}}, {two}}}")
    before = pid(directory), pid(directory, "vmbr2")
    become(net, f"{{vmbr1: {{addresses: 10.0.0.1/24, dhcp: {{lease_time: 2h}}}}, {two}}}")
    assert pid(directory) != before[0]
    assert pid(directory, "vmbr2") == before[1]
    assert len(files(directory)) == 12
    become(net, f"{{{two}}}")
    assert {name.partition(".")[0] for name in files(directory)} == {"vmbr2"}
    become(net, "{}")
    assert files(directory) == []
    assert (directory / "state/dnsmasq/vmbr1.leases").exists()


def test_a_closed_network_asks_nobody(net: Networks) -> None:
    become(net, "{vault: {addresses: 10.0.0.1/24, dhcp: true}}")
    guest = net.guest("one", "vault", "10.0.0.200/24")
    refused = 5
    assert resolve(guest.ns, "10.0.0.1", "www.example.org") == refused
