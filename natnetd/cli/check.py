"""`natnetd check [FILE]`: is the file good? Exit 0 or 1."""

import argparse

from natnetd import config


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take the file."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="instead of --config")


def run(asked: argparse.Namespace) -> int:
    """Read it; errors are raised and printed with their places."""
    path = asked.file or asked.config
    count = len(config.load(path).networks)
    print(f"{path}: good, {count} network{'' if count == 1 else 's'}")
    return 0
