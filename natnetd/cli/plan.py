"""`natnetd plan`: what would change. Exit 0: nothing, 2: changes pending, 1: trouble."""

import argparse
import json
from pathlib import Path

from natnetd import config, words
from natnetd.cli.terminal import sign
from natnetd.codec import unpack
from natnetd.errors import HostError
from natnetd.host import ALL, Before, Snapshot, State
from natnetd.reconcile import decide


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take where the host is seen from, and how to print."""
    parser.add_argument("--snapshot", metavar="FILE", help="work from what `natnetd snapshot` printed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    """Decide, and print the decision."""
    wanted = config.load(asked.config)
    seen = recorded(Path(asked.snapshot)) if asked.snapshot else looked()
    judged, plan = decide(wanted, seen)
    shown = [str(change) for change in words.condensed(plan)]
    findings = [str(finding) for finding in judged.findings]
    if asked.json:
        print(json.dumps({"changes": shown, "findings": findings}, indent=1, ensure_ascii=False))
    else:
        for line in (*shown, *findings):
            print(sign(line))
        if not shown:
            print("nothing to do")
    if any(f.state is State.CONFLICT for f in judged.findings):
        return 1
    return 2 if plan else 0


def looked() -> Snapshot:
    """Look at the host. Raises HostError."""
    from natnetd.linux import open_host  # noqa: PLC0415  # a recorded snapshot needs no library

    return open_host().look(ALL, Before())


def recorded(path: Path) -> Snapshot:
    """Read a snapshot. Raises HostError: it is none."""
    try:
        seen: Snapshot = unpack(Snapshot, json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HostError(f"{path} is no snapshot as `natnetd snapshot` prints: {error}") from error
    return seen
