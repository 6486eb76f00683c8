"""`python -m bench [TOPIC ...]`: measure and print one page."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from bench.figures import Row
from bench.page import Page
from bench.place import Asked, as_in_unit
from bench.shares import USUAL, Shares
from natnetd.lab.sandbox import private

TOPICS = ("repair", "converge", "rest", "busy", "fight", "served", "forwards", "packets", "lost", "growth")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure natnetd; needs root.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}; all if none")
    parser.add_argument("--sizes", default="1,1000", help="networks: 1,1000")
    parser.add_argument("--runs", type=int, default=50, help="runs of what is quick: 50")
    parser.add_argument("--brief", action="store_true", help="only the first row of a topic, to try it out")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    asked = parser.parse_args()
    if unknown := set(asked.topics) - set(TOPICS):
        parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    return asked


def main() -> int:
    """Measure."""
    given = arguments()
    if os.geteuid() != 0:
        print("bench: needs root, for it makes network namespaces", file=sys.stderr)
        return 1
    sizes = tuple(int(size) for size in given.sizes.split(","))
    weight = int(as_in_unit("CPUWeight"))
    shares = Shares({"natnetd": weight, "eye": weight, "dnsmasq": USUAL})
    asked = Asked(private(), sizes, given.runs, given.brief, shares)
    page = Page()
    for topic in given.topics or TOPICS:
        for row in measure(topic)(asked):
            page.add(row)
        if given.write:  # after each topic: whoever stops it keeps what there is
            page.write()
    page.end()
    return 0


def measure(topic: str) -> Callable[[Asked], Iterator[Row]]:
    """Find a topic's function."""
    found: Mapping[str, Callable[[Asked], Iterator[Row]]] = vars(import_module(f"bench.{topic}"))
    return found["rows"]


if __name__ == "__main__":
    sys.exit(main())
