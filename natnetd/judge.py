"""What stands in the way of each network; pure. A finding is explained, never a reason to refuse a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from natnetd.host import Finding, Snapshot, State
from natnetd.listening import forwards
from natnetd.model import Config, Network, Whole
from natnetd.rows import PHYSICAL, Link
from natnetd.surroundings import surroundings
from natnetd.ways import astray, misfits, wayless


@dataclass(frozen=True, slots=True)
class Judged:
    """The configuration without conflicted networks, which are neither built nor torn down."""

    config: Config
    findings: tuple[Finding, ...]
    conflicted: frozenset[str]

    @classmethod
    def of(cls, config: Config, findings: tuple[Finding, ...]) -> "Judged":
        """Take the conflicted networks out."""
        conflicted = frozenset(f.network for f in findings if f.state is State.CONFLICT and f.network)
        if not conflicted:
            return cls(config, findings, conflicted)
        kept = {name: n for name, n in config.networks.items() if name not in conflicted}
        whole = replace(Whole.of(kept.values()), populated=True)  # or the table would go from under them
        return cls(replace(config, networks=kept, whole=whole), findings, conflicted)


def judge(config: Config, seen: Snapshot) -> Judged:
    """Compare what is wanted with what the host allows."""
    by_index = {link.index: link for link in seen.links.values()}
    pools = any(network.nat and network.nat.source for network in config.networks.values())
    carried = set(carried4(seen)) if pools else set[IPv4Address]()
    plugged = seen.plugged()
    findings: list[Finding] = []
    for network in config.networks.values():
        findings += taken(network, seen, plugged)
        findings += uplinks(network, seen, by_index)
        findings += source(network, carried)
        findings += astray(network, config, seen.auto | seen.auto6)
        findings += wayless(network, seen.auto6)
        findings += sizes(network, seen, plugged)
        findings += cut_off(network)
    findings += dict.fromkeys(forwards(config, seen))
    findings += in_use(config, seen, plugged)
    findings += dict.fromkeys(surroundings(config, seen))
    return Judged.of(config, tuple(findings))


def carried4(seen: Snapshot) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses of the host."""
    for rows in seen.addresses.values():
        for row in rows:
            if ":" not in row.interface:
                yield IPv4Address(row.interface.partition("/")[0])


Plugged = Mapping[int, Sequence[Link]]
"""Ports by the index of their bridge."""


def taken(network: Network, seen: Snapshot, plugged: Plugged) -> Iterator[Finding]:
    """A name that belongs to something else."""
    link = seen.links.get(network.name)
    if link is None or seen.owns(link):
        return
    if link.kind != "bridge":
        what = link.kind or "network card"
        yield conflict(network, f"{link.name} is a {what}, not a bridge: rename one of the two")
        return
    if network.name in seen.default_links:
        yield conflict(
            network, f"{link.name} holds the host's default route: it is an uplink, not a network of guests"
        )
    nics = [port.name for port in plugged.get(link.index, ()) if port.kind in PHYSICAL]
    if nics:
        ports = ", ".join(sorted(nics))
        yield conflict(
            network, f"{link.name} has the physical port {ports}: it leads outside, so it cannot be ours"
        )


def conflict(network: Network, text: str) -> Finding:
    """Make a finding that keeps natnetd's hands off a network."""
    return Finding(network.name, State.CONFLICT, text)


def uplinks(network: Network, seen: Snapshot, by_index: dict[int, Link]) -> Iterator[Finding]:
    """Uplinks and doors that are not there yet, or are a port of the real one."""
    named = network.nat.uplinks if network.nat else ()
    roles = [*(("uplink", name) for name in named), *(("inbound", name) for name in network.inbound)]
    for role, name in roles:
        link = seen.links.get(name)
        if link is None:
            yield Finding(network.name, State.WAITING, f"{role} {name}")
        elif link.master is not None and (bridge := by_index.get(link.master)) and bridge.kind == "bridge":
            text = f"{role} {name} is a port of {bridge.name}, which sees its packets: use {bridge.name}"
            yield Finding(network.name, State.WAITING, text)
        elif not link.up:
            yield Finding(network.name, State.WAITING, f"{role} {name} is down")


def source(network: Network, carried: set[IPv4Address]) -> Iterator[Finding]:
    """Fixed source addresses that the host does not carry: answers will not find them, unless routed here."""
    pool = network.nat.source if network.nat else None
    if pool is None:
        return
    here = sum(address in pool for address in carried)
    if len(pool) == 1 and not here:
        text = f"no interface carries the source {pool}: answers must be routed to this host"
        yield Finding(network.name, State.IN_SYNC, text)
    elif here < len(pool):
        text = (
            f"no interface carries {len(pool) - here} of the {len(pool)} addresses of the source {pool}:"
            " answers to them must be routed to this host"
        )
        yield Finding(network.name, State.IN_SYNC, text)


def sizes(network: Network, seen: Snapshot, plugged: Plugged) -> Iterator[Finding]:
    """Ports of another size than their bridge."""
    link = seen.links.get(network.name)
    if link is not None and link.kind == "bridge":
        yield from misfits(network, link, plugged.get(link.index, ()))


def cut_off(network: Network) -> Iterator[Finding]:
    """Say who is cut off, for nobody else will remember."""
    if network.quarantine:
        yield Finding(network.name, State.IN_SYNC, f"cut off: {', '.join(network.quarantine)}")


def in_use(config: Config, seen: Snapshot, plugged: Plugged) -> Iterator[Finding]:
    """Bridges of ours that no network wants, but guests do."""
    for name, link in seen.links.items():
        if link.ours and name not in config.networks and (ports := plugged.get(link.index)):
            some = ", ".join(sorted(port.name for port in ports)[:5])
            text = f"is in no configuration, but has ports ({some}): unplug them, or use apply --force"
            yield Finding(name, State.IN_USE, text)
