"""What may happen to guests and addresses."""

import subprocess
from contextlib import suppress

import chaos_files as files
from ground import Ground, Plugged, Refused

from harm.way import harm
from natnetd.linux import additions

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


@harm(1.5)
def route_to_guests_deleted(g: Ground) -> str:
    name = g.name()
    n = files.subnet(name)
    g.ip(g.pick([f"route del {to} dev {name}" for to in (f"10.{n}.0.0/24", f"fd00:{n}::/64")]))
    return name


@harm(0.5)
def routes_flushed(g: Ground) -> str:
    name = g.name()
    g.index(name)
    subprocess.run(["ip", "route", "flush", "dev", name], check=False, capture_output=True)
    return name


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
