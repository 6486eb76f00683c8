"""Real packets through forwards, from every side: outside, the host, the guest itself, neighbours, others."""

from contextlib import ExitStack

import pytest
from networks import GATEWAY, HOST, INTERNET, SECOND_GATEWAY, SECOND_HOST, Networks, setting

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ABSENCE, Flow, ping, tcp, udp
from natnetd.lab.world import SECOND, World

WEB, APP, DB, VAULT = "10.0.0.2", "10.0.0.3", "10.20.0.2", "10.30.0.2"
SPARE = "203.0.113.77"
"""An address that the host does not carry; the wire outside is told to send it there."""

FILE = f"""
      vmbr1:
        addresses: ["10.0.0.1/16", "fd00:1::1/64"]
        nat: true
        dhcp: {{reservations: {{mac: "52:54:00:12:34:56", address: {WEB}, name: web1}}}}
        dns: false
        forwards:
          - {{listen: "{HOST}:8080/both", to: "{WEB}:7"}}
          - {{listen: "{HOST}:9000-9010/both", to: web1}}
          - {{listen: 8081/both, to: "web1:7"}}
          - {{listen: 9100-9110/both, to: {WEB}}}
          - {{listen: {SPARE}, to: {WEB}}}
          - {{listen: "[2001:db8:203::2]:8080/both", to: "[fd00:1::2]:7"}}
          - {{listen: "[2001:db8:203::2]:9000-9010/both", to: "[fd00:1::2]"}}
          - {{listen: 8086/both, to: "[fd00:1::2]:7"}}
          - {{listen: 9200-9210/both, to: "fd00:1::2"}}
          - {{listen: "2001:db8:203::77", to: "fd00:1::2"}}
      vmbr2: {{addresses: ["10.20.0.1/24", "fd00:2::1/64"], nat: true}}
      vault: {{addresses: ["10.30.0.1/24", "fd00:3::1/64"]}}
"""
FORWARDS = FILE.replace("        dhcp:", "        #").replace("web1", WEB)
"""The same without a server, which these tests do without."""
KINDS = {
    "a port": (HOST, 8080),
    "a range": (HOST, 9005),
    "a port of any address": (HOST, 8081),
    "a range of any address": (HOST, 9110),
    "an address": (SPARE, 7),
}


def sources(ns: Namespace, address: str, port: int) -> set[str]:
    """Ask over TCP and UDP as whom the other side sees us."""
    answers = (tcp(ns, address, port), udp(ns, address, port))
    return {str(a).rpartition(":")[0] if a else "" for a in answers}


def serve(stack: ExitStack, ns: Namespace) -> None:
    """Answer at all ports that forwards lead to."""
    for port in (7, 9005, 9110, 9210):
        stack.enter_context(Echo(ns, port))


