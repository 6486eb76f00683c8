"""The keys under `guard`, and `quarantine` at the top level."""

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from natnetd.file.grammar import Key, Many, Section
from natnetd.file.names import SINGLE
from natnetd.file.nodes import Scalar, shown
from natnetd.file.shapes import MAC, SWITCH, SWITCHES, Shape, Unfit, read_mac, read_name, read_switch
from natnetd.model import CROWDS, RATES

RATE = re.compile(r"([1-9][0-9]*)(/second)?", re.ASCII)
PER_SECOND = ", ".join(map(str, RATES))
AT_ONCE = ", ".join(map(str, CROWDS))

Known = str | IPv4Address | IPv6Address
"""What a guest is known by: its address, or its MAC address or a reservation's name as text."""


class CutOff(NamedTuple):
    """A guest of a network."""

    network: str
    guest: Known


def read_guest(scalar: Scalar) -> Known:
    """Read an address, a MAC address, or the name of a reservation."""
    if MAC.fullmatch(scalar.text):
        return read_mac(scalar)
    try:
        return ipaddress.ip_address(scalar.text)
    except ValueError:
        pass
    if not SINGLE.fullmatch(scalar.text) or scalar.text.isdecimal():
        raise Unfit
    return scalar.text.lower()


def read_cut_off(scalar: Scalar) -> CutOff:
    """Read a guest with its network before it."""
    network, slash, guest = scalar.text.partition("/")
    if not slash:
        raise Unfit(f"{shown(scalar.text)} names no network; write one before it, like vmbr1/{network}")
    return CutOff(read_name(scalar._replace(text=network)), GUEST.read(scalar._replace(text=guest)))


def read_step(scalar: Scalar, steps: tuple[int, ...], unit: str) -> int | bool:
    """Read one of some numbers, or `false`."""
    if scalar.plain and scalar.text in SWITCHES and not read_switch(scalar):
        return False
    match = RATE.fullmatch(scalar.text)
    if not match or (match[2] and not unit):
        raise Unfit
    number = int(match[1])
    if number not in steps:
        near = min(steps, key=lambda step: (abs(step - number), step))
        raise Unfit(
            f"{shown(scalar.text)} is none of the limits there are ({', '.join(map(str, steps))}); "
            f"write {near}{unit}"
        )
    return number


def read_rate(scalar: Scalar) -> int | bool:
    """Read a number of connections in a second."""
    return read_step(scalar, RATES, "/second")


def read_crowd(scalar: Scalar) -> int | bool:
    """Read a number of connections."""
    return read_step(scalar, CROWDS, "")


def steps_schema(steps: tuple[int, ...], unit: str) -> dict[str, object]:
    """Return the schema of one of some numbers, with or without its unit."""
    words = [f"{step}{unit}" for step in steps]
    return {"enum": [False, *steps, *map(str, steps), *(words if unit else [])]}


GUEST = Shape(
    "a guest: an address like 10.0.0.20, a MAC address like 52:54:00:12:34:56, or a reservation's name",
    read_guest,
    {"type": ["string", "number"], "pattern": "^[0-9A-Za-z:.-]{1,63}$"},
)
CUT_OFF = Shape(
    "a guest of a network, like vmbr1/10.0.0.20",
    read_cut_off,
    {"type": "string", "pattern": "^[^/]{1,15}/[0-9A-Za-z:.-]{1,63}$"},
)
NEW = Shape(
    f"false, or one of {PER_SECOND} with /second, like 100/second",
    read_rate,
    steps_schema(RATES, "/second"),
)
OPEN = Shape(f"false, or one of {AT_ONCE}", read_crowd, steps_schema(CROWDS, ""))

GUARD = Section(
    (
        Key(
            "anti_spoof",
            SWITCH,
            "Guests may use addresses of their network only, and not the gateway's. What passes the host is "
            "checked by the host's routes; what passes between neighbours on the bridge (ARP too) takes a "
            "kernel that can tell bridges apart (`CONFIG_NFT_BRIDGE_META`: Debian's and Proxmox VE's can).",
            "`true`",
            (False,),
            value=True,
        ),
        Key(
            "strict",
            SWITCH,
            "Only guests with a reservation (`dhcp.reservations`) are let in, each with its own MAC address "
            "and its own IPv4 address. Takes `anti_spoof`.",
            "`false`",
            (True,),
            value=False,
        ),
        Key(
            "rogue_dhcp",
            SWITCH,
            "No guest answers its neighbours as a DHCP server (UDP from port 67 or 547). Takes the same "
            "kernel as above.",
            "`true`",
            (False,),
            value=True,
        ),
        Key(
            "rogue_ra",
            SWITCH,
            "No guest poses as a router to its neighbours: by router advertisements, or redirects of either "
            "family. Takes the same kernel as above.",
            "`true`",
            (False,),
            value=True,
        ),
        Key(
            "bogons",
            SWITCH,
            "New connections to addresses that are nobody's on the internet (RFC 6890: private, shared, "
            "documentation, multicast and the like) do not leave by a gateway that has a public address. "
            "What is attached to the host directly, what `exempt` names, and whatever lies behind a "
            "gateway with a private address stays in reach. Not part of `guard: true`: many hosts reach "
            "10.0.0.0/8 by such a gateway.",
            "`false`",
            (True,),
            value=False,
        ),
        Key(
            "new_connections",
            NEW,
            "How many connections through the host each guest may begin in a second, with five seconds' "
            "worth at once. What is established is not touched. A guest is a MAC address.",
            "`false`: any number",
            ("100/second", False),
            value=False,
        ),
        Key(
            "open_connections",
            OPEN,
            "How many connections through the host each guest may have at a time, with those that conntrack "
            "still remembers. What is established is not touched. A guest is a MAC address.",
            "`false`: any number",
            (1000, False),
            value=False,
        ),
        Key(
            "quarantine",
            Many(GUEST),
            "Guests that are cut off: they reach nobody, the host neither, nobody reaches them, and what was "
            "established ends. By a reservation's name, or an address of a reservation, both its addresses "
            "are meant. `natnetd quarantine` writes the same at the top level of a drop-in. Not under "
            "`defaults`.",
            "none",
            ("web1", ["10.0.0.20", "52:54:00:12:34:56"]),
            value=[],
        ),
    ),
    words="true, false, or keys like new_connections: 100/second",
)

QUARANTINE = Many(CUT_OFF)
