"""What may happen to a host: small functions, each with a weight; what they break of others they note."""

import json
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import chaos_files as files
from ground import Ground, Plugged, Refused

from natnetd.lab.world import FIRST, SECOND
from natnetd.linux import additions
from natnetd.linux.elements import elements
from natnetd.page import KEY_TYPES, PAGE
from natnetd.rows import GROUP

Do = Callable[[Ground], str | None]
CHAINS = [name.split()[1] for name in PAGE if name.startswith("chain ")]
SETS = list(KEY_TYPES)
T = "inet natnetd"
FOREIGN = {
    "filter": 'chain c {{ type filter hook forward priority {p}; policy accept; counter comment "theirs"; }}',
    "sets": 'set s {{ type ifname; elements = {{ "vmbr1", "docker0" }}; }}; chain c {{ iifname @s accept; }}',
    "map": 'map m {{ type ifname : verdict; elements = {{ "vmbr1" : accept }}; }}',
    "counter": "counter n {{ packets 7 bytes 9; }}; quota q {{ over 5 mbytes; }}",
}


@dataclass(frozen=True)
class Harm:
    """One way to do it."""

    name: str
    weight: float
    do: Do


HARMS: list[Harm] = []


def harm(weight: float) -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        HARMS.append(Harm(do.__name__.replace("_", " "), weight, do))
        return do

    return note


# --- our table


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
    parts = tuple(part(g, kind) for kind in KEY_TYPES[name])
    value = f" : 192.0.2.{g.rng.randint(1, 200)}" if name == "snat4" else ""
    comment = ' comment "theirs"' if g.rng.random() < 0.1 else ""
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
    element = g.pick(elements(g.filter, "snat4"))
    bridge = key("snat4", element.key)
    g.commit(f"delete element {T} snat4 {{ {bridge} }}\nadd element {T} snat4 {{ {bridge} : 192.0.2.66 }}")
    return element.name


@harm(2)
def set_flushed(g: Ground) -> str:
    name = g.pick(SETS)
    g.commit(f"flush {'map' if name == 'snat4' else 'set'} {T} {name}")
    return name


@harm(1)
def set_of_another_type(g: Ground) -> str:
    name = g.rng.choice(["tx", "nets", "exempt4"])
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


def key(name: str, parts: tuple[str, ...]) -> str:
    kinds = KEY_TYPES[name]
    return " . ".join(
        p if kind == "ipv4_addr" else json.dumps(p) for p, kind in zip(parts, kinds, strict=True)
    )


def part(g: Ground, kind: str) -> str:
    if kind == "ipv4_addr":
        return f"10.{g.rng.randint(1, 9)}.{g.rng.randint(0, 3)}.0/24"
    return g.rng.choice([*files.NAMES, *files.WAYS, "ghost", "eno1"])


# --- bridges


@harm(5)
def bridge_deleted(g: Ground) -> str:
    return delete(g, g.name())


def delete(g: Ground, name: str) -> str:
    index = g.index(name)
    plugged = [port for port, place in g.where.items() if place and place.index == index]
    g.ip(f"link del {name}")
    g.forget_link(index, name)
    for port in plugged:
        g.where[port] = Plugged(index, name)
    return f"{name} with {plugged}"


@harm(1)
def all_bridges_deleted(g: Ground) -> str:
    told = []
    for name in files.NAMES:
        with suppress(Refused):
            told.append(delete(g, name))
    return "; ".join(told)


@harm(1)
def bridge_deleted_twice(g: Ground) -> str:
    name = g.name()
    told = delete(g, name)
    with suppress(Refused):
        for _ in range(50):
            with suppress(Refused):
                told += f"; {delete(g, name)}"
                break
    return told


@harm(2)
def bridge_down(g: Ground) -> str:
    name = g.name()
    g.ip(f"link set {name} down")
    return name


@harm(2)
def bridge_changed(g: Ground) -> str:
    n, name = g.rng.randint(0, 255), g.name()
    what = g.rng.choice(
        [
            "mtu 1300",
            "mtu 9000",
            "alias theirs",
            "alias ''",
            f"address 02:00:00:00:99:{n:02x}",
            "type bridge stp_state 1",
            "type bridge forward_delay 700",
            "type bridge stp_state 1 forward_delay 2000",
        ]
    )
    g.index(name)
    before = g.portraits.get(name)
    g.ip(f"link set {name} {what}")
    if before:
        g.remember_link(name)
    return f"{name} {what}"


@harm(1)
def bridge_down_and_changed(g: Ground) -> str:
    name = g.name()
    g.ip(
        f"link set {name} down",
        f"link set {name} alias theirs",
        f"link set {name} mtu 1350",
        f"link set {name} address 02:00:00:00:98:01",
        f"link set {name} type bridge stp_state 1",
    )
    return name


