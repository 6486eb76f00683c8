"""Several files as one document: mappings are merged key by key, and no file overrides another."""

from collections.abc import Iterable

from natnetd.errors import Complaint
from natnetd.file.nodes import Mapping, complaint


def merged(roots: Iterable[Mapping], complaints: list[Complaint]) -> Mapping | None:
    """Return all files as one; the first is taken over and grows. There is none without a file.

    A key that has a value in two files is a complaint about the later one, which then is passed over.
    """
    document: Mapping | None = None
    for root in roots:
        if document is None:
            document = root
        else:
            merge(document, root, complaints)
    return document


def merge(into: Mapping, later: Mapping, complaints: list[Complaint]) -> None:
    """Put the keys of `later` into `into`."""
    for name, key in later.keys.items():
        node = later.values[name]
        there = into.values.get(name)
        if there is None:
            into.keys[name], into.values[name] = key, node
        elif isinstance(there, Mapping) and isinstance(node, Mapping):
            merge(there, node, complaints)
        else:
            first = into.keys[name].mark
            text = f"is set in {first.file}:{first.line}:{first.column} already; remove one"
            complaints.append(complaint(key, text))
