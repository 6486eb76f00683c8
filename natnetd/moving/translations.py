"""What one rule of iptables means to our networks."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from natnetd.moving.bridges import unfit
from natnetd.moving.networks import Net, Nets
from natnetd.moving.places import Place
from natnetd.moving.rules import Rule, Subnet, subnet
from natnetd.moving.site import Site
from natnetd.moving.sorts import FIRST, STAYS, is_translation

NO_SIX = "natnetd's nat translates unique-local IPv6 by masquerade, which this is not taken for"


def spare(rule: Rule, after: list[Rule], nets: Nets) -> Iterator[str]:
    """Exempt a destination; yield the reason if that cannot be. `after`: the rules that come after it."""
    source, to = subnet(rule.source), subnet(rule.destination)
    concerned = [net for net in nets.values() if touches(source, net)]
    for net in concerned:
        if not covers(source, net):
            yield f"is about a part of {net.name}; {fate(source, {net.name: net})}"
        elif not net.nat:
            yield f"natnetd does not translate {net.name}; {STAYS}"
        elif not any(is_translation(later) and covers(subnet(later.source), net) for later in after):
            yield f"comes after the rule that translates {net.name}, so it never had an effect"
        elif str(to) not in net.spared and not inside(to, net):
            net.spared.append(str(to))
    if not concerned:
        yield f"{source} is no network that is imported; {STAYS}"


def inside(to: Subnet | None, net: Net) -> bool:
    """Whether a destination is the network's own."""
    return isinstance(to, IPv4Network) and any(to.subnet_of(own) for own in net.subnets)


def translate(rule: Rule, place: Place, nets: Nets, site: Site) -> Iterator[str]:
    """Let networks leave as a rule has it; yield the reasons if it cannot be, or not for all."""
    source = subnet(rule.source)
    if reason := unlike(rule):
        yield f"{reason}; {fate(source, nets)}"
        return
    wanted = [net for net in nets.values() if covers(source, net)]
    partly = [net for net in nets.values() if touches(source, net) and net not in wanted]
    for net in partly:
        text = f"is about {source}, a part of {net.name}, and natnetd gives a network one way out"
        yield f"{text}; {fate(source, {net.name: net})}"
    if not source:
        wanted = [net for net in wanted if not net.nat or net.every]
    for net in wanted:
        if reason := leave(rule, place, net, nets, site):
            yield reason
    if not wanted and not partly:
        whom = (
            f"{source} belongs to no network that is imported" if source else "no imported network needs it"
        )
        yield f"{whom}; {STAYS}"


def fate(source: Subnet | None, nets: Nets) -> str:
    """Say what becomes of a rule that is not imported: it works where natnetd does not translate."""
    concerned = [net for net in nets.values() if touches(source, net)]
    for net in concerned:
        net.stuck = True
    if (
        source
        and source.version == 6
        and any(source.overlaps(a.network) for n in nets.values() for a in n.addresses)
    ):
        return "natnetd decides how IPv6 of its networks leaves, so it has no effect any more; remove it"
    return FIRST if any(net.nat for net in concerned) and (source or len(concerned) == len(nets)) else STAYS


def unlike(rule: Rule) -> str:
    """Say what a rule asks for that `nat` cannot."""
    if rule.six:
        return NO_SIX
    asked = [*rule.extra, *(["-p " + rule.protocol.value] if rule.protocol else [])]
    asked += ["-i " + rule.iif.value] if rule.iif else []
    asked += ["! -s " + rule.source.value] if rule.source.excluded else []
    to = subnet(rule.destination)
    asked += ["-d " + str(to)] if to and not rule.destination.excluded else []
    if rule.target.value == "SNAT" and not is_address(rule.to.value):
        asked.append(f"--to-source {rule.to.value}")
    if rule.target.value == "MASQUERADE" and rule.to:
        asked.append(f"--to-ports {rule.to.value}")
    return f"natnetd's nat cannot ask for {', '.join(asked)}" if asked else ""