@harm(0.7)
def mark_of_a_bridge_cleared(g: Ground) -> str:
    """It is still known by its MAC, if that was not the file's."""
    name = g.name()
    g.ip(f"link set {name} group default")
    return name


@harm(0.7)
def bridge_given_to_us(g: Ground) -> str:
    name = g.name()
    g.ip(f"link set {name} group {GROUP}")
    g.portraits.pop(name, None)
    return name


@harm(1.5)
def bridge_renamed(g: Ground) -> str:
    name, other = g.name(), g.fresh("old")
    rename(g, name, other)
    g.ip(f"link set {other} up")
    return f"{name} to {other}"


def rename(g: Ground, name: str, other: str) -> None:
    index = g.index(name)
    g.ip(f"link set dev {name} down", f"link set dev {name} name {other}")
    for place in g.where.values():
        if place and place.index == index:
            place.bridge = other
    if g.portraits.pop(name, None):
        g.remember_link(other)


@harm(0.7)
def names_of_bridges_exchanged(g: Ground) -> str:
    one, two, aside = g.name(), g.name(), g.fresh("aside")
    if one == two:
        raise Refused("the same")
    rename(g, one, aside)
    with suppress(Refused):
        rename(g, two, one)
    with suppress(Refused):
        rename(g, aside, two)
    return f"{one} and {two}"


@harm(1)
def old_bridges_cleared(g: Ground) -> str:
    """Somebody plugs the guests of leftovers into the new bridges, and deletes what was not ours."""
    for port, place in g.where.items():
        if place and place.bridge not in files.NAMES:
            with suppress(Refused):
                move(g, port, "vmbr1")
    olds = [r["ifname"] for r in g.ip_json("link") if r["ifname"].startswith(("old", "aside"))]
    for old in olds:
        with suppress(Refused):
            delete(g, old)
    return " ".join(olds)


@harm(1)
def bridge_replaced_by_a_plain_one(g: Ground) -> str:
    name = g.name()
    told = "none"
    with suppress(Refused):
        told = delete(g, name)
    add = g.rng.choice([f"link add {name} up type bridge ageing_time 20000", f"link add {name} type bridge"])
    g.ip(add, f"addr add 10.77.{g.rng.randint(0, 250)}.1/24 dev {name}")
    g.remember_link(name)
    return f"{told}; {add}"


@harm(0.7)
def name_taken(g: Ground) -> str:
    """A network's name goes to something that is no bridge: a conflict, and hands off."""
    name = g.name()
    g.certain = False
    with suppress(Refused):
        delete(g, name)
    g.ip(f"link add {name} up type dummy")
    g.remember_link(name)
    return name


@harm(1)
def names_given_back(g: Ground) -> str:
    told = []
    for row in g.ip_json("-d", "link"):
        name = row["ifname"]
        if name in files.NAMES and row.get("linkinfo", {}).get("info_kind") == "dummy":
            with suppress(Refused):
                told.append(delete(g, name))
    return "; ".join(told)


@harm(1)
def ghost_of_ours(g: Ground) -> str:
    name = g.fresh("ghost")
    g.ip(f"link add {name} {g.rng.choice(['up ', ''])}group {GROUP} type bridge")
    return name


# --- guests


@harm(2)
def guest_unplugged(g: Ground) -> str:
    port = g.pick(sorted(g.where))
    g.tell(additions.plug(g.index(port), 0))
    g.where[port] = None
    g.loose.add(port)
    return port


@harm(5)
def guest_plugged(g: Ground) -> str:
    port = g.pick(sorted(g.where))
    return move(g, port, g.name())


@harm(0.5)
def guest_at_somebodys_bridge(g: Ground) -> str:
    port = g.pick(sorted(g.where))
    others = [n for n in g.portraits if n.startswith("br-")]
    return move(g, port, g.pick(others))


def move(g: Ground, port: str, bridge: str) -> str:
    index = g.index(bridge)
    g.plug(port, index)
    g.where[port] = Plugged(index, bridge)
    return f"{port} into {bridge}"


@harm(1)
def guest_changed(g: Ground) -> str:
    port = g.pick(sorted(g.where))
    what = g.rng.choice(["mtu 1400", "mtu 1500", "down", "up", "alias x", "address 02:00:00:00:97:01"])
    g.ip(f"link set {port} {what}", f"link set {port} up")
    return f"{port} {what}"


@harm(2)
def guests_come_and_go(g: Ground) -> str:
    name = g.name()
    taps = [g.fresh("tap") for _ in range(g.rng.choice([1, 5]))]
    lines = [
        f"{line}"
        for tap in taps
        for line in (
            f"link add {tap} up type veth peer name p{tap}",
            f"link set {tap} master {name}",
            f"link del {tap}",
        )
    ]
    g.ip(*lines)
    return f"{len(taps)} in {name}"


