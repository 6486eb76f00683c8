"""What is special about IPv6: the keys, and what they must be to the network's addresses."""

from collections.abc import Iterator

from natnetd.errors import Complaint
from natnetd.file.draft import Draft, Found
from natnetd.file.grammar import Key
from natnetd.file.nodes import Scalar, complaint
from natnetd.file.shapes import SWITCH, SWITCHES, Shape, Unfit, read_switch
from natnetd.model import SLAAC_PREFIX, UNIQUE_LOCAL


def read_way(scalar: Scalar) -> bool | str:
    """Read `true`, `false` or `routed`."""
    if scalar.text == "routed":
        return "routed"
    if scalar.text not in SWITCHES:
        raise Unfit
    return read_switch(scalar)


WAY = Shape("true, false or routed", read_way, {"enum": [True, False, "routed"]})

FAMILY_KEYS = (
    Key(
        "ipv4",
        SWITCH,
        "Whether guests leave by IPv4. With `false` the network is closed to it.",
        "`true`",
        (False,),
        value=True,
    ),
    Key(
        "ipv6",
        WAY,
        "How guests leave by IPv6: `true` translates unique-local prefixes (`fd00::/8`, NAT66), `false` lets "
        "nobody out. `routed` routes global prefixes untranslated, in and out, by the same uplinks; "
        "unique-local ones beside them are translated still. A global prefix is never translated, so a "
        "network that has one says `routed` or `false`. See docs/ipv6.md.",
        "`true`",
        (False, "routed"),
        value=True,
    ),
)

RA = Key(
    "ra",
    SWITCH,
    "Guests get IPv6 by themselves: the prefixes of a length of 64 among `addresses`, the MTU, the name "
    "server and the domain, by router advertisements and DHCPv6 without addresses (SLAAC). A network that "
    "does not leave by IPv6 announces no default route. It takes Debian's package dnsmasq-base.",
    "`true` where `dhcp` is on and there is a prefix of 64, else `false`",
    (True, False),
)


def slaac(draft: Draft) -> bool:
    """Whether guests can make up an address of their own."""
    return any(a.version == 6 and a.network.prefixlen == SLAAC_PREFIX for a in draft.every("addresses"))


def advertises(draft: Draft) -> bool:
    """Whether there are router advertisements."""
    said = draft.one("ra")
    return slaac(draft) and bool(draft.one("dhcp") if said is None else said)


def local(address: Found) -> bool:
    """Whether an address is a unique-local one."""
    return bool(address.value.ip in UNIQUE_LOCAL)


def check(draft: Draft) -> Iterator[Complaint]:
    """Yield what does not go together."""
    addresses = [found for found in draft.found("addresses") if found.value.version == 6]
    if draft.translated():
        yield from check_way(draft, addresses)
        yield from check_families(draft)
    known = all(found.value for found in draft.values.get("addresses", ()))
    if "ra" in draft.own and draft.one("ra") and known and not slaac(draft):
        text = "ra takes a prefix of 64 bits, from which guests make their addresses"
        yield complaint(draft.found("ra")[0].node, f"{text}; write e.g. addresses: fd00::1/64")


def check_way(draft: Draft, addresses: list[Found]) -> Iterator[Complaint]:
    """Yield prefixes of which the file does not say how they leave, or says what cannot be."""
    way = draft.one("nat.ipv6")
    outer = [found for found in addresses if not local(found)]
    if way == "routed" and addresses and not outer and "nat" in draft.own and "nat.ipv6" in draft.own:
        text = f"{addresses[0].value.network} is unique-local, and not routed outside"
        yield complaint(draft.found("nat.ipv6")[0].node, f"{text}; write ipv6: true to translate it")
    elif way is not False and way != "routed":
        for found in outer:
            text = f"{found.value.network} is a global prefix, which nat does not translate"
            right = "write nat: {ipv6: routed} to route it, or nat: {ipv6: false} to keep it inside"
            yield complaint(found.node, f"{text}; {right}")


def check_families(draft: Draft) -> Iterator[Complaint]:
    """Yield a network that would leave by nothing."""
    if draft.one("nat.ipv4") is False and draft.one("nat.ipv6") is False:
        nodes = (f.node for key in ("nat.ipv4", "nat.ipv6") for f in draft.found(key))
        node = max(nodes, key=lambda node: node.mark)
        yield complaint(node, "guests leave by neither family; write nat: false for a closed network")
