"""One pass after another: back-off, what is tried when, and that nothing stops the rest."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from typing import Any

import pytest
from fake import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from natnetd.errors import HostError
from natnetd.host import ALL, Before, Finding, Layer, Scope, Snapshot, State, Trouble
from natnetd.model import Config, Nat, Network
from natnetd.patience import FIRST_RETRY, LAST_RETRY, again
from natnetd.plan import Change
from natnetd.reconcile import Pass, decide, reconcile
from natnetd.report import Outcome, Reason, Report
from natnetd.rows import Port

CONFIG = Config(
    {
        name: Network(name, (ip_interface(f"10.{number}.0.1/24"),), nat=Nat(("vmbr0",)))
        for number, name in enumerate(("vmbr1", "vmbr2"))
    }
)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Passes:
    """Passes one after the other, each with what the one before left behind."""

    host: FakeHost = field(default_factory=FakeHost)
    clock: Clock = field(default_factory=Clock)
    before: Before = field(default_factory=Before)

    def make(self, reason: Reason = Reason.EVENT, scope: Scope = ALL, config: Config = CONFIG) -> Report:
        report = reconcile(config, self.host, Pass(reason, scope, self.before, self.clock))
        self.before = report.seen.before
        return report


@pytest.fixture
def passes() -> Passes:
    """Have a host with an uplink on which one network cannot be built."""
    made = Passes(FakeHost(broken=frozenset({"vmbr1"})))
    made.host.add_link("vmbr0", kind="bridge")
    return made


def outcome(error: str = "refused") -> Outcome:
    return Outcome(Change(Layer.LINK, "bridge", "vmbr1", "vmbr1", None, None), error)


# --- back-off


def test_pauses_double_from_a_tenth_of_a_second_to_a_minute() -> None:
    trouble, pauses = None, []
    for _ in range(20):
        trouble = again(trouble, outcome(), 50.0, lambda: 0.0)
        pauses.append(trouble.retry_at - 50.0)
    assert pauses[:10] == pytest.approx([FIRST_RETRY * 2**n for n in range(10)])
    assert pauses[10:] == [LAST_RETRY] * 10
    assert (FIRST_RETRY, LAST_RETRY) == (0.1, 60.0)
    assert trouble is not None
    assert (trouble.failures, trouble.text, trouble.network) == (20, "refused", "vmbr1")


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_jitter_lengthens_a_pause_by_less_than_a_tenth(failures: int, drawn: float) -> None:
    last = Trouble(failures, "", 0.0)
    plain = again(last, outcome(), 0.0, lambda: 0.0).retry_at
    assert plain <= again(last, outcome(), 0.0, lambda: drawn).retry_at < plain * 1.1 + 1e-9


def test_what_failed_is_left_alone_until_its_time_and_then_tried_again(passes: Passes) -> None:
    first = passes.make()
    failed = {o.change.name for o in first.outcomes if o.error}
    assert failed == set(passes.before.troubles)
    assert {t.network for t in passes.before.troubles.values()} == {"vmbr1"}
    writes = passes.host.writes
    held = passes.make()
    assert {c.name for c in held.late} == failed
    assert (held.outcomes, passes.host.writes) == ((), writes)
    assert {t.failures for t in passes.before.troubles.values()} == {1}
    passes.clock.now += FIRST_RETRY * 1.2
    tried = passes.make(Reason.RETRY)
    assert {o.change.name for o in tried.outcomes} == failed
    assert {t.failures for t in passes.before.troubles.values()} == {2}


def test_success_ends_the_counting_of_failures(passes: Passes) -> None:
    passes.make()
    passes.host.broken = frozenset()
    passes.clock.now += 1
    assert passes.make(Reason.RETRY).ok
    assert passes.before.troubles == {}
    assert decide(CONFIG, passes.host.look(ALL, Before()))[1] == ()


def test_trouble_that_somebody_else_cured_is_forgotten(passes: Passes) -> None:
    passes.make()
    passes.host.broken = frozenset()
    helper = Passes(passes.host)
    assert helper.make().ok
    passes.make()
    assert passes.before.troubles == {}


@pytest.mark.parametrize("reason", [Reason.RELOAD, Reason.COMMAND])
def test_whoever_asks_for_a_pass_does_not_wait_for_the_back_off(passes: Passes, reason: Reason) -> None:
    passes.make()
    passes.host.broken = frozenset()
    assert passes.make(reason).late == ()
    assert passes.before.troubles == {}


def test_a_look_elsewhere_keeps_the_back_off_as_it_is(passes: Passes) -> None:
    passes.make()
    before = dict(passes.before.troubles)
    elsewhere = Scope(frozenset({"vmbr2"}), frozenset({Layer.ADDRESS}), host=False)
    assert passes.make(scope=elsewhere).outcomes == ()
    assert passes.before.troubles == before


# --- one for all, and all without the one


def test_a_network_that_cannot_be_built_leaves_the_others_true(passes: Passes) -> None:
    report = passes.make()
    assert not report.ok
    assert {o.change.network for o in report.outcomes if o.error} == {"vmbr1"}
    left = decide(CONFIG, passes.host.look(ALL, Before()))[1]
    assert {change.network for change in left} == {"vmbr1"}
    assert "10.1.0.1/24" in passes.host.addresses["vmbr2"]


class Blind(FakeHost):
    """A host whose kernel does not answer."""

    def look(self, *_: Any) -> Snapshot:
        raise HostError("cannot read from the kernel: no buffer space available")


def test_a_look_that_fails_changes_nothing_and_forgets_nothing() -> None:
    known = Before(troubles={"bridge vmbr1": Trouble(2, "x", 1.0)}, ports={"vmbr1": (Port(7, "vmbr1"),)})
    passes = Passes(Blind(), before=known)
    report = passes.make()
    assert report.blind == "cannot read from the kernel: no buffer space available"
    assert not report.ok
    assert (report.outcomes, passes.host.writes, passes.before) == ((), 0, known)


class Broken(FakeHost):
    """A host one of whose doors forgets that it must not raise."""

    @property
    def doors(self) -> dict[Layer, Any]:
        return {**super().doors, Layer.ADDRESS: self}

    def apply(self, _changes: Any) -> list[HostError | None]:
        raise HostError("something was overlooked")


def test_a_door_that_raises_fails_alone() -> None:
    passes = Passes(Broken())
    report = passes.make()
    errors = {o.change.kind: o.error for o in report.outcomes if o.error}
    assert errors == {"address": "something was overlooked"}
    assert passes.host.links.keys() == {"vmbr1", "vmbr2"}


def test_a_narrow_look_goes_by_what_the_last_wide_one_found() -> None:
    passes = Passes()
    passes.host.add_link("vmbr1", kind="veth")
    finding = Finding("vmbr1", State.CONFLICT, "vmbr1 is a veth, not a bridge: rename one of the two")
    assert finding in passes.make().findings
    narrow = passes.make(scope=Scope(None, frozenset({Layer.NFT})))
    assert finding in narrow.findings
    assert not [c for c in (*narrow.late, *(o.change for o in narrow.outcomes)) if c.network == "vmbr1"]


def test_former_ports_travel_until_they_are_plugged_in_again() -> None:
    passes = Passes()
    passes.make()
    tap = passes.host.add_link("tap0", kind="tun")
    passes.host.broken = frozenset({"vmbr1"})
    passes.before = replace(passes.before, ports={"vmbr1": (Port(tap.index, "vmbr1"),)})
    passes.make()
    assert passes.before.ports == {"vmbr1": (Port(tap.index, "vmbr1"),)}
    passes.host.broken = frozenset()
    passes.clock.now += 1
    passes.make(Reason.RETRY)
    assert passes.host.links["tap0"].master == passes.host.links["vmbr1"].index
    assert passes.before.ports == {}


def test_the_time_of_each_change_is_told_from_the_start_of_the_pass() -> None:
    ticks = iter(range(100, 200))
    report = reconcile(CONFIG, FakeHost(), Pass(clock=lambda: float(next(ticks))))
    times = [o.after for o in report.outcomes]
    assert times == sorted(times)
    assert times[0] == 1.0
    assert report.took >= times[-1]
