"""A document, read from one file or several, written as one file that says the same."""

import json
from collections.abc import Iterator

from natnetd.file.nodes import Mapping, Node, Scalar, Sequence
from natnetd.file.schema import PLAIN


def written(root: Mapping) -> str:
    """Return a file that is read as `root`; it must be one that nobody complained about."""
    return "".join(f"{line}\n" for line in block(root, "")) or "{}\n"


def block(mapping: Mapping, indent: str) -> Iterator[str]:
    """Yield a line for each key, and below it what stands under it."""
    for name, node in mapping.values.items():
        if isinstance(node, Mapping) and node.values:
            yield f"{indent}{word(name)}:"
            yield from block(node, f"{indent}  ")
        else:
            yield f"{indent}{word(name)}: {flow(node)}"


def flow(node: Node) -> str:
    """Return a value on one line."""
    match node:
        case Mapping():
            return (
                "{" + ", ".join(f"{word(name)}: {flow(child)}" for name, child in node.values.items()) + "}"
            )
        case Sequence():
            return "[" + ", ".join(map(flow, node.items)) + "]"
        case Scalar(plain=True):
            return word(node.text)
        case Scalar():
            return quoted(node.text)
    raise AssertionError(node)  # what is not usable was complained about


def word(text: str) -> str:
    """Return plain text, in quotes where something else would be read; it stays text either way for a key."""
    return text if PLAIN.fullmatch(text) and text == text.strip() else quoted(text)


def quoted(text: str) -> str:
    """Return text in quotes."""
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in shown)
