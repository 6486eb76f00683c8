"""Which interfaces are internal networks, and what their stanzas say of them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Interface, ip_interface

from natnetd.model import UNIQUE_LOCAL, Interface
from natnetd.moving.bridges import Elsewhere, Refused, check_kind
from natnetd.moving.interfaces import COMMANDS, RENDER, TEMPLATE, Option
from natnetd.moving.places import Item, Place, visible
from natnetd.moving.rules import Subnet
from natnetd.moving.site import Iface, Site

ALIAS_BYTES = 255
CODE = re.compile(
    r"(?:[a-z0-9]+[-_])+[a-z]+\b|(?:iface|auto|up|down|address|netmask|gateway|echo|iptables|source)\s"
)
IMPLIED = ("address", "netmask", "network", "broadcast", "bridge-ports", "bridge-stp", "bridge-fd", "mtu",
           "hwaddress", "bridge-maxwait", "bridge-waitport", "bridge-ageing", "address-purge", "ip-forward",
           "ip6-forward", "accept-ra", "autoconf", "dad-attempts")  # fmt: skip
MAC = re.compile(r"[0-9A-Fa-f][02468ACEace](?::[0-9A-Fa-f]{2}){5}")


@dataclass(slots=True)
class Net:
    """A network as it will be written."""

    name: str
    addresses: list[Interface] = field(default_factory=list)
    description: str = ""
    mtu: int | None = None
    mac: str = ""
    stp: bool = False
    delay: str = ""
    nat: bool = False
    every: bool = False  # a rule without a source is what translates it
    any_way: bool = False
    uplinks: list[str] = field(default_factory=list)
    source: str = ""
    exempt: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)  # exempt by rules of their own
    covered: list[Subnet] = field(default_factory=list)  # what rules with a source translate
    routed: bool = False
    stuck: bool = False  # something translates it that natnetd cannot
    notes: list[str] = field(default_factory=list)
    forwards: list[str] = field(default_factory=list)  # as they will be written
    claimed: list[tuple[str, str, int, int]] = field(default_factory=list)  # address, protocol, ports of them

    @property
    def subnets(self) -> list[IPv4Network]:
        """Return its IPv4 subnets."""
        return [a.network for a in self.addresses if isinstance(a.network, IPv4Network)]

    @property
    def outer(self) -> list[Interface]:
        """Return its global IPv6 addresses, which are not translated."""
        return [a for a in self.addresses if isinstance(a, IPv6Interface) and a.ip not in UNIQUE_LOCAL]

    @property
    def local(self) -> list[Interface]:
        """Return its unique-local ones, which are."""
        return [a for a in self.addresses if isinstance(a, IPv6Interface) and a.ip in UNIQUE_LOCAL]

    @property
    def loose(self) -> list[IPv4Network]:
        """Return subnets that no rule with a source holds, while one holds others."""
        held = [source for source in self.covered if isinstance(source, IPv4Network)]
        return [own for own in self.subnets if held and not any(own.subnet_of(source) for source in held)]


Nets = Mapping[str, Net]


def network(iface: Iface, site: Site) -> tuple[Net, list[Item]]:
    """Return the network that an interface is, and what of it is not imported.

    Raises `Refused`, `Elsewhere`.
    """
    check_kind(iface, site)
    net, items = Net(iface.name), []
    for option in iface.options("address"):
        address = read_address(iface, option)
        if isinstance(address, IPv6Interface) and address.is_link_local:
            items.append(Item(option.place, f"address {address}: the kernel makes link-local ones by itself"))
        elif address not in net.addresses:
            net.addresses.append(address)
            net.notes += about_address(iface, option)
    for place, text in iface.added:
        address = interface(text, place)
        if address.network.prefixlen == address.max_prefixlen:
            items.append(Item(place, f"{address}: one address is no subnet of guests"))
        elif address not in net.addresses:
            net.addresses.append(address)
    if not net.addresses:
        raise Elsewhere("a bridge without an address: a switch between guests, which stays with ifupdown")
    fill(net, iface)
    items += leftovers(net, iface)
    return net, items


def read_address(iface: Iface, option: Option) -> Interface:
    """Read an address, with the netmask of its stanza if it has none itself. Raises `Refused`."""
    text = (option.value.split() or [""])[0]
    if "/" not in text:
        mask = netmask(iface, option)
        if not mask:
            raise Refused(
                f"address {option.value} ({option.place}) has neither a netmask nor a prefix length"
            )
        text = f"{text}/{mask}"
    return interface(text, option.place)


def interface(text: str, place: Place) -> Interface:
    """Read an address with its prefix length. Raises `Refused`."""
    try:
        return ip_interface(text)
    except ValueError:
        raise Refused(f"{text} ({place}) is no address with a netmask") from None


def netmask(iface: Iface, option: Option) -> str:
    """Return the netmask that belongs to an address: the next of its stanza, or the only one."""
    stanza = next(stanza for stanza in iface.stanzas if option in stanza.options)
    masks = [o for o in stanza.options if o.key == "netmask"]
    after = [o for o in masks if o.place > option.place]
    found = (after or masks)[:1]
    return found[0].value.split()[0].lstrip("/") if found and found[0].value else ""


def about_address(iface: Iface, option: Option) -> Iterator[str]:
    """Yield what is strange about an address."""
    first, *more = option.value.split()
    if more:
        yield f"{option.place}: {' '.join(more)} after the address is no comment for ifupdown; left out"
    mask = netmask(iface, option)
    if (
        "/" in first
        and mask
        and interface(f"{first.partition('/')[0]}/{mask}", option.place) != ip_interface(first)
    ):
        yield f"{option.place}: {first} holds, not the netmask {mask} beside it"


def fill(net: Net, iface: Iface) -> None:
    """Take over what else the stanzas say."""
    if re.fullmatch("[0-9]{1,6}", iface.last("mtu")):
        net.mtu = int(iface.last("mtu"))
    mac = iface.last("hwaddress").split()
    net.mac = mac[-1].lower() if mac and MAC.fullmatch(mac[-1]) else ""
    net.stp = iface.last("bridge-stp") in ("on", "yes", "1", "true")
    delay = iface.last("bridge-fd")
    if re.fullmatch(r"[0-9]{1,2}", delay) and int(delay) in range(2 if net.stp else 1, 31):
        net.delay = str(int(delay))
    said = [line for stanza in iface.stanzas for line in stanza.remarks if line and not CODE.match(line)]
    text = visible("; ".join(said))
    net.description = text.encode()[:ALIAS_BYTES].decode(errors="ignore").strip()
    if len(text.encode()) > ALIAS_BYTES:
        net.notes.append(f"{iface.place}: the description is cut to {ALIAS_BYTES} bytes")
    if not iface.autos:
        net.notes.append(f"{iface.place}: no auto: ifupdown does not bring it up at boot, natnetd does")


def leftovers(net: Net, iface: Iface) -> Iterator[Item]:
    """Yield the options that have no word in natnetd's file."""
    still = iface.last("bridge-fd") in ("0", "0.0")
    taken = {"mtu": net.mtu is not None, "hwaddress": bool(net.mac), "bridge-fd": still or bool(net.delay)}
    for option in iface.options(*{o.key for s in iface.stanzas for o in s.options} - COMMANDS.keys()):
        text = RENDER if TEMPLATE.search(option.value) else "natnetd has no key for it"
        if option.key not in IMPLIED or TEMPLATE.search(option.value):
            yield Item(option.place, f"{option.key} {option.value}: {text}")
        elif not taken.get(option.key, True):
            yield Item(option.place, f"{option.key} {option.value}: is no value that natnetd takes")
    for stanza in iface.stanzas:
        if stanza.method not in ("static", "manual", ""):
            yield Item(stanza.place, f"{stanza.family} {stanza.method}: natnetd takes fixed addresses only")
    for port in iface.ports or ():
        yield Item(iface.place, f"port {port}: not imported; natnetd's bridges need none to be up")
