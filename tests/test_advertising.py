"""What guests are told by router advertisements and DHCPv6: a kernel's own SLAAC, a real client."""

from pathlib import Path

import pytest
from networks import Networks
from routers import defaults, heard, own
from test_packets_ipv6 import FAR, GATEWAY, HOST, seen

from natnetd.lab.echo import Echo
from natnetd.lab.names import resolve
from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest, World

SCRIPT = '#!/bin/sh\nenv > "{told}.new" && mv "{told}.new" "{told}"\n'

pytestmark = pytest.mark.usefixtures("places")


def become(net: Networks, networks: str) -> None:
    net.become(f" {networks}")
    assert list(map(str, net.become(f" {networks}").outcomes)) == []


def settled(guest: Guest, prefix: str) -> str:
    """Wait until a guest has made itself an address, and return it."""
    made = wait_until(
        lambda: {a for a in own(guest.ns) if a.startswith(prefix)}, 15, what=f"an address of {prefix}"
    )
    return made.pop()


def test_a_guest_that_knows_nothing_reaches_the_outside_translated(world: World, net: Networks) -> None:
    become(net, '{vmbr1: {addresses: [10.0.0.1/24, "fd00:1::1/64"], nat: {uplink: vmbr0}, dhcp: true}}')
    guest = net.guest("one", "vmbr1")
    settled(guest, "fd00:1:")
    assert defaults(guest.ns) == [("eth0", "ra")]
    with Echo(world.outside):
        assert seen(guest.ns, FAR) == {HOST}


def test_and_as_itself_with_a_global_prefix(world: World, net: Networks) -> None:
    become(
        net,
        '{vmbr1: {addresses: ["fd00:1::1/64", "2001:db8:1::1/64"], ra: true,'
        " nat: {uplink: vmbr0, ipv6: routed}}}",
    )
    world.let_outside_reach("2001:db8:1::/64")
    guest = net.guest("one", "vmbr1")
    address = settled(guest, "2001:db8:1:")
    with Echo(world.outside), Echo(guest.ns):
        assert seen(guest.ns, FAR) == {address}
        assert seen(world.outside, address) == {GATEWAY}


def test_everything_is_told(net: Networks) -> None:
    become(
        net,
        '{vmbr1: {addresses: ["fd00:1::1/64", "fd00:1::9/64", "2001:db8:1::1/64", "fd00:8::1/56"], mtu: 1400,'
        " nat: {ipv6: routed}, ra: true, dns: {domain: lab.internal}}}",
    )
    told = heard(net.guest("one", "vmbr1").ns)
    assert (told.lifetime, told.other, told.mtu) == (1800, True, 1400)
    assert told.prefixes == ("2001:db8:1::/64", "fd00:1::/64")
    assert told.domains == b"\3lab\10internal"
    assert told.dns == ("fd00:1::1",)


@pytest.mark.parametrize("more", ["nat: false", "nat: {ipv6: false}", "nat: false, dns: false"])
def test_who_does_not_leave_gets_a_prefix_and_no_way_out(net: Networks, more: str) -> None:
    become(net, f'{{vmbr1: {{addresses: [10.0.0.1/24, "fd00:1::1/64"], dhcp: true, {more}}}}}')
    guest = net.guest("one", "vmbr1")
    settled(guest, "fd00:1:")
    told = heard(guest.ns)
    assert (told.lifetime, told.mtu) == (0, 1500)
    assert bool(told.dns) == bool(told.domains) == ("dns" not in more)
    assert defaults(guest.ns) == []


def test_nobody_is_told_where_it_is_off(net: Networks) -> None:
    become(net, '{vmbr1: {addresses: [10.0.0.1/24, "fd00:1::1/64"], nat: true, dhcp: true, ra: false}}')
    guest = net.guest("one", "vmbr1")
    with pytest.raises(TimeoutError):
        heard(guest.ns)


def test_a_client_of_dhcpv6_is_told_the_name_server(net: Networks, directory: Path) -> None:
    become(
        net,
        '{vmbr1: {addresses: "fd00:1::1/64", nat: true, ra: true,'
        " dns: {domain: lab.internal, records: {name: db, address: 10.0.0.30}}}}",
    )
    guest = net.guest("one", "vmbr1")
    settled(guest, "fd00:1:")
    told = asked(guest.ns, directory)
    assert told["new_dhcp6_name_servers"] == "fd00:1::1"
    assert told["new_dhcp6_domain_search"] == "lab.internal."
    assert resolve(guest.ns, "fd00:1::1", "db.lab.internal") == ["10.0.0.30"]


def test_names_are_asked_for_outside_over_ipv6(world: World, net: Networks, directory: Path) -> None:
    words = ["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--no-resolv", "--no-hosts"]
    words += [f"--address=/web.example/{FAR}", f"--pid-file={directory}/outside.pid", "--user=root"]
    world.outside.popen(words)
    become(
        net,
        f'{{vmbr1: {{addresses: "fd00:1::1/64", nat: true, ra: true, dns: {{upstream: "{FAR}"}}}}}}',
    )
    guest = net.guest("one", "vmbr1")
    settled(guest, "fd00:1:")
    (server,) = heard(guest.ns).dns
    assert server == "fd00:1::1"
    assert resolve(guest.ns, server, "web.example", 28) == [FAR]
    with Echo(world.outside):
        assert seen(guest.ns, FAR) == {HOST}


def asked(ns: Namespace, directory: Path) -> dict[str, str]:
    """Have ISC's client ask for information without an address."""
    script, out = directory / "script", directory / "told"
    script.write_text(SCRIPT.format(told=out))
    script.chmod(0o755)
    files = ["-lf", f"{directory}/leases6", "-pf", f"{directory}/client.pid"]
    ns.popen(["dhclient", "-6", "-S", "-d", "-sf", str(script), *files, "eth0"], stderr=-3)
    wait_until(lambda: out.exists() and "name_servers" in out.read_text(), 20, what="an answer")
    return dict(line.partition("=")[::2] for line in out.read_text().splitlines() if "=" in line)


@pytest.mark.parametrize("more", [(), ("link add vmbr1 type bridge",)])
def test_a_bridge_that_was_made_anew_is_told_of_again(
    world: World, net: Networks, more: tuple[str, ...]
) -> None:
    text = '{vmbr1: {addresses: "fd00:1::1/64", nat: true, ra: true, dns: false}}'
    become(net, text)
    guest = net.guest("one", "vmbr1")
    world.host.ip("link del vmbr1", *more)
    report = net.become(f" {text}")
    assert "vmbr1 (DHCPv6)" in "".join(
        str(o.change) for o in (*report.outcomes, *net.become(f" {text}").outcomes)
    )
    guest.plug()
    settled(guest, "fd00:1:")
    assert heard(guest.ns).lifetime == 1800
    become(net, text)
