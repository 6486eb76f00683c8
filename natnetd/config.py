"""YAML to `Config`, with every complaint in its place.

A file is read as events, and its words are resolved by us: a plain `true`, `null` or decimal number means
what it says in YAML 1.2, and nothing else means anything but its text.  PyYAML's own resolver would read
`52:54:00:12:34:56` as a number and `no` as false, and its composer lets the last of two equal keys win.

A file and its drop-ins are one document: each is read by itself, then they are merged, and judged as a whole.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from natnetd.errors import Complaint, ConfigError
from natnetd.file.assembly import assemble
from natnetd.file.keys import FILE
from natnetd.file.merge import merged
from natnetd.file.nodes import Mapping, Mark, Node, Scalar, Sequence, shown
from natnetd.file.plaintext import decode
from natnetd.file.reading import misplaced
from natnetd.file.sources import Text, Texts, gather
from natnetd.file.tree import Halt, Tree
from natnetd.file.writing import written
from natnetd.model import Config

# libyaml's parser is many times as fast as PyYAML's own, and gives the same events.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAKES: dict[Any, Callable[[Tree, Any], None]] = {
    yaml.ScalarEvent: Tree.add_scalar,
    yaml.MappingStartEvent: Tree.begin_mapping,
    yaml.MappingEndEvent: Tree.end,
    yaml.SequenceStartEvent: Tree.begin_list,
    yaml.SequenceEndEvent: Tree.end,
    yaml.AliasEvent: Tree.add_alias,
    yaml.DocumentStartEvent: Tree.begin_document,
}
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


class Understood(NamedTuple):
    """What a file and its drop-ins say, and what was read for it."""

    config: Config
    texts: Texts
    root: Mapping

    @property
    def in_one(self) -> bytes:
        """One file that says the same: the very file where there are no drop-ins."""
        if len(self.texts) == 1:
            return self.texts[0].raw
        title = f"# What {shown(self.texts[0].file)} and its drop-ins say, {len(self.texts)} files in one.\n"
        return f"{title}{written(self.root)}".encode()


def load(path: str | os.PathLike[str]) -> Config:
    """Return what the file at `path` and its drop-ins say.

    Raises `ConfigError` with every complaint about them, also if one cannot be read.
    """
    return understand(gather(path)).config


def parse(text: str | bytes, file: str) -> Config:
    """Return what `text` says, without drop-ins; `file` is the name that complaints bear.

    Raises `ConfigError` with every complaint, in the order of the file.
    """
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return understand((Text(file, raw),)).config


def understand(texts: Texts) -> Understood:
    """Return what `texts` say together; the first is that of the main file.

    Raises `ConfigError` with every complaint, in the order of the files and of what stands in them.
    """
    complaints: list[Complaint] = []
    found = [rooted(order, text, complaints) for order, text in enumerate(texts)]
    document = merged((root for root in found if root is not None), complaints)
    config = Config()
    if document is not None:
        config = assemble(document, complaints, whole=None not in found)
    if complaints or document is None:
        order_of = {text.file: order for order, text in enumerate(texts)}
        told = sorted(set(complaints), key=lambda one: (order_of[one.file], one))
        raise ConfigError(tuple(told))
    return Understood(config, texts, document)


def rooted(order: int, text: Text, complaints: list[Complaint]) -> Mapping | None:
    """Return the keys of a file; there are none if it cannot be read, or is something else."""
    if text.trouble:
        complaints.append(Complaint(text.file, 1, 1, "", text.trouble))
        return None
    root = compose(text.raw, text.file, complaints, order=order)
    if isinstance(root, Scalar | Sequence):
        complaints.append(misplaced(root, FILE.words))
    return root if isinstance(root, Mapping) else None


def compose(
    raw: bytes, file: str, complaints: list[Complaint], loader: Any = LOADER, *, order: int = 0
) -> Node | None:
    """Return the nodes of a file; there are none if it is no YAML.

    `order` is the file's among those of one document: the first may not be empty, the others may.
    """
    text = decode(raw, file, complaints)
    if text is None:
        return None
    tree = Tree(file, complaints, order)
    try:
        for event in yaml.parse(text, loader):
            if take := TAKES.get(type(event)):
                take(tree, event)
    except Halt:
        return None
    # PyYAML's own parser lets ValueError and OverflowError slip out for escapes like "\UFFFFFFFF".
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        complaints.append(explain(error, file))
        return None
    if tree.root is not None and not (isinstance(tree.root, Scalar) and tree.root.empty):
        return tree.root
    if order:
        return Mapping(Mark(order, file, 1, 1), "")
    what = "the file is empty; to remove the last network, write networks: {}"
    complaints.append(Complaint(file, 1, 1, "", what))
    return None


def explain(error: Exception, file: str) -> Complaint:
    """Return the complaint about text that is not YAML."""
    context = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or context
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    opened = context.line + 1 if context else line
    problem = getattr(error, "problem", None) or next(iter(str(error).splitlines()), "unreadable")
    hint = next((f"; {hint}" for words, hint in HINTS if words in problem), "")
    return Complaint(file, line, column, "", f"not YAML: {problem}{hint.replace('{opened}', str(opened))}")
