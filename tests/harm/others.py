"""What may happen to switches, and what others do beside us."""

from contextlib import suppress

import chaos_files as files
from ground import Ground, Refused

from harm.bridges import delete
from harm.way import harm
from natnetd.lab.world import FIRST, SECOND

FOREIGN = {
    "filter": 'chain c {{ type filter hook forward priority {p}; policy accept; counter comment "theirs"; }}',
    "sets": 'set s {{ type ifname; elements = {{ "vmbr1", "docker0" }}; }}; chain c {{ iifname @s accept; }}',
    "map": 'map m {{ type ifname : verdict; elements = {{ "vmbr1" : accept }}; }}',
    "counter": "counter n {{ packets 7 bytes 9; }}; quota q {{ over 5 mbytes; }}",
}


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


@harm(2)
def forwarding_of_ipv6_off(g: Ground) -> str:
    name = g.pick(["all", *files.NAMES])
    g.switch(f"ipv6/conf/{name}/forwarding", "0")
    return name


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
