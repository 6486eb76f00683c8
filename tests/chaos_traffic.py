"""The packets of the chaos: guests go where the file lets them, and nowhere else."""

from pathlib import Path
from typing import Any

import chaos_files as files
from ground import BOUND, Ground
from leasing import crowd

from natnetd.host import Snapshot
from natnetd.lab.traffic import ABSENCE, Flow, ping, udp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest

FORWARDING = "3"  # BR_STATE_FORWARDING
INTERNET, INTERNET6, HOST6 = "198.51.100.7", "2001:db8:198::7", "2001:db8:203::2"
GUESTS = (("a", "vmbr1"), ("b", "vmbr1"), ("c", "vmbr2"), ("d", "vmbr3"), ("e", "vault"))


def traffic(g: Ground) -> None:
    """A guest's packets leave under the host's address, reach whom they may, and nobody else."""
    seen, judged, _ = g.look()
    ready = [guest for guest in g.guests if is_ready(g, guest, seen, judged.conflicted)]
    for guest in ready:
        guest.ns.ip("neigh flush all")  # the gateway's MAC address may be another by the file
        to, what = gateway(guest.bridge), f"{guest.name} to ping its gateway"
        wait_until(lambda ns=guest.ns, to=to: ping(ns, to), BOUND, what=what)
        nat = g.networks[guest.bridge].get("nat")
        if nat and (nat is True or ("vmbr0" in ways(nat, seen.auto) and nat.get("ipv4", True))):
            source = "203.0.113.2" if nat is True else nat.get("source", "203.0.113.2")
            what = f"{guest.name} to get out"
            answer = wait_until(lambda ns=guest.ns: udp(ns, INTERNET), BOUND, what=what)
            assert answer.startswith(f"{source}:"), f"{guest.name} is seen as {answer}"
        if leaves6(g, guest, seen):
            what = f"{guest.name} to get out by IPv6"
            answer = wait_until(lambda ns=guest.ns: udp(ns, INTERNET6), BOUND, what=what)
            assert answer.startswith(f"[{HOST6}]:"), f"{guest.name} is seen as {answer}"
    untranslated = [who for who in g.echoes["internet"].asked if who.startswith(("10.", "[fd"))]
    assert not untranslated, f"seen outside: {untranslated}"
    served = [guest for guest in ready if g.networks[guest.bridge].get("dhcp")]
    if served:
        one = g.rng.choice(served)
        assert crowd(one.ns, 1), f"{one.name} got no answer by DHCP"
    if len(ready) > 1 and g.rng.random() < 0.3:
        between(g, *g.rng.sample(ready, 2))


def leaves6(g: Ground, guest: Guest, seen: Snapshot) -> bool:
    """Whether a guest that is ready leaves translated by IPv6 too."""
    network = g.networks[guest.bridge]
    nat, by = network.get("nat"), gateway6(guest.bridge)
    carried_ = {a.interface.partition("/")[0] for a in seen.addresses[guest.bridge]}
    wanted = f"{by}/64" in network["addresses"]
    out = nat and (nat is True or ("vmbr0" in ways(nat, seen.auto6) and nat.get("ipv6", True)))
    return bool(wanted and out and by in carried_)


def is_ready(g: Ground, guest: Guest, seen: Snapshot, conflicted: frozenset[str]) -> bool:
    """Whether a guest is in its own network, with its gateway there, and nothing kept off on purpose."""
    name = guest.bridge
    place = g.where[guest.port]
    if not place or place.bridge != name or name not in g.networks or name in conflicted:
        return False
    guard = g.networks[name].get("guard")
    if isinstance(guard, dict) and guard.get("strict"):  # no guest has a reservation
        return False
    carried_ = {a.interface.partition("/")[0] for a in seen.addresses[name]}
    subnet = f"10.{files.subnet(name)}.0."
    elsewhere = [a for other, rows in seen.addresses.items() if other != name for a in rows]
    if any(a.interface.startswith(subnet) for a in elsewhere):
        return False  # the host may answer by that interface: natnetd only tells
    link = seen.links[name]
    port = Path("/sys/class/net", guest.port, "brport/state").read_text("ascii").strip()
    calm = port == FORWARDING and not link.stp and not link.forward_delay
    return calm and gateway(name) in carried_ and guest_address(guest) not in carried_


def between(g: Ground, one: Guest, two: Guest) -> None:
    """One guest reaches another if the file says so, or if they are neighbours."""
    may = one.bridge == two.bridge or two.bridge in g.networks[one.bridge].get("reach", ())
    with Flow(one.ns, guest_address(two)) as flow:
        if may:
            what = f"{one.name} to reach {two.name}"
            wait_until(lambda: flow.ask(0.5), BOUND, what=what)
        else:
            answer = flow.ask(ABSENCE)
            assert answer is None, f"{one.name} must not reach {two.name}: {answer}"


def ways(nat: dict[str, Any], auto: frozenset[str]) -> list[str] | frozenset[str]:
    """The uplinks of a network."""
    named = nat["uplink"]
    return auto if named == "auto" else [named] if isinstance(named, str) else named


def gateway(bridge: str) -> str:
    """The address of a network that its guests go by."""
    return f"10.{files.subnet(bridge)}.0.1"


def gateway6(bridge: str) -> str:
    """Its IPv6 address, if it has one."""
    return f"fd00:{files.subnet(bridge)}::1"


def address6(subnet: int, number: int) -> str:
    """The IPv6 address of a guest."""
    return f"fd00:{subnet}::{10 + number}"


def guest_address(guest: Guest) -> str:
    """The address of a guest."""
    number = [name for name, _ in GUESTS].index(guest.name)
    return f"10.{files.subnet(guest.bridge)}.0.{10 + number}"
