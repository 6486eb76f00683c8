"""When to leave a thing alone for a while: it failed, or somebody keeps undoing it. Pure.

What fails is tried again after 0.1 s, doubling to 60 s. What drifts is repaired at once, but not for
ever: each thing has a bucket of tokens, and a repair takes one.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from natnetd.host import Before, Bout, Finding, Layer, Scope, State, Trouble
from natnetd.plan import Change, Plan
from natnetd.report import Outcome, Reason
from natnetd.rows import Block, Element, Table

FIRST_RETRY = 0.1  # seconds, doubling
LAST_RETRY = 60.0
BURST = 10.0  # repairs of one thing that follow each other at once
RATE = 1.0  # repairs a second after that
PEACE = BURST / 2
"""With so many tokens back, a fight is over."""

NOWHERE = Scope(frozenset(), frozenset(), host=False)
REPAIRS = frozenset({Reason.EVENT, Reason.VERIFY, Reason.RETRY})


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a plan is done now, what waits, and what the buckets are left with."""

    todo: Plan
    late: Plan
    before: Before


def choose(plan: Plan, before: Before, reason: Reason, now: float, by: str = "") -> Choice:
    """Leave out what waits. What somebody asked for is done at once. `by` is who caused the drift."""
    if reason not in REPAIRS:
        return Choice(plan, (), before)
    aged = {name: older(bout, now) for name, bout in before.bouts.items()}
    bouts = {name: bout for name, bout in aged.items() if bout.tokens < BURST}
    held = {c.name: before.troubles[c.name] for c in plan if waits(c, before, now)} if before.troubles else {}
    for change in charged(plan):
        if change.name in held:
            continue
        bout = bouts.get(change.name, Bout(BURST, now, change.network))
        bout = replace(bout, by=by or bout.by)
        if bout.tokens >= 1:
            bouts[change.name] = replace(bout, tokens=bout.tokens - 1)
        else:
            bouts[change.name] = replace(bout, fought=True)
            held[change.name] = contested(change, now + (1 - bout.tokens) / RATE)
    if not held:
        return Choice(plan, (), replace(before, bouts=bouts))
    held = dict(together(plan, held))
    wrong = {part for c in plan if c.name in held for part in sets_of(c)}
    late = tuple(c for c in plan if c.name in held or (isinstance(c.want, Element) and c.want.set in wrong))
    names = {c.name for c in late}
    todo = tuple(c for c in plan if c.name not in names) if late else plan
    return Choice(todo, late, replace(before, bouts=bouts, troubles={**before.troubles, **held}))


def waits(change: Change[Any], before: Before, now: float) -> bool:
    """Say whether a change failed or was held back, and its time has not come."""
    trouble = before.troubles.get(change.name)
    return trouble is not None and now < trouble.retry_at


def together(plan: Plan, held: Mapping[str, Trouble]) -> Mapping[str, Trouble]:
    """If some of our table's structure is due then all of it is: its parts need each other.

    One by one they would fail for ever: a set of another type, say, that a missing chain asks, or two
    chains to be removed of which one jumps to the other.
    """
    making = [c for c in plan if isinstance(c.want, Block | Table)]
    removing = [c for c in plan if c.want is None and isinstance(c.have, Block)]
    parts: set[str] = set()
    if any(c.name not in held for c in making):
        parts |= {c.name for c in plan if isinstance(c.want, Block | Table | Element)}
    if any(c.name not in held for c in removing):
        parts |= {c.name for c in removing}
    return {name: trouble for name, trouble in held.items() if name not in parts}


def refilled(bout: Bout, now: float) -> float:
    """Tokens in a bucket by now."""
    return min(BURST, bout.tokens + (now - bout.at) * RATE)


def older(bout: Bout, now: float) -> Bout:
    """A bucket as it is by now; with peace the fight is forgotten."""
    tokens = refilled(bout, now)
    return replace(bout, tokens=tokens, at=now, fought=bout.fought and tokens < PEACE)


def whole_table(change: Change[Any]) -> bool:
    """Say whether a change makes our table as a whole."""
    return isinstance(change.want, Table) and change.have is None


