"""Real packets to services of the host itself: what the file lets through, and always DHCP, DNS and ping."""

from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from networks import HOST, INTERNET, Networks, setting

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ABSENCE, Flow, ping, tcp, udp
from natnetd.lab.world import World

WEB = "10.0.0.2"
GATEWAYS = ("10.0.0.1", HOST, "10.20.0.1")
"""The host's addresses: on the guest's bridge, on the uplink, on another network."""
NETWORKS = """
      vmbr1: {{addresses: [10.0.0.1/16, "fd00:1::1/64"], nat: {{uplink: vmbr0}}, host_access: {access}}}
      vmbr2: {{addresses: 10.20.0.1/24, nat: true}}
"""
ALWAYS = ((udp, 67), (udp, 53), (tcp, 53))
PORTS = (22, 53, 67, 5005, 5010)
CASES = {
    "true": tuple((how, port) for how in (tcp, udp) for port in PORTS),
    "false": (),
    "[]": (),
    "22/tcp": ((tcp, 22),),
    "[22/tcp, 5000-5007/udp, 5005-5009/udp]": ((tcp, 22), (udp, 5005)),
}


def answers(how: Callable[..., str | None], ns: Namespace, address: str, port: int) -> bool:
    with suppress(TimeoutError, ConnectionRefusedError):
        return how(ns, address, port, deadline=ABSENCE) is not None
    return False


@pytest.mark.parametrize("access", CASES)
def test_guests_reach_of_the_host_what_the_file_says(world: World, net: Networks, access: str) -> None:
    setting("bridge.bridge-nf-call-ip6tables", "0")
    text = NETWORKS.format(access=access)
    net.become(text)
    web = net.guest("web", "vmbr1", f"{WEB}/16", "fd00:1::2/64").ns
    other = net.guest("db", "vmbr2", "10.20.0.2/24").ns
    with ExitStack() as open_, Echo(world.outside):
        for port in PORTS:
            open_.enter_context(Echo(world.host, port))
        for address in (*GATEWAYS, "fd00:1::1"):
            assert ping(web, address)
            found = {(how, port) for how in (tcp, udp) for port in PORTS if answers(how, web, address, port)}
            assert found == {*ALWAYS, *CASES[access]}
        assert udp(other, "10.20.0.1", 22)
        assert udp(world.outside, HOST, 22)
        assert tcp(web, INTERNET)
    assert net.drops().keys() == ({"host"} if access != "true" else set())
    assert not net.become(text).changed


def test_what_the_host_opens_to_guests_is_answered(world: World, net: Networks) -> None:
    net.become(NETWORKS.format(access="false"))
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    with Echo(web):
        assert tcp(world.host, WEB)
        assert udp(world.host, WEB)
        assert ping(world.host, WEB)
    assert not net.drops()


def test_an_established_connection_outlives_a_change_and_new_ones_do_not_begin(
    world: World, net: Networks
) -> None:
    net.become(NETWORKS.format(access="true"))
    web = net.guest("web", "vmbr1", f"{WEB}/16").ns
    with Echo(world.host), Flow(web, "10.0.0.1", source_port=4000) as flow:
        assert flow.ask() == f"{WEB}:4000"
        net.become(NETWORKS.format(access="false"))
        assert flow.ask() == f"{WEB}:4000"
        with net.dropping("host"), Flow(web, "10.0.0.1", source_port=4001) as late:
            late.send()
