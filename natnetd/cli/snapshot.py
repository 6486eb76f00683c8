"""`natnetd snapshot`: what is seen of the host, as JSON that `plan --snapshot` works from."""

import argparse
import json

from natnetd.codec import pack
from natnetd.host import ALL, Before
from natnetd.linux import open_host


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take nothing."""


def run(asked: argparse.Namespace) -> int:
    """Look once and print it."""
    seen = open_host().look(ALL, Before())
    print(json.dumps(pack(seen), indent=1, ensure_ascii=False))
    return 0
