"""The answer: the networks, what is not imported, what goes, and which rules in force are to be removed."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from natnetd.errors import Complaint
from natnetd.moving.bridges import Elsewhere, Refused
from natnetd.moving.networks import Net, network
from natnetd.moving.places import Item
from natnetd.moving.removals import remove
from natnetd.moving.site import Site
from natnetd.moving.verdicts import Verdicts
from natnetd.moving.written import at, written

PLACE = re.compile(r" \((?:first at )?line [0-9]+\)")  # in our own text, which the reader does not have


@dataclass(slots=True)
class Answer:
    """What there is to tell."""

    nets: dict[str, Net] = field(default_factory=dict)
    missing: list[Item] = field(default_factory=list)  # not imported, and somebody must look
    stays: list[Item] = field(default_factory=list)  # not imported, and no business of natnetd's
    notes: list[Item] = field(default_factory=list)
    goes: list[Item] = field(default_factory=list)  # lines of the old configuration
    commands: list[str] = field(default_factory=list)
    counted: bool = False  # copies in force were counted
    text: str = ""


def answer(site: Site, check: Callable[[str], Iterable[Complaint]]) -> Answer:
    """Translate; `check` complains about a file, and networks it complains about are left out."""
    refused: dict[str, str] = {}
    while True:
        found = attempt(site, refused)
        wrong = {at(found.text, c.line): PLACE.sub("", c.text) for c in check(found.text)}
        if not wrong:
            return found
        first = next(iter(found.nets))
        refused |= {name if name in found.nets else first: text for name, text in wrong.items()}


def attempt(site: Site, refused: dict[str, str]) -> Answer:
    """Translate all but some networks, which are `refused` for the reasons given."""
    it = Answer(missing=[*site.odd], counted=site.live is not None)
    turned_down = dict(refused)
    for name in site.ifaces:
        sort(site, name, turned_down, it)
    verdicts = Verdicts(site, it.nets, tuple(turned_down))
    verdicts.translate()
    finish(site, it)
    verdicts.tell()
    remove(site, it.nets, verdicts, it.goes, it.commands)
    it.missing += verdicts.missing
    it.stays += verdicts.stays
    it.notes += verdicts.notes
    for items in (it.missing, it.stays, it.notes, it.goes):
        items[:] = sorted(set(items))
    it.text = written(it.nets)
    return it


def sort(site: Site, name: str, refused: dict[str, str], it: Answer) -> None:
    """Tell whether an interface is an internal network."""
    iface = site.ifaces[name]
    found = None
    try:
        found = None if name in refused else network(iface, site)
    except Elsewhere as reason:
        it.stays += [Item(stanza.whole, f"{name}: {reason}") for stanza in iface.stanzas]
        return
    except Refused as reason:
        refused[name] = str(reason)
    if found is None:
        text = f"{name}: {refused[name]}; it stays as it is"
        it.missing += [Item(stanza.whole, text) for stanza in iface.stanzas]
        return
    it.nets[name], items = found
    it.missing += items
    gaps = [stanza.gap for stanza in iface.stanzas if stanza.gap]
    text = f"a blank line in the stanza of {name}: ifupdown reads on, Proxmox VE does not"
    it.notes += [Item(gap, text) for gap in gaps]


def finish(site: Site, it: Answer) -> None:
    """Decide how networks without NAT are meant, and say what changes."""
    for net in it.nets.values():
        net.exempt = [*dict.fromkeys(net.exempt + net.spared)] if net.nat else []
        if net.nat:
            net.notes += [f"{own} is translated too from now on, with the whole network" for own in net.loose]
        elif net.stuck:
            net.routed = True
            net.notes.append("its NAT is not imported: routed leaves that to the rules that stay in force")
        elif site.forwarding:
            net.routed = True
            net.notes.append("forwarding is on and nothing translates: routed lets everybody in and out;")
            net.notes.append("without that line the network is closed")
        else:
            net.notes.append("closed, for nothing that was understood lets its guests out; if they leave,")
            net.notes.append("write nat: true, or routed: true")
    if len(it.nets) > 1 and (site.forwarding or any(net.nat for net in it.nets.values())):
        first, second, *_ = it.nets
        text = f"natnetd keeps networks apart; if guests of {first} shall open connections to {second}"
        it.notes.append(Item(site.ifaces[first].place, f"{text}, write reach: {second} under {first}"))
