"""`natnetd status [NETWORK]`. Exit 0: all in sync, 2: not, 1: trouble. Works without the daemon too."""

import argparse
import json
import signal
import sys
import time
from dataclasses import replace
from datetime import datetime

from natnetd import config, status
from natnetd.cli.terminal import paint, sign, size, table
from natnetd.errors import ConfigError, HostError
from natnetd.host import ALL, Before, State
from natnetd.reconcile import decide
from natnetd.report import Reason, Report, Traffic
from natnetd.state import runtime_directory

REFRESH = 2.0  # seconds
HEAD = ("NETWORK", "STATE", "ADDRESSES", "WAY OUT", "GUESTS", "SENT", "RECEIVED", "DESCRIPTION")
CLEAR = "\x1b[H\x1b[2J"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take one network, and how to print."""
    parser.add_argument("network", nargs="?", metavar="NETWORK", help="this one only")
    parser.add_argument("--watch", action="store_true", help=f"again every {REFRESH:.0f} seconds")
    parser.add_argument(
        "--guests", action="store_true", help="with what each guest moved, where it is counted"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    """Show it once, or for as long as somebody watches; an interrupt counts between two looks."""
    if asked.watch:  # in the middle of a look a library may swallow it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    while True:
        now = found(asked)
        text = with_guests(asked, now) if asked.guests else printed(asked, now)
        print(CLEAR + text if asked.watch and sys.stdout.isatty() else text, flush=True)
        if not asked.watch:
            return code(now)
        if signal.sigtimedwait({signal.SIGINT}, REFRESH):
            raise KeyboardInterrupt


def printed(asked: argparse.Namespace, now: status.Status) -> str:
    """Write it as it was asked for."""
    return status.text(now, indent=1).rstrip() if asked.json else shown(now)


def with_guests(asked: argparse.Namespace, now: status.Status) -> str:
    """Add what guests moved, which the kernel tells to root only. Raises HostError."""
    from natnetd.cli.moved import (  # noqa: PLC0415  # nothing else needs what it imports
        Reader,
        packed,
        totals,
    )

    reader = Reader(asked.config, asked.network)
    rows = reader.guests()
    reader.close()
    if asked.json:
        whole = json.loads(status.text(now)) | {"guests": [packed(row) for row in rows]}
        return json.dumps(whole, ensure_ascii=False, indent=1)
    return "\n".join([shown(now), "", totals(rows), *reader.notes()])


def code(now: status.Status) -> int:
    """Choose the exit code."""
    if now.blind or now.file_error:
        return 1
    return 0 if now.in_sync else 2


def found(asked: argparse.Namespace) -> status.Status:
    """Ask the daemon's file, or the host itself. Raises HostError, also for an unknown network."""
    now = published() or looked(asked.config)
    if asked.network is None:
        return now
    kept = tuple(n for n in now.networks if n.name == asked.network)
    if not kept:
        known = ", ".join(n.name for n in now.networks) or "none"
        raise HostError(f"there is no network {asked.network} (known: {known})")
    findings = tuple(f for f in now.findings if f.network in (None, asked.network))
    return replace(now, networks=kept, findings=findings)


def published() -> status.Status | None:
    """What the daemon that runs here wrote; None without one."""
    from natnetd.linux.lock import holder  # noqa: PLC0415  # a status file needs no libnftables

    pid = holder()
    if pid is None:
        return None
    try:
        now = status.read(runtime_directory() / "status.json")
    except HostError:
        return None
    return now if now.pid == pid else None


def looked(path: str) -> status.Status:
    """Look at the host; what would change is pending. Without a good file there is nothing to compare."""
    from natnetd.linux import open_host  # noqa: PLC0415

    try:
        wanted = config.load(path)
    except ConfigError as error:
        return status.Status(at=time.time(), file=path, file_error=str(error))
    seen = open_host().look(ALL, Before())
    judged, plan = decide(wanted, seen)
    report = Report(Reason.COMMAND, seen=seen, findings=judged.findings)
    table_ = seen.table
    total = (
        Traffic()
        if table_ is None
        else Traffic({e.name: e.count for e in table_.elements.values() if e.count}, table_.drops)
    )
    networks = [
        n
        if n.state is not State.IN_SYNC or not any(c.network in (n.name, None) for c in plan)
        else pending(n)
        for n in status.networks(wanted, report, seen.links, total)
    ]
    return status.Status(
        at=time.time(),
        file=path,
        networks=tuple(networks),
        findings=judged.findings,
        dropped=total.dropped,
    )


def pending(network: status.NetworkStatus) -> status.NetworkStatus:
    """A network that a pass would change."""
    return replace(network, state=State.PENDING, why=(*network.why, "see natnetd plan"))


def shown(now: status.Status) -> str:
    """Write it for people."""
    who = (
        f"natnetd[{now.pid}] keeps {now.file} true"
        if now.pid
        else "no daemon is running: this is a look at the host"
    )
    lines = [paint(f"{who}: {now.line}", "1")]
    lines += [f"! {line}" for line in now.file_error.splitlines()]
    if now.networks:
        rows = [
            (
                n.name + (" (adopted)" if n.adopted else ""),
                n.state.replace("_", " "),
                ", ".join(n.addresses),
                n.way_out,
                str(n.guests),
                size(n.sent.bytes),
                size(n.received.bytes),
                n.description,
            )
            for n in now.networks
        ]
        lines += ["", table([HEAD, *rows])]
    told = [str(f) for f in now.findings]
    told += [f"! failed {n.name}: {why}" for n in now.networks if n.state is State.FAILED for why in n.why]
    if told:
        lines += ["", *map(sign, dict.fromkeys(told))]
    drops = ", ".join(f"{reason} {count}" for reason, count in sorted(now.dropped.items()) if count)
    if drops:
        lines += ["", f"packets dropped: {drops}"]
    if now.drifts:
        lines += ["", *(f"{datetime.fromtimestamp(d.at).astimezone():%F %T}  {d.text}" for d in now.drifts)]
    return "\n".join(lines)
