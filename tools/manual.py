#!/usr/bin/python3
"""Writes natnetd.8 and natnetd.yaml.5 into a directory: tools/manual.py DIRECTORY.

What --help says comes from argparse, what the keys mean from docs/config.md, which is made from the
descriptions that the file's reader works by; the rest stands in packaging/man/.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import roff
import tree

from natnetd import __version__

HOME = Path(__file__).parents[1]
SOURCES = HOME / "packaging" / "man"


def main(directory: Path) -> None:
    """Write both pages, dated by SOURCE_DATE_EPOCH (seconds; https://reproducible-builds.org) or by today."""
    directory.mkdir(parents=True, exist_ok=True)
    date = time.strftime("%Y-%m-%d", time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    for title, section, markdown in (("natnetd", 8, commands()), ("natnetd.yaml", 5, file())):
        page = roff.page(title, section, date, __version__, markdown)
        (directory / f"{title}.{section}").write_text(page, "utf-8")


def commands() -> str:
    """Return the page about the commands, in Markdown."""
    top = tree.whole()
    told = tree.told(top)
    verbs = [about(name, verb, top, told[name]) for name, verb in tree.verbs(top)]
    shown = [f"`natnetd` {usage(name, verb, top)}" for name, verb in tree.verbs(top)]
    return filled(
        "natnetd.8.md",
        synopsis="\n\n".join(shown),
        verbs="\n\n".join(verbs),
        options=listed(tree.arguments(top)),
    )


def about(name: str, verb: argparse.ArgumentParser, top: argparse.ArgumentParser, told: str) -> str:
    """Return what is said of one verb."""
    below = tree.told(verb)
    lines = [f"### {usage(name, verb, top)}", f"{told[:1].upper()}{told[1:]}."]
    lines += [listed(tree.own(verb, top))]
    lines += [about(f"{name} {sub}", inner, top, below[sub]) for sub, inner in tree.verbs(verb)]
    return "\n\n".join(line for line in lines if line)


def usage(name: str, verb: argparse.ArgumentParser, top: argparse.ArgumentParser) -> str:
    """Return a verb with its arguments, as one types it."""
    words = [f"`{name}`"]
    for action in tree.own(verb, top):
        shown = spelt(action, action.option_strings[-1:])
        words.append(shown if action.required else f"[{shown}]")
    words += ["*VERB*"] if any(tree.verbs(verb)) else []
    return " ".join(words)


def spelt(action: argparse.Action, names: Sequence[str]) -> str:
    """Return an argument as one types it, by these of its names."""
    value = tree.value(action)
    return " ".join([", ".join(f"`{name}`" for name in names), f"*{value}*" if value else ""]).strip()


def listed(actions: list[argparse.Action]) -> str:
    """Return a table of arguments; empty if there are none."""
    rows = []
    for action in actions:
        meaning = action.help or ""
        shown = spelt(action, action.option_strings)
        rows.append(f"| {shown} | {meaning[:1].upper()}{meaning[1:]}. |")
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""


def file() -> str:
    """Return the page about the file, in Markdown: docs/config.md below its title."""
    written = (HOME / "docs" / "config.md").read_text("utf-8").partition("\n")[2]
    return filled("natnetd.yaml.5.md", **{"docs/config.md": written})


def filled(name: str, **parts: str) -> str:
    """Return a page with its parts in place of their marks. Raises ValueError: a mark is missing."""
    page = (SOURCES / name).read_text("utf-8")
    for mark, part in parts.items():
        if f"<!-- {mark} -->" not in page:
            raise ValueError(f"packaging/man/{name} has no place for {mark}")
        page = page.replace(f"<!-- {mark} -->", part)
    return page


if __name__ == "__main__":
    main(Path(sys.argv[1]))
