"""`natnetd teardown`: removes all that is ours, also bridges with guests plugged in. Exit 0 or 1."""

import argparse

from natnetd.cli.apply import alone, once, told
from natnetd.model import Config


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take how to print."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    """Want nothing, and make it so."""
    host = alone(asked, "stop it first (`systemctl stop natnetd`), or it would make everything anew")
    return told(once(Config(), host, force=True), as_json=asked.json)
