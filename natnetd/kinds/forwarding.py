"""The kernel's switch: on for the host, for our bridges and for the uplinks; never switched off.

Writing 1 to `ip_forward` where it is 1 repairs no interface that was switched off, and container engines
look at `ip_forward`, so both are kept. Interfaces are looked at on input: the bridge for what guests
send, the uplink for the answers.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config, Network
from natnetd.plan import Change
from natnetd.rows import Setting

NAME = "forwarding"
LAYER = Layer.SYSCTL


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want forwarding on wherever a network needs it."""
    open_networks = [n for n in config.networks.values() if n.nat or n.routed or n.reach or n.inbound]
    if open_networks:
        yield from switch(None, ("ip_forward",), seen)
    for network in config.networks.values():
        yield from switch(network.name, ("conf", network.name, "forwarding"), seen)
    for uplink in sorted({u for n in open_networks for u in uplinks(n, seen)}):
        if uplink in seen.links and uplink not in config.networks:
            yield from switch(None, ("conf", uplink, "forwarding"), seen)


def uplinks(network: Network, seen: Snapshot) -> Iterable[str]:
    """Interfaces whose packets must get in: the named ones, or those with a default route."""
    named = network.nat.uplinks if network.nat else ()
    return (*network.inbound, *(named or seen.default_links))


def switch(network: str | None, parts: tuple[str, ...], seen: Snapshot) -> Iterator[Change[Setting]]:
    """Change one setting unless it is on; an interface made in this very pass has none yet."""
    path = ("net", "ipv4", *parts)
    key = ".".join(path)
    value = seen.settings.get(key)
    if value != "1":
        have = None if value is None else Setting(path, value)
        yield Change(LAYER, NAME, network, key, have, Setting(path, "1"))