# --- addresses


def addresses_of(g: Ground, name: str) -> list[str]:
    keys = g.networks.get(name, {}).get("addresses", [])
    return [keys] if isinstance(keys, str) else keys


@harm(4)
def address_deleted(g: Ground) -> str:
    name = g.name()
    address = g.pick(addresses_of(g, name))
    g.ip(f"addr del {address} dev {name}")
    return f"{address} on {name}"


@harm(1.5)
def addresses_flushed(g: Ground) -> str:
    name = g.name()
    index = g.index(name)
    g.ip(f"addr flush dev {name}")
    g.visitors = {(i, a) for i, a in g.visitors if i != index}
    if name in g.portraits:
        g.remember_link(name)
    return name


@harm(1.5)
def mark_of_an_address_cleared(g: Ground) -> str:
    name = g.name()
    address = g.pick(addresses_of(g, name))
    g.ip(f"addr replace {address} dev {name}")
    return f"{address} on {name}"


@harm(1.5)
def address_with_our_mark(g: Ground) -> str:
    name = g.pick(g.networks)
    address = f"10.66.{g.rng.randint(0, 200)}.1/24"
    g.tell(additions.address(g.index(name), address))
    return f"{address} on {name}"


@harm(2)
def address_of_somebody(g: Ground) -> str:
    name = g.name()
    index = g.index(name)
    address = f"10.77.{g.rng.randint(0, 250)}.9/24"
    g.ip(f"addr add {address} dev {name}")
    if name in g.portraits:
        g.remember_link(name)
    else:
        g.visitors.add((index, address))
    return f"{address} on {name}"


@harm(1)
def address_in_the_same_subnet(g: Ground) -> str:
    name = g.name()
    address = f"10.{files.subnet(name)}.0.{g.rng.randint(100, 120)}/24"
    g.ip(f"addr add {address} dev {name}")
    return f"{address} on {name}"


@harm(1)
def address_that_runs_out(g: Ground) -> str:
    name = g.name()
    address = g.pick(addresses_of(g, name))
    g.ip(f"addr change {address} dev {name} valid_lft 1 preferred_lft 1")
    return f"{address} on {name}"


@harm(1)
def address_with_another_length(g: Ground) -> str:
    name = g.name()
    address = g.pick(addresses_of(g, name))
    wrong = f"{address.partition('/')[0]}/{g.rng.choice([28, 32])}"
    with suppress(Refused):
        g.ip(f"addr del {address} dev {name}")
    g.ip(f"addr add {wrong} dev {name}", f"addr del {wrong} dev {name}")
    return f"{wrong} on {name}"


# --- switches


@harm(3)
def forwarding_off(g: Ground) -> str:
    name = g.pick([*files.NAMES, "vmbr0", "vmbr9"])
    g.switch(f"ipv4/conf/{name}/forwarding", "0")
    return name


@harm(2)
def forwarding_off_for_all(g: Ground) -> str:
    path = g.rng.choice(["ipv4/ip_forward", "ipv4/conf/all/forwarding"])
    g.switch(path, "0")
    if g.rng.random() < 0.3:
        g.switch(path, "1")
        return f"{path} off and on"
    return path


@harm(0.5)
def forwarding_off_for_the_next(g: Ground) -> None:
    g.switch("ipv4/conf/default/forwarding", "0")


@harm(0.5)
def secondaries_promoted(g: Ground) -> str:
    value = g.rng.choice("01")
    for name in ("all", "default", *files.NAMES):
        with suppress(Refused):
            g.switch(f"ipv4/conf/{name}/promote_secondaries", value)
    return value


# --- strangers


@harm(3)
def table_of_somebody(g: Ground) -> str:
    family = g.rng.choice(["ip", "ip6", "inet", "bridge"])
    name = g.rng.choice(["natnetd", "other", "filter", "nat"])
    if (family, name) in (("inet", "natnetd"), ("bridge", "natnetd")):
        name = "natnetd2"
    sort = g.rng.choice(list(FOREIGN))
    body = FOREIGN[sort].format(p=g.rng.randint(-50, 50))
    lines = [
        f"table {family} {name}",
        f"delete table {family} {name}",
        f"table {family} {name} {{ {body}; }}",
    ]
    g.commit("\n".join(lines))
    g.remember_table(family, name)
    return f"{family} {name} {sort}"


@harm(1)
def table_of_somebody_deleted(g: Ground) -> str:
    family, name = g.pick(sorted(g.tables))
    g.commit(f"delete table {family} {name}")
    del g.tables[family, name]
    return f"{family} {name}"


