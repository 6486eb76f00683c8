"""`natnetd check [FILE]`: is the file good, with its drop-ins? Exit 0 or 1."""

import argparse

from natnetd import config
from natnetd.file.sources import gather


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take the file."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="instead of --config")


def run(asked: argparse.Namespace) -> int:
    """Read it; errors are raised and printed with their places."""
    path = asked.file or asked.config
    read = config.understand(gather(path))
    count, files = len(read.config.networks), len(read.texts)
    told = f", read from {files} files" if files > 1 else ""
    print(f"{path}: good, {count} network{'' if count == 1 else 's'}{told}")
    return 0
