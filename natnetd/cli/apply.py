"""`natnetd apply`: one pass. Exit 0, or 1 after a conflict or a failure."""

import argparse
import json
import sys
import time

from natnetd import config, words
from natnetd.cli.terminal import sign
from natnetd.errors import HostError
from natnetd.host import Host, State
from natnetd.linux import open_host
from natnetd.linux.lock import Lock
from natnetd.model import Config
from natnetd.reconcile import Pass, reconcile
from natnetd.report import Report
from natnetd.systemd import start_logging


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take --force."""
    parser.add_argument(
        "--force", action="store_true", help="also remove bridges that guests are plugged into"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    """Make one pass by the file."""
    wanted = config.load(asked.config)
    host = alone(asked, f"edit {asked.config}, which is applied at once, or `systemctl reload natnetd`")
    return told(once(wanted, host, force=asked.force), as_json=asked.json)


def alone(asked: argparse.Namespace, instead: str) -> Host:
    """Open the host as the only natnetd on it. Raises HostError: a daemon runs; use `instead`."""
    start_logging(asked.log_level)
    try:
        alone.lock = Lock()  # type: ignore[attr-defined]  # held until the process ends
    except HostError as error:
        hint = f": {instead}" if "keeps this host's networks" in str(error) else ""
        raise HostError(f"{error}{hint}") from error
    return open_host()


def once(wanted: Config, host: Host, *, force: bool) -> Report:
    """Make one pass. Raises HostError: the look failed."""
    report = reconcile(wanted, host, Pass(clock=time.monotonic, force=force))
    if report.blind:
        raise HostError(report.blind)
    return report


def told(report: Report, *, as_json: bool) -> int:
    """Print what was done."""
    shown = words.condensed(o.change for o in report.outcomes if o.error is None)
    failed = [f"{o.change}: {o.error}" for o in report.outcomes if o.error]
    findings = [str(f) for f in report.findings]
    if as_json:
        done = [str(change) for change in shown]
        print(
            json.dumps({"done": done, "failed": failed, "findings": findings}, indent=1, ensure_ascii=False)
        )
    else:
        for line in (*map(str, shown), *findings):
            print(sign(line))
        if not report.outcomes:
            print("nothing to do")
        for line in failed:
            print(f"natnetd: failed: {line}", file=sys.stderr)
    return int(bool(failed) or any(f.state is State.CONFLICT for f in report.findings))
