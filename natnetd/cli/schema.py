"""`natnetd schema`: the JSON Schema of the file."""

import argparse
import json

from natnetd.file.schema import json_schema


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take nothing."""


def run(asked: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
