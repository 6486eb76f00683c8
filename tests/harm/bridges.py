"""What may happen to bridges."""

from contextlib import suppress
from pathlib import Path

import chaos_files as files
from ground import Ground, Plugged, Refused

from harm.guests import move
from harm.way import harm
from natnetd.linux.dumps import IFF_UP
from natnetd.rows import GROUP


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
    with suppress(OSError):  # no file wants it, and it is gone already
        if not int(Path(f"/sys/class/net/{name}/flags").read_text("ascii"), 16) & IFF_UP:
            g.look_again()  # the kernel tells nothing of a link that is down
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
    for port, place in g.where.items():
        if place and place.index == index:
            place.bridge = other
        elif place and place.bridge == name:  # on its way back into this one, which may be quicker
            g.loose.add(port)
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
