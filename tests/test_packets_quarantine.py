"""Real packets of guests that are cut off: none pass, not even of what was established; others' do."""

from contextlib import suppress

import pytest
from networks import INTERNET, Networks, setting

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sniffer import Sniffer
from natnetd.lab.traffic import ABSENCE, Connection, Flow, ping, tcp, udp
from natnetd.lab.world import Guest, World

WEB, DB, APP = "10.0.0.2", "10.20.0.2", "10.0.0.3"
NETWORKS = """
      vmbr1:
        addresses: [10.0.0.1/16, "fd00:1::1/64"]
        nat: {{uplink: vmbr0}}
        inbound: vmbr0
        reach: vmbr2
        dhcp: {{reservations: [{{mac: 52:54:00:12:34:56, address: 10.0.0.2, name: web}}]}}
        dns: false
        guard: {{anti_spoof: false, quarantine: {cut}}}
      vmbr2: {{addresses: 10.20.0.1/24, nat: true, reach: vmbr1}}
"""


def answered(ns: Namespace, address: str) -> set[str]:
    """Tell how an address answers."""
    found = set()
    for name, how in (("tcp", tcp), ("udp", udp)):
        with suppress(TimeoutError, OSError):
            if how(ns, address, deadline=ABSENCE) if how is tcp else Flow(ns, address).ask(ABSENCE):
                found.add(name)
    return found | ({"ping"} if ping(ns, address, deadline=ABSENCE) else set())


@pytest.fixture
def guests(world: World, net: Networks) -> dict[str, Guest]:
    """Give the host two networks with three guests; conntrack's own bridge calls are off."""
    setting("bridge.bridge-nf-call-iptables", "0")
    net.become(NETWORKS.format(cut="[]"))
    world.let_outside_reach("10.0.0.0/16")
    web = net.guest("web", "vmbr1", f"{WEB}/16", "fd00:1::2/64")
    web.ns.ip("link set eth0 address 52:54:00:12:34:56", "route replace default via 10.0.0.1")
    return {
        "web": web,
        "app": net.guest("app", "vmbr1", f"{APP}/16"),
        "db": net.guest("db", "vmbr2", f"{DB}/24"),
    }


ALL = {"tcp", "udp", "ping"}


@pytest.mark.parametrize("cut", [WEB, "52:54:00:12:34:56", "web"])
def test_nothing_of_a_guest_that_is_cut_off_passes_either_way(
    world: World, net: Networks, guests: dict[str, Guest], cut: str
) -> None:
    web, app, db = (guests[name].ns for name in ("web", "app", "db"))
    with Echo(world.outside), Echo(world.host), Echo(web), Echo(app), Echo(db):
        ways = [(web, INTERNET), (web, "10.0.0.1"), (web, DB), (db, WEB), (world.host, WEB)]
        for ns, address in [*ways, (world.outside, WEB)]:
            assert answered(ns, address) == ALL, address
        assert ping(web, "fd00:1::1")
        with Connection(web, INTERNET) as out, Connection(db, WEB) as within, Flow(world.outside, WEB) as in_:
            assert out.ask()
            assert within.ask()
            assert in_.ask()
            net.become(NETWORKS.format(cut=cut))
            with Sniffer(web, "eth0") as wire:
                for flow in (out, within, in_):
                    flow.send()
                    assert flow.receive(ABSENCE) is None
                assert not [packet for packet in wire.packets() if packet.destination == WEB]
        for ns, address in [*ways, (world.outside, WEB)]:
            assert answered(ns, address) == set(), address
        assert not ping(web, "fd00:1::1", deadline=ABSENCE)  # a reservation is its MAC address too
        assert net.drops().keys() == {"quarantine"}
        for ns, address in [(app, INTERNET), (app, "10.0.0.1"), (app, DB), (db, APP), (db, INTERNET)]:
            assert answered(ns, address) == ALL, address
        assert not net.become(NETWORKS.format(cut=cut)).changed
        net.become(NETWORKS.format(cut="[]"))
        assert answered(web, INTERNET) == ALL
