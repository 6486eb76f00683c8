"""What others have set up around our networks, as far as it touches them: values, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

NEW, ESTABLISHED = "new", "established"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of somebody's firewall, cut down to what a packet of ours meets.

    `iif` and `oif` are names, prefixes like tap*, or excluded like !docker0; `state` is the only one of
    `NEW` and `ESTABLISHED` that it takes, empty for both; `sure`: it asks for nothing else.
    """

    verdict: str  # accept, drop, jump, goto, return
    target: str = ""
    iif: str = ""
    oif: str = ""
    state: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Wall:
    """A chain that forwarded packets pass, and all that it jumps to; `tool` is the command that edits it."""

    tool: str  # nft, iptables-nft, iptables-legacy
    table: str  # "inet filter"
    chain: str
    policy: str  # accept, drop
    chains: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Translation:
    """A rule of somebody else that gives packets another source address; `to` is empty for masquerade.

    `sure`: it asks for nothing but the source and the way out.
    """

    tool: str
    table: str
    chain: str
    source: str
    oif: str = ""
    to: str = ""
    handle: int = 0
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """An IPv4 route of the main table that somebody set, and the interface it leads to."""

    destination: str
    link: str


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A socket of the host that waits for packets; `families` are the versions of IP it hears."""

    protocol: str
    address: str
    port: int
    families: tuple[int, ...] = (4,)
    uid: int = 0
    inode: int = 0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """The surroundings, as one wide look saw them; what could not be read is not there.

    `by_mark`: policy rules choose routes by packets' marks. `listeners` hold ports that are forwarded.
    """

    walls: tuple[Wall, ...] = ()
    translations: tuple[Translation, ...] = ()
    routes: tuple[Route, ...] = ()
    by_mark: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()
