"""DHCP and DNS: one dnsmasq for each network that says so, with today's text.

Another text takes a restart; reservations and names only are read again.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from natnetd.dnsmasq import server
from natnetd.host import Layer, Snapshot
from natnetd.model import Config, Network
from natnetd.plan import Change, diff
from natnetd.rows import Served

NAME = "dhcp"
LAYER = Layer.SERVICE


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want an instance for each network that is served, and no other one of ours."""
    served = seen.served
    if served is None:
        return
    for name in sorted(config.networks.keys() | served.servers.keys()):
        network = config.networks.get(name)
        wanted = network if network and network.served else None
        if wanted and not served.installed:
            continue
        have = served.servers.get(name)
        if have and wanted:
            have = replace(have, deaf=deaf(wanted, seen, served))
        want = server(wanted, served) if wanted else None
        yield from diff(LAYER, NAME, name, {name: want} if want else {}, {name: have} if have else {})


def deaf(network: Network, seen: Snapshot, served: Served) -> str:
    """Where an instance should hear its guests, and does not: DHCP by the bridge's name, DNS by address.

    dnsmasq follows addresses, but its DHCP never finds a bridge that was made anew.
    """
    link = seen.links.get(network.name)
    heard = served.listening.get(network.name, frozenset())
    by = [network.name] if network.dhcp else []
    by += [f"{network.name} (DHCPv6)"] if network.ra else []
    lost = [name for name in by if link is None or name not in heard]
    if network.dns and link and link.up:
        there = {row.interface for row in seen.addresses.get(network.name, ())}
        lost += [str(a.ip) for a in network.gateways if str(a) in there and str(a.ip) not in heard]
    return ", ".join(lost)
