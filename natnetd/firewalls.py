"""Somebody's firewall that drops our networks' packets: who, and the command that lets them through; pure."""

from collections.abc import Callable, Iterable, Iterator

from natnetd.around import ESTABLISHED, NEW, Wall
from natnetd.host import Finding, Snapshot, State
from natnetd.model import Config, Network
from natnetd.walls import Judge

MANY = 8  # networks that have the same finding are told of one by one, more of them in one line
GUARDS = "fwbr"  # Proxmox's firewall bridges, one for each guarded guest's interface
BRIDGED = "net.bridge.bridge-nf-call-iptables"


def note(network: str | None, text: str) -> Finding:
    """Make a finding that changes no state."""
    return Finding(network, State.IN_SYNC, text)


def told(names: list[str], text: Callable[[str], str]) -> Iterator[Finding]:
    """Tell each network, or the host if they are many."""
    if len(names) <= MANY:
        yield from (note(name, text(name)) for name in names)
    else:
        first, *others = names
        yield note(None, f"{first} and {len(others)} other networks: {text(first)} (and so for each)")


def walled(config: Config, seen: Snapshot, judge: Judge) -> Iterator[Finding]:
    """Somebody's firewall drops what a network sends out, or the answers; or even what stays on a bridge."""
    cut_off = [
        network.name
        for network in config.networks.values()
        if any(
            judge.drops(network.name, way, NEW) or judge.drops(way, network.name, ESTABLISHED)
            for way in ways_out(network, seen)
        )
    ]
    who = owner(judge.wall)
    yield from told(
        cut_off, lambda name: f"{who} drops what {name} sends out, or its answers: {cure(judge.wall, name)}"
    )
    if seen.around.settings.get(BRIDGED) == "1":
        others = [name for name in config.networks if name not in set(cut_off)]
        yield from bridged(others, [name for name in seen.links if name.startswith(GUARDS)], judge)


def ways_out(network: Network, seen: Snapshot) -> Iterable[str]:
    """Interfaces that a network's packets leave by."""
    if network.nat is None and not network.routed:
        return ()
    return (network.nat.uplinks if network.nat else ()) or sorted(seen.default_links)


def owner(wall: Wall) -> str:
    """Name whose firewall it is, and where."""
    place = f"chain {wall.chain} of {wall.tool}'s table {wall.table}"
    known = (("DOCKER", "Docker"), ("ufw-", "ufw"), ("PVEFW", "the Proxmox firewall"))
    for start, who in known:
        if any(name.startswith(start) for name in wall.chains):
            return f"{who} ({place})"
    return f"firewalld ({place})" if wall.table.endswith(" firewalld") else place


def cure(wall: Wall, name: str) -> str:
    """The commands that let a network through."""
    if wall.table.endswith(" firewalld"):
        zone = f"firewall-cmd --permanent --zone=trusted --add-interface={name}"
        return f"put the bridge into a zone that may forward: {zone} && firewall-cmd --reload"
    if any(chain.startswith("ufw-") for chain in wall.chains):
        return f"ufw route allow in on {name}"
    if wall.tool == "nft":
        insert = f"nft insert rule {wall.table} {wall.chain}"
        back = f"oifname {name} ct state established,related accept"
        return f"{insert} iifname {name} accept; {insert} {back}"
    user = next((c for c in wall.chains if c == "DOCKER-USER"), wall.chain)
    insert = f"{wall.tool} -I {user}"
    back = f"-o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    return f"{insert} -i {name} -j ACCEPT; {insert} {back}"


def bridged(networks: list[str], guards: list[str], judge: Judge) -> Iterator[Finding]:
    """With br_netfilter on, a firewall of the host drops what never leaves a bridge."""
    why = f"{BRIDGED} is 1, so {owner(judge.wall)} drops what"
    yield from told(
        [name for name in networks if judge.drops(name, name, NEW)],
        lambda name: (
            f"{why} guests of {name} send each other: sysctl -w {BRIDGED}=0, or let the bridge through:"
            f" {cure(judge.wall, name)}"
        ),
    )
    if any(judge.drops(name, name, NEW) for name in guards):
        yield note(
            None,
            f"{why} guests with a Proxmox firewall send ({GUARDS}* bridges): give that chain the policy"
            f" accept, or accept there what comes in by {GUARDS}*",
        )
