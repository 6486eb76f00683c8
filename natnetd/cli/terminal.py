"""Output for people: colour on a terminal only, columns, sizes."""

import os
import sys
from collections.abc import Container, Sequence

COLOURS = {"+": "32", "-": "31", "~": "33", "!": "31", "?": "33", "i": "36"}
BOLD = "1"


def coloured() -> bool:
    """Whether to use colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, code: str) -> str:
    """Colour a text, if at all."""
    return f"\x1b[{code}m{text}\x1b[0m" if coloured() and code else text


def sign(line: str) -> str:
    """Colour a line by its sign."""
    return paint(line, COLOURS.get(line[:1], ""))


def table(rows: Sequence[Sequence[str]], numbers: Container[int] = ()) -> str:
    """Align columns, those of `numbers` to the right; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    aligned = [
        [
            cell.rjust(w) if i in numbers else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    lines = ["  ".join(row).rstrip() for row in aligned]
    return "\n".join([paint(lines[0], BOLD), *lines[1:]])


def size(count: float) -> str:
    """Write a number of bytes with a binary prefix."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
