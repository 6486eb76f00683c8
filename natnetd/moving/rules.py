"""The words of iptables as facts: what one rule matches and does."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network

Subnet = IPv4Network | IPv6Network

VERBS = {
    "-A": "A", "--append": "A", "-I": "I", "--insert": "I", "-D": "D", "--delete": "D", "-C": "C",
    "--check": "C", "-R": "R", "--replace": "R",
}  # fmt: skip
ORDERS = {
    "-F",
    "--flush",
    "-P",
    "--policy",
    "-N",
    "--new-chain",
    "-X",
    "--delete-chain",
    "-Z",
    "--zero",
    "-E",
}
FIELDS = {
    "-s": "source", "--source": "source", "--src": "source",
    "-d": "destination", "--destination": "destination", "--dst": "destination",
    "-i": "iif", "--in-interface": "iif", "-o": "oif", "--out-interface": "oif",
    "-p": "protocol", "--protocol": "protocol", "--proto": "protocol",
    "-j": "target", "--jump": "target", "-g": "target", "--goto": "target",
    "--to-source": "to", "--to-destination": "to", "--to": "to", "--to-ports": "to", "--zone": "zone",
}  # fmt: skip
SILENT = {"-v", "--verbose", "-n", "--numeric", "-4", "-6", "--ipv4", "--ipv6"}
PORT_CHOICE = {"--random", "--random-fully", "--persistent"}


class Broken(ValueError):  # noqa: N818  it is an answer, not a failure
    """iptables would refuse these words, or we do not know them; the text says which."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a field must be, or must not."""

    value: str = ""
    excluded: bool = False

    def __bool__(self) -> bool:
        return bool(self.value)


ANY = Match()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and what is done with it; `spec` are its words, without table, chain and place in it."""

    tool: str
    six: bool = False
    table: str = "filter"
    verb: str = ""
    chain: str = ""
    source: Match = ANY
    destination: Match = ANY
    iif: Match = ANY
    oif: Match = ANY
    protocol: Match = ANY
    target: Match = ANY
    to: Match = ANY
    zone: Match = ANY
    extra: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()  # how ports are chosen
    spec: tuple[str, ...] = field(default=(), compare=False)

    @property
    def same(self) -> "Rule":
        """Return what two commands about one rule have in common."""
        return replace(
            self,
            tool="",
            verb="",
            source=plain(self.source),
            destination=plain(self.destination),
            # iptables-save names the kind of refusal, which is a default for most.
            extra=tuple(sorted(e for e in self.extra if not e.startswith("--reject-with"))),
            chosen=(),
            spec=(),
        )

    def removal(self, tool: str = "") -> tuple[str, ...]:
        """Return the command that takes one copy of it away."""
        table = () if self.table == "filter" else ("-t", self.table)
        return (tool or self.tool, *table, "-D", self.chain, *self.spec)


def plain(match: Match) -> Match:
    """Write a subnet as iptables-save does."""
    found = subnet(match)
    return replace(match, value=str(found)) if found else match


def subnet(match: Match) -> Subnet | None:
    """Return the subnet that a match names; host bits mean nothing to iptables."""
    try:
        return ip_network(match.value, strict=False) if match else None
    except ValueError:
        return None


def parse(words: tuple[str, ...]) -> Rule:
    """Read one command. Raises `Broken`."""
    tool = words[0].rpartition("/")[2]
    reading = Reading(Rule(tool, six=tool.startswith("ip6")), list(words[1:]))
    while reading.left:
        reading.take()
    rule = reading.rule
    if not rule.verb:
        raise Broken("says neither -A nor -D")
    if rule.verb in "AIDC" and not rule.target and not rule.spec:
        raise Broken("is not finished: there is no -j")
    return replace(rule, spec=tuple(reading.spec))


class Reading:
    """A rule that is being read."""

    def __init__(self, rule: Rule, left: list[str]) -> None:
        self.rule = rule
        self.left = left
        self.spec: list[str] = []

    def take(self) -> None:
        """Take the next word and what belongs to it. Raises `Broken`."""
        word = self.left.pop(0)
        excluded = word == "!"
        if excluded:
            word = self.left.pop(0) if self.left else ""
        name, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            word = name
            self.left.insert(0, value)
        if word in VERBS:
            self.take_verb(VERBS[word])
        elif word in ORDERS:
            chain = self.left[0] if self.left else ""
            self.rule = replace(self.rule, verb=word.lstrip("-"), chain=chain)
            self.left.clear()
        elif word in ("-t", "--table"):
            self.rule = replace(self.rule, table=self.value(word))
        elif word in ("-w", "--wait", "-W", "--wait-interval"):
            if self.left and self.left[0].isdigit():
                self.left.pop(0)
        elif word not in SILENT:
            self.take_match(word, excluded=excluded)

    def take_verb(self, verb: str) -> None:
        """Take what is done, and where. Raises `Broken`."""
        self.rule = replace(self.rule, verb=verb, chain=self.value("-" + verb))
        if self.left and self.left[0].isdigit():
            number = self.left.pop(0)
            if verb == "D":
                self.spec.append(number)

    def take_match(self, word: str, *, excluded: bool) -> None:
        """Take a field, or what else a rule asks for. Raises `Broken`."""
        begin = ["!", word] if excluded else [word]
        if word in FIELDS:
            excluded = self.inner() or excluded
            value = self.value(word)
            name = FIELDS[word]
            found = Match(value, excluded)
            if name in ("source", "destination"):
                found = self.subnet(found)
            self.rule = replace(self.rule, **{name: found})  # type: ignore[arg-type]
            self.spec += [*(["!"] if excluded else []), word, value]
            return
        if not word.startswith("-"):
            raise Broken(f"{word or '!'} is no word of iptables here")
        values = []
        while self.left and not self.left[0].startswith("-") and self.left[0] != "!":
            values.append(self.left.pop(0))
        if word in ("-m", "--match") and not values:
            raise Broken(f"{word} has no value")
        self.spec += begin + values
        if word in PORT_CHOICE:
            self.rule = replace(self.rule, chosen=(*self.rule.chosen, word))
        elif word not in ("-m", "--match", "--comment"):
            self.rule = replace(self.rule, extra=(*self.rule.extra, " ".join([*begin, *values])))
        elif len(values) > 1 and word != "--comment":
            raise Broken(f"{values[1]} is no word of iptables here")

    def subnet(self, match: Match) -> Match:
        """Return a match of addresses; everything is nothing that is asked for. Raises `Broken`."""
        found = subnet(match)
        if not found:
            raise Broken(f"{match.value} is not one address or subnet")
        return match if found.prefixlen or match.excluded else ANY

    def inner(self) -> bool:
        """Take the old place of an exclamation mark: `-s ! 10.0.0.0/8`."""
        if self.left and self.left[0] == "!":
            self.left.pop(0)
            return True
        return False

    def value(self, word: str) -> str:
        """Take the value of a word. Raises `Broken`."""
        if not self.left or (self.left[0].startswith("-") and len(self.left[0]) > 1):
            raise Broken(f"{word} has no value")
        return self.left.pop(0)
