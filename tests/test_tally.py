"""Counters that never go backwards, whatever becomes of the kernel's own."""

from hypothesis import given
from hypothesis import strategies as st

from natnetd.report import Traffic
from natnetd.rows import Counter
from natnetd.tally import Tally, growth

figures = st.integers(0, 2**64 - 1)
counters = st.dictionaries(
    st.sampled_from(["tx vmbr1", "rx vmbr1", "tx vmbr2"]), st.builds(Counter, figures, figures)
)
samples = st.builds(Traffic, counters, st.dictionaries(st.just("exit"), st.builds(Counter, figures, figures)))


@given(st.lists(samples))
def test_no_total_ever_goes_backwards_or_is_forgotten(many: list[Traffic]) -> None:
    tally = Tally()
    for sample in many:
        after = tally.advance(sample)
        for old, new in (
            (tally.total.elements, after.total.elements),
            (tally.total.drops, after.total.drops),
        ):
            assert old.keys() <= new.keys()
            assert all(new[k].packets >= c.packets and new[k].bytes >= c.bytes for k, c in old.items())
        tally = after


@given(st.lists(st.integers(0, 1000), min_size=1))
def test_a_counter_that_only_grows_is_told_as_it_is(steps: list[int]) -> None:
    tally, at = Tally(), 0
    for step in steps:
        at += step
        tally = tally.advance(Traffic({"tx vmbr1": Counter(at, 2 * at)}))
    assert tally.total.elements["tx vmbr1"] == Counter(at, 2 * at)


def test_a_counter_that_begins_anew_adds_what_it_has_counted_since() -> None:
    tally = Tally()
    for packets in (10, 15, 3, 5, 0, 4):
        tally = tally.advance(Traffic({"tx vmbr1": Counter(packets, packets)}, {"exit": Counter(packets)}))
    assert tally.total.elements["tx vmbr1"] == Counter(15 + 5 + 4, 24)
    assert tally.total.drops["exit"] == Counter(24)
    assert growth(15, 3) == 3


def test_an_element_seeded_with_its_last_figures_goes_on_without_a_step() -> None:
    tally = Tally().advance(Traffic({"tx vmbr1": Counter(10, 100)}))
    tally = tally.advance(Traffic())  # the table is gone
    tally = tally.advance(Traffic({"tx vmbr1": Counter(10, 100)}))  # and back, as natnetd seeds it
    assert tally.total.elements["tx vmbr1"] == Counter(10, 100)


def test_networks_that_are_no_more_are_forgotten_and_drops_are_kept() -> None:
    both = Traffic(
        {"tx vmbr1": Counter(1), "rx vmbr1": Counter(2), "tx vmbr2": Counter(3)}, {"exit": Counter(4)}
    )
    kept = Tally().advance(both).only({"vmbr1"})
    assert (
        kept.total
        == kept.last
        == Traffic({"tx vmbr1": Counter(1), "rx vmbr1": Counter(2)}, {"exit": Counter(4)})
    )
