"""What may happen to our table."""

import json

import chaos_files as files
from ground import Ground, Refused

from harm.way import harm
from natnetd.linux.elements import elements
from natnetd.page import KEY_TYPES, PAGE, RANGED, SAMPLED, VALUE_TYPES, filled

LIMITS = ("fresh_", "crowd_")
CHAINS = [own for kind, own in map(str.split, PAGE) if kind == "chain" and not own.startswith(LIMITS)]
SETS = [name.split()[1] for name in PAGE if filled(name)]
MAPS = [name.split()[1] for name in PAGE if name.startswith("map ")]
CHAIN_OF = {"fresh": "fresh_10", "crowd": "crowd_500"}
T = "inet natnetd"


@harm(2)
def table_deleted(g: Ground) -> None:
    g.commit(f"delete table {T}")


@harm(1.5)
def ruleset_flushed(g: Ground) -> None:
    g.commit("flush ruleset")
    g.tables.clear()


@harm(1)
def table_flushed(g: Ground) -> None:
    g.commit(f"flush table {T}")


@harm(1)
def table_dormant(g: Ground) -> None:
    g.commit(f"add table {T} {{ flags dormant; }}")


@harm(1)
def table_exchanged(g: Ground) -> None:
    g.commit(
        f"delete table {T}\nadd table {T}\nadd chain {T} forward\nadd set {T} nets {{ type inet_service; }}"
    )


@harm(1)
def table_made_by_somebody(g: Ground) -> None:
    g.commit(f"table {T} {{ chain input {{ type filter hook input priority 3; }}; }}")


@harm(6)
def element_deleted(g: Ground) -> str:
    name = g.pick(SETS)
    element = g.pick(elements(g.filter, name))
    g.commit(f"delete element {T} {name} {{ {key(name, element.key)} }}")
    return element.name


@harm(6)
def element_added(g: Ground) -> str:
    name = g.pick(SETS)
    whole = "flags interval" in block(name)
    parts = tuple(part(g, kind, whole=whole) for kind in KEY_TYPES[name])
    value = f" : {worth(g, name)}" if name in VALUE_TYPES else ""
    value = f" : jump {CHAIN_OF[name]}" if name in CHAIN_OF else value
    whose = g.rng.choice(["theirs", *files.NAMES])
    comment = (
        f' comment "{whose}"' if g.rng.random() < (0.1 if KEY_TYPES[name][0] == "ifname" else 0.6) else ""
    )
    g.commit(f"add element {T} {name} {{ {key(name, parts)}{comment}{value} }}")
    return f"{name} {parts}{comment}{value}"


@harm(2)
def elements_by_the_dozen(g: Ground) -> str:
    names = [f"ghost{g.rng.randint(0, 999)}" for _ in range(g.rng.choice([12, 300]))]
    name = g.rng.choice(["nets", "closed", "anyup"])
    listed = ", ".join('"' + n + '"' for n in dict.fromkeys(names))
    g.commit(f"add element {T} {name} {{ {listed} }}")
    return f"{len(names)} in {name}"


@harm(1)
def element_with_another_value(g: Ground) -> str:
    name = g.pick(name for name in VALUE_TYPES if [*elements(g.filter, name)])
    element = g.pick(elements(g.filter, name))
    what = key(name, element.key)
    whose = f' comment "{element.owner}"' if element.owner and g.rng.random() < 0.5 else ""
    added = f"{what}{whose} : {worth(g, name)}"
    g.commit(f"delete element {T} {name} {{ {what} }}\nadd element {T} {name} {{ {added} }}")
    return element.name


@harm(2)
def set_flushed(g: Ground) -> str:
    name = g.pick(SETS)
    g.commit(f"flush {'map' if name in MAPS else 'set'} {T} {name}")
    return name


@harm(2)
def samples_touched(g: Ground) -> str:
    """What packets count is nobody's drift, whoever adds to it or takes it away."""
    name = g.rng.choice([name for name in sorted(SAMPLED) if name.endswith("4")])
    add = f"add element {T} {name} {{ 10.{g.rng.randint(1, 9)}.0.{g.rng.randint(1, 250)} }}"
    g.commit(g.rng.choice([add, f"flush set {T} {name}"]))


@harm(1)
def set_of_another_type(g: Ground) -> str:
    name = g.rng.choice(["tx", "nets", "exempt4", "sent4"])
    g.commit(f"flush table {T}\ndelete set {T} {name}\nadd set {T} {name} {{ type ipv4_addr; }}")
    return name


@harm(2)
def rule_deleted(g: Ground) -> str:
    chain = g.pick(CHAINS)
    number = g.pick(g.rules(chain))
    g.commit(f"delete rule {T} {chain} handle {number}")
    return f"{chain} {number}"


@harm(2)
def rule_added(g: Ground) -> str:
    chain, verb = g.pick(CHAINS), g.rng.choice(["insert", "add"])
    rule = g.rng.choice(["accept", "counter", "iifname @nets accept", "ct mark set 1", "return"])
    g.commit(f"{verb} rule {T} {chain} {rule}")
    return f"{verb} {chain} {rule}"


@harm(1)
def rule_added_twice(g: Ground) -> str:
    chain = g.pick(CHAINS)
    lines = [
        line for line in g.listing(f"chain {T} {chain}", handles=False).splitlines() if "comment" in line
    ]
    rule = g.pick(lines).strip()
    g.commit(f"add rule {T} {chain} {rule}")
    return f"{chain}: {rule}"


