"""What may happen to our table of the bridges, where the kernel can have it and a network needs it."""

from ground import Ground

from harm.table import key, part
from harm.way import harm
from natnetd.linux.elements import elements
from natnetd.linux.nfnl import BRIDGE
from natnetd.page import FRAME_PAGE, KEY_TYPES, filled

CHAINS = [name.split()[1] for name in FRAME_PAGE if name.startswith("chain ")]
SETS = [name.split()[1] for name in FRAME_PAGE if filled(name)]
T = "bridge natnetd"


@harm(3, needs="frames")
def frames_deleted(g: Ground) -> None:
    g.commit(f"delete table {T}")


@harm(1, needs="frames")
def frames_flushed(g: Ground) -> None:
    g.commit(f"flush table {T}")


@harm(1, needs="frames")
def frames_dormant(g: Ground) -> None:
    g.commit(f"table {T} {{ flags dormant; }}")


@harm(1, needs="frames")
def frames_made_by_somebody(g: Ground) -> None:
    g.commit(f"table {T} {{ chain theirs {{ type filter hook input priority 3; }}; }}")


@harm(5, needs="frames")
def frame_element_deleted(g: Ground) -> str:
    name = g.pick(SETS)
    element = g.pick(elements(g.filter, name, BRIDGE))
    g.commit(f"delete element {T} {name} {{ {key(name, element.key)} }}")
    return element.name


@harm(5, needs="frames")
def frame_element_added(g: Ground) -> str:
    name = g.pick(SETS)
    whole = "flags interval" in FRAME_PAGE[f"set {name}"].header
    parts = tuple(part(g, kind, whole=whole) for kind in KEY_TYPES[name])
    g.commit(f"add element {T} {name} {{ {key(name, parts)} }}")
    return f"{name} {parts}"


@harm(2, needs="frames")
def frame_set_flushed(g: Ground) -> str:
    name = g.pick(SETS)
    g.commit(f"flush set {T} {name}")
    return name


@harm(2, needs="frames")
def frame_rule_deleted(g: Ground) -> str:
    chain = g.pick(CHAINS)
    number = g.pick(g.rules(chain, T))
    g.commit(f"delete rule {T} {chain} handle {number}")
    return f"{chain} {number}"


@harm(2, needs="frames")
def frame_rule_added(g: Ground) -> str:
    chain, verb = g.pick(CHAINS), g.rng.choice(["insert", "add"])
    rule = g.rng.choice(["accept", "counter", "drop", "return"])
    g.commit(f"{verb} rule {T} {chain} {rule}")
    return f"{verb} {chain} {rule}"
