"""Values survive the way through JSON: a saved snapshot replays a decision exactly."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natnetd.codec import pack, unpack
from natnetd.host import Before, Finding, Snapshot, State
from natnetd.rows import Counter, Element, Link, Table
from natnetd.status import Status
from natnetd.tally import Tally

TEXT = st.text(max_size=8) | st.just("x\udcff")


def every(kind: Any) -> st.SearchStrategy[Any]:
    """Draw values of a type, every field of a dataclass included."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{f.name: every(hints[f.name]) for f in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    plain = {str: TEXT, bool: st.booleans(), int: st.integers(), float: st.floats(allow_nan=False)}
    return plain[kind] if kind in plain else several(get_origin(kind), get_args(kind))


def several(origin: Any, inner: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Draw what holds others, or may be None."""
    if origin in (Mapping, dict):
        return st.dictionaries(every(inner[0]), every(inner[1]), max_size=2)
    if origin is tuple and inner[-1] is ...:
        return st.lists(every(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(every, inner))
    if origin is frozenset:
        return st.frozensets(every(inner[0]), max_size=2)
    assert NoneType in inner, (origin, inner)
    return st.none() | every(next(k for k in inner if k is not NoneType))


def through_json(value: Any, *, whole: bool) -> Any:
    return unpack(type(value), json.loads(json.dumps(pack(value, whole=whole))))


@pytest.mark.parametrize("kind", [Snapshot, Before, Status, Tally])
def test_nothing_is_lost_on_the_way_through_json(kind: type) -> None:
    @given(every(kind), st.booleans())
    @settings(max_examples=60)
    def round_trip(value: Any, whole: bool) -> None:  # drawn
        again = through_json(value, whole=whole)
        assert again == value
        assert pack(again) == pack(value)  # counters too, which == leaves out

    round_trip()


def test_counters_travel_although_they_do_not_count_as_a_difference() -> None:
    element = Element("tx", ("vmbr1",), count=Counter(3, 4))
    seen = Snapshot(table=Table(elements={element.name: element}, drops={"exit": Counter(1, 2)}))
    again = through_json(seen, whole=False)
    assert again.table.elements["tx vmbr1"].count == Counter(3, 4)
    assert again.table.drops == {"exit": Counter(1, 2)}


def test_defaults_are_left_out_unless_the_whole_is_asked_for() -> None:
    assert pack(Link(3, "vmbr1")) == {"index": 3, "name": "vmbr1"}
    whole = pack(Finding(None, State.WAITING, "x"), whole=True)
    assert whole == {"network": None, "state": "waiting", "text": "x"}
    assert set(pack(Status(), whole=True)) == {f.name for f in fields(Status)}


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        [],
        {"links": 3},
        {"links": {"a": {"index": "one", "name": "a"}}},
        {"links": {"a": {"index": 1}}},
        {"nobody": 1},
        {"before": {"findings": [{"network": None, "state": "strange", "text": ""}]}},
        {"before": {"ports": {"a": [1.5]}}},
    ],
)
def test_what_is_no_snapshot_is_refused(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        unpack(Snapshot, wrong)
