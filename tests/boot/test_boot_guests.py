"""What guests are given, and what is kept from them, under systemd: IPv6, forwards, guard and quarantine."""

from collections.abc import Callable

import pytest
from host import HOST, HOST6, INTERNET6, Surroundings, configured
from machine import Machine

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ABSENCE, tcp
from natnetd.lab.wait import wait_until

SECONDS = 15.0
ALL = """\
networks:
  vmbr1:
    addresses: [10.0.0.1/16, "fd00:1::1/64"]
    nat: {uplink: vmbr0}
    dhcp: true
    guard: true
    forwards: {listen: 8080/tcp, to: 10.0.0.2:7}
"""


@pytest.fixture
def all_(machine: Machine) -> Surroundings:
    """A host whose network has everything, and a guest that serves its port 7."""
    return Surroundings.of(machine, ALL)


def answered(ns: Namespace) -> bool:
    """Whether somebody who asks the host's port gets the guest's answer."""
    try:
        return bool(tcp(ns, HOST, 8080, deadline=ABSENCE))
    except OSError:
        return False


def test_a_guest_leaves_by_ipv6_and_the_host_still_hears_routers(all_: Surroundings) -> None:
    out: Callable[[], bool] = lambda: all_.seen_as(INTERNET6) == f"[{HOST6}]"  # noqa: E731
    with all_:
        wait_until(out, SECONDS, what="the guest's way out by IPv6, under the host's address")
        conf = "/proc/sys/net/ipv6/conf"
        values = all_.machine.run("cat", f"{conf}/vmbr0/accept_ra", f"{conf}/vmbr1/accept_ra")
        assert values.split() == ["2", "0"]
        all_.machine.run("sysctl", "-w", "net.ipv6.conf.all.forwarding=0")
        wait_until(out, SECONDS, what="it again")


def test_a_forward_reaches_the_guest(all_: Surroundings) -> None:
    with all_, Echo(all_.guest.ns):
        for who, ns in (("outside", all_.world.outside), ("the host itself", all_.world.host)):
            wait_until(lambda ns=ns: answered(ns), SECONDS, what=f"an answer to {who}")
        all_.machine.run("nft", "flush", "ruleset")
        wait_until(lambda: answered(all_.world.outside), SECONDS, what="an answer after a flush")


def test_a_guest_is_cut_off_and_let_in_again(all_: Surroundings) -> None:
    """By root's command and the service's table; also over a boot."""
    with all_, Echo(all_.guest.ns):
        wait_until(lambda: answered(all_.world.outside), SECONDS, what="an answer")
        told = all_.machine.run("natnetd", "quarantine", "10.0.0.2")
        assert "10.0.0.2 of vmbr1 is cut off" in told
        assert not answered(all_.world.outside)
        assert all_.seen_as() == ""
    machine = all_.machine
    machine.reboot()
    with Surroundings(machine) as again:
        assert again.seen_as() == ""
        machine.run("natnetd", "release", "10.0.0.2")
        again.passes()
    configured(machine)