def sets_of(change: Change[Any]) -> Iterable[str]:
    """Name the sets and maps that a change makes: their elements wait for it."""
    want = change.want
    blocks = want.blocks if isinstance(want, Table) else [want.name] if isinstance(want, Block) else ()
    return [name.split()[1] for name in blocks if not name.startswith("chain ")]


def charged(plan: Plan) -> Iterable[Change[Any]]:
    """What a repair takes a token for: a table that is made anew stands for all its elements."""
    if not any(whole_table(change) for change in plan):
        return plan
    return [change for change in plan if not isinstance(change.want, Element)]


def contested(change: Change[Any], until: float) -> Trouble:
    """Hold a change back in a fight."""
    return trouble(0, "somebody keeps undoing it", until, change, State.CONTESTED)


def trouble(
    failures: int, text: str, until: float, change: Change[Any], state: State = State.FAILED
) -> Trouble:
    """Note that a change waits."""
    row = change.want or change.have
    touched = frozenset({(row.set, row.key)} if isinstance(row, Element) else ())
    return Trouble(failures, text, until, change.network, change.layer, state, touched)


def remember(
    asked_of: Before,
    scope: Scope,
    outcomes: Iterable[Outcome],
    late: Iterable[Change[Any]],
    now: float,
    jitter: Callable[[], float] = random.random,
) -> Before:
    """Keep who failed and until when to leave it alone; what a look found at rest is forgiven."""
    tried = {o.change.name: o for o in outcomes}
    late_names = {c.name for c in late}
    old = asked_of.troubles
    kept = {n: t for n, t in old.items() if n in late_names or (n not in tried and not seen(t, scope))}
    for name, outcome in tried.items():
        if outcome.error is not None and not outcome.overtaken:
            kept[name] = again(old.get(name), outcome, now, jitter)
    stuck = {name.partition(" on ")[2] or name.partition(" ")[2] for name in kept}
    ports = {bridge: ports for bridge, ports in asked_of.ports.items() if bridge in stuck}
    return replace(asked_of, troubles=kept, ports=ports)


def seen(waiting: Trouble, scope: Scope) -> bool:
    """Whether a look has covered a thing that waits; a narrow one sees only elements it asks for by name."""
    wide = scope.host or scope.networks is None
    return waiting in scope and (wide or waiting.touched <= scope.touched)


def again(last: Trouble | None, outcome: Outcome, now: float, jitter: Callable[[], float]) -> Trouble:
    """Back off: 0.1 s doubling to 60 s, with up to a tenth of jitter."""
    failures = 1 if last is None else last.failures + 1
    pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 16)) * (1 + jitter() / 10)
    return trouble(failures, outcome.error or "", now + pause, outcome.change)


def fights(bouts: Mapping[str, Bout], now: float) -> tuple[Finding, ...]:
    """Tell of every fight that is not over, and who is in it if that is known."""
    return tuple(
        Finding(
            bout.network,
            State.CONTESTED,
            f"{bout.by or 'somebody'} keeps undoing {name}: repaired once a second",
        )
        for name, bout in sorted(bouts.items())
        if bout.fought and refilled(bout, now) < PEACE
    )


def next_try(before: Before) -> tuple[float, Scope] | None:
    """When something that waits is due and where it is, or when a fight is over; None for neither."""
    waiting = {name: trouble.retry_at for name, trouble in before.troubles.items()}
    ends = [b.at + max(0.0, PEACE - b.tokens) / RATE for b in before.bouts.values() if b.fought]
    if not waiting:
        return (min(ends), NOWHERE) if ends else None
    due = min(waiting.values())
    there = [t for t in before.troubles.values() if t.retry_at <= due + FIRST_RETRY]
    everywhere = any(t.network is None for t in there)
    networks = None if everywhere else frozenset(t.network for t in there if t.network)
    touched = frozenset(key for t in there for key in t.touched)
    return due, Scope(networks, frozenset(Layer(t.layer) for t in there), everywhere, touched)
