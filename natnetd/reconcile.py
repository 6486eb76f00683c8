"""One pass: look, judge, plan, apply, report."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from natnetd.errors import HostError
from natnetd.host import ALL, Before, Hint, Host, Layer, Scope, Snapshot, Trouble
from natnetd.judge import Judged, judge
from natnetd.kinds import KINDS
from natnetd.model import Config
from natnetd.plan import Change, Plan, make_plan, phases
from natnetd.report import Outcome, Reason, Report
from natnetd.rows import Element

FIRST_RETRY = 0.1  # seconds, doubling
LAST_RETRY = 60.0


def decide(config: Config, seen: Snapshot, scope: Scope = ALL) -> tuple[Judged, Plan]:
    """Say what stands in the way and what is to be done: pure, the same for plan, apply and the daemon."""
    judged = judge(config, seen) if sees_links(scope) else recall(config, seen.before)
    plan = make_plan(KINDS, judged.config, seen, scope)
    return judged, tuple(c for c in plan if c.network not in judged.conflicted)


def widened(scope: Scope, config: Config) -> Scope:
    """Look at every link if one is in question that no network wants.

    Whether it may go depends on who is plugged into it, which a narrow look does not see.
    """
    strange = scope.networks is not None and not scope.networks <= config.networks.keys()
    if strange and scope.layers - {Layer.NFT}:
        return replace(scope, networks=None, layers=scope.layers | {Layer.LINK})
    return scope


def sees_links(scope: Scope) -> bool:
    """Say whether a look within this scope is wide enough to judge by."""
    return scope.networks is None and Layer.LINK in scope.layers


def recall(config: Config, before: Before) -> Judged:
    """Judge as the last wide enough look did: this one was at something else."""
    return Judged.of(config, before.findings)


def hint(config: Config, scope: Scope) -> Hint:
    """Name what a narrow look must ask for: what would be wanted of a host with nothing on it."""
    elements: tuple[Element, ...] = ()
    if scope.networks is not None and Layer.NFT in scope.layers:
        filled = replace(scope, layers=frozenset({Layer.NFT}), host=False)
        wanted = make_plan(KINDS, config, Snapshot(), filled)
        elements = tuple(c.want for c in wanted if isinstance(c.want, Element))
    return Hint(elements, config.all.ways)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass is asked: its reason, where to look, what travels; `clock` tells monotonic seconds."""

    reason: Reason = Reason.COMMAND
    scope: Scope = ALL
    before: Before = field(default_factory=Before)
    clock: Callable[[], float] = lambda: 0.0
    force: bool = False


def reconcile(config: Config, host: Host, asked: Pass) -> Report:
    """Bring the host closer to the configuration.

    A change that fails does not stop the others: each pass starts from a fresh look, so whatever is
    missing is planned again.
    """
    start = asked.clock()
    asked = replace(asked, scope=widened(asked.scope, config))
    try:
        seen = host.look(asked.scope, asked.before, hint(config, asked.scope))
    except HostError as error:
        return Report(asked.reason, asked.scope, Snapshot(before=asked.before), blind=str(error))
    judged, plan = decide(config, seen.unplugged() if asked.force else seen, asked.scope)
    todo = tuple(c for c in plan if due(c, asked, start))
    late = tuple(c for c in plan if not due(c, asked, start))
    outcomes = apply(todo, host, asked.clock, start)
    before = replace(after(asked, outcomes, late), findings=judged.findings)
    took = asked.clock() - start
    return Report(
        asked.reason, asked.scope, replace(seen, before=before), judged.findings, outcomes, late, took=took
    )


def apply(plan: Plan, host: Host, clock: Callable[[], float], start: float) -> tuple[Outcome, ...]:
    """Make changes, batch by batch; say how each one ended."""
    outcomes: list[Outcome] = []
    for layer, batch in phases(KINDS, plan):
        errors = host.doors[layer].apply(batch)
        took = clock() - start
        outcomes += [Outcome(c, str(e) if e else None, took) for c, e in zip(batch, errors, strict=True)]
    return tuple(outcomes)


def due(change: Change[Any], asked: Pass, now: float) -> bool:
    """Say whether a change is tried now: one that failed waits, unless somebody asked for it."""
    trouble = asked.before.troubles.get(change.name)
    return trouble is None or now >= trouble.retry_at or asked.reason in (Reason.RELOAD, Reason.COMMAND)


def after(
    asked: Pass,
    outcomes: Iterable[Outcome],
    late: Iterable[Change[Any]],
    jitter: Callable[[], float] = random.random,
) -> Before:
    """Keep for the next pass what cannot be looked up: who failed, and until when to leave it alone."""
    before, now = asked.before, asked.clock()
    tried = {o.change.name for o in outcomes}
    unseen = asked.scope != ALL
    kept = {n: t for n, t in before.troubles.items() if unseen and n not in tried}
    kept |= {c.name: before.troubles[c.name] for c in late}
    for outcome in outcomes:
        name = outcome.change.name
        if outcome.error is not None:
            kept[name] = again(before.troubles.get(name), outcome, now, jitter)
    stuck = {name.partition(" on ")[2] or name.partition(" ")[2] for name in kept}
    ports = {bridge: ports for bridge, ports in before.ports.items() if bridge in stuck}
    return replace(before, troubles=kept, ports=ports)


def again(last: Trouble | None, outcome: Outcome, now: float, jitter: Callable[[], float]) -> Trouble:
    """Back off: 0.1 s doubling to 60 s, with up to a tenth of jitter."""
    failures = 1 if last is None else last.failures + 1
    pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 16)) * (1 + jitter() / 10)
    return Trouble(failures, outcome.error or "", now + pause, outcome.change.network)