@pytest.mark.parametrize("bridged_calls", ["0", "1"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_forward_works_from_every_side(world: World, net: Networks, kind: str, bridged_calls: str) -> None:
    setting("bridge.bridge-nf-call-iptables", bridged_calls)
    address, port = KINDS[kind]
    net.become(FORWARDS)
    world.outside.ip(f"route add {SPARE}/32 via {HOST}")
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    app = net.guest("app", "vmbr1", f"{APP}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with ExitStack() as stack:
        serve(stack, web.ns)
        assert sources(world.outside, address, port) == {GATEWAY}
        assert sources(world.host, address, port) == {HOST}
        assert sources(db.ns, address, port) == {DB}
        if bridged_calls == "0":
            assert sources(app.ns, address, port) == sources(web.ns, address, port) == {"10.0.0.1"}
        else:  # the bridge itself leads it to the neighbour, and to the guest itself not at all
            assert sources(app.ns, address, port) == {APP}
        assert net.drops() == {}


def test_guests_of_a_closed_network_reach_no_other_by_a_forward(net: Networks) -> None:
    net.become(FORWARDS)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    with Echo(web.ns), Flow(vault.ns, HOST, 8080) as flow:
        with net.dropping("isolation"):
            flow.send()
        with net.dropping("isolation"):
            assert tcp(vault.ns, HOST, 8080, deadline=ABSENCE) is None


@pytest.mark.parametrize("way", ["8080/both", f"{HOST}:8080/both", HOST])
def test_a_closed_network_lets_in_what_comes_by_its_forwards_only(
    world: World, net: Networks, way: str
) -> None:
    setting("bridge.bridge-nf-call-iptables", "0")
    port, to = (7, VAULT) if way == HOST else (8080, f"{VAULT}:7")
    net.become(f"""
      vault: {{addresses: 10.30.0.1/24, forwards: {{listen: "{way}", to: "{to}"}}}}
      lab: {{addresses: 10.40.0.1/24}}
    """)
    vault = net.guest("vault", "vault", f"{VAULT}/24")
    lab = net.guest("lab", "lab", "10.40.0.2/24")
    world.let_outside_reach("10.0.0.0/8")
    with Echo(vault.ns), Echo(lab.ns):
        assert sources(world.outside, HOST, port) == {GATEWAY}
        assert sources(vault.ns, HOST, port) == {"10.30.0.1"}
        assert net.drops() == {}
        for address in (VAULT, "10.40.0.2"):
            with net.dropping("inbound"):
                assert tcp(world.outside, address, deadline=ABSENCE) is None
        with net.dropping("closed"):
            assert tcp(vault.ns, GATEWAY, deadline=ABSENCE) is None


def test_any_address_is_every_address_of_the_host_and_nothing_else(world: World, net: Networks) -> None:
    second = world.add_uplink(SECOND)
    net.become(FORWARDS)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Echo(web.ns), Echo(world.outside, 8081):
        assert sources(second, SECOND_HOST, 8081) == {SECOND_GATEWAY}
        assert sources(db.ns, SECOND_HOST, 8081) == {DB}
        assert sources(db.ns, "10.0.0.1", 8081) == {DB}
        assert sources(db.ns, INTERNET, 8081) == {HOST}  # a server outside
        assert sources(world.host, INTERNET, 8081) == {HOST}
        for own in ("127.0.0.1", "127.0.1.1"):
            with pytest.raises(ConnectionRefusedError):
                tcp(world.host, own, 8081)
    with Echo(world.host, 8081):
        assert sources(world.host, "127.0.0.1", 8081) == {"127.0.0.1"}
        assert sources(db.ns, "10.20.0.1", 8081) == {DB}  # a guest's own gateway, DNS for instance


def test_an_address_wins_over_any(world: World, net: Networks) -> None:
    net.become(f"""
      vmbr1:
        addresses: 10.0.0.1/16
        nat: true
        forwards:
          - {{listen: 8080/both, to: "{APP}:7"}}
          - {{listen: "{HOST}:8080/both", to: "{WEB}:7"}}
    """)
    second = world.add_uplink(SECOND)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    app = net.guest("app", "vmbr1", f"{APP}/16")
    with Echo(web.ns) as first, Echo(app.ns) as other:
        assert sources(world.outside, HOST, 8080) == {GATEWAY}
        assert (len(first.asked), len(other.asked)) == (2, 0)
        assert sources(second, SECOND_HOST, 8080) == {SECOND_GATEWAY}
        assert (len(first.asked), len(other.asked)) == (2, 2)


def test_an_address_alone_takes_every_protocol(world: World, net: Networks) -> None:
    net.become(FORWARDS)
    world.outside.ip(f"route add {SPARE}/32 via {HOST}")
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    assert ping(world.outside, SPARE)
    web.ns.ip("link set eth0 down")
    assert not ping(world.outside, SPARE, deadline=ABSENCE)


def test_other_ports_and_protocols_stay_with_the_host(world: World, net: Networks) -> None:
    net.become(f"""
      vmbr1: {{addresses: 10.0.0.1/16, nat: true, forwards: {{listen: 7/tcp, to: "{WEB}"}}}}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with Echo(web.ns) as guest, Echo(world.host) as host, Echo(world.host, 8):
        assert (tcp(world.outside, HOST) or "").startswith(GATEWAY)
        assert (len(guest.asked), len(host.asked)) == (1, 0)
        assert (udp(world.outside, HOST) or "").startswith(GATEWAY)
        assert (tcp(world.outside, HOST, 8) or "").startswith(GATEWAY)
        assert (len(guest.asked), len(host.asked)) == (1, 1)


def test_a_forward_into_a_routed_network(world: World, net: Networks) -> None:
    setting("bridge.bridge-nf-call-iptables", "0")
    net.become(f"""
      vmbr2: {{addresses: 10.20.0.1/24, routed: true, forwards: {{listen: 8080/both, to: "{DB}:7"}}}}
    """)
    db = net.guest("db", "vmbr2", f"{DB}/24")
    with Echo(db.ns):
        assert sources(world.outside, HOST, 8080) == {GATEWAY}
        assert sources(db.ns, HOST, 8080) == {"10.20.0.1"}
    assert net.drops() == {}


SIX = {
    "a port": ("2001:db8:203::2", 8080),
    "a range": ("2001:db8:203::2", 9005),
    "a port of any address": ("2001:db8:203::2", 8086),
    "a range of any address": ("2001:db8:203::2", 9210),
    "an address": ("2001:db8:203::77", 7),
}


@pytest.mark.parametrize("kind", SIX)
def test_a_forward_of_ipv6_works_from_every_side(world: World, net: Networks, kind: str) -> None:
    address, port = SIX[kind]
    setting("bridge.bridge-nf-call-ip6tables", "0")
    net.become(FORWARDS)
    for name in ("vmbr0", "vmbr1", "vmbr2"):
        setting(f"ipv6.conf.{name}.forwarding", "1")
    setting("ipv6.conf.all.forwarding", "1")
    world.outside.ip("route add 2001:db8:203::77/128 via 2001:db8:203::2")
    web = net.guest("web", "vmbr1", "fd00:1::2/64")
    app = net.guest("app", "vmbr1", "fd00:1::3/64")
    db = net.guest("db", "vmbr2", "fd00:2::2/64")
    with ExitStack() as stack:
        serve(stack, web.ns)
        assert sources(world.outside, address, port) == {"[2001:db8:203::1]"}
        assert sources(world.host, address, port) == {"[2001:db8:203::2]"}
        assert sources(app.ns, address, port) == {"[fd00:1::1]"}
        assert sources(web.ns, address, port) == {"[fd00:1::1]"}
        assert sources(db.ns, address, port) == {"[fd00:2::2]"}
        assert net.drops() == {}
