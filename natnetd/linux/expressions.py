"""One rule of nftables as the kernel tells it (linux/netfilter/nf_tables.h): what it asks, its verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from natnetd.around import Rule
from natnetd.linux.asked import Asked, address_of, verdict_of
from natnetd.linux.nested import NOTHING, Loaded, inside, label, number, subnet, verdict

META = {4: "iif", 5: "oif", 6: "iifname", 7: "oifname", 15: "nfproto", 16: "protocol"}
STATE, STATUS = 0, 2  # NFT_CT_STATE, NFT_CT_STATUS
DNAT = 32  # IPS_DST_NAT: no guest's own connection has it
IPV4 = 2
SAYS_NOTHING = frozenset({"counter", "log", "objref", "notrack", "last"})

Elements = Callable[[bytes], list[dict[int, bytes]] | None]
SET_KEYS = {"iifname": 16, "oifname": 16, "iif": 4, "oif": 4, "state": 4, "protocol": 1}
MANY = 200  # ways that the sets of one rule may make


@dataclass(slots=True)
class Reading:
    """Gathers a rule, expression by expression; registers hold what was loaded last.

    `ways` are the packets it is for: each element that a set is asked for makes one more of each.
    """

    links: Mapping[int, str]
    elements: Elements
    ways: list[Asked] = field(default_factory=lambda: [Asked()])
    registers: dict[int, Loaded] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    translates: bool = False
    to: bytes = b""

    def take(self, expression: bytes) -> None:
        """Take in one expression."""
        found = inside(expression)
        name = found[1].rstrip(b"\0").decode("ascii", "replace")
        read = getattr(self, f"take_{name}", None)
        if read is not None:
            read(inside(found.get(2, b"")))
        elif name not in SAYS_NOTHING:
            self.unsure()

    def unsure(self) -> None:
        """Note that the rule asks for more than is understood."""
        for asked in self.ways:
            asked.sure = False

    def give(self, verdict: str, target: str, ways: list[Asked]) -> None:
        """Note a verdict for some packets; what is not for ours is left out."""
        self.rules += [rule for asked in ways if (rule := asked.rule(verdict, target))]

    # --- what is loaded

    def take_meta(self, found: dict[int, bytes]) -> None:
        """Load what belongs to a packet; or set a mark, which is no condition."""
        if 1 in found:
            self.registers[number(found[1])] = Loaded(META.get(number(found[2]), ""))

    def take_ct(self, found: dict[int, bytes]) -> None:
        """Load what is known of its connection."""
        if 1 in found:
            what = {STATE: "state", STATUS: "status"}.get(number(found[2]), "")
            self.registers[number(found[1])] = Loaded(what)

    def take_payload(self, found: dict[int, bytes]) -> None:
        """Load bytes of the packet: of IPv4, protocol and source are known (network header: base 1)."""
        if 1 in found:
            base, offset, size = (number(found[key]) for key in (2, 3, 4))
            protocol, source = offset == 9 and size == 1, offset == 12 and size <= 4
            what = "" if base != 1 else "protocol" if protocol else "source" if source else ""
            self.registers[number(found[1])] = Loaded(what, size=size)

    def take_bitwise(self, found: dict[int, bytes]) -> None:
        """Leave some bits of a register."""
        loaded = self.registers.get(number(found[1]), NOTHING)
        mask = inside(found.get(4, b"")).get(1, b"")
        left = replace(loaded, mask=int.from_bytes(mask, "big" if loaded.what == "source" else "little"))
        self.registers[number(found[2])] = left if mask else NOTHING

    def take_immediate(self, found: dict[int, bytes]) -> None:
        """Load a constant, or give the verdict (register 0)."""
        value = inside(found[2])
        if number(found[1]):
            self.to = value.get(1, b"")
        else:
            self.give(*verdict(value), self.ways)

    # --- what is compared

    def take_cmp(self, found: dict[int, bytes]) -> None:
        """Compare a register: equal (0) or not (1); other ways are not understood."""
        loaded = self.registers.get(number(found[1]), NOTHING)
        operation, value = number(found[2]), inside(found[3])[1]
        for asked in self.ways:
            if operation > 1 or not self.compare(asked, loaded, value, equal=operation == 0):
                asked.sure = False

    def take_lookup(self, found: dict[int, bytes]) -> None:
        """Look a register up in a set; in a map of verdicts, each element has its own."""
        loaded = self.registers.get(number(found[2]), NOTHING)
        known = loaded.what in SET_KEYS and number(found.get(5, b"")) == 0  # not inverted
        elements = self.elements(found[1]) if known else None
        if elements is None or any(3 in element for element in elements):  # intervals
            self.unsure()
            if 3 in found:
                self.give("accept", "", self.ways)
            return
        ways = []
        for element in elements:
            each_way = [replace(asked) for asked in self.ways]
            value = inside(element[1])[1]
            for asked in each_way:
                if len(value) != SET_KEYS[loaded.what] or not self.compare(asked, loaded, value, equal=True):
                    asked.sure = False  # part of a longer key, for one
            if 3 in found:
                self.give(*verdict(inside(element[2])), each_way)
            ways += each_way
        self.ways = self.ways if 3 in found else ways[:MANY]

    def compare(self, asked: Asked, loaded: Loaded, value: bytes, *, equal: bool) -> bool:
        """Add a comparison to what is asked; False if it is not understood."""
        bits = int.from_bytes(value, "little")
        match loaded.what:
            case "iifname" | "oifname" | "iif" | "oif":
                name = label(value) if loaded.what.endswith("name") else self.links.get(bits, "")
                asked.link(loaded.what[:3], name if equal else f"!{name}")
                return bool(name)
            case "nfproto":
                if (value[0] == IPV4) != equal:
                    asked.never()
            case "protocol":
                asked.protocol(value[0], equal=equal)
            case "state":
                if loaded.mask != -1:  # and then it is compared with nothing: any bit, or none
                    asked.states &= ~loaded.mask if equal else loaded.mask
                    return bits == 0
                asked.states &= bits if equal else ~bits
            case "status":
                if (loaded.mask, bits, equal) != (DNAT, 0, False):
                    return False
                asked.never()
            case "source":
                asked.source = subnet(value, loaded) if equal else ""
                return equal
            case _:
                return False
        return True

    # --- what is done

    def take_reject(self, _found: dict[int, bytes]) -> None:
        """Refuse."""
        self.give("drop", "", self.ways)

    def take_masq(self, _found: dict[int, bytes]) -> None:
        """Translate to the address of the way out."""
        self.translates, self.to = True, b""

    def take_nat(self, found: dict[int, bytes]) -> None:
        """Translate the source (0), or the destination."""
        self.translates = number(found[1]) == 0

    def take_match(self, found: dict[int, bytes]) -> None:
        """Take in a match of iptables."""
        for asked in self.ways:
            asked.match(label(found[1]), number(found.get(2, b"")), found.get(3, b""))

    def take_target(self, found: dict[int, bytes]) -> None:
        """Take in a target of iptables."""
        name, revision, content = label(found[1]), number(found.get(2, b"")), found.get(3, b"")
        if name in ("MASQUERADE", "SNAT"):
            self.translates = True
            self.to = address_of(revision, content) if name == "SNAT" else b""
        elif given := verdict_of(name):
            self.give(given, "", self.ways)
