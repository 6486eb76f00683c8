"""Nodes from the events of a YAML parser; knows what an event bears, not the library it comes from."""

from typing import Any

from natnetd.errors import Complaint
from natnetd.file.nodes import Mapping, Mark, Node, Scalar, Sequence, Unusable, complaint, shown

DEEPEST = 32
SHARE = "is not supported; write the value out, or share it by defaults"


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

    def __init__(self, file: str, complaints: list[Complaint], order: int = 0) -> None:
        self.file = file
        self.order = order
        self.complaints = complaints
        self.root: Node | None = None
        self.open: list[Frame] = []
        self.documents = 0

    def mark(self, event: Any) -> Mark:
        """Return where `event` starts."""
        mark = event.start_mark
        return Mark(self.order, self.file, mark.line + 1, mark.column + 1)

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
        self.complaints.append(complaint(Unusable(self.mark(event), self.path()), text))

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

    def begin_mapping(self, event: Any) -> None:
        """Open a mapping."""
        self.begin(event, Mapping)

    def begin_list(self, event: Any) -> None:
        """Open a list."""
        self.begin(event, Sequence)

    def end(self, _event: Any) -> None:
        """Close a mapping or a list."""
        self.open.pop()

    def add_alias(self, event: Any) -> None:
        """Add nothing usable."""
        self.complain(event, f"an alias (*) {SHARE}")
        self.add(Unusable(self.mark(event), self.path()))

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
