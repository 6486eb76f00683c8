"""Markdown to man(7), as far as our own pages go: headings, paragraphs, lists, tables, code.

Own code, since no converter that Debian 12 and 13 both have writes pages without warnings of groff or mandoc.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

ESCAPES = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"})
PROSE = str.maketrans({"\\": "\\e", "^": "\\(ha", "~": "\\(ti"})
SPAN = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<slanted>[^*]+)\*|\[(?P<link>[^]]+)\]\([^)]*\)|"
    r"(?P<page>\b[a-z][\w.-]*)(?P<section>\(\d\))|(?P<option>(?<![\w-])--[a-z][\w-]*)|(?P<dash> - )"
)
HEADS = (".SH", ".SS")


def page(title: str, section: int, date: str, version: str, markdown: str) -> str:
    """Return a manual page; `date` as in 2026-11-24."""
    head = f'.TH {title.upper()} {section} {date} "natnetd {version}" "natnetd"'
    # A heading begins a paragraph by itself.
    lines = pairwise(["", head, *body(markdown)])
    kept = [line for before, line in lines if not (line == ".PP" and before[:3] in HEADS)]
    return "\n".join(kept) + "\n"


def body(markdown: str) -> Iterator[str]:
    """Yield the lines of a page."""
    for block in blocks(markdown):
        first = block[0]
        if first.startswith("## "):
            yield f'.SH "{inline(first[3:]).upper() if "`" not in first else inline(first[3:])}"'
        elif first.startswith("### "):
            yield f'.SS "{inline(first[4:])}"'
        elif first.startswith("```"):
            yield from (".PP", ".RS 4", ".EX", *(literal(line) for line in block[1:-1]), ".EE", ".RE")
        elif first.startswith("|"):
            yield from table(block)
        elif first.startswith("- "):
            yield from bullets(block)
        else:
            yield from (".PP", text(" ".join(block)))


def blocks(markdown: str) -> Iterator[list[str]]:
    """Yield headings, fenced code, and what empty lines part; comments are left out."""
    block: list[str] = []
    fenced = False
    for line in re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL).splitlines():
        if line.startswith("```"):
            fenced = not fenced
            block.append(line)
        elif fenced or (line.strip() and not line.startswith("#")):
            block.append(line)
        else:
            if block:
                yield block
            block = []
            if line.startswith("#"):
                yield [line]
    if block:
        yield block


def table(rows: list[str]) -> Iterator[str]:
    """Yield a table of two columns as tagged paragraphs; its head and rule are for Markdown only."""
    for row in rows[2:]:
        tag, words = (cell.strip() for cell in row.strip("|").split("|", 1))
        yield from (".TP", text(tag), text(words))


def bullets(lines: list[str]) -> Iterator[str]:
    """Yield the items of a list."""
    for item in "\n".join(lines).removeprefix("- ").split("\n- "):
        yield from (".IP \\(bu 2", text(" ".join(item.split())))


def text(words: str) -> str:
    """Return a line of prose."""
    return safe(inline(words))


def literal(line: str) -> str:
    """Return a line of code as it is."""
    return safe(line.translate(ESCAPES))


def inline(words: str) -> str:
    """Return prose with its marks turned into fonts."""
    parts, at = [], 0
    for match in SPAN.finditer(words):
        parts += [words[at : match.start()].translate(PROSE), span(match)]
        at = match.end()
    return "".join(parts) + words[at:].translate(PROSE)


def span(match: re.Match[str]) -> str:
    """Return one marked piece; a dash with spaces around parts a name from what it is (man-pages(7))."""
    if match["dash"]:
        return " \\- "
    if match["link"]:
        return inline(match["link"])
    font = "I" if match["slanted"] else "B"
    inner = match["code"] or match["strong"] or match["slanted"] or match["page"] or match["option"]
    return f"\\f{font}{inner.translate(ESCAPES)}\\fR{match['section'] or ''}"


def safe(line: str) -> str:
    """Keep a line from being taken for a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line
