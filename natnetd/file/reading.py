"""From nodes to values, as the descriptions of the keys say; every misfit becomes a complaint."""

import difflib
from collections.abc import Iterator
from functools import lru_cache

from natnetd.errors import Complaint
from natnetd.file.draft import Found, Values
from natnetd.file.grammar import Feature, Key, Many, Rows, Section, Takes
from natnetd.file.nodes import Mapping, Node, Scalar, Sequence, Unusable, complaint, shown
from natnetd.file.shapes import SWITCHES, Shape, Unfit


def read(node: Node, takes: Takes, complaints: list[Complaint], into: Values, path: str) -> None:
    """Read `node` into `into[path]` (and below), as `takes` says; what does not fit becomes a complaint."""
    found = into.setdefault(path, [])
    match takes:
        case _ if isinstance(node, Unusable):
            pass
        case Shape():
            found.append(read_one(node, takes, complaints))
        case Many():
            found.extend(read_many(node, takes, complaints))
        case Feature(section):
            found.append(read_feature(node, section, complaints, into, path))
        case Section():
            read_section(node, takes, complaints, into, f"{path}.")
        case Rows():
            found.extend(read_rows(node, takes, complaints))
        case _:
            raise AssertionError(takes)  # names are read by whoever knows what they stand for


def read_one(node: Node, shape: Shape, complaints: list[Complaint]) -> Found:
    """Read a single value."""
    if not isinstance(node, Scalar):
        complaints.append(misplaced(node, shape.words))
        return Found(None, node)
    try:
        return Found(shape.read(node), node)
    except Unfit as reason:
        complaints.append(complaint(node, str(reason)))
        return Found(None, node)


def read_many(node: Node, many: Many, complaints: list[Complaint]) -> Iterator[Found]:
    """Read a list, or the one value that stands for a list of one."""
    if not isinstance(node, Sequence):
        if isinstance(node, Scalar) and (parts := split(node, many.shape)):
            text = f"{shown(node.text)} is a list in one text; write [{', '.join(parts)}]"
            complaints.append(complaint(node, text))
            yield Found(None, node)
        else:
            yield read_one(node, many.shape, complaints)
        return
    if many.if_none and not node.items:
        complaints.append(complaint(node, f"is an empty list; write {many.if_none}"))
    for item in node.items:
        if not isinstance(item, Unusable):
            yield read_one(item, many.shape, complaints)


def read_rows(node: Node, rows: Rows, complaints: list[Complaint]) -> Iterator[Found]:
    """Read a list of mappings; the value of each is what its keys say."""
    if not isinstance(node, Sequence | Mapping):
        complaints.append(misplaced(node, rows.words))
        return
    for item in node.items if isinstance(node, Sequence) else [node]:
        if isinstance(item, Mapping):
            yield Found(read_section(item, rows.section, complaints), item)
        elif not isinstance(item, Unusable):
            complaints.append(misplaced(item, rows.section.words))


def split(node: Scalar, shape: Shape) -> list[str]:
    """Return the values that stand in one text, with commas or spaces between; none if it is not so."""
    parts = node.text.replace(",", " ").split()
    if len(parts) < 2:
        return []
    try:
        for part in parts:
            shape.read(node._replace(text=part))
    except Unfit:
        return []
    return parts


def read_feature(node: Node, section: Section, complaints: list[Complaint], into: Values, path: str) -> Found:
    """Read `true`, `false`, or a mapping, which stands for `true`."""
    if isinstance(node, Scalar) and node.plain and node.text in SWITCHES:
        return Found(SWITCHES[node.text], node)
    read_section(node, section, complaints, into, f"{path}.")
    return Found(True, node) if isinstance(node, Mapping) else Found(None, node)


def read_section(
    node: Node, section: Section, complaints: list[Complaint], into: Values | None = None, under: str = ""
) -> Values:
    """Read the keys of a mapping and return what they say; `under` stands before each key."""
    values: Values = {} if into is None else into
    for key, child in known(node, section, complaints):
        read(child, key.takes, complaints, values, under + key.name)
    return values


def known(node: Node, section: Section, complaints: list[Complaint]) -> Iterator[tuple[Key, Node]]:
    """Yield the keys of `section` that stand in `node`; complain of all others."""
    if not isinstance(node, Mapping):
        if not isinstance(node, Unusable):
            complaints.append(misplaced(node, section.words))
        return
    keys = {key.name: key for key in section.keys}
    said = set(node.values)
    for name, child in node.values.items():
        if name in keys:
            yield keys[name], child
        elif name in section.refused:
            complaints.append(complaint(node.keys[name], section.refused[name]))
        else:
            near = meant(name.lower().replace("-", "_"), tuple(keys))
            right = f"did you mean {near}?" if near else f"known here: {', '.join(keys)}"
            complaints.append(complaint(node.keys[name], f"is not a known key; {right}"))
            if near and near not in said:  # read on as if it were spelt right, to find what else is wrong
                said.add(near)
                yield keys[near], child


@lru_cache(maxsize=64)  # a thousand networks may misspell one name
def meant(name: str, names: tuple[str, ...]) -> str:
    """Return the one of `names` that is closest to `name`; empty if none is close."""
    return next(iter(difflib.get_close_matches(name[:64], names, n=1)), "")


def misplaced(node: Node, words: str) -> Complaint:
    """Return the complaint that `node` is of the wrong sort where `words` are due."""
    if isinstance(node, Scalar):
        what = "is empty" if node.empty else f"{shown(node.text)} does not fit here"
    else:
        what = "is a list" if isinstance(node, Sequence) else "is a mapping"
    return complaint(node, f"{what}; write {words}")
