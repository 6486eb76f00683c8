"""What guests moved: whose it is, ranked, and compared; without a kernel."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natnetd import config
from natnetd.guests import NOTHING, SORTS, Counted, Guest, Ledger, Moved, Owners, busiest, guests, ordered

FILE = """
defaults: {count_guests: true}
networks:
  vmbr1: {addresses: [10.0.0.1/16, 10.2.0.1/24, "fd00:1::1/64"]}
  vmbr2: {addresses: 10.1.0.1/24}
  quiet: {addresses: 10.3.0.1/24, count_guests: false}
"""
CONFIG = config.parse(FILE, "f")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.0", "vmbr1"),
        ("10.0.255.255", "vmbr1"),
        ("10.1.0.7", "vmbr2"),
        ("10.1.1.0", None),
        ("10.2.0.9", "vmbr1"),
        ("9.9.9.9", None),
        ("fd00:1::abcd", "vmbr1"),
        ("fd00:1:0:1::", None),
        ("fe80::1", None),
        ("::a00:1", None),
    ],
)
def test_an_address_has_one_owner(address: str, network: str | None) -> None:
    assert Owners(CONFIG.networks.values()).of(address) == network


def test_guests_have_names_and_strangers_are_left_out() -> None:
    seen = Counted(dict.fromkeys(("10.0.0.2", "10.1.0.2", "10.3.0.2", "192.0.2.1", "fe80::1"), Moved(1)))
    assert guests(CONFIG, seen, {"10.1.0.2": "db"}) == [
        Guest("vmbr1", "10.0.0.2", "", Moved(1)),
        Guest("vmbr2", "10.1.0.2", "db", Moved(1)),
    ]


FEW = [
    Guest("a", "10.0.0.10", total=Moved(90), speed=Moved(1, 9, 0, 0, 1)),
    Guest("a", "10.0.0.9", total=Moved(10, 0, 70), speed=Moved(2, 0, 3)),
    Guest("a", "fd00::1", total=Moved(80), speed=Moved(connections=7)),
    Guest("a", "", total=Moved(80), speed=Moved()),
]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("bytes", ["10.0.0.9", "10.0.0.10", "", "fd00::1"]),
        ("packets", ["10.0.0.10", "", "10.0.0.9", "fd00::1"]),
        ("connections", ["fd00::1", "10.0.0.10", "", "10.0.0.9"]),
        ("total", ["10.0.0.10", "", "10.0.0.9", "fd00::1"]),
        ("address", ["", "10.0.0.9", "10.0.0.10", "fd00::1"]),
    ],
)
def test_the_order_is_the_one_asked_for(sort: str, order: list[str]) -> None:
    assert [g.address for g in ordered(FEW, sort)] == order
    assert sort in SORTS


def test_the_busiest_are_those_that_moved_most_of_networks_that_count() -> None:
    moved = {"10.0.0.9": 80, "10.0.0.8": 80, "10.1.0.2": 90, "10.3.0.2": 99, "192.0.2.1": 99, "10.0.0.7": 70}
    seen = Counted({address: Moved(number) for address, number in moved.items()})
    found = [(g.network, g.address) for g in busiest(CONFIG, seen, 3)]
    assert found == [("vmbr2", "10.1.0.2"), ("vmbr1", "10.0.0.8"), ("vmbr1", "10.0.0.9")]
    assert busiest(CONFIG, Counted(), 3) == []


def test_speeds_are_growth_by_the_second() -> None:
    ledger = Ledger()
    ledger.take({"a": Moved(100, 1, 0, 0, 1)}, 50.0)
    assert (ledger.total["a"], ledger.speed) == (Moved(100, 1, 0, 0, 1), {})
    ledger.take({"a": Moved(300, 5, 0, 0, 1), "b": Moved(8, 2)}, 52.0)
    assert ledger.speed == {"a": Moved(100, 2, 0, 0, 0), "b": Moved(4, 1)}
    ledger.take({"a": Moved(40, 1), "b": Moved(8, 2)}, 54.0)  # somebody made the table anew
    assert ledger.speed == {"a": Moved(20, 0.5), "b": NOTHING}
    assert ledger.total["a"] == Moved(340, 6, 0, 0, 1)
    ledger.take({}, 56.0)
    assert ledger.speed == {}
    ledger.take({"a": Moved(1, 1)}, 58.0)
    assert ledger.total["a"] == Moved(341, 7, 0, 0, 1)


MOVED = st.builds(Moved, *[st.integers(0, 9)] * 5)
READINGS = st.lists(st.dictionaries(st.sampled_from("abc"), MOVED), min_size=1, max_size=6)


@given(READINGS)
def test_totals_never_go_backwards_and_speeds_are_never_negative(readings: list[Mapping[str, Moved]]) -> None:
    ledger = Ledger()
    for at, reading in enumerate(readings):
        before = dict(ledger.total)
        ledger.take(reading, float(at))
        for key, old in before.items():
            new = ledger.total[key]
            assert new.with_(old, min) == old
        assert all(moved.with_(NOTHING, min) == NOTHING for moved in ledger.speed.values())
        assert ledger.speed.keys() <= ledger.total.keys()
