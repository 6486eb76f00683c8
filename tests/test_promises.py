"""The promises of the README, each on the fake and on the kernel: the fake earns its trust here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fake import FakeHost

from natnetd import config
from natnetd.codec import pack, unpack
from natnetd.host import ALL, Before, Layer, Snapshot, State
from natnetd.kinds import KINDS
from natnetd.linux import open_host
from natnetd.model import Config
from natnetd.plan import Change, Plan, phases
from natnetd.reconcile import Pass, decide, reconcile
from natnetd.report import Report
from natnetd.rows import GROUP, Address, Port

TWO = """
networks:
  vmbr1:
    description: Internal network
    addresses: 10.0.0.1/16
    nat: {uplink: vmbr0}
  vmbr2:
    addresses: [10.20.0.1/24, 10.20.1.1/24, "fd00:20::1/64"]
    mtu: 1400
    nat: {source: 192.0.2.10, exempt: [192.168.0.0/16, 192.168.7.0/24]}
    reach: vmbr1
  vault:
    addresses: 10.30.0.1/24
    stp: true
    inbound: vmbr0
"""


@dataclass
class Place:
    """A host to try things on: `make` runs one line of ip(8), or does the same to a fake."""

    host: Any
    make: Callable[[str], None]

    def want(self, text: str, **asked: Any) -> Report:
        return reconcile(config.parse(text, "test.yaml"), self.host, Pass(**asked))

    def look(self) -> Snapshot:
        return self.host.look(ALL, Before())

    def left(self, text: str) -> Plan:
        return decide(config.parse(text, "test.yaml"), self.look())[1]


def imitate(fake: FakeHost, line: str) -> None:
    """Understand the lines of ip(8) that the tests below use."""
    match line.split():
        case ["link", "add", name, "up", "type", "bridge"]:
            fake.add_link(name, kind="bridge", stp=False, forward_delay=150, mac="aa:00:00:00:00:01")
        case ["link", "add", name, "up", "type", "veth", "peer", "name", peer]:
            fake.add_link(name, kind="veth")
            fake.add_link(peer, kind="veth")
        case ["link", "set", name, "up", "master", bridge]:
            fake.links[name] = replace(fake.links[name], up=True, master=fake.links[bridge].index)
        case ["link", "set", name, "nomaster"]:
            fake.links[name] = replace(fake.links[name], master=None)
        case ["link", "set", name, "down"]:
            fake.links[name] = replace(fake.links[name], up=False)
        case ["link", "set", name, "group", "default"]:
            fake.links[name] = replace(fake.links[name], group=0)
        case ["link", "set", name, "name", other]:
            fake.links[other] = replace(fake.links.pop(name), name=other)
            rows = fake.addresses.pop(name, {})
            fake.addresses[other] = {c: replace(row, link=other) for c, row in rows.items()}
        case ["link", "del", name]:
            index = fake.links.pop(name).index
            fake.addresses.pop(name, None)
            fake.links = {
                n: replace(x, master=None) if x.master == index else x for n, x in fake.links.items()
            }
        case ["addr", "add", cidr, "dev", name]:
            fake.addresses.setdefault(name, {})[cidr] = Address(name, cidr, marked=False)
        case ["addr", "del", cidr, "dev", name]:
            del fake.addresses[name][cidr]
        case ["route", "add", "default", "dev", name]:
            fake.default_links |= {name}
        case _:
            raise AssertionError(f"the fake does not know: ip {line}")


@pytest.fixture(params=["fake", "kernel"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "fake":
        fake = FakeHost()
        yield Place(fake, lambda line: imitate(fake, line))
        return
    namespace = request.getfixturevalue("host")
    host = open_host()
    yield Place(host, namespace.ip)
    host.close()


def test_a_file_becomes_true_in_one_pass(place: Place) -> None:
    report = place.want(TWO)
    assert report.ok
    seen = place.look()
    bridge = seen.links["vmbr1"]
    assert (bridge.kind, bridge.up, bridge.group, bridge.mtu) == ("bridge", True, GROUP, 1500)
    assert (bridge.alias, bridge.stp, bridge.forward_delay) == ("Internal network", False, 0)
    assert (seen.links["vmbr2"].mtu, seen.links["vault"].stp, seen.links["vault"].forward_delay) == (
        1400,
        True,
        150,
    )
    assert {a.interface for a in seen.addresses["vmbr2"] if a.marked} == {
        "10.20.0.1/24",
        "10.20.1.1/24",
        "fd00:20::1/64",
    }
    assert seen.settings["net.ipv4.ip_forward"] == "1"
    assert seen.table is not None
    assert set(seen.table.elements) >= {
        "nets vmbr1",
        "pairs vmbr2 . vmbr1",
        "exits vmbr1 . vmbr0",
        "closed vault",
    }
    assert seen.table.elements["snat4 vmbr2"].value == "192.0.2.10"
    assert [e.key for e in seen.table.elements.values() if e.set == "exempt4"] == [
        ("vmbr2", "10.20.0.0/23", "192.168.0.0/16")
    ]


def test_a_host_that_is_true_gets_no_write(place: Place) -> None:
    place.want(TWO)
    assert place.left(TWO) == ()
    assert place.want(TWO).outcomes == ()


def test_teardown_leaves_the_host_as_it_was(place: Place) -> None:
    before = place.look()
    place.want(TWO)
    place.want("networks: {}", force=True)
    after = place.look()
    assert (after.links.keys(), after.addresses, after.table) == (before.links.keys(), before.addresses, None)


def test_removing_a_network_removes_what_is_ours_of_it_and_only_that(place: Place) -> None:
    place.want(TWO)
    without = TWO.partition("  vmbr2:")[0] + "  vault:" + TWO.partition("  vault:")[2]
    place.want(without)
    seen = place.look()
    assert "vmbr2" not in seen.links
    assert "vmbr1" in seen.links
    assert seen.table is not None
    assert not [e for e in seen.table.elements.values() if "vmbr2" in e.key]
    assert place.left(without) == ()


def test_a_changed_file_changes_no_more_than_it_must(place: Place) -> None:
    place.want(TWO)
    report = place.want(TWO.replace("source: 192.0.2.10", "source: 192.0.2.11"))
    assert [str(o.change) for o in report.outcomes] == [
        "~ nat snat4 vmbr2 value 192.0.2.10 → 192.0.2.11",
        "~ nat snatp4 vmbr2 value 192.0.2.10 . 1024-65535 → 192.0.2.11 . 1024-65535",
    ]


def test_a_foreign_bridge_is_adopted_and_only_what_is_said_is_changed(place: Place) -> None:
    place.make("link add vmbr1 up type bridge")
    place.make("addr add 10.0.0.1/16 dev vmbr1")
    place.make("addr add 10.9.0.1/16 dev vmbr1")
    mac = place.look().links["vmbr1"].mac
    place.want("networks: {vmbr1: {addresses: 10.0.0.1/16, nat: true, forward_delay: 2}}")
    seen = place.look()
    link = seen.links["vmbr1"]
    assert (link.ours, link.mac, link.forward_delay, link.alias) == (False, mac, 20, "")
    assert {a.interface: a.marked for a in seen.addresses["vmbr1"] if ":" not in a.interface} == {
        "10.0.0.1/16": False,
        "10.9.0.1/16": False,
    }


def test_an_adopted_bridge_outlives_its_network_but_our_address_does_not(place: Place) -> None:
    place.make("link add vmbr1 up type bridge")
    place.make("addr add 10.9.0.1/16 dev vmbr1")
    place.want("networks: {vmbr1: {addresses: 10.0.0.1/16, nat: true}}")
    place.want("networks: {}")
    seen = place.look()
    assert [a.interface for a in seen.addresses["vmbr1"] if ":" not in a.interface] == ["10.9.0.1/16"]
    assert place.left("networks: {}") == ()


def test_an_adopted_bridge_that_vanishes_is_made_anew_and_is_ours(place: Place) -> None:
    text = "networks: {vmbr1: {addresses: 10.0.0.1/16, nat: true}}"
    place.make("link add vmbr1 up type bridge")
    place.want(text)
    place.make("link del vmbr1")
    place.want(text)
    assert place.look().links["vmbr1"].ours


def test_a_name_that_is_no_bridge_is_a_conflict_and_the_others_are_built(place: Place) -> None:
    place.make("link add vmbr1 up type veth peer name other")
    report = place.want(TWO)
    assert [(f.network, f.state) for f in report.findings if f.state is State.CONFLICT] == [
        ("vmbr1", State.CONFLICT)
    ]
    seen = place.look()
    assert seen.links["vmbr1"].kind == "veth"
    assert "vmbr1" not in seen.addresses
    assert seen.links["vmbr2"].ours
    assert seen.table is not None
    assert "nets vmbr1" not in seen.table.elements


def test_the_bridge_of_the_default_route_is_a_conflict(place: Place) -> None:
    place.make("link add vmbr1 up type bridge")
    place.make("route add default dev vmbr1")
    report = place.want(TWO)
    assert "holds the host's default route" in next(f.text for f in report.findings if f.network == "vmbr1")


def test_a_conflict_leaves_what_was_built_before_as_it_is(place: Place) -> None:
    text = "networks: {vmbr1: {addresses: 10.0.0.1/16, nat: true}}"
    place.make("link add vmbr1 up type bridge")
    place.want(text)
    before = place.look()
    place.make("route add default dev vmbr1")
    assert place.want(text).outcomes == ()
    assert place.look().table == before.table


def test_a_bridge_with_guests_is_not_deleted_but_by_force(place: Place) -> None:
    place.want(TWO)
    place.make("link add tap0 up type veth peer name guest")
    place.make("link set tap0 up master vmbr1")
    report = place.want("networks: {}")
    assert [(f.network, f.state) for f in report.findings] == [("vmbr1", State.IN_USE)]
    assert "tap0" in report.findings[0].text
    assert place.look().links.keys() >= {"vmbr1", "tap0"}
    place.want("networks: {}", force=True)
    seen = place.look()
    assert "vmbr1" not in seen.links
    assert seen.links["tap0"].master is None


def test_a_bridge_whose_last_guest_left_goes(place: Place) -> None:
    place.want(TWO)
    place.make("link add tap0 up type veth peer name guest")
    place.make("link set tap0 up master vmbr1")
    place.want("networks: {}")
    place.make("link set tap0 nomaster")
    place.want("networks: {}")
    assert "vmbr1" not in place.look().links


def test_a_renamed_bridge_keeps_its_guests(place: Place) -> None:
    place.want(TWO)
    place.make("link add tap0 up type veth peer name guest")
    place.make("link set tap0 up master vmbr1")
    place.make("link set vmbr1 down")
    place.make("link set vmbr1 name elsewhere")
    report = place.want(TWO)
    seen = place.look()
    assert seen.links["tap0"].master == seen.links["elsewhere"].index
    assert seen.links["vmbr1"].ours
    assert ("elsewhere", State.IN_USE) in [(f.network, f.state) for f in report.findings]
    assert [
        a.interface for a in seen.addresses.get("elsewhere", ()) if a.marked and ":" not in a.interface
    ] == []


def test_ports_orphaned_by_a_deletion_are_plugged_in_again(place: Place) -> None:
    place.want(TWO)
    place.make("link add tap0 up type veth peer name guest")
    place.make("link set tap0 up master vmbr1")
    index = place.look().links["tap0"].index
    place.make("link del vmbr1")
    report = place.want(TWO, before=Before(ports={"vmbr1": (Port(index, "vmbr1"), Port(9999, "vmbr1"))}))
    assert report.ok
    seen = place.look()
    assert seen.links["tap0"].master == seen.links["vmbr1"].index


def test_a_bridge_that_somebody_put_in_the_place_of_ours_stays(place: Place) -> None:
    """Between the look and the change ours was replaced by one of the same name."""
    place.want(TWO)
    plan = place.left("networks: {}")
    (gone,) = (c for c in plan if c.kind == "bridge" and c.key == "vmbr2")
    place.make("link del vmbr2")
    place.make("link add vmbr2 up type bridge")
    (error,) = place.host.doors[Layer.LINK].apply([gone])
    assert "somebody else's by now" in str(error)
    assert "vmbr2" in place.look().links


def test_a_bridge_that_is_down_and_lost_its_mark_meanwhile_is_tried_again(place: Place) -> None:
    """No event tells that the mark went, so the failure must not be put down to one that is to come."""
    place.want(TWO)
    place.make("link set vmbr2 down")
    (down,) = (c for c in place.left(TWO) if c.kind == "bridge")
    place.make("link set vmbr2 group default")
    (error,) = place.host.doors[Layer.LINK].apply([down])
    assert error is not None
    assert not error.overtaken


def test_a_port_that_was_plugged_in_meanwhile_stays_there(place: Place) -> None:
    """Between the look and the repair somebody has plugged it into another bridge."""
    place.want(TWO)
    place.make("link add tap0 up type veth peer name guest")
    index = place.look().links["tap0"].index
    place.make("link set tap0 up master vmbr2")
    change = Change(Layer.LINK, "port", "vmbr1", "tap0 on vmbr1", Port(index, None), Port(index, "vmbr1"))
    (error,) = place.host.doors[Layer.LINK].apply([change])
    assert "meanwhile" in str(error)
    seen = place.look()
    assert seen.links["tap0"].master == seen.links["vmbr2"].index


def test_a_missing_uplink_is_waited_for_and_the_network_is_built(place: Place) -> None:
    report = place.want(TWO)
    assert ("vmbr1", State.WAITING, "uplink vmbr0") in [(f.network, f.state, f.text) for f in report.findings]
    place.make("link add vmbr0 up type bridge")
    report = place.want(TWO)
    assert State.WAITING not in [f.state for f in report.findings]
    assert place.look().settings["net.ipv4.conf.vmbr0.forwarding"] == "1"


def test_a_port_of_the_uplink_is_told_to_use_the_bridge(place: Place) -> None:
    place.make("link add vmbr0 up type bridge")
    place.make("link add eno1 up type veth peer name wire")
    place.make("link set eno1 up master vmbr0")
    report = place.want(TWO.replace("uplink: vmbr0", "uplink: eno1"))
    assert "use vmbr0" in next(f.text for f in report.findings if f.state is State.WAITING)


def test_a_source_the_host_does_not_carry_is_said_not_refused(place: Place) -> None:
    report = place.want(TWO)
    note = next(f for f in report.findings if f.state is State.IN_SYNC)
    assert "192.0.2.10" in note.text
    place.make("link add vmbr0 up type bridge")
    place.make("addr add 192.0.2.10/24 dev vmbr0")
    notes = [f.text for f in place.want(TWO).findings if f.state is State.IN_SYNC]
    assert not any("192.0.2.10" in text for text in notes)


def test_addresses_that_are_not_ours_stay(place: Place) -> None:
    place.want(TWO)
    place.make("addr add 10.77.0.1/24 dev vmbr1")
    assert place.left(TWO) == ()


LENGTHS = """
networks:
  vmbr1: {addresses: [10.0.0.1/%d, "fd00::1/%d"], host_access: [80-%d/tcp], nat: {exempt: 10.9.0.0/%d}}
  vmbr2: {addresses: 10.20.0.1/24}
