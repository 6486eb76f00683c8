"""`natnetd import [FILE]`: the way over from the how-to. Exit 0, 2 if something is not imported, or 1.

The file for natnetd goes to stdout, what is to be done to stderr.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from natnetd import config
from natnetd.errors import Complaint, ConfigError
from natnetd.linux.ifupdown import forwards, gather
from natnetd.linux.saved import in_force
from natnetd.moving.answer import Answer, answer
from natnetd.moving.places import visible
from natnetd.moving.saved import Saved
from natnetd.moving.site import Site
from natnetd.moving.told import told

INTERFACES = "/etc/network/interfaces"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take the file."""
    parser.add_argument("file", nargs="?", metavar="FILE", default=INTERFACES, help=f"default {INTERFACES}")


def run(asked: argparse.Namespace) -> int:
    """Read, translate and print; nothing is changed."""
    found = translated(Path(asked.file), in_force())
    print(found.text, end="", flush=True)
    print("\n".join(told(found)), file=sys.stderr)
    return 2 if found.missing else 0


def translated(path: Path, live: Sequence[Saved] | None) -> Answer:
    """Return the answer for a file and all that it sources. Raises NatnetdError: it cannot be read."""
    gathered = gather(path)
    found = answer(Site.of(gathered.pages, forwarding=forwards(path), live=live), complaints)
    found.missing += gathered.missing
    found.notes += gathered.notes
    found.text = f"{head(str(path))}\n{found.text}"
    return found


def head(path: str) -> str:
    """Return the first line of the file."""
    return f"# Made by natnetd import from {visible(path)}."


def complaints(text: str) -> Iterable[Complaint]:
    """Return what `natnetd check` would say."""
    try:
        config.parse(text, "-")
    except ConfigError as error:
        return error.complaints
    return ()