@harm(1.5)
def bridge_of_somebody(g: Ground) -> str:
    name = f"br-{g.rng.randint(1, 4)}"
    options = g.rng.choice(["", "group 7 "])
    g.ip(
        f"link add {name} {options}type bridge ageing_time {g.rng.choice([100, 30000])}",
        f"link set {name} mtu 1400 address 02:aa:00:00:00:0{name[-1]}",  # or they follow its ports
        f"link set {name} {g.rng.choice(['up', 'down', 'alias theirs'])}",
        f"addr add 172.{g.rng.randint(17, 30)}.0.1/16 dev {name}",
    )
    g.switch(f"ipv4/conf/{name}/rp_filter", g.rng.choice("012"))
    g.remember_link(name)
    return f"{name} {options}"


@harm(0.7)
def bridge_of_somebody_deleted(g: Ground) -> str:
    return delete(g, g.pick(sorted(n for n in g.portraits if n.startswith("br-"))))


@harm(1)
def uplink_flaps(g: Ground) -> str:
    uplink = g.rng.choice([FIRST, SECOND])
    g.ip(f"link set {uplink.bridge} down", f"link set {uplink.bridge} up", *g.remake(uplink))
    return uplink.bridge


@harm(0.7)
def uplink_made_anew(g: Ground) -> str:
    uplink = g.rng.choice([FIRST, SECOND])
    with suppress(Refused):
        g.ip(f"link del {uplink.bridge}")
    g.ip(
        f"link add {uplink.bridge} up type bridge forward_delay 0",
        f"link set {uplink.port} up master {uplink.bridge}",
        *g.remake(uplink),
    )
    g.remember_link(uplink.bridge)
    return uplink.bridge


# --- the file


@harm(4)
def another_file(g: Ground) -> str:
    g.loaded()
    g.want(files.good(g.rng))
    how = g.rng.choice(["renamed", "written in place", "written in halves", "written twice"])
    text = g.loading.encode()
    if how == "renamed":
        aside = g.directory / "aside.yaml"
        aside.write_bytes(text)
        aside.replace(g.file)
    elif how == "written in halves":
        with g.file.open("wb", buffering=0) as file:
            file.write(text[: len(text) // 2])
            file.write(text[len(text) // 2 :])
    else:
        for _ in range(1 + (how == "written twice")):
            g.file.write_bytes(text)
    return f"{how}: {g.loading}"


@harm(1)
def one_network_changed(g: Ground) -> str:
    g.loaded()
    name = g.name()
    others = [n for n in g.networks if n != name]
    g.want({**g.networks, name: files.network(g.rng, name, others, closed=False)})
    g.file.write_bytes(g.loading.encode())
    return f"{name}: {g.networks[name]}"


@harm(1.5)
def bad_file(g: Ground) -> str:
    g.loaded()
    bad = g.rng.choice([*files.BAD, None])
    if bad is None:
        g.file.unlink(missing_ok=True)
    else:
        g.file.write_bytes(bad)
    g.file_bad = True
    return str(bad)


@harm(1)
def the_good_file_again(g: Ground) -> None:
    g.loaded()
    g.want(g.networks)
    g.file.write_bytes(g.loading.encode())


@harm(1)
def reload_asked_for(g: Ground) -> None:
    if g.service is not None and "READY=1" in g.service.heard():
        g.service.send(signal.SIGHUP)


# --- the service


@harm(1.5)
def service_killed(g: Ground) -> None:
    g.kill()


@harm(1)
def service_killed_and_started(g: Ground) -> None:
    g.kill()
    g.start()


@harm(0.5)
def service_stopped(g: Ground) -> None:
    if g.service is not None and "READY=1" in g.service.heard():
        g.certain = False
        g.end(signal.SIGTERM)


@harm(1.5)
def service_slow(g: Ground) -> None:
    """It does not get the CPU for a while: what happens meanwhile comes to it at once."""
    g.stop()


@harm(0.3)
def flood_of_events(g: Ground) -> str:
    """More events than its socket takes: some are lost."""
    g.stop()
    g.certain = False
    name = g.name()
    g.index(name)
    message = additions.alias(name, "x" * 200)
    other = additions.alias(name, "y" * 200)
    errors: list[Any] = []
    for _ in range(60):
        errors += g.route.batch([message, other] * 50)
    return f"{name}: {sum(e is not None for e in errors)} refused of {len(errors)}"


@harm(0.5)
def fight(g: Ground) -> str:
    """Somebody undoes the same thing again and again."""
    do = g.rng.choice([table_deleted, bridge_down, element_deleted, address_deleted, forwarding_off])
    state, refused = g.rng.getstate(), 0
    for _ in range(15):
        g.rng.setstate(state)
        try:
            do(g)
        except Refused:
            refused += 1
    return f"{do.__name__}, {refused} of 15 refused"
