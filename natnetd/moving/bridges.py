"""Which interfaces are bridges that nothing outside is plugged into."""

import re

from natnetd.file.nodes import Mark, Scalar
from natnetd.file.shapes import Unfit, read_name
from natnetd.moving.site import Iface, Site

SOFT_PORTS = re.compile(r"(?:dummy|tap|veth|fwpr)[0-9]+.*")  # nothing of these leads outside


class Refused(ValueError):  # noqa: N818  it is an answer, not a failure
    """It looks like an internal network, and is none that natnetd can keep; the text says why."""


class Elsewhere(ValueError):  # noqa: N818  it is an answer, not a failure
    """It is no internal network; the text says what it is."""


def check_kind(iface: Iface, site: Site) -> None:
    """Raise `Refused` or `Elsewhere` for all but bridges that nothing outside is plugged into."""
    ports = iface.ports
    addressed = any(True for _ in iface.options("address"))
    if iface.ovs or any(words.key == "allow-ovs" for words in iface.autos):
        raise Refused("made by Open vSwitch; natnetd keeps Linux bridges only")
    if "." in iface.name or any(True for _ in iface.options("vlan-raw-device")):
        what = "a VLAN, not a bridge; natnetd keeps bridges only"
        raise Refused(what) if addressed and below(iface, site) else Elsewhere(what)
    if ports is None:
        raise Elsewhere("no bridge")
    if bridge := next((port for port in ports if (site.ifaces.get(port) or Iface("")).ports is not None), ""):
        raise Refused(f"names the bridge {bridge} as a port, which the kernel does not allow")
    if hard := [port for port in ports if not SOFT_PORTS.fullmatch(port)]:
        raise Elsewhere(f"an uplink bridge: it has the port {hard[0]}")
    check_use(iface, site)


def below(iface: Iface, site: Site) -> bool:
    """Whether a VLAN belongs to a bridge without ports."""
    parent = site.ifaces.get(iface.last("vlan-raw-device") or iface.name.rpartition(".")[0])
    return bool(parent and parent.ports is not None and not parent.ports)


def check_use(iface: Iface, site: Site) -> None:
    """Raise `Refused` for a bridge that does more than to hold guests."""
    name = iface.name
    if reason := unfit(name):
        raise Refused(reason)
    if iface.last("bridge-vlan-aware") in ("yes", "on", "1") or iface.last("bridge-vids"):
        raise Refused(
            "is VLAN-aware, and natnetd's bridges are not; if no guest uses a VLAN tag, take "
            "bridge-vlan-aware and bridge-vids out, and import again"
        )
    for other in site.ifaces.values():
        if other.name.startswith(f"{name}.") or other.last("vlan-raw-device") == name:
            raise Refused(f"carries the VLAN {other.name}, which would pull it back under ifupdown")
        if name in " ".join(option.value for option in other.options("bond-slaves", "slaves")).split():
            raise Refused(f"is a part of {other.name}")
    if master := site.master(name):
        raise Refused(f"is a port of {master}")
    if option := next(iface.options("gateway"), None):
        raise Refused(f"has a gateway ({option.value}): the host itself leaves by it")
    methods = {stanza.method for stanza in iface.stanzas if stanza.family != "inet6"}
    if "dhcp" in methods:
        raise Refused("gets its address by DHCP; guests need a gateway that stays")


def unfit(name: str) -> str:
    """Say why natnetd's file could not hold the name of an interface; nothing if it could."""
    try:
        read_name(Scalar(Mark(0, "", 1, 1), "", name, plain=False))
    except Unfit as reason:
        return str(reason)
    return ""
