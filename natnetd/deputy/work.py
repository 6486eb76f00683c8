"""The closed list of what the deputy does, and one answer to one file of asks."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from natnetd.deputy import asks, files, instances
from natnetd.deputy.places import Places
from natnetd.deputy.register import register
from natnetd.errors import HostError


@dataclass(frozen=True, slots=True)
class Verb:
    """What it takes (raises RefusedError for anything else), and what it does: errors by name of network."""

    read: Callable[[Any], Any]
    work: Callable[[Any, Places], dict[str, str]]


VERBS = {
    "register": Verb(asks.entries, register),
    "dnsmasq": Verb(instances.read, instances.work),
}


def answer(raw: bytes, places: Places, verb: str = "register") -> bool:
    """Do what is asked, or nothing of it if anything is odd; write the answer. Returns whether all went well.

    Raises HostError: the answer cannot be written.
    """
    error = ""
    errors: dict[str, str] = {}
    try:
        told = asks.parse(raw, (verb,))
        work = [(name, VERBS[name].read(value)) for name, value in told.items()]
    except asks.RefusedError as reason:
        work, error = [], f"refused: {reason}"
    for name, value in work:
        try:
            errors |= VERBS[name].work(value, places)
        except HostError as reason:
            error = str(reason)
    for text in (error, *errors.values()):
        if text:
            say(text)
    told_back = {"asked": asks.digest(raw), "error": error, "errors": errors}
    files.keep(places.answer, json.dumps(told_back, indent=1).encode() + b"\n")
    return not error


def say(text: str, level: int = 3) -> None:
    """Write a line for the journal (sd-daemon(3)); 3 is an error."""
    print(f"<{level}>{text.encode('ascii', 'backslashreplace').decode()}", file=sys.stderr)  # noqa: T201
