"""Real packets, counted by guest: bytes, packets and connections, whose they are, and who is not counted."""

from collections.abc import Iterable
from contextlib import suppress
from socket import AF_INET, SOCK_DGRAM

import pytest
from networks import GATEWAY, INTERNET, Networks, setting, shoot
from running import ruleset_generation

from natnetd import config
from natnetd.guests import LIMIT, Counted, Moved
from natnetd.host import ALL, Before
from natnetd.lab.echo import Echo
from natnetd.lab.traffic import Connection, Flow, ping, tcp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.linux.guests import read
from natnetd.page import SAMPLED, part
from natnetd.reconcile import decide

WEB, DB, OTHER = "10.0.0.2", "10.20.0.2", "10.0.0.3"
TWO = """
      vmbr1: {addresses: [10.0.0.1/16, "fd00:1::1/64"], nat: true, count_guests: true}
      vmbr2: {addresses: [10.20.0.1/24, "fd00:2::1/64"], nat: true, reach: vmbr1}
"""
BOTH = TWO.replace("reach: vmbr1", "reach: vmbr1, count_guests: true")
FIGURES = frozenset(name for name in SAMPLED if part(f"set {name}") == "guests")


def counted() -> dict[str, Moved]:
    return dict(read().guests)


def becomes(expected: dict[str, Moved]) -> bool:
    """Wait until exactly this is counted; answers are on their way for a moment."""
    with suppress(TimeoutError):
        wait_until(lambda: counted() == expected, 2, what="the figures")
    assert counted() == expected
    return True


def in_sets(net: Networks, names: Iterable[str] = FIGURES) -> str:
    return "".join(
        net.world.host.check(["nft", "list", "set", "inet", "natnetd", name]) for name in sorted(names)
    )


def test_what_a_guest_sends_and_gets_is_counted_to_the_byte(world: World, net: Networks) -> None:
    net.become(TWO)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    net.guest("idle", "vmbr1", f"{OTHER}/16")
    assert ping(web.ns, INTERNET, 3)
    assert becomes({WEB: Moved(3 * 28, 3, 3 * 28, 3, 1)})
    with Echo(world.outside), Flow(web.ns, INTERNET) as flow:
        sizes = [len(flow.ask() or "") for _ in range(4)]
        assert len(set(sizes)) == 1
        sent, received = 3 * 28 + 4 * 29, 3 * 28 + 4 * (28 + sizes[0])
        assert becomes({WEB: Moved(sent, 7, received, 7, 2)})


def test_each_connection_counts_once_whatever_becomes_of_it(world: World, net: Networks) -> None:
    net.become(TWO)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    with world.outside.socket(AF_INET, SOCK_DGRAM) as deaf, Flow(web.ns, INTERNET, 9) as silent:
        deaf.bind((INTERNET, 9))
        for _ in range(5):  # nobody answers: it stays a new one
            silent.send()
        assert becomes({WEB: Moved(5 * 29, 5, 0, 0, 1)})
    with Echo(world.outside), Connection(web.ns, INTERNET) as talk:
        assert [bool(talk.ask()) for _ in range(2)] == [True, True]
    with pytest.raises(ConnectionRefusedError):
        tcp(web.ns, GATEWAY)
    assert counted()[WEB].connections == 3


def test_ipv6_is_counted_too(net: Networks) -> None:
    setting("ipv6.conf.all.forwarding", "1")
    net.become(BOTH)
    net.guest("web", "vmbr1", "fd00:1::2/64")
    db = net.guest("db", "vmbr2", "fd00:2::2/64")
    assert ping(db.ns, "fd00:1::2", 2)
    assert becomes({"fd00:2::2": Moved(2 * 48, 2, 2 * 48, 2, 1), "fd00:1::2": Moved(2 * 48, 2, 48, 1, 0)})


def test_a_network_that_does_not_ask_for_it_is_not_counted(net: Networks) -> None:
    net.become(TWO)
    net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    assert ping(db.ns, WEB)
    assert ping(db.ns, INTERNET)
    assert becomes({WEB: Moved(28, 1, 0, 0, 0)})


def test_who_is_only_spoken_to_is_no_guest(world: World, net: Networks) -> None:
    """Whoever scans a subnet from outside must not fill the sets with addresses that nobody has."""
    world.let_outside_reach("10.0.0.0/16")
    net.become("""
      vmbr1: {addresses: 10.0.0.1/16, routed: true, count_guests: true}
    """)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    for host in range(4, 20):
        shoot(world.outside, GATEWAY, f"10.0.0.{host}", "udp")
    assert counted() == {}
    with Echo(web.ns), Flow(world.outside, WEB) as flow:
        answer = 28 + len(flow.ask() or "")
        assert becomes({WEB: Moved(answer, 1, 0, 0, 0)})
        assert flow.ask()  # now it is known as one that answers, and what is sent to it counts
        assert becomes({WEB: Moved(2 * answer, 2, 29, 1, 0)})
    with Echo(web.ns), Flow(world.outside, WEB) as flow:
        assert flow.ask()
        assert becomes({WEB: Moved(3 * answer, 3, 2 * 29, 2, 0)})


