"""What goes: lines of the old configuration, and rules that are in force."""

import shlex
from collections.abc import Iterator

from natnetd.moving.interfaces import Words
from natnetd.moving.networks import Nets
from natnetd.moving.places import Item
from natnetd.moving.rules import Rule
from natnetd.moving.site import Site
from natnetd.moving.verdicts import Verdicts


def remove(site: Site, nets: Nets, verdicts: Verdicts, goes: list[Item], commands: list[str]) -> None:
    """List both."""
    autos: set[Words] = set()
    for name in nets:
        iface = site.ifaces[name]
        for stanza in iface.stanzas:
            head = f"iface {stanza.name} {stanza.family} {stanza.method}".strip()
            goes.append(Item(stanza.whole, f"{head}, the whole stanza"))
        autos.update(iface.autos)
    for words in autos:
        ours = [name for name in words.names if name.partition(":")[0] in nets]
        line = f"{words.key} {' '.join(words.names)}"
        goes.append(
            Item(
                words.place, line if len(ours) == len(words.names) else f"{line}: take {', '.join(ours)} out"
            )
        )
    goes += verdicts.goes
    for rule in verdicts.imported.values():
        commands += [shlex.join(words) for words in removals(site, rule)]


def removals(site: Site, rule: Rule) -> Iterator[tuple[str, ...]]:
    """Yield the commands that remove every copy of a rule in force; only those of IPv4 are counted."""
    if site.live is None or rule.six:
        yield rule.removal()
    else:
        copies = (saved for saved in site.live if saved.rule.same == rule.same)
        yield from (saved.rule.removal(saved.tool) for saved in copies)
