"""One line of shell, as far as it is a plain list of commands; anything cleverer is refused with a reason."""

import re
from dataclasses import dataclass, replace

REDIRECT = re.compile(r"([0-9]*)(>>|>\||>&|<&|<<|<|>)\s*|(&>>?)\s*")
OPERATOR = re.compile(r"\|\||&&|[;&|]")
PIECE = re.compile(
    r"""(?P<bare>[^\s"'\\;&|<>()]+)|\\(?P<escaped>.)|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'""",
    re.DOTALL,
)
ENTITY = re.compile(r"&(?:gt|lt|amp|quot|apos|#[0-9]+);")
VARIABLE = re.compile(r"\$(?:IFACE|LOGICAL)\b|\$\{(?:IFACE|LOGICAL)\}")
ESCAPED = re.compile(r'\\([$`"\\])')
CONDITIONS = frozenset(
    ("if", "for", "while", "until", "case", "then", "else", "elif", "fi", "do", "done", "esac", "{", "}", "[")
) | {"[[", "test", "!", "function"}


class Unreadable(ValueError):  # noqa: N818  it is an answer, not a failure
    """Only a shell can tell what the line does; the text says why."""


@dataclass(frozen=True, slots=True)
class Simple:
    """One command; `joined` is the operator before it, `into` and `source` are files."""

    words: tuple[str, ...] = ()
    joined: str = ""
    into: str = ""
    source: str = ""


def split(line: str, iface: str) -> tuple[Simple, ...]:
    """Split a line into its commands; $IFACE stands for `iface`. Raises `Unreadable`."""
    if ENTITY.search(line):
        found = ENTITY.findall(line)[0]
        raise Unreadable(f"{found} is HTML for another sign; the line never worked")
    commands, at, line = [Simple()], 0, line.strip()
    while at < len(line):
        if line[at].isspace():
            at += 1
        elif line[at] == "#":
            break
        elif found_redirect := REDIRECT.match(line, at):
            at = redirect(commands, found_redirect, line, iface)
        elif found_operator := OPERATOR.match(line, at):
            commands.append(Simple(joined=found_operator[0]))
            at = found_operator.end()
        else:
            word, at = take_word(line, at, iface)
            commands[-1] = replace(commands[-1], words=(*commands[-1].words, word))
    return checked([command for command in commands if command.words or command.into])


def checked(commands: list[Simple]) -> tuple[Simple, ...]:
    """Return commands that run whatever the state of the host. Raises `Unreadable`."""
    for command in commands:
        first = command.words[0] if command.words else ""
        if first in CONDITIONS:
            raise Unreadable(f"depends on a condition ({first}), which only a shell can judge")
        if "=" in first:
            raise Unreadable(f"sets a variable ({first.partition('=')[0]}); write the command out")
    return tuple(commands)


def redirect(commands: list[Simple], found: re.Match[str], line: str, iface: str) -> int:
    """Note where output goes to, or input comes from; return where to read on. Raises `Unreadable`."""
    number, sign = found[1], found[2] or found[3]
    if sign == "<<":
        raise Unreadable("holds a here-document")
    target, at = take_word(line, found.end(), iface)
    if sign == "<":
        commands[-1] = replace(commands[-1], source=target)
    elif number in ("", "1") and sign not in (">&", "<&") and target != "/dev/null":
        commands[-1] = replace(commands[-1], into=target)
    return at


def take_word(line: str, at: int, iface: str) -> tuple[str, int]:
    """Return the word that begins at `at`, without its quotes, and where it ends. Raises `Unreadable`."""
    word, begin = "", at
    while piece := PIECE.match(line, at):
        at = piece.end()
        if piece.lastgroup == "single":
            word += piece["single"]
        elif piece.lastgroup == "escaped":
            word += piece["escaped"]
        else:
            text = VARIABLE.sub(lambda _: iface, piece["bare"] or piece["double"] or "")
            if re.search(r"(?<!\\)[$`]", text):
                raise Unreadable("holds a variable or a command in a command; write it out")
            word += ESCAPED.sub(r"\1", text) if piece.lastgroup == "double" else text
    if at == begin:
        rest = line[at : at + 20]
        what = (
            "a quote that is not closed" if rest[:1] in ("'", '"') else f"a word is missing before {rest!r}"
        )
        raise Unreadable(what if rest else "ends where a word is due")
    return word, at
