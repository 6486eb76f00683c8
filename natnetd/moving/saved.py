"""What iptables-save prints, as rules."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from natnetd.moving.places import Place
from natnetd.moving.rules import Rule, parse


@dataclass(frozen=True, slots=True)
class Saved:
    """One rule that is in force, and the program that edits it."""

    place: Place
    tool: str
    rule: Rule


def read(text: str, tool: str) -> Iterator[Saved]:
    """Yield the rules of one listing; `tool` is the program, like iptables-legacy."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            try:
                rule = parse((tool, "-t", table, *shlex.split(line)))
            except ValueError:  # a rule whose words we do not know is none of the how-to's
                continue
            yield Saved(Place(f"{tool}-save", number, number), tool, rule)
