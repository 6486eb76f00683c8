"""The answer in words: what is not imported, and what an administrator does next."""

import re
from collections.abc import Iterator

from natnetd.moving.answer import Answer
from natnetd.moving.networks import Net
from natnetd.moving.places import Item, visible

DONE = "Nothing was changed."
LINES = "Once natnetd runs, remove these lines of the old configuration:"
LIVE = "Then remove the old rules, one command for each copy that is in force:"
BLIND = "Then remove the old rules, each command until iptables says there is none left:"
PROXMOX = "On Proxmox VE put this in their place, without auto, so that its pages still list the bridge:"


def told(found: Answer) -> Iterator[str]:
    """Yield the lines for people."""
    count = len(found.nets)
    yield f"{count} network{'' if count == 1 else 's'} imported. {DONE}"
    yield from listed("Not imported:", found.missing)
    yield from listed("Left to ifupdown:", found.stays)
    yield from listed("Worth knowing:", found.notes)
    yield from listed(LINES, found.goes)
    stanzas = [
        line for net in found.nets.values() if re.fullmatch(r"vmbr[0-9]+", net.name) for line in stanza(net)
    ]
    yield from block(PROXMOX, stanzas)
    yield from block(LIVE if found.counted else BLIND, found.commands)


def listed(title: str, items: list[Item]) -> Iterator[str]:
    """Yield items under a title, if there are any."""
    yield from block(title, [str(item) for item in sorted(items)])


def block(title: str, lines: list[str]) -> Iterator[str]:
    """Yield lines under a title, if there are any."""
    if lines:
        yield from ("", title, *(f"  {visible(line)}" for line in lines))


def stanza(net: Net) -> Iterator[str]:
    """Yield a stanza that Proxmox VE lists, and that its ifreload leaves alone: there is no auto.

    address-purge and ip-forward matter only if somebody turns Autostart on there.
    """
    for family, version in (("inet", 4), ("inet6", 6)):
        if addresses := [a for a in net.addresses if a.version == version]:
            yield f"iface {net.name} {family} static"
            yield from (f"        address {address}" for address in addresses)
            yield "        bridge-ports none"
            yield f"        bridge-stp {'on' if net.stp else 'off'}"
            yield f"        bridge-fd {net.delay or 0}"
            yield "        address-purge no"
            yield "        ip-forward on"
            if net.description:
                yield f"#{net.description}"
