"""Sorts of rules, by what natnetd makes of them."""

import re

from natnetd.moving.networks import Nets
from natnetd.moving.rules import Rule, subnet

STAYS = "it stays in force: keep the line"
FIRST = "natnetd translates before it, so it has no effect any more"


def is_translation(rule: Rule) -> bool:
    """Whether a rule gives packets another source."""
    place = (rule.table, rule.chain) == ("nat", "POSTROUTING")
    return place and rule.target.value in ("MASQUERADE", "SNAT")


def is_exemption(rule: Rule) -> bool:
    """Whether it lets packets to some destination leave under their own addresses."""
    place = (rule.table, rule.chain) == ("nat", "POSTROUTING")
    asks = rule.extra or rule.protocol or rule.iif or rule.source.excluded or rule.destination.excluded
    to = subnet(rule.destination)
    return place and rule.target.value in ("ACCEPT", "RETURN") and not asks and bool(to and to.version == 4)


def is_forward(rule: Rule) -> bool:
    """Whether it leads what comes in to a guest."""
    return (rule.table, rule.chain, rule.target.value) == ("nat", "PREROUTING", "DNAT")


def is_zone(rule: Rule) -> bool:
    """Whether it keeps Proxmox's firewall bridges in a zone of their own, as natnetd does by itself."""
    place = (rule.table, rule.chain, rule.target.value) == ("raw", "PREROUTING", "CT")
    asks = rule.source or rule.destination or rule.oif or rule.extra or rule.protocol or rule.iif.excluded
    return place and bool(rule.zone) and not asks and bool(re.fullmatch(r"fwbr.*\+", rule.iif.value))


def is_wall(rule: Rule, nets: Nets) -> bool:
    """Whether it keeps two of our networks apart, as natnetd does by itself."""
    between = rule.iif.value in nets and rule.oif.value in nets and rule.iif.value != rule.oif.value
    asks = rule.source or rule.destination or rule.protocol or [e for e in rule.extra if "--reject" not in e]
    excluded = rule.iif.excluded or rule.oif.excluded
    drops = rule.target.value in ("DROP", "REJECT")
    return (
        (rule.table, rule.chain) == ("filter", "FORWARD") and between and drops and not asks and not excluded
    )


def other(rule: Rule) -> str:
    """Say why a rule is not imported."""
    if rule.verb in ("F", "flush"):
        return f"empties the table {rule.table} of everybody's rules; natnetd has a table of its own"
    if (rule.chain, rule.target.value) == ("OUTPUT", "DNAT"):
        return f"natnetd's forwards lead the host itself too; {STAYS}, if its forward is not imported"
    if (rule.table, rule.chain) == ("nat", "POSTROUTING"):
        return f"natnetd has nothing like it; {FIRST}"
    if rule.table == "filter":
        return f"a firewall's rule; {STAYS}"
    return f"natnetd has nothing like it; {STAYS}"
