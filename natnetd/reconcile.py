"""One pass: look, judge, plan, apply, report."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from natnetd import checksums, dnsmasq, guards, registered
from natnetd.errors import HostError
from natnetd.host import ALL, Before, Finding, Hint, Host, Layer, Scope, Snapshot
from natnetd.judge import Judged, judge
from natnetd.kinds import KINDS
from natnetd.model import Config
from natnetd.patience import choose, fights, remember
from natnetd.plan import Plan, make_plan, phases
from natnetd.report import Culprit, Outcome, Reason, Report
from natnetd.rows import Element
from natnetd.ways import resolved

NOTHING_KNOWN = Before()
NOTED = (
    (Layer.REGISTER, registered),
    (Layer.SERVICE, dnsmasq),
    (Layer.GUARD, guards),
    (Layer.TRAFFIC, checksums),
)
TABLES = frozenset({Layer.NFT, Layer.GUARD})


def decide(config: Config, seen: Snapshot, scope: Scope = ALL) -> tuple[Judged, Plan]:
    """Say what stands in the way and what is to be done: pure, the same for plan, apply and the daemon."""
    config = resolved(config, seen.auto, seen.links, seen.auto6)
    judged = judge(config, seen) if sees_links(scope) else recall(config, seen.before)
    judged = replace(judged, findings=annotated(judged.findings, config, seen, scope))
    plan = make_plan(KINDS, judged.config, seen, scope)
    return judged, tuple(c for c in plan if c.network not in judged.conflicted)


def widened(scope: Scope, config: Config) -> Scope:
    """Look at every link if one is in question that no network wants.

    Whether it may go depends on who is plugged into it, which a narrow look does not see.
    """
    strange = scope.networks is not None and not scope.networks <= config.networks.keys()
    if strange and scope.layers - {*TABLES, Layer.REGISTER}:
        return replace(scope, networks=None, layers=scope.layers | {Layer.LINK}, exact=False)
    # A table that is gone takes the elements of all networks with it, and its news ends with this look; and
    # where nobody switches all interfaces on again, each is to be looked at.
    whole = scope.layers & TABLES or (Layer.SYSCTL in scope.layers and not config.all.forwards)
    if scope.host and whole:
        return replace(scope, networks=None, exact=False)
    return scope


def sees_links(scope: Scope) -> bool:
    """Say whether a look within this scope is wide enough to judge by."""
    return scope.networks is None and Layer.LINK in scope.layers


def recall(config: Config, before: Before) -> Judged:
    """Judge as the last wide enough look did: this one was at something else."""
    return Judged.of(config, before.findings)


def annotated(
    findings: Iterable[Finding], config: Config, seen: Snapshot, scope: Scope
) -> tuple[Finding, ...]:
    """Add what Proxmox VE's list lacks and whom nobody can serve, or what the last whole look found."""
    found = list(findings)
    for layer, noted in NOTED:
        found = [f for f in found if not noted.is_note(f)]
        if scope.networks is None and layer in scope.layers:
            found += noted.notes(config, seen)
        else:
            found += [f for f in seen.before.findings if noted.is_note(f)]
    return tuple(found)


def hint(config: Config, scope: Scope, before: Before = NOTHING_KNOWN) -> Hint:
    """Name what a narrow look must ask for: what would be wanted of a host with nothing on it."""
    config = resolved(config, before.auto, {}, before.auto6)
    elements: tuple[Element, ...] = ()
    if scope.networks is not None and scope.layers & TABLES and not scope.exact:
        filled = replace(scope, layers=scope.layers & TABLES, host=False)
        wanted = make_plan(KINDS, config, Snapshot(machine=before.machine), filled)
        elements = tuple(c.want for c in wanted if isinstance(c.want, Element))
    sized = any(network.mtu_auto for network in config.networks.values())
    sizes = config.all.ways | before.auto | before.auto6 if sized else frozenset()
    doors = tuple(f for n in config.networks.values() for f in n.forwards) if scope.networks is None else ()
    completes = any(network.dhcp for network in config.networks.values())
    return Hint(
        elements, config.all.ways, config.proxmox.register, config.all.follows, sizes, doors, completes
    )


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass is asked: its reason, where to look, what travels; `clock` tells monotonic seconds."""

    reason: Reason = Reason.COMMAND
    scope: Scope = ALL
    before: Before = field(default_factory=Before)
    clock: Callable[[], float] = lambda: 0.0
    force: bool = False
    culprits: tuple[Culprit, ...] = ()


def reconcile(config: Config, host: Host, asked: Pass) -> Report:
    """Bring the host closer to the configuration.

    A change that fails does not stop the others: each pass starts from a fresh look, so whatever is
    missing is planned again.
    """
    start = asked.clock()
    asked = replace(asked, scope=widened(asked.scope, config))
    try:
        seen = host.look(asked.scope, asked.before, hint(config, asked.scope, asked.before))
    except HostError as error:
        return Report(asked.reason, asked.scope, Snapshot(before=asked.before), blind=str(error))
    judged, plan = decide(config, seen.unplugged() if asked.force else seen, asked.scope)
    choice = choose(plan, seen.before, asked.reason, start, who(asked.culprits))
    outcomes = apply(choice.todo, host, asked.clock, start)
    before = remember(choice.before, asked.scope, outcomes, choice.late, asked.clock())
    return Report(
        asked.reason,
        asked.scope,
        replace(seen, before=kept(before, judged.findings, seen)),
        (*judged.findings, *fights(before.bouts, asked.clock())),
        outcomes,
        choice.late,
        asked.culprits,
        asked.clock() - start,
    )


def kept(before: Before, findings: tuple[Finding, ...], seen: Snapshot) -> Before:
    """What travels to the next pass."""
    return replace(before, findings=findings, auto=seen.auto, auto6=seen.auto6, machine=seen.machine)


def who(culprits: Iterable[Culprit]) -> str:
    """Name culprits as a finding does: without their pids, which are others each time."""
    return ", ".join(sorted({culprit.name for culprit in culprits}))


def apply(plan: Plan, host: Host, clock: Callable[[], float], start: float) -> tuple[Outcome, ...]:
    """Make changes, batch by batch; say how each one ended."""
    outcomes: list[Outcome] = []
    for layer, batch in phases(KINDS, plan):
        try:
            errors = host.doors[layer].apply(batch)
        except HostError as overlooked:  # no door should raise it; if one does, that must not end the service
            errors = [overlooked] * len(batch)
        took = clock() - start
        for change, error in zip(batch, errors, strict=True):
            if error is None:
                outcomes.append(Outcome(change, None, took))
            else:
                outcomes.append(Outcome(change, str(error), took, error.overtaken))
    return tuple(outcomes)
