"""The text that dnsmasq is run with, without running it."""

import subprocess
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natnetd import config, dnsmasq
from natnetd.model import Network
from natnetd.ranges import MOST, count, sensible
from natnetd.rows import Served


def network(keys: str, others: str = "") -> Network:
    text = f"networks: {{vmbr1: {{addresses: 10.0.0.1/24, {keys}}}, {others}}}"
    return config.parse(text, "f").networks["vmbr1"]


def lines(keys: str) -> set[str]:
    return set(dnsmasq.server(network(keys), Served()).config)


@pytest.mark.parametrize(
    ("gateway", "ranges"),
    [
        ("10.0.0.1/24", ["10.0.0.16-10.0.0.254"]),
        ("10.0.0.254/24", ["10.0.0.16-10.0.0.253"]),
        ("10.0.0.100/24", ["10.0.0.16-10.0.0.99", "10.0.0.101-10.0.0.254"]),
        ("10.0.0.1/16", ["10.0.16.0-10.0.31.255"]),
        ("10.0.0.1/8", ["10.16.0.0-10.16.15.255"]),
        ("10.0.0.1/30", ["10.0.0.2-10.0.0.2"]),
        ("10.0.0.0/31", ["10.0.0.1-10.0.0.1"]),
    ],
)
def test_what_is_handed_out_where_the_file_says_nothing(gateway: str, ranges: list[str]) -> None:
    assert [f"{span.first}-{span.last}" for span in sensible([IPv4Interface(gateway)])] == ranges


@given(st.integers(8, 31), st.integers(0, 2**32 - 1), st.integers(0, 2**24))
def test_never_a_gateway_nor_anything_outside(prefix: int, base: int, host: int) -> None:
    subnet = IPv4Network((base & ~((1 << (32 - prefix)) - 1), prefix))
    edge = 0 if prefix == 31 else 1
    gateway = subnet[edge + host % (subnet.num_addresses - 2 * edge)]
    spans = sensible([IPv4Interface(f"{gateway}/{prefix}")])
    assert 0 < count(spans) <= MOST
    for span in spans:
        assert span.first in subnet
        assert span.last in subnet
        assert span.first <= span.last
        assert not span.first <= gateway <= span.last
        if edge:
            assert subnet.network_address < span.first
            assert span.last < subnet.broadcast_address


@pytest.mark.parametrize(
    "keys",
    [
        "dhcp: true",
        "dhcp: {static_only: true}, dns: false",
        "nat: true, dhcp: true, dns: {upstream: [192.0.2.1, '2001:db8::1']}",
        "mtu: 9000, dhcp: {options: {router: 10.0.0.2, dns: 10.0.0.3, ntp: [10.0.0.3, 10.0.0.4],"
        " search: [a.example, b.example], boot_server: boot.example, boot_file: a/b.0,"
        " captive_portal: 'https://portal.example/api?x=1'}}",
        "dns: true",
    ],
)
def test_dnsmasq_takes_it(keys: str, tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text(dnsmasq.text(dnsmasq.server(network(keys), Served()).config))
    done = subprocess.run(["dnsmasq", "--test", f"--conf-file={path}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reservations_and_records_change_no_line_of_it() -> None:
    more = "dhcp: {reservations: {mac: 52:54:00:00:00:01, address: 10.0.0.9, name: web}},"
    more += " dns: {records: {name: db, address: 10.0.0.30}}"
    assert lines(more) == lines("dhcp: true")
    server = dnsmasq.server(network(more), Served())
    assert server.hosts == ("52:54:00:00:00:01,10.0.0.9,web",)
    assert server.names == ("10.0.0.30 db.vmbr1.internal db", "10.0.0.9 web.vmbr1.internal web")


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ("nat: true, dhcp: true", ("server=192.0.2.53", "server=fe80::1%eth0")),
        ("nat: true, dhcp: true, dns: false", ()),
        ("nat: true, dhcp: true, dns: {upstream: 192.0.2.1}", ()),
        ("dhcp: true", ()),
    ],
)
def test_who_asks_whom_the_host_asks(keys: str, asked: tuple[str, ...]) -> None:
    """A closed network asks nobody outside; no change of the host's name servers takes a restart."""
    host = Served(resolvers=("192.0.2.53", "fe80::1%eth0"))
    server = dnsmasq.server(network(keys), host)
    assert server.upstream == asked
    assert server.config == dnsmasq.server(network(keys), Served()).config
    file = "servers-file=/run/natnetd/dnsmasq/vmbr1.servers"
    assert (file in server.config) == bool(asked)
    assert "dns: false" in keys or "no-resolv" in server.config


def test_named_name_servers_are_asked() -> None:
    assert {"no-resolv", "server=192.0.2.1"} <= lines("dhcp: true, dns: {upstream: 192.0.2.1}")


def test_name_servers_of_the_host() -> None:
    text = """# nameserver 192.0.2.9
search example.org
nameserver 192.0.2.53
 nameserver\t2001:db8::53 # the other
nameserver 192.0.2.53
nameserver fe80::1%eth0
nameserver
nameserver 192.0.2.300
nameserver ../evil
options edns0"""
    assert dnsmasq.name_servers(text.splitlines()) == ("192.0.2.53", "2001:db8::53", "fe80::1%eth0")


def test_reserved_addresses_outside_the_ranges_count_too() -> None:
    reserved = "reservations: [{mac: 52:54:00:00:00:01, address: 10.0.0.9},"
    reserved += " {mac: 52:54:00:00:00:02, address: 10.0.0.20}]"
    assert dnsmasq.range_of(network(f"dhcp: {{ranges: 10.0.0.16-10.0.0.25, {reserved}}}")) == 11
    assert dnsmasq.range_of(network(f"dhcp: {{static_only: true, {reserved}}}")) == 2
    assert dnsmasq.inside(IPv4Address("10.0.0.9"), ()) is False
