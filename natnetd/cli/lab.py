"""`natnetd lab`: the demo world."""

import argparse
import signal
from pathlib import Path

from natnetd.errors import HostError
from natnetd.lab.show import perform


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take whether it stays."""
    parser.add_argument("--keep", action="store_true", help="leave it up for exploring, until Ctrl-C")


def run(asked: argparse.Namespace) -> int:
    """Perform. Raises HostError: not root, or something did not come in time."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return perform(Path(asked.config), keep=asked.keep)
    except PermissionError as error:
        raise HostError("the lab makes network namespaces: run it as root (sudo)") from error
    except (TimeoutError, ValueError) as error:
        raise HostError(str(error)) from error
