"""All files together: interfaces by name, and every command with what it does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from natnetd.moving.commands import understand
from natnetd.moving.facts import Addressed, Fact, Forwarding, Made, Plugged, Unclear
from natnetd.moving.interfaces import COMMANDS, RENDER, TEMPLATE, Option, Page, Stanza, Words
from natnetd.moving.places import Item, Place
from natnetd.moving.saved import Saved


@dataclass(slots=True)
class Said:
    """One command line of a stanza; `up`: it is run when the interface comes up."""

    place: Place
    iface: str
    up: bool
    line: str
    facts: tuple[Fact, ...]


@dataclass(slots=True)
class Iface:
    """All stanzas of one interface; those of its aliases (vmbr1:0) are the interface's."""

    name: str
    stanzas: list[Stanza] = field(default_factory=list)
    autos: list[Words] = field(default_factory=list)
    made: bool = False  # a command makes it as a bridge
    plugged: list[str] = field(default_factory=list)  # ports that commands put into it
    added: list[tuple[Place, str]] = field(default_factory=list)  # addresses that commands give it

    def options(self, *keys: str) -> Iterator[Option]:
        """Yield options of these names."""
        for stanza in self.stanzas:
            yield from (option for option in stanza.options if option.key in keys)

    def last(self, key: str) -> str:
        """Return the value of an option, the last one if there are several."""
        return next((option.value for option in reversed([*self.options(key)])), "")

    @property
    def place(self) -> Place:
        """Return where its first stanza stands."""
        return self.stanzas[0].place

    @property
    def ports(self) -> list[str] | None:
        """Return a bridge's ports; None for what is no bridge."""
        found = [*self.options("bridge-ports")]
        if not found and not self.made:
            return None
        words = [word for option in found for word in option.value.split() if word != "none"]
        return words + self.plugged

    @property
    def ovs(self) -> bool:
        """Whether Open vSwitch makes it."""
        keys = (option.key for stanza in self.stanzas for option in stanza.options)
        return any(key.startswith("ovs-") for key in keys)


@dataclass(slots=True)
class Site:
    """What the files say."""

    ifaces: dict[str, Iface] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    odd: list[Item] = field(default_factory=list)
    forwarding: bool = False  # something switches it on
    live: tuple[Saved, ...] | None = None  # rules in force; None: unknown

    @classmethod
    def of(
        cls, pages: Iterable[Page], *, forwarding: bool = False, live: Sequence[Saved] | None = None
    ) -> "Site":
        """Put pages together."""
        site = cls(forwarding=forwarding, live=None if live is None else tuple(live))
        pages = list(pages)
        for page in pages:
            site.odd += page.odd
            for stanza in page.stanzas:
                site.take(stanza)
        for words in (words for page in pages for words in page.autos):
            for name in dict.fromkeys(name.partition(":")[0] for name in words.names):
                if iface := site.ifaces.get(name):
                    iface.autos.append(words)
        for said in site.said:
            if said.up:
                site.learn(said)
        return site

    def take(self, stanza: Stanza) -> None:
        """Take a stanza."""
        name = stanza.name.partition(":")[0]
        if not name:
            for option in stanza.options:
                text = f"{option.key} {option.value}: belongs to an interface without a name"
                self.odd.append(Item(option.place, text))
            return
        self.ifaces.setdefault(name, Iface(name)).stanzas.append(stanza)
        for option in stanza.options:
            if when := COMMANDS.get(option.key):
                facts = [*understand(option.value, name)] if not TEMPLATE.search(option.value) else []
                line = f"{option.key} {option.value}"
                found = tuple(facts) or (Unclear(RENDER if TEMPLATE.search(line) else "says nothing"),)
                self.said.append(Said(option.place, name, when == "up", line, found))

    def learn(self, said: Said) -> None:
        """Take in what commands say of interfaces."""
        for fact in said.facts:
            match fact:
                case Forwarding(on=True):
                    self.forwarding = True
                case Made(name) if name in self.ifaces:
                    self.ifaces[name].made = True
                case Plugged(bridge, port) if bridge in self.ifaces:
                    self.ifaces[bridge].plugged.append(port)
                case Addressed(name, address) if name in self.ifaces:
                    self.ifaces[name].added.append((said.place, address))
                case _:
                    pass

    def master(self, name: str) -> str:
        """Return the bridge that an interface is a port of, or nothing."""
        return next((iface.name for iface in self.ifaces.values() if name in (iface.ports or ())), "")