@harm(1)
def chain_deleted(g: Ground) -> str:
    chain = g.pick(CHAINS)
    g.commit(f"flush chain {T} {chain}\ndelete chain {T} {chain}")
    return chain


@harm(1)
def chain_renamed(g: Ground) -> str:
    chain, name = g.rng.choice(["between", "leave", "enter", "forward6"]), g.fresh("c")
    g.commit(f"rename chain {T} {chain} {name}")
    return f"{chain} to {name}"


@harm(2)
def chain_that_drops_all(g: Ground) -> None:
    g.commit(f"add chain {T} evil {{ type filter hook forward priority -10; policy drop; }}")


@harm(1)
def chain_added_and_jumped_to(g: Ground) -> None:
    g.commit(f"add chain {T} evil2\nadd rule {T} evil2 drop\ninsert rule {T} forward jump evil2")


@harm(1)
def chains_in_a_row(g: Ground) -> None:
    g.commit(
        f"add chain {T} e3\nadd chain {T} e4\nadd rule {T} e3 jump e4\nadd set {T} e5 {{ type ifname; }}\n"
        f"add rule {T} e4 iifname @e5 jump between\nadd map {T} e6 {{ type ifname : verdict; }}\n"
        f'add element {T} e6 {{ "x" : jump e4 }}\nadd rule {T} e3 iifname vmap @e6'
    )


@harm(1)
def policy_changed(g: Ground) -> str:
    chain = g.rng.choice(["forward", "guard", "count", "zone"])
    g.commit(f"chain {T} {chain} {{ policy drop; }}")
    return chain


@harm(1)
def priority_changed(g: Ground) -> None:
    chain = "add chain inet natnetd guard { type filter hook postrouting priority 5; }"
    g.commit(f"flush chain {T} guard\ndelete chain {T} guard\n{chain}")


@harm(2)
def object_added(g: Ground) -> str:
    n = g.fresh("o")
    text = g.rng.choice(
        [
            f"add counter {T} {n}",
            f"add quota {T} {n} {{ 25 mbytes }}",
            f"add limit {T} {n} {{ rate 400/minute }}",
            f"add set {T} {n} {{ type ifname; }}",
            f"add map {T} {n} {{ type ifname : ipv4_addr; }}",
            f'add ct helper {T} {n} {{ type "ftp" protocol tcp; }}',
            f"add ct timeout {T} {n} {{ protocol tcp; l3proto ip; policy = {{ established: 20 }}; }}",
            f"add flowtable {T} {n} {{ hook ingress priority 0; devices = {{ lo }}; }}",
            f"add synproxy {T} {n} {{ mss 1460 wscale 7 }}",
            f"add counter {T} {n}\nadd rule {T} count counter name {n}",
        ]
    )
    g.commit(text)
    return text


@harm(1)
def counters_reset(g: Ground) -> None:
    for what in ("rules", "set inet natnetd tx"):
        g.nft.cmd(f"reset {what}")


@harm(1)
def ruleset_saved(g: Ground) -> None:
    tables = {(f, n): g.listing(f"table {f} {n}", handles=False) for f, n in g.tables}
    g.nft.set_stateless_output(False)
    text = "".join(g.nft.cmd(f"list table {f} {n}")[1] for f, n in [*g.tables, ("inet", "natnetd")])
    g.saved = (f"flush ruleset\n{text}", tables)


@harm(1)
def ruleset_restored(g: Ground) -> None:
    if g.saved is None:
        raise Refused("nothing saved")
    text, tables = g.saved
    g.commit(text)
    g.tables.clear()
    for family, name in tables:
        g.remember_table(family, name)


def block(name: str) -> tuple[str, ...]:
    return PAGE.get(f"set {name}", PAGE.get(f"map {name}", PAGE["set nets"])).header


def key(name: str, parts: tuple[str, ...]) -> str:
    kinds = KEY_TYPES[name]
    if parts == ("*",):
        return "*"
    return " . ".join(json.dumps(p) if kind == "ifname" else p for p, kind in zip(parts, kinds, strict=True))


def part(g: Ground, kind: str, *, whole: bool) -> str:
    """Draw a part of a key; `whole`: a range fits there too."""
    match kind:
        case "ipv4_addr" if whole:
            return f"10.{g.rng.randint(1, 9)}.{g.rng.randint(0, 3)}.0/24"
        case "ipv4_addr" | "ipv6_addr":
            begin = "203.0.113." if kind == "ipv4_addr" else "2001:db8:203::"
            return f"{begin}{g.rng.choice([2, 77, 99])}"
        case "ether_addr":
            return f"02:00:00:00:00:{g.rng.randint(1, 9):02x}"
        case "inet_proto":
            return g.rng.choice(["tcp", "udp", "132"])
        case "inet_service":
            return g.rng.choice(["8080", "8081", *(["9005-9030", "1-65535"] if whole else ["22"])])
    return g.rng.choice([*files.NAMES, *files.WAYS, "ghost", "eno1"])


def worth(g: Ground, name: str) -> str:
    """Draw a value of a map; where ranges stand, this nft takes nothing else."""
    parts = {
        "ipv4_addr": f"192.0.2.{g.rng.randint(1, 200)}",
        "ipv6_addr": "fd00:1::66",
        "inet_service": "2222",
    }
    found = [parts[kind] for kind in VALUE_TYPES[name]]
    return " . ".join(f"{p}-{p}" if name in RANGED else p for p in found)
