"""What the programs for links, addresses and bridges do."""

from natnetd.moving.facts import Addressed, Fact, Foreign, Made, Plugged, Touched
from natnetd.moving.shell import Simple

ADDRESS_WORDS = ("addr", "address", "a")
LINK_WORDS = ("link", "l")


def ip(command: Simple) -> Fact:
    """Understand iproute2 where it makes bridges and gives addresses."""
    words = [word for word in command.words[1:] if word not in ("-4", "-6")]
    kind, does, *rest = (*words, "", "")[: max(2, len(words))]
    if kind in LINK_WORDS:
        return ip_link(does, [word for word in rest if word != "dev"])
    if kind in ADDRESS_WORDS and "dev" in rest[:-1]:
        at = rest.index("dev")
        name, others = rest[at + 1], rest[:at] + rest[at + 2 :]
        if does in ("add", "replace") and others:
            return Addressed(name, others[0])
        if does in ("del", "delete", "flush"):
            return Touched(name)
    return Foreign("routes, rules and neighbours stay with ifupdown")


def ip_link(does: str, rest: list[str]) -> Fact:
    """Understand `ip link`."""
    if does == "add" and rest[-2:] == ["type", "bridge"] and len(rest) > 2:
        return Made(rest[1] if rest[0] == "name" else rest[0])
    if does == "set" and rest[1:2] == ["master"] and len(rest) == 3:
        return Plugged(rest[2], rest[0])
    names = [word for word in rest if word not in ("up", "down")]
    if len(names) == 1 and (does in ("del", "delete") or (does == "set" and len(rest) == 2)):
        return Touched(names[0])
    return Foreign("is a setting of a link that natnetd does not keep")


def brctl(command: Simple) -> Fact:
    """Understand the old tool for bridges."""
    match command.words[1:]:
        case ("addbr", name):
            return Made(name)
        case ("addif", bridge, *ports) if ports:
            return Plugged(bridge, ports[0])
        case ("delbr" | "delif", name, *_):
            return Touched(name)
    return Foreign("is a setting of a bridge that natnetd does not keep")


def ifconfig(command: Simple) -> Fact:
    """Understand that an interface goes up or down."""
    if len(command.words) == 3 and command.words[2] in ("up", "down"):
        return Touched(command.words[1])
    return Foreign("ifconfig's settings stay with ifupdown")


def route(_: Simple) -> Fact:
    """Leave routes to ifupdown."""
    return Foreign("routes stay with ifupdown")
