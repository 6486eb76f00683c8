"""The kernel's switch of IPv6, and whose router advertisements the host hears.

Packets are forwarded once `conf.all.forwarding` is on; only that counts on kernels before 6.17. It also
makes the host a router on every interface, and a router does not hear others unless `accept_ra` is 2: the
host would lose its own default route when that expires. So whatever leads out of the host gets 2 first, if
it has 1; 0 is somebody's choice. Guests must not give the host a route: 0 on bridges of networks. There the
interface's own `forwarding` counts too: guests forget a gateway that does not say it is a router.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change
from natnetd.rows import PHYSICAL, Link, Setting

NAME = "router"
LAYER = Layer.SYSCTL
ALL = "net.ipv6.conf.all.forwarding"
THERE = "net.ipv6.conf.default.accept_ra"
"""Seen wherever IPv6 is."""
LEAST_MTU = 1280


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want the uplinks to hear routers, then forwarding, then bridges that hear nobody."""
    if THERE not in seen.settings:
        return
    if config.all.forwards6:
        for way in sorted(hearing(config, seen)):
            if seen.settings.get(f"net.ipv6.conf.{way}.accept_ra") == "1":
                yield from setting(None, (way, "accept_ra"), "2", seen)
        if ALL in seen.settings:  # a narrow look does not see every way out, so it switches nothing on
            yield from setting(None, ("all", "forwarding"), "1", seen)
    for name, network in config.networks.items():
        link = seen.links.get(name)
        new = link is None and (network.mtu or LEAST_MTU) >= LEAST_MTU
        if new or f"net.ipv6.conf.{name}.accept_ra" in seen.settings:
            yield from setting(name, (name, "accept_ra"), "0", seen)
            if network.gateways6:
                yield from setting(name, (name, "forwarding"), "1", seen)


def hearing(config: Config, seen: Snapshot) -> frozenset[str]:
    """Interfaces by which the host may hear routers: those named, and those that lead out of it.

    A bridge of ours does not, whoever is plugged in: a narrow look knows nothing of one that is left over.
    """
    out = {link.name for link in seen.links.values() if link.kind in PHYSICAL and not link.master}
    by_index = {link.index: link.name for link in seen.links.values()}
    out |= {by_index.get(link.master or 0, "") for link in seen.links.values() if outer(link)}
    out -= {link.name for link in seen.links.values() if link.ours}
    return frozenset(config.all.ways | seen.auto6 | out) - config.all.names - {"lo", ""}


def outer(port: Link) -> bool:
    """Whether a port leads out of the host."""
    return port.master is not None and port.kind in PHYSICAL


def setting(
    network: str | None, parts: tuple[str, str], value: str, seen: Snapshot
) -> Iterator[Change[Setting]]:
    """Change one setting unless it is so; an interface made in this very pass has none yet."""
    path = ("net", "ipv6", "conf", *parts)
    key = ".".join(path)
    found = seen.settings.get(key)
    if found != value:
        have = None if found is None else Setting(path, found)
        yield Change(LAYER, NAME, network, key, have, Setting(path, value))
