"""Reports in words: one line for each change, the same in the log and on the terminal."""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer
from natnetd.plan import Change
from natnetd.report import Outcome, Reason, Report
from natnetd.rows import Element, Table

MANY = 100


def condensed(changes: Iterable[Change[Any]]) -> list[Change[Any]]:
    """Leave out the elements of a table that is made or removed as a whole: they go without saying."""
    all_ = list(changes)
    whole = {c.want is None for c in all_ if isinstance(c.want or c.have, Table) and None in (c.want, c.have)}
    return [c for c in all_ if not (isinstance(c.want or c.have, Element) and (c.want is None) in whole)]


def lines(report: Report) -> list[tuple[Outcome, str]]:
    """Tell what a pass did: each drift with who caused it and how soon it was repaired."""
    told = {id(c) for c in condensed(o.change for o in report.outcomes)}
    shown = [o for o in report.outcomes if not o.overtaken and (id(o.change) in told or o.error)]
    return [(outcome, line(report, outcome)) for outcome in shown]


def line(report: Report, outcome: Outcome) -> str:
    """Tell one outcome."""
    drift = report.reason in (Reason.EVENT, Reason.VERIFY)
    subject = "drift" if drift else str(report.reason)
    who = f" ({by(report, outcome.change)})" if drift and by(report, outcome.change) else ""
    if outcome.error:
        return f"{subject}: {outcome.change}{who}; failed: {outcome.error}"
    end = f"repaired in {spell(outcome.after)}" if drift else f"done after {spell(outcome.after)}"
    return f"{subject}: {outcome.change}{who}; {end}"


def by(report: Report, change: Change[Any]) -> str:
    """Say who caused a drift, where the kernel tells: for nftables it does."""
    if change.layer is not Layer.NFT or not report.culprits:
        return ""
    verb = {"missing": "deleted", "modified": "changed", "foreign": "added"}[change.sort]
    return f"was {verb} by {', '.join(map(str, report.culprits[:3]))}"


def spell(seconds: float) -> str:
    """Write a duration as people do."""
    if seconds < 0.1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