"""


def test_what_grows_or_shrinks_does_so_in_one_pass(place: Place) -> None:
    for lengths in ((24, 64, 85, 24), (23, 63, 90, 23), (24, 64, 85, 24)):
        assert place.want(LENGTHS % lengths).ok
        assert place.left(LENGTHS % lengths) == ()


def test_somebody_elses_prefix_length_is_named_and_stays(place: Place) -> None:
    place.make("link add vmbr1 up type bridge")
    place.make("addr add fd00::1/60 dev vmbr1")
    report = place.want(LENGTHS % (24, 64, 85, 24))
    (error,) = [o.error for o in report.outcomes if o.error]
    assert error is not None
    assert "with another prefix length" in error
    there = {row.interface for row in place.look().addresses["vmbr1"]}
    assert there >= {"10.0.0.1/24", "fd00::1/60"}
    assert "fd00::1/64" not in there


def test_a_snapshot_on_paper_decides_as_the_host_does(place: Place) -> None:
    place.want("networks: {vmbr1: {addresses: 10.1.0.1/24, nat: true}}")
    place.make("addr add 10.77.0.1/24 dev vmbr1")
    seen = place.look()
    again = unpack(Snapshot, json.loads(json.dumps(pack(seen))))
    wanted = config.parse(TWO, "test.yaml")
    assert decide(wanted, again) == decide(wanted, seen)


@pytest.mark.parametrize("steps", range(0, 30, 2))
def test_a_crash_between_any_two_changes_heals(place: Place, steps: int) -> None:
    wanted = config.parse(TWO, "test.yaml")
    _, plan = decide(wanted, place.look())
    for layer, batch in phases(KINDS, plan[:steps]):
        for change in batch if layer is not Layer.NFT else [None]:
            place.host.doors[layer].apply(batch if change is None else [change])
    assert place.want(TWO).ok
    assert place.left(TWO) == ()


@pytest.mark.parametrize("steps", range(0, 30, 3))
def test_a_crash_in_the_middle_of_a_teardown_heals(place: Place, steps: int) -> None:
    place.want(TWO)
    _, plan = decide(Config(), place.look())
    for layer, batch in phases(KINDS, plan[:steps]):
        place.host.doors[layer].apply(batch)
    assert place.want(TWO).ok
    assert place.left(TWO) == ()
