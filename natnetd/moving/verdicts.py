"""What becomes of each command: imported, or not and why."""

import shlex
from collections.abc import Sequence

from natnetd.moving.facts import (
    Addressed,
    Fact,
    Foreign,
    Forwarding,
    Made,
    Nothing,
    Plugged,
    Ruled,
    Touched,
    Unclear,
)
from natnetd.moving.forwards import lead, standing
from natnetd.moving.networks import Nets
from natnetd.moving.places import Item, Place
from natnetd.moving.rules import Rule, subnet
from natnetd.moving.site import Said, Site
from natnetd.moving.sorts import STAYS, is_exemption, is_forward, is_translation, is_wall, is_zone, other
from natnetd.moving.translations import spare, touches, translate, urgency


class Verdicts:
    """Judges commands; networks learn how they leave."""

    def __init__(self, site: Site, nets: Nets, refused: Sequence[str]) -> None:
        self.site = site
        self.nets = nets
        self.refused = refused
        self.imported: dict[Rule, Rule] = {}  # by what is the same of its commands
        self.kept: dict[Rule, tuple[Place, list[str]]] = {}  # with reasons
        self.missing: list[Item] = []
        self.stays: list[Item] = []
        self.notes: list[Item] = []
        self.goes: list[Item] = []

    def translate(self) -> None:
        """Let the rules say how networks leave; those in force count where no line says it."""
        chain: list[tuple[Rule, Place]] = []
        for said in self.site.said:
            for fact in said.facts:
                if said.up and isinstance(fact, Ruled) and fact.rule.verb in ("A", "I"):
                    at = len(chain) if fact.rule.verb == "A" else 0
                    chain.insert(at, (fact.rule, said.place))
        self.weigh(chain)
        for index, (rule, place) in enumerate(chain):
            if is_zone(rule) or is_wall(rule, self.nets):
                self.imported.setdefault(rule.same, rule)
            elif is_exemption(rule):
                after = [later for later, _ in chain[index:]]
                self.decide(rule, place, [*spare(rule, after, self.nets)])
            elif is_forward(rule):
                before = standing([earlier for earlier, _ in chain[:index]], self.imported)
                self.decide(rule, place, [*lead(rule, place, before, self.nets, self.site)])
        self.translate_live({rule.same for rule, _ in chain})

    def translate_live(self, known: set[Rule]) -> None:
        """Take rules in force that no line adds, for networks of which no line says how they leave."""
        found = [saved for saved in self.site.live or () if saved.rule.same not in known]
        live = {saved.rule.same: saved for saved in reversed(found)}
        before = {*self.imported}
        self.weigh([(saved.rule, saved.place) for saved in live.values() if self.unexplained(saved.rule)])
        for rule in (*(self.imported.keys() - before), *(self.kept.keys() & live.keys())):
            text = "in force, but no line here adds it: find what does (a unit, if-up.d, rules.v4)"
            reasons = self.kept[rule][1] if rule in self.kept else [text]
            where = self.missing if rule in self.kept else self.notes
            spec = shlex.join(("-A", live[rule].rule.chain, *live[rule].rule.spec))
            where += [Item(live[rule].place, f"{spec}: {reason}") for reason in reasons]

    def weigh(self, rules: list[tuple[Rule, Place]]) -> None:
        """Take translating rules."""
        ours = [pair for pair in rules if is_translation(pair[0])]
        for rule, place in sorted(ours, key=lambda pair: urgency(pair[0], self.nets)):
            reasons = [*translate(rule, place, self.nets, self.site)]
            if not rule.source and self.refused and not reasons:
                reasons = [f"holds for {', '.join(self.refused)} too, which is not imported; {STAYS}"]
            self.decide(rule, place, reasons)

    def decide(self, rule: Rule, place: Place, reasons: list[str]) -> None:
        """Note what becomes of a rule."""
        if not reasons:
            self.imported.setdefault(rule.same, rule)
        elif rule.same not in self.imported:
            self.kept.setdefault(rule.same, (place, reasons))

    def unexplained(self, rule: Rule) -> bool:
        """Whether a rule in force is about a network of which no line says how it leaves."""
        source = subnet(rule.source)
        return source is not None and any(touches(source, net) and not net.nat for net in self.nets.values())

    def tell(self) -> None:
        """Say what becomes of every command."""
        for said in self.site.said:
            self.tell_one(said)

    def tell_one(self, said: Said) -> None:
        """Say what becomes of a line."""
        whys = [(fact, self.reason(fact, said)) for fact in said.facts]
        left = [(fact, why) for fact, why in whys if why]
        ours = any(isinstance(fact, Ruled | Forwarding) and not why for fact, why in whys)
        if not left and ours and said.iface not in self.nets:
            self.goes.append(Item(said.place, said.line))
        for fact, why in left:
            light = isinstance(fact, Foreign | Forwarding) and not getattr(fact, "weighty", False)
            where = self.stays if light and said.iface not in self.nets else self.missing
            more = "; the rest of the line is imported: split it" if ours else ""
            where.append(Item(said.place, f"{said.line}: {why}{self.advice(said, fact, why)}{more}"))

    def advice(self, said: Said, fact: Fact, why: str) -> str:
        """Say what to do with a line that stays, in a stanza that goes."""
        net = self.nets.get(said.iface)
        if net is None or not said.up or (isinstance(fact, Ruled) and STAYS not in why):
            return ""
        where = f"the stanza of {net.uplinks[0]}" if net.uplinks else "another stanza"
        needed = "if it is needed, " if isinstance(fact, Unclear) else ""
        name = f", with {net.name} for $IFACE" if "IFACE" in said.line else ""
        return f"; {needed}move it to {where} first{name}"

    def reason(self, fact: Fact, said: Said) -> str:
        """Say why a fact is not imported; nothing for one that is."""
        match fact:
            case Ruled(rule):
                return self.reason_of_rule(rule, said)
            case Forwarding(on):
                return self.reason_of_forwarding(said, on=on)
            case Foreign(reason) | Unclear(reason):
                return reason
            case Made(name) | Plugged(name) | Addressed(name) | Touched(name):
                alien = said.iface in self.nets and name not in self.nets
                return f"is about {name}, which is not imported" if alien else ""
            case Nothing():
                return ""

    def reason_of_rule(self, rule: Rule, said: Said) -> str:
        """Say why a rule is not imported."""
        kept = self.kept.get(rule.same)
        if rule.same in self.imported:
            if not said.up and rule.verb != "D":
                self.notes.append(Item(said.place, f"{said.line}: adds once more what it should remove"))
            return ""
        if rule.verb == "D":
            return f"takes back what {kept[0]} adds, which see" if kept else "removes what no line here adds"
        if kept:
            return "" if rule.verb == "C" else "; ".join(kept[1])
        if not said.up and rule.verb in ("A", "I"):
            return "adds a rule when the interface goes down"
        reason = other(rule)
        self.kept[rule.same] = (said.place, [reason])
        return reason

    def reason_of_forwarding(self, said: Said, *, on: bool) -> str:
        """Say why a switch of forwarding stays."""
        if not any(net.nat or net.routed for net in self.nets.values()):
            return "" if said.iface in self.nets else "no network here needs it; it stays"
        if not on:
            text = "switched forwarding off for the whole host; natnetd leaves it on"
            self.notes.append(Item(said.place, f"{said.line}: {text}"))
        return ""
