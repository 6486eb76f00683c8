"""The kernel's switch: on for the host, for our bridges and for the uplinks; never switched off.

Writing 1 to `ip_forward` where it is 1 repairs no interface that was switched off, and container engines
look at `ip_forward`, so both are kept. Interfaces are looked at on input: the bridge for what guests
send, the uplink for the answers.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change
from natnetd.rows import Setting

NAME = "forwarding"
LAYER = Layer.SYSCTL


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want forwarding on wherever a network needs it."""
    if config.all.forwards:
        yield from switch(None, ("ip_forward",), seen)
        ways = config.all.ways | (seen.default_links if config.all.any_way else frozenset())
        for way in sorted(ways):
            if f"net.ipv4.conf.{way}.forwarding" in seen.settings:  # it may come later
                yield from switch(None, ("conf", way, "forwarding"), seen)
    for name in config.networks:
        yield from switch(name, ("conf", name, "forwarding"), seen)


def switch(network: str | None, parts: tuple[str, ...], seen: Snapshot) -> Iterator[Change[Setting]]:
    """Change one setting unless it is on; an interface made in this very pass has none yet."""
    path = ("net", "ipv4", *parts)
    key = ".".join(path)
    value = seen.settings.get(key)
    if value != "1":
        have = None if value is None else Setting(path, value)
        yield Change(LAYER, NAME, network, key, have, Setting(path, "1"))
