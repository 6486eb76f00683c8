"""One pass: look, judge, plan, apply, report."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from natnetd.errors import HostError
from natnetd.host import ALL, Before, Host, Layer, Scope, Snapshot, Trouble
from natnetd.judge import Judged, judge
from natnetd.kinds import KINDS
from natnetd.model import Config
from natnetd.plan import Change, Plan, make_plan, phases
from natnetd.report import Outcome, Reason, Report

FIRST_RETRY = 0.1  # seconds, doubling
LAST_RETRY = 60.0


def decide(config: Config, seen: Snapshot, scope: Scope = ALL) -> tuple[Judged, Plan]:
    """Say what stands in the way and what is to be done: pure, the same for plan, apply and the daemon."""
    judged = judge(config, seen) if sees_links(scope) else recall(config, seen.before)
    plan = make_plan(KINDS, judged.config, seen, scope)
    return judged, tuple(c for c in plan if c.network not in judged.conflicted)


def sees_links(scope: Scope) -> bool:
    """Say whether a look within this scope is wide enough to judge by."""
    return scope.networks is None and Layer.LINK in scope.layers


def recall(config: Config, before: Before) -> Judged:
    """Judge as the last wide enough look did: this one was at something else."""
    return Judged.of(config, before.findings)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass is asked: its reason, where to look, what travels, and the time (monotonic seconds)."""

    reason: Reason = Reason.COMMAND
    scope: Scope = ALL
    before: Before = Before()  # noqa: RUF009  # a frozen value
    now: float = 0.0
    force: bool = False


def reconcile(config: Config, host: Host, asked: Pass) -> Report:
    """Bring the host closer to the configuration.

    A change that fails does not stop the others: each pass starts from a fresh look, so whatever is
    missing is planned again.
    """
    try:
        seen = host.look(asked.scope, asked.before)
    except HostError as error:
        return Report(asked.reason, asked.scope, Snapshot(before=asked.before), blind=str(error))
    judged, plan = decide(config, seen.unplugged() if asked.force else seen, asked.scope)
    todo = [c for c in plan if due(c, asked)]
    late = tuple(c for c in plan if not due(c, asked))
    outcomes = apply(todo, host)
    before = replace(after(asked, outcomes, late), findings=judged.findings)
    seen = replace(seen, before=before)
    return Report(asked.reason, asked.scope, seen, judged.findings, outcomes, late)


def apply(plan: Iterable[Change[Any]], host: Host) -> tuple[Outcome, ...]:
    """Make changes, batch by batch; say how each one ended."""
    outcomes: list[Outcome] = []
    for layer, _builds, batch in phases(tuple(plan)):
        errors = host.doors[layer].apply(batch)
        outcomes += [Outcome(c, e and str(e)) for c, e in zip(batch, errors, strict=True)]
    return tuple(outcomes)


def due(change: Change[Any], asked: Pass) -> bool:
    """Say whether a change is tried now: one that failed waits, unless somebody asked for it."""
    trouble = asked.before.troubles.get(change.name)
    return trouble is None or asked.now >= trouble.retry_at or asked.reason in (Reason.RELOAD, Reason.COMMAND)


def after(
    asked: Pass,
    outcomes: Iterable[Outcome],
    late: Iterable[Change[Any]],
    jitter: Callable[[], float] = random.random,
) -> Before:
    """Keep for the next pass what cannot be looked up: who failed, and until when to leave it alone."""
    before = asked.before
    troubles = {c.name: before.troubles[c.name] for c in late}
    for outcome in outcomes:
        if outcome.error is not None:
            troubles[outcome.change.name] = again(before.troubles.get(outcome.change.name), outcome.error, asked.now, jitter)
    out_of_sight = {name: t for name, t in before.troubles.items() if asked.scope != ALL and name not in troubles}
    tried = {o.change.name for o in outcomes}
    kept: Mapping[str, Trouble] = {n: t for n, t in out_of_sight.items() if n not in tried} | troubles
    stuck = {name.partition(" on ")[2] or name.partition(" ")[2] for name in kept}
    ports = {bridge: ports for bridge, ports in before.ports.items() if bridge in stuck}
    return replace(before, troubles=kept, ports=ports)


def again(last: Trouble | None, text: str, now: float, jitter: Callable[[], float]) -> Trouble:
    """Back off: 0.1 s doubling to 60 s, with up to a tenth of jitter."""
    failures = 1 if last is None else last.failures + 1
    pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 16)) * (1 + jitter() / 10)
    return Trouble(failures, text, now + pause)
