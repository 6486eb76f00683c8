"""Frozen values to JSON and back, by their type hints: snapshots, state and status are made of these."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

PLAIN = frozenset({bool, int, float, str, type(None)})


def pack(value: Any, *, whole: bool = False) -> Any:
    """Turn a value into what `json` takes; fields at their default are left out, unless `whole`.

    What is plain is not asked of itself: status and counters of 1,000 networks have 28,000 such values.
    """
    kind: Any = type(value)
    if kind in PLAIN:
        return value
    if (rows := usually(kind)) is not None:
        told = {}
        for name, usual in rows:
            found = getattr(value, name)
            if whole or found != usual:
                told[name] = found if type(found) in PLAIN else pack(found, whole=whole)
        return told
    if isinstance(value, Mapping):
        return {str(key): pack(found, whole=whole) for key, found in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        many = sorted(value) if isinstance(value, frozenset | set) else value
        return [found if type(found) in PLAIN else pack(found, whole=whole) for found in many]
    return str(value)


@cache
def usually(kind: type) -> tuple[tuple[str, Any], ...] | None:
    """The names of a dataclass's fields, each with what it is if nobody says; None for other classes."""
    if not is_dataclass(kind):
        return None
    return tuple((field.name, default(field)) for field in fields(kind))


def default(field: Field[Any]) -> Any:
    """What a field is if nobody says; MISSING if it must be said."""
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def hints(kind: type) -> dict[str, Any]:
    """The type hints of a dataclass."""
    return get_type_hints(kind)


def unpack(kind: Any, value: Any) -> Any:
    """Turn what `json` gave into a value of a kind.

    Raises ValueError, TypeError, KeyError or AttributeError: it is not one.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        some = next(k for k in inner if k is not types.NoneType)
        return None if value is None else unpack(some, value)
    if origin is not None:
        return unpack_many(origin, inner, value)
    if is_dataclass(kind):
        known = hints(kind)  # type: ignore[arg-type]  # a class, not an instance
        return kind(**{name: unpack(known[name], v) for name, v in value.items()})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, StrEnum | float):
        return kind(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value


def unpack_many(origin: Any, inner: tuple[Any, ...], value: Any) -> Any:
    """Turn a list or an object into a tuple, frozenset or mapping."""
    if origin is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(unpack(k, v) for k, v in zip(kinds, value, strict=True))
    if origin is frozenset:
        return frozenset(unpack(inner[0], v) for v in value)
    return {unpack(inner[0], k): unpack(inner[1], v) for k, v in value.items()}
