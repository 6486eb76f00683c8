"""YAML to `Config`, with every complaint in its place.

A file is read as events, and its words are resolved by us: a plain `true`, `null` or decimal number means
what it says in YAML 1.2, and nothing else means anything but its text.  PyYAML's own resolver would read
`52:54:00:12:34:56` as a number and `no` as false, and its composer lets the last of two equal keys win.
"""

import os
from typing import Any

import yaml

from natnetd.errors import Complaint, ConfigError
from natnetd.file.assembly import assemble
from natnetd.file.nodes import Mapping, Mark, Node, Scalar, Sequence, Unusable, complaint, shown
from natnetd.file.plaintext import LARGEST, decode
from natnetd.model import Config

DEEPEST = 32
# libyaml's parser is many times as fast as PyYAML's own, and gives the same events.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SHARE = "is not supported; write the value out, or share it by defaults"
INDENT = "indent keys alike, and put text that holds a colon or a bracket in quotes"
HINTS = (  # what YAML's own complaints mean most of the time
    ("mapping values are not allowed", INDENT),
    ("did not find expected key", INDENT),
    ("expected <block end>", INDENT),
    ("expected ',' or", "a comma is missing, or the bracket of line {opened} is not closed"),
    ("node content", 'put text that begins with a bracket in quotes, like "[::1]:9787"'),
    ("unexpected end of stream", "the quote of line {opened} is not closed"),
    ("could not find expected ':'", "each line takes a key, a colon, a space and a value"),
    ("cannot start any token", "put the text in quotes, and indent with spaces"),
    ("sequence entries are not allowed", "start a list on the line after its key"),
    ("did not find expected '-' indicator", "indent the items of a list alike"),
)


def load(path: str | os.PathLike[str]) -> Config:
    """Return what the file at `path` says.

    Raises `ConfigError` with every complaint about the file, also if it cannot be read.
    """
    return parse(read(path), os.fsdecode(path))


def read(path: str | os.PathLike[str]) -> bytes:
    """Return a file as it is. Raises `ConfigError` if it cannot be read."""
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
        return raw
    raise ConfigError((Complaint(file, 1, 1, "", text),))


def parse(text: str | bytes, file: str) -> Config:
    """Return what `text` says; `file` is the name that complaints bear.

    Raises `ConfigError` with every complaint, in the order of the file.
    """
    complaints: list[Complaint] = []
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    root = compose(raw, file, complaints)
    config = assemble(root, complaints) if root is not None else Config()
    if complaints:
        raise ConfigError(tuple(sorted(set(complaints))))
    return config


def compose(raw: bytes, file: str, complaints: list[Complaint], loader: Any = LOADER) -> Node | None:
    """Return the nodes of a file; there are none if it is no YAML, or if it is empty."""
    text = decode(raw, file, complaints)
    if text is None:
        return None
    tree = Tree(file, complaints)
    try:
        for event in yaml.parse(text, loader):
            tree.take(event)
    except Halt:
        return None
    # PyYAML's own parser lets ValueError and OverflowError slip out for escapes like "\UFFFFFFFF".
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        complaints.append(explain(error, file))
        return None
    if tree.root is None or (isinstance(tree.root, Scalar) and tree.root.empty):
        complaints.append(
            Complaint(file, 1, 1, "", "the file is empty; to remove the last network, write networks: {}")
        )
        return None
    return tree.root


def explain(error: Exception, file: str) -> Complaint:
    """Return the complaint about text that is not YAML."""
    context = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or context
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    opened = context.line + 1 if context else line
    problem = getattr(error, "problem", None) or next(iter(str(error).splitlines()), "unreadable")
    hint = next((f"; {hint}" for words, hint in HINTS if words in problem), "")
    return Complaint(file, line, column, "", f"not YAML: {problem}{hint.replace('{opened}', str(opened))}")


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
            self.complain(event, f"an alias (*) {SHARE}")
            self.add(Unusable(self.mark(event), self.path()))
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

    def complain(self, event: Any, text: str) -> None:
        """Complain about `event`, where it stands."""
        self.complaints.append(Complaint(*self.mark(event), self.path(), text))

    def begin_document(self, event: Any) -> None:
        """Allow one document, without directives."""
        self.documents += 1
        if self.documents > 1:
            self.complain(event, "a second document (---) is not supported; write one file for each")
            raise Halt
        if event.version or event.tags:
            self.complain(event, "a directive (%) is not supported; remove the line")

    def plain_words(self, event: Any) -> bool:
        """Whether `event` bears no tag; complain of tags and anchors."""
        if event.anchor:
            self.complain(event, f"an anchor (&) {SHARE}")
        if event.tag:
            tag = shown(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self.complain(event, f"the tag {tag} is not supported; leave it out")
        return not event.tag

    def add_scalar(self, event: Any) -> None:
        """Add a key or a value."""
        untagged = self.plain_words(event)
        frame = self.open[-1] if self.open else None
        if frame and isinstance(frame.node, Mapping) and not frame.key:
            self.add_key(frame, frame.node, event)
        elif untagged:
            self.add(Scalar(self.mark(event), self.path(), event.value, event.implicit[0]))
        else:
            self.add(Unusable(self.mark(event), self.path()))

    def add_key(self, frame: Frame, node: Mapping, event: Any) -> None:
        """Let `frame` wait for the value of a key, which is always text."""
        text = event.value
        dotted = f"{node.path}.{shown(text)}" if node.path else shown(text)
        frame.key = Scalar(self.mark(event), dotted, text, plain=False)
        frame.keep = False
        if text == "<<" and event.implicit[0]:
            wrong = f"a merge key (<<) {SHARE}"
        elif text in node.keys:
            wrong = f"is here twice (first at line {node.keys[text].mark.line}); remove one"
        else:
            frame.keep = True
            node.keys[text] = frame.key
            return
        self.complaints.append(complaint(frame.key, wrong))

    def begin(self, event: Any, sort: type[Mapping | Sequence]) -> None:
        """Open a mapping or a list."""
        self.plain_words(event)
        if len(self.open) >= DEEPEST:
            self.complain(event, f"is nested deeper than {DEEPEST} levels; nothing in this file needs that")
            raise Halt
        node = sort(self.mark(event), self.path())
        self.add(node)
        self.open.append(Frame(node))

    def add(self, node: Mapping | Sequence | Scalar | Unusable) -> None:
        """Put `node` where it belongs."""
        frame = self.open[-1] if self.open else None
        if frame is None:
            self.root = node
        elif isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.key is None:  # a mapping, list or alias in place of a key
            if not isinstance(node, Unusable):
                self.complaints.append(complaint(node, "a key must be one word, not a list or a mapping"))
            frame.key, frame.keep = Scalar(node.mark, node.path, "", plain=False), False
        else:
            if frame.keep:
                frame.node.values[frame.key.text] = node
            frame.key = None
