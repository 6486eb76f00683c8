"""Somebody keeps undoing us: first repairs at once, then a bounded rate; and failures back off."""

from dataclasses import replace
from itertools import pairwise

from fake import FakeHost

from natnetd import config
from natnetd.host import ALL, Before, Layer, Scope, State, Trouble
from natnetd.page import PAGE
from natnetd.patience import BURST, LAST_RETRY, NOWHERE, PEACE, choose, next_try, refilled
from natnetd.plan import Change
from natnetd.reconcile import Pass, reconcile
from natnetd.report import Culprit, Reason, Report, states
from natnetd.rows import Block, Element

TEXT = """
networks:
  vmbr1: {addresses: 10.0.0.1/16, nat: true}
  vmbr2: {addresses: 10.20.0.1/24, nat: true}
"""
WANTED = config.parse(TEXT, "test.yaml")


class Fight:
    """A host, a clock, and a pass after each disturbance."""

    def __init__(self) -> None:
        self.host = FakeHost()
        self.now = 100.0
        self.before = Before()
        self.go(Reason.START)

    def go(self, reason: Reason = Reason.EVENT, scope: Scope = ALL) -> Report:
        who = (Culprit("nft", 7),) if reason is Reason.EVENT else ()
        asked = Pass(reason, scope, self.before, lambda: self.now, culprits=who)
        report = reconcile(WANTED, self.host, asked)
        self.before = report.seen.before
        return report

    def shrink(self) -> None:
        self.host.links["vmbr1"] = replace(self.host.links["vmbr1"], mtu=1400)


def state_of(report: Report) -> dict[str, State]:
    return states(WANTED.networks, report.findings, report.seen.before.troubles.values())


def test_the_first_repairs_are_immediate_and_then_the_rate_is_bounded() -> None:
    fight = Fight()
    repaired = 0
    for _ in range(1000):
        fight.shrink()
        fight.now += 0.01
        repaired += bool(fight.go().outcomes)
    assert BURST <= repaired <= BURST + 10 + 1


def test_a_fight_is_contested_for_its_network_alone_and_names_the_culprit() -> None:
    fight = Fight()
    for _ in range(20):
        fight.shrink()
        report = fight.go()
    assert state_of(report) == {"vmbr1": State.CONTESTED, "vmbr2": State.IN_SYNC}
    assert "nft keeps undoing bridge vmbr1" in next(f.text for f in report.findings)


def test_other_things_of_the_same_network_are_repaired_at_once_meanwhile() -> None:
    fight = Fight()
    for _ in range(20):
        fight.shrink()
        fight.go()
    fight.host.addresses["vmbr1"].clear()
    report = fight.go()
    assert [str(o.change) for o in report.outcomes] == ["+ address 10.0.0.1/16 on vmbr1"]


def test_a_table_that_is_deleted_again_and_again_stands_for_its_elements() -> None:
    fight = Fight()
    for _ in range(int(BURST) + 1):
        fight.host.table = None
        report = fight.go()
    assert report.outcomes == ()
    assert len(report.late) > 5
    assert set(state_of(report).values()) == {State.CONTESTED}
    fight.now += 1.01
    assert fight.go(Reason.RETRY).ok
    assert fight.host.table is not None


def test_peace_brings_patience_back() -> None:
    fight = Fight()
    for _ in range(20):
        fight.shrink()
        fight.go()
    fight.now += 1.01
    assert state_of(fight.go(Reason.RETRY))["vmbr1"] is State.CONTESTED
    over, _ = next_try(fight.before) or (0.0, ALL)
    assert 0 < over - fight.now <= PEACE
    fight.now = over + 0.01
    assert state_of(fight.go(Reason.RETRY, NOWHERE))["vmbr1"] is State.IN_SYNC
    assert next_try(fight.before) is None
    fight.now += BURST
    fight.go(Reason.VERIFY)
    assert fight.before.bouts == {}


def test_what_somebody_asks_for_is_never_held_back() -> None:
    fight = Fight()
    for _ in range(20):
        fight.shrink()
        fight.go()
    fight.shrink()
    assert fight.go(Reason.RELOAD).outcomes


def test_what_waits_says_when_and_where_to_look() -> None:
    fight = Fight()
    assert next_try(fight.before) is None
    for _ in range(20):
        fight.shrink()
        fight.go()
    due, scope = next_try(fight.before) or (0.0, ALL)
    assert 0 < due - fight.now <= 1
    assert scope == Scope(frozenset({"vmbr1"}), frozenset({Layer.LINK}), host=False)