def is_address(text: str) -> bool:
    """Whether it is one IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def covers(source: Subnet | None, net: Net) -> bool:
    """Whether a whole subnet of a network leaves by the rule."""
    return any(
        source is None or (isinstance(source, IPv4Network) and own.subnet_of(source)) for own in net.subnets
    )


def touches(source: Subnet | None, net: Net) -> bool:
    """Whether a part of a network does."""
    return any(source is None or (source.version == 4 and source.overlaps(own)) for own in net.subnets)


def leave(rule: Rule, place: Place, net: Net, nets: Nets, site: Site) -> str:
    """Let a network leave as the rule has it; return the reason if it cannot."""
    way, note = way_out(rule, net, site)
    if net.nat and rule.oif.value == net.name and not rule.oif.excluded:
        return f"is for guests that reach each other by an address outside; {STAYS}"
    if way in nets:
        return f"translates what {net.name} sends to {way}; natnetd never translates between its networks"
    if way.startswith("!"):
        return f"natnetd cannot exclude the way out {way[1:]}; {fate(subnet(rule.source), {net.name: net})}"
    if wrong := unfit(way) if way else "":
        return f"{wrong}; {fate(subnet(rule.source), {net.name: net})}"
    source = rule.to.value if rule.target.value == "SNAT" else ""
    exempt = exempted(rule, net)
    if net.nat and (net.source, net.exempt) != (source, exempt):
        by = f"{net.name} leaves by {net.source or 'masquerade'} already"
        return (
            f"{by}, and natnetd gives a network one source; from now on nothing leaves by {way or 'others'}"
        )
    net.nat, net.source, net.exempt, net.every = True, source, exempt, not rule.source
    net.any_way = net.any_way or not way
    if way and way not in net.uplinks:
        net.uplinks.append(way)
    notes = [f"{place}: {text}" for text in (note, *about(rule, net)) if text]
    net.notes += [text for text in notes if text not in net.notes]
    return ""


def exempted(rule: Rule, net: Net) -> list[str]:
    """Return where guests go untranslated, beyond their own network."""
    to = subnet(rule.destination)
    return [] if to is None or inside(to, net) else [str(to)]


def way_out(rule: Rule, net: Net, site: Site) -> tuple[str, str]:
    """Return the uplink (empty for any, with a `!` for all but one), and what is strange about it."""
    name = rule.oif.value.partition(":")[0]
    note = f"{rule.oif.value} is an alias, which iptables never sees" if ":" in rule.oif.value else ""
    if name == net.name:
        return "", "" if rule.oif.excluded else f"-o names {name} itself; imported with any uplink"
    if rule.oif.excluded:
        return ("", "") if name == "lo" else (f"!{name}", "")
    if name.endswith("+"):
        return "", f"-o {name} is a pattern; imported with any uplink"
    if master := site.master(name):
        return master, f"{name} is a port of {master}, by which packets leave; the rule never matched them"
    return name, note


def about(rule: Rule, net: Net) -> Iterator[str]:
    """Yield what changes by the import."""
    source = subnet(rule.source)
    if rule.chosen:
        yield f"{' '.join(rule.chosen)} is left out; the kernel chooses ports"
    if source is None:
        yield "the rule names no source; imported for every network here, it also held for others"
        return
    net.covered.append(source)
    for own in net.subnets:
        if isinstance(source, IPv4Network) and own.subnet_of(source) and own != source:
            yield f"{source} is wider than {own}; natnetd translates its own subnets only"


def urgency(rule: Rule, nets: Nets) -> int:
    """Order rules: those that name a whole network first, those that cannot be imported last."""
    source = subnet(rule.source)
    if unlike(rule):
        return 3
    whole = [net for net in nets.values() if covers(source, net)]
    if not whole or rule.oif.value in nets:
        return 2
    return 0 if source else 1
