"""YAML to `Config`, with every complaint in its place.

A file is read as events, and its words are resolved by us: a plain `true`, `null` or decimal number means what it
says in YAML 1.2, and nothing else means anything but its text.  PyYAML's own resolver would read
`52:54:00:12:34:56` as a number and `no` as false, and its composer lets the last of two equal keys win.
"""

import os
from typing import Any

import yaml

from natnetd.assembly import assemble
from natnetd.errors import Complaint, ConfigError
from natnetd.model import Config
from natnetd.nodes import Mapping, Mark, Node, Scalar, Sequence, Unusable, complaint, shown
from natnetd.plaintext import LARGEST, decode

DEEPEST = 32
# libyaml's parser is 15 times as fast as PyYAML's own; both give the same events.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HINTS = (  # what YAML's own complaints mean most of the time
    ("mapping values are not allowed", "indent keys alike, and put text that holds a colon or bracket in quotes"),
    ("did not find expected key", "indent keys alike, and put text that holds a colon or bracket in quotes"),
    ("could not find expected ':'", "each line takes a key, a colon, a space and a value"),
    ("did not find expected ',' or", "a bracket or a comma is missing"),
    ("cannot start any token", "put the text in quotes, and indent with spaces"),
    ("unexpected end of stream", "a closing quote is missing"),
    ("block sequence entries are not allowed", "start a list on the line after its key"),
    ("did not find expected '-' indicator", "indent the items of a list alike"),
)


def load(path: str | os.PathLike[str]) -> Config:
    """Return what the file at `path` says.

    Raises `ConfigError` with every complaint about the file, also if it cannot be read.
    """
    file = os.fsdecode(path)
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  the path may be a descriptor's: /dev/fd/63
            raw = stream.read(LARGEST + 1)
    except FileNotFoundError:
        text = "there is no such file; write it, or name another with --config FILE"
    except IsADirectoryError:
        text = "is a directory; name a file in it with --config FILE"
    except PermissionError:
        text = "may not be read by this user; run as root, or let the user natnetd read the file"
    except (OSError, ValueError) as error:
        text = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    else:
        return parse(raw, file)
    raise ConfigError((Complaint(file, 1, 1, "", text),))


def parse(text: str | bytes, file: str) -> Config:
    """Return what `text` says; `file` is the name that complaints bear.

    Raises `ConfigError` with every complaint, in the order of the file.
    """
    complaints: list[Complaint] = []
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    root = compose(raw, file, complaints)
    config = assemble(root, complaints) if root else Config()
    if complaints:
        raise ConfigError(tuple(sorted(set(complaints))))
    return config


def compose(raw: bytes, file: str, complaints: list[Complaint]) -> Node | None:
    """Return the nodes of a file; there are none if it is no YAML, or if it is empty."""
    text = decode(raw, file, complaints)
    if text is None:
        return None
    tree = Tree(file, complaints)
    try:
        for event in yaml.parse(text, LOADER):
            tree.take(event)
    except Halt:
        return None
    # PyYAML's own parser lets ValueError and OverflowError slip out for escapes like "\UFFFFFFFF".
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        complaints.append(explain(error, file))
        return None
    if tree.root is None or (isinstance(tree.root, Scalar) and tree.root.empty):
        complaints.append(Complaint(file, 1, 1, "", "the file is empty; to remove the last network, write networks: {}"))
        return None
    return tree.root


def explain(error: Exception, file: str) -> Complaint:
    """Return the complaint about text that is not YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    hint = next((f"; {hint}" for words, hint in HINTS if words in problem), "")
    return Complaint(file, line, column, "", f"not YAML: {problem}{hint}")


class Halt(Exception):  # noqa: N818  a way out of the loop over events
    """What follows in the file cannot be read."""


class Frame:
    """A mapping or list that is still open, and the key that waits for its value."""

    __slots__ = ("keep", "key", "node")

    def __init__(self, node: Mapping | Sequence) -> None:
        self.node = node
        self.key: Scalar | None = None
        self.keep = True  # False: the key was complained about, its value is dropped


class Tree:
    """Builds nodes from events; what our files do not allow becomes a complaint at once."""

    def __init__(self, file: str, complaints: list[Complaint]) -> None:
        self.file = file
        self.complaints = complaints
        self.root: Node | None = None
        self.open: list[Frame] = []
        self.documents = 0

    def take(self, event: Any) -> None:
        """Take the next event; raise `Halt` where reading on makes no sense."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self.add_scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self.begin(event, Mapping if kind is yaml.MappingStartEvent else Sequence)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self.open.pop()
        elif kind is yaml.AliasEvent:
            self.add(Unusable(self.mark(event), self.path()))
            self.complain(event, "an alias (*) is not supported; write the value out, or share it by defaults")
        elif kind is yaml.DocumentStartEvent:
            self.begin_document(event)

    def mark(self, event: Any) -> Mark:
        """Return where `event` starts."""
        mark = event.start_mark
        return Mark(self.file, mark.line + 1, mark.column + 1)

    def path(self) -> str:
        """Return the path of the value that comes next."""
        if not self.open:
            return ""
        frame = self.open[-1]
        if isinstance(frame.node, Sequence):
            return f"{frame.node.path}[{len(frame.node.items)}]"
        return frame.key.path if frame.key else frame.node.path
