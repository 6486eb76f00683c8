"""Bridges: made if missing, kept as the file says; one that somebody else made is adopted.

A bridge of ours is kept true in every respect, an adopted one in what the file says explicitly, and in
being up. A bridge of ours that no network wants is removed unless guests are plugged into it.
"""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config, Network
from natnetd.plan import Change, diff
from natnetd.rows import GROUP, Bridge, Link, derived_mac

NAME = "bridge"
LAYER = Layer.LINK

MTU = 1500
FORWARD_DELAY = 150  # tenths of a second: what the kernel takes when STP is on


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want one bridge for each network, and no other bridge of ours."""
    for name, network in config.networks.items():
        link = seen.links.get(name)
        ours = link is None or seen.owns(link)
        want = full(network, seen.machine) if ours else explicit(network)
        have = {} if link is None else {name: observed(link, want)}
        yield from diff(LAYER, NAME, name, {name: want}, have)
    taken = seen.plugged().keys()
    for name, link in seen.links.items():
        if link.ours and name not in config.networks and link.index not in taken:
            yield Change(LAYER, NAME, name, name, observed(link, full(Network(name), "")), None)


def full(network: Network, machine: str) -> Bridge:
    """A bridge of ours, with every default an administrator would pick."""
    delay = network.forward_delay
    stp = bool(network.stp)
    return Bridge(
        group=GROUP,
        mtu=network.mtu or (None if network.mtu_auto and (network.nat or network.routed) else MTU),
        mac=network.mac or derived_mac(machine, network.name),
        stp=stp,
        forward_delay=round(delay * 10) if delay is not None else FORWARD_DELAY if stp else 0,
        alias=network.description or "",
    )


def explicit(network: Network) -> Bridge:
    """An adopted bridge: only what the file says."""
    delay = network.forward_delay
    return Bridge(
        mtu=network.mtu,
        mac=network.mac,
        stp=network.stp,
        forward_delay=None if delay is None else round(delay * 10),
        alias=network.description,
    )


def observed(link: Link, want: Bridge) -> Bridge:
    """What a link has of what is wanted; the rest is nobody's business."""
    return Bridge(
        up=link.up,
        group=None if want.group is None else link.group,
        mtu=None if want.mtu is None else link.mtu,
        mac=None if want.mac is None else link.mac,
        stp=None if want.stp is None else link.stp,
        forward_delay=None if want.forward_delay is None else link.forward_delay,
        alias=None if want.alias is None else link.alias,
    )
