"""`natnetd top [NETWORK]`: which guests move how much right now, the busiest first. Exit 0, or 1: trouble."""

import argparse
import json
import sys
import time
from datetime import datetime

from natnetd.cli import screen
from natnetd.cli.moved import Reader, packed, speeds
from natnetd.cli.terminal import paint, sign, table
from natnetd.guests import SORTS, Guest, ordered

KEYS = {name[0]: name for name in SORTS}
NUMBERS = range(3, 11)
SHORTEST, LONGEST = 0.1, 3600.0  # seconds


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take one network, how often to look, and how to print."""
    parser.add_argument("network", nargs="?", metavar="NETWORK", help="this one only")
    parser.add_argument(
        "--interval", type=seconds, default=2.0, metavar="SECONDS", help="how often to look: every 2 seconds"
    )
    parser.add_argument("--sort", choices=list(SORTS), default="bytes", help="what comes first")
    parser.add_argument("--once", action="store_true", help="look over one interval, print that and end")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def seconds(text: str) -> float:
    """Read an interval."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not SHORTEST <= number <= LONGEST:
        raise argparse.ArgumentTypeError(
            f"{text} is not a number of seconds from {SHORTEST:g} to {LONGEST:g}"
        )
    return number


def run(asked: argparse.Namespace) -> int:
    """Show it until somebody has seen enough; once, if nobody watches."""
    reader = Reader(asked.config, asked.network)
    rows = reader.take()
    if asked.once or asked.json or not sys.stdout.isatty():
        time.sleep(asked.interval)
        rows = ordered(reader.take(), asked.sort)
        whole = [packed(row, speed=True) for row in rows]
        print(json.dumps(whole, indent=1, ensure_ascii=False) if asked.json else page(reader, rows))
    elif screen.able():
        watch(reader, rows, asked)
    else:
        while True:
            print(page(reader, ordered(rows, asked.sort)), end="\n\n", flush=True)
            time.sleep(asked.interval)
            rows = reader.take()
    return 0


def watch(reader: Reader, rows: list[Guest], asked: argparse.Namespace) -> None:
    """Draw again whenever there is news, another size, or another order; q ends it."""
    sort, due = asked.sort, time.monotonic() + asked.interval
    with screen.Screen() as terminal:
        while True:
            head = f"{datetime.now().astimezone():%T}  every {asked.interval:g} s, by {sort}; {hint()}"
            terminal.draw([paint(head, "1"), "", *page(reader, ordered(rows, sort)).splitlines()])
            key = terminal.wait(due - time.monotonic())
            if key in ("q", "Q", "\x1b", "\x04"):
                return
            sort = KEYS.get(key.lower(), sort)
            if time.monotonic() >= due:
                rows, due = reader.take(), time.monotonic() + asked.interval


def hint() -> str:
    """Say which keys there are."""
    return ", ".join(f"{key} {name}" for key, name in KEYS.items()) + ", q ends it"


def page(reader: Reader, rows: list[Guest]) -> str:
    """Write the table; what is to be said of it comes first, for the page may be short."""
    lines = [sign(note) for note in reader.notes()]
    return "\n".join([*lines, *([""] if lines else []), table(speeds(rows), NUMBERS)])
