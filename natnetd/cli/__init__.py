"""The command line: one small file for each verb, imported when it is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from types import ModuleType
from typing import NoReturn

from natnetd import __version__
from natnetd.errors import NatnetdError

DEFAULT_FILE = "/etc/natnetd.yaml"
USAGE = 64  # EX_USAGE of sysexits.h: 2 means "changes pending" here

VERBS = {
    "run": "keep the networks true: what the service does",
    "check": "say whether a file is good; needs no privileges",
    "plan": "show what would change",
    "apply": "make one pass: change what differs",
    "status": "show networks, states, findings and drift",
    "top": "show which guests move how much right now",
    "leases": "show who has which address, and whether it answers",
    "quarantine": "cut a guest off at once",
    "release": "let a guest that was cut off in again",
    "snapshot": "print what is seen of the host, as JSON",
    "teardown": "remove all that natnetd made",
    "schema": "print the JSON Schema of the file",
    "import": "print the file for what /etc/network/interfaces does; changes nothing",
    "lab": "show it all in a private world that leaves this machine's network alone",
}

PACKAGES = {
    "pyroute2": "python3-pyroute2",
    "nftables": "python3-nftables",
    "yaml": "python3-yaml",
    "systemd": "python3-systemd",
    "prometheus_client": "python3-prometheus-client",
}


class Parser(argparse.ArgumentParser):
    """argparse, but for the exit code of a usage error."""

    def error(self, message: str) -> NoReturn:
        """Say how it is used."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def module_of(verb: str) -> ModuleType:
    """Import a verb's file; one that is a word of Python has an underscore after it."""
    return import_module(f"natnetd.cli.{verb}{'_' if iskeyword(verb) else ''}")


def parser(argv: Sequence[str]) -> Parser:
    """Make the parser; only the verb that was asked for brings its own arguments."""
    everywhere = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    everywhere.add_argument("--config", metavar="FILE", help=f"the configuration (default {DEFAULT_FILE})")
    everywhere.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        help="how much to log; debug prints each nft text",
    )
    top = Parser(
        prog="natnetd", description="Internal networks with NAT that stay true.", parents=[everywhere]
    )
    top.add_argument("--version", action="version", version=f"natnetd {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    asked = next((word for word in argv if word in VERBS), None)
    for name, told in VERBS.items():
        about = f"{told[0].upper()}{told[1:]}."
        sub = verbs.add_parser(name, help=told, description=about, parents=[everywhere])
        if name == asked:
            module_of(name).arguments(sub)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):  # names of interfaces may be any bytes, and a terminal any age
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        asked = parser(words).parse_args(words, argparse.Namespace(config=DEFAULT_FILE, log_level="info"))
        code: int = module_of(asked.verb).run(asked)
        sys.stdout.flush()
    except NatnetdError as error:
        print("\n".join(f"natnetd: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in PACKAGES:
            raise
        print(f"natnetd: cannot import {name}: install the package {PACKAGES[name]}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code