def test_a_failure_backs_off_alone_and_heals_without_a_restart() -> None:
    fight = Fight()
    fight.host.broken = frozenset({"vmbr1"})
    fight.shrink()
    pauses = []
    for _ in range(15):
        fight.go(Reason.RETRY)
        due, _ = next_try(fight.before) or (0.0, ALL)
        pauses.append(due - fight.now)
        fight.now = due
    assert 0.1 <= pauses[0] <= 0.11
    assert all(1.7 < later / sooner < 2.3 for sooner, later in pairwise(pauses[:8]))
    assert LAST_RETRY <= pauses[-1] <= LAST_RETRY * 1.1
    fight.host.broken = frozenset()
    assert fight.go(Reason.RETRY).ok
    assert fight.before.troubles == {}


def test_an_element_that_could_not_be_removed_is_looked_for_by_name() -> None:
    fight = Fight()
    stray = Element("closed", ("vmbr1",))
    assert fight.host.table is not None
    fight.host.table = replace(fight.host.table, elements={**fight.host.table.elements, stray.name: stray})
    fight.host.broken = frozenset({"vmbr1"})
    fight.go()
    fight.host.broken = frozenset()
    fight.now, scope = next_try(fight.before) or (0.0, ALL)
    assert [str(o.change) for o in fight.go(Reason.RETRY, scope).outcomes] == ["- nat closed vmbr1"]


def test_a_table_that_is_made_anew_has_the_elements_of_all_networks() -> None:
    """Though the news was of one network's element and of the host's switch: the table went meanwhile."""
    fight = Fight()
    table, fight.host.table = fight.host.table, None
    touched = frozenset({("nets", ("vmbr1",))})
    layers = frozenset({Layer.NFT, Layer.SYSCTL})
    fight.go(scope=Scope(frozenset({"vmbr1"}), layers, host=True, touched=touched))
    assert fight.host.table == table


def test_a_look_at_another_element_forgives_nothing() -> None:
    """What failed with an element that was gone is not looked at by the news of that one."""
    fight = Fight()
    strays = [Element("closed", ("vmbr1",)), Element("routed", ("vmbr1",))]
    assert fight.host.table is not None
    there = {**fight.host.table.elements, **{stray.name: stray for stray in strays}}
    fight.host.table = replace(fight.host.table, elements=there)
    fight.host.broken = frozenset({"vmbr1"})
    fight.go()
    fight.host.broken = frozenset()
    touched = frozenset({("routed", ("vmbr1",))})
    fight.now += LAST_RETRY
    fight.go(scope=Scope(frozenset({"vmbr1"}), frozenset({Layer.NFT}), host=False, touched=touched))
    fight.now, scope = next_try(fight.before) or (0.0, ALL)
    assert [str(o.change) for o in fight.go(Reason.RETRY, scope).outcomes] == ["- nat closed vmbr1"]


def test_parts_of_the_table_that_failed_are_tried_together() -> None:
    """Alone each would fail for ever: a chain that asks a set of another type, and that set."""
    later = Trouble(3, "failed", 200.0)
    want, have = PAGE["set nets"], Block("set nets", ("type ipv4_addr",))
    stale = Change(Layer.NFT, "nft", None, "set nets", have, want)
    chain = Change(Layer.NFT, "nft", None, "chain guard", None, PAGE["chain guard"])
    element = Change(Layer.NFT, "isolation", "vmbr1", "nets vmbr1", None, Element("nets", ("vmbr1",)))
    plan = (stale, chain, element)
    one = Before(troubles={chain.name: later, element.name: later})
    assert choose(plan, one, Reason.RETRY, 100.0).todo == plan
    both = Before(troubles={chain.name: later, stale.name: later})
    assert choose(plan, both, Reason.RETRY, 100.0).todo == ()


def test_parts_of_the_table_that_could_not_be_removed_are_tried_together() -> None:
    extra = [Change(Layer.NFT, "nft", None, f"chain {n}", Block(f"chain {n}", ()), None) for n in "ab"]
    before = Before(troubles={extra[0].name: Trouble(3, "failed", 200.0)})
    assert choose(tuple(extra), before, Reason.RETRY, 100.0).todo == tuple(extra)


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    fight = Fight()
    fight.shrink()
    fight.go()
    bout = next(iter(fight.before.bouts.values()))
    assert refilled(bout, fight.now) == BURST - 1
    assert refilled(bout, fight.now + 1e6) == BURST
