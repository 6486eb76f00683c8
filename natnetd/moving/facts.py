"""What one command does, as far as it is understood."""

from dataclasses import dataclass

from natnetd.moving.rules import Rule


@dataclass(frozen=True, slots=True)
class Ruled:
    """It adds or removes a rule of iptables."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Forwarding:
    """It switches IPv4 forwarding for the whole host."""

    on: bool


@dataclass(frozen=True, slots=True)
class Made:
    """It makes a bridge."""

    name: str


@dataclass(frozen=True, slots=True)
class Plugged:
    """It puts a port into a bridge."""

    bridge: str
    port: str


@dataclass(frozen=True, slots=True)
class Addressed:
    """It gives an interface an address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Touched:
    """It switches an interface on or off, or takes it or its addresses away; with our own we do that."""

    name: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """It does nothing that lasts, or nothing that natnetd would not do by itself."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """It is understood, and no business of natnetd's; `weighty`: it may change what happens to packets."""

    reason: str
    weighty: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """It is not understood."""

    reason: str


Fact = Ruled | Forwarding | Made | Plugged | Addressed | Touched | Nothing | Foreign | Unclear