@pytest.mark.parametrize("what", ["udp", "syn", "ping"])
def test_a_source_that_is_a_lie_does_not_count(net: Networks, what: str) -> None:
    """Not even between our own networks, where such packets pass."""
    net.become(BOTH)
    net.guest("web", "vmbr1", f"{WEB}/16")
    db = net.guest("db", "vmbr2", f"{DB}/24")
    for liar in ("10.99.0.1", "10.0.0.77", "192.0.2.1"):
        shoot(db.ns, liar, WEB, what)
    assert net.drops().keys() <= {"untranslated"}  # answers to a liar outside
    assert in_sets(net, ("sent4", "began4", "received4")).count("10.99") == 0
    shoot(db.ns, "10.20.0.77", WEB, what)
    wait_until(lambda: counted().get("10.20.0.77"), what="the one that may be true")
    assert set(counted()) == {"10.20.0.77"} | ({WEB} & set(counted()))


def test_full_sets_let_everything_pass_and_say_so(world: World, net: Networks) -> None:
    net.become(TWO)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    other = net.guest("other", "vmbr1", f"{OTHER}/16")
    assert ping(web.ns, INTERNET)
    assert not read().full
    many = ", ".join(f"10.0.{n >> 8}.{n & 255}" for n in range(256, 256 + LIMIT - 1))
    world.host.check(["nft", "-f", "-"], stdin=f"add element inet natnetd sent4 {{ {many} }}")
    full = read()
    assert (full.fullest, full.full) == (LIMIT, True)
    assert ping(other.ns, INTERNET)
    assert ping(web.ns, INTERNET)
    now = counted()
    assert now[WEB].sent_packets == 2
    assert now[OTHER].sent_packets == 0
    assert net.drops() == {}


# --- they are samples, not rows


def test_packets_and_others_may_do_with_the_samples_what_they_like(world: World, net: Networks) -> None:
    """Nobody's drift, and the generation of the ruleset does not move with packets."""
    net.become(BOTH)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    before = ruleset_generation()
    assert ping(web.ns, INTERNET)
    assert ruleset_generation() == before
    assert counted()
    listed = net.host.nft.look()
    assert listed is not None
    assert not {e.set for e in listed.elements.values()} & SAMPLED
    world.host.check(["nft", "add element inet natnetd sent4 { 10.0.9.9 }"])
    assert not decide(config.parse(f"networks:{BOTH}", "t"), net.host.look(ALL, Before()))[1]
    for name in FIGURES:
        world.host.check(["nft", "flush", "set", "inet", "natnetd", name])
    assert not decide(config.parse(f"networks:{BOTH}", "t"), net.host.look(ALL, Before()))[1]
    assert counted() == {}
    assert ping(web.ns, INTERNET)
    assert becomes({WEB: Moved(28, 1, 28, 1, 1)})


def test_a_set_of_samples_that_was_changed_is_mended(world: World, net: Networks) -> None:
    net.become(TWO)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    assert ping(web.ns, INTERNET)
    lines = ["flush chain inet natnetd known", "delete set inet natnetd sent4"]
    lines += ["add set inet natnetd sent4 { type ipv4_addr; size 3; flags dynamic; counter; }"]
    world.host.check(["nft", "-f", "-"], stdin="\n".join(lines))
    report = net.become(TWO)
    assert {o.change.key for o in report.outcomes} == {"chain known", "set sent4"}
    assert ping(web.ns, INTERNET)
    assert counted()[WEB].sent_packets == 1


def test_a_guest_is_not_counted_any_more_when_the_file_says_so(net: Networks) -> None:
    net.become(BOTH)
    web = net.guest("web", "vmbr1", f"{WEB}/16")
    assert ping(web.ns, INTERNET)
    net.become(BOTH.replace("nat: true, count_guests: true}", "nat: true}"))
    assert ping(web.ns, INTERNET)
    assert becomes({WEB: Moved(28, 1, 28, 1, 1)})


@pytest.mark.usefixtures("host")
def test_nothing_is_counted_without_a_table() -> None:
    assert read() == Counted()


def test_elements_of_any_make_are_read(net: Networks) -> None:
    """Those that packets made are read by their pattern, others attribute by attribute."""
    net.become(TWO)
    many = {f"10.0.7.{n}": (n, 100 * n) for n in range(1, 200)}
    odd = {f"10.0.8.{n}": (n, 3 * n) for n in range(1, 9)}
    figures = "counter packets {} bytes {}"
    rows = [f"{a} {figures.format(*f)}" for a, f in many.items()]
    rows += [f"{a} {figures.format(*f)} timeout {n}h" for n, (a, f) in enumerate(odd.items(), 1)]
    rows += [f'10.0.9.{n} counter packets {n} bytes 5 comment "theirs"' for n in (1, 2)]
    for chunk in (rows[::2], rows[1::2]):
        net.world.host.check(["nft", "add element inet natnetd sent4 {" + ", ".join(chunk) + "}"])
    found = {a: (m.sent_packets, m.sent_bytes) for a, m in counted().items()}
    assert found == many | odd | {"10.0.9.1": (1, 5), "10.0.9.2": (2, 5)}
    net.world.host.check(["nft", "add element inet natnetd sent6 { fd00::1 counter packets 1 bytes 2 }"])
    assert counted()["fd00::1"] == Moved(2, 1)
