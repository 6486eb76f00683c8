"""The shapes of single values: how each is read, said in words, and written in JSON Schema."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from natnetd.file.nodes import Scalar, shown
from natnetd.model import PROTOCOLS, Service

NAME_BYTES = 15  # the kernel's IFNAMSIZ is 16 with the closing NUL
ALIAS_BYTES = 255  # the kernel's IFALIASZ is 256 with the closing NUL
RESERVED = (
    "all",
    "any",
    "auto",
    "default",
    "lo",
)  # of the kernel (conf/all, conf/default, lo) and of our file
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_BYTES - 1}}}", re.ASCII)
WHOLE = re.compile(r"(?:0|-?[1-9][0-9]{0,8})", re.ASCII)
DURATION = re.compile(r"((?:0|[1-9][0-9]{0,7})(?:\.[0-9]{1,6})?)([smhd]?)", re.ASCII)
PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
LAST_PORT = 65535
WAYS = ("any", "auto")
LEAST_MTU, MOST_MTU = 576, 65535
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
MAC = re.compile(r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}", re.ASCII)
SWITCHES = {"true": True, "false": False}


class Unfit(ValueError):  # noqa: N818  it is an answer, not a failure
    """A value is not what its key takes; its text, if any, says what would be right."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one value must be.

    `words` completes "is not ..." and "write ...", with an example.  `convert` raises `Unfit`, without a text
    where the words say enough.
    """

    words: str
    convert: Callable[[Scalar], Any]
    schema: Mapping[str, Any]

    def read(self, scalar: Scalar) -> Any:
        """Return the value of `scalar`; raise `Unfit` with the whole complaint."""
        if scalar.empty:
            raise Unfit(f"is empty; write {self.words}, or leave the key out")
        try:
            return self.convert(scalar)
        except Unfit as reason:
            text = str(reason) or f"{shown(scalar.text)} is not {self.words}"
            raise Unfit(text) from None


def read_switch(scalar: Scalar) -> bool:
    """Read `true` or `false`; YAML 1.1's `no`, `off` and `yes` are text, and are told so."""
    if not scalar.plain and scalar.text in SWITCHES:
        raise Unfit(f'"{scalar.text}" in quotes is text; write true or false without quotes')
    if not scalar.plain or scalar.text not in SWITCHES:
        raise Unfit(f"{shown(scalar.text)} is not a switch; write true or false")
    return SWITCHES[scalar.text]


def read_switch_or_auto(scalar: Scalar) -> bool | str:
    """Read `true`, `false` or `auto`."""
    return "auto" if scalar.text == "auto" else read_switch(scalar)


def read_whole(scalar: Scalar, *, low: int, high: int) -> int:
    """Read a decimal whole number; `010` is refused, for YAML 1.1 takes it for 8."""
    if not WHOLE.fullmatch(scalar.text) or not low <= int(scalar.text) <= high:
        raise Unfit
    if not scalar.plain:
        raise Unfit(f'"{scalar.text}" in quotes is text; write {scalar.text} without quotes')
    return int(scalar.text)


def read_duration(scalar: Scalar, *, low: int, high: int) -> float:
    """Read seconds, or a number with s, m, h or d.

    Tenths of a second are the finest that survive the kernel's clock at every HZ in use (100, 250, 300,
    1000); a finer value would be read back changed and look like drift for ever.
    """
    match = DURATION.fullmatch(scalar.text)
    if not match:
        raise Unfit
    seconds = Decimal(match[1]) * SECONDS[match[2]]
    if not low <= seconds <= high:
        raise Unfit
    if seconds * 10 % 1:
        raise Unfit(f"{scalar.text} is too fine; write tenths of a second at most, e.g. {seconds:.1f}")
    return float(seconds)


def read_text(scalar: Scalar) -> str:
    """Read one line of text that fits into a link's alias."""
    text = scalar.text
    if scalar.plain and text in SWITCHES:
        raise Unfit(f"{text} is a switch, not text; put it in quotes if it is meant as text")
    if not text.strip():
        raise Unfit(f"{shown(text)} says nothing; write some words, or leave the key out")
    odd = next((c for c in text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}), None)
    if odd is not None:
        what = "a line break" if odd in "\n\r" else f"the control character U+{ord(odd):04X}"
        raise Unfit(f"holds {what}; write one line of plain text")
    if (size := len(text.encode())) > ALIAS_BYTES:
        raise Unfit(f"has {size} bytes; a description has at most {ALIAS_BYTES}")
    return text


def read_name(scalar: Scalar) -> str:
    """Read the name of an interface.

    Stricter than the kernel (which refuses `/`, `:`, white space, `.` and `..`), so that a name is safe in
    nft text, in /proc paths and in shell lines without a thought.
    """
    text = scalar.text
    if scalar.plain and text in SWITCHES:
        raise Unfit(
            f"{text} is a switch, not the name of an interface; put it in quotes if it is meant as a name"
        )
    if text in RESERVED:
        raise Unfit(f"{text} is a reserved word, not the name of an interface; write a name like vmbr1")
    if (size := len(text.encode(errors="replace"))) > NAME_BYTES:
        raise Unfit(f"{shown(text)} has {size} bytes; an interface name has at most {NAME_BYTES}")
    if not NAME.fullmatch(text):
        raise Unfit(
            f"{shown(text)} is not an interface name like vmbr1: it takes letters, digits, '_', '.' and '-', "
            "and begins with a letter or digit"
        )
    return text


def read_uplink(scalar: Scalar) -> str:
    """Read the name of an uplink, `any` or `auto`."""
    return scalar.text if scalar.text in WAYS else read_name(scalar)


def read_mtu(scalar: Scalar) -> int | str:
    """Read the largest packet in bytes, or `auto`."""
    return scalar.text if scalar.text == "auto" else read_whole(scalar, low=LEAST_MTU, high=MOST_MTU)


def read_ports(scalar: Scalar) -> tuple[int, int]:
    """Read a range of ports, or one port."""
    first, dash, last = scalar.text.partition("-")
    if not PORT.fullmatch(first) or (dash and not PORT.fullmatch(last)):
        raise Unfit
    ends = int(first), int(last or first)
    if max(ends) > LAST_PORT:
        raise Unfit(f"{max(ends)} is not a port from 1 to {LAST_PORT}")
    if ends[0] > ends[1]:
        raise Unfit(f"{scalar.text} runs backwards; write {last}-{first}")
    return ends


def read_host_access(scalar: Scalar) -> bool | Service:
    """Read all or nothing (true, false), or one service like `22/tcp`."""
    if scalar.plain and scalar.text in SWITCHES:
        return SWITCHES[scalar.text]
    ports, slash, protocol = scalar.text.partition("/")
    first, last = read_ports(scalar._replace(text=ports))
    if not slash:
        raise Unfit(f"{ports} has no protocol; write {ports}/tcp or {ports}/udp")
    if protocol not in PROTOCOLS:
        raise Unfit(f"{shown(protocol)} is not a protocol; write {ports}/tcp or {ports}/udp")
    return Service(protocol, first, last)


def read_mac(scalar: Scalar) -> str:
    """Read a unicast MAC address; return it with small letters and colons."""
    text = scalar.text.lower().replace("-", ":")
    if not MAC.fullmatch(scalar.text):
        raise Unfit
    if text == "00:00:00:00:00:00":
        raise Unfit("00:00:00:00:00:00 is no address; write a unicast one like 52:54:00:12:34:56")
    first = int(text[:2], 16)
    if first & 1:
        raise Unfit(
            f"{text} is a multicast address; its first pair must be even, e.g. {first ^ 1:02x}{text[2:]}"
        )
    return text


SWITCH = Shape("true or false", read_switch, {"type": "boolean"})
SWITCH_OR_AUTO = Shape("auto, true or false", read_switch_or_auto, {"enum": ["auto", True, False]})
TEXT = Shape(
    f"one line of text of at most {ALIAS_BYTES} bytes",
    read_text,
    {"type": ["string", "number"], "minLength": 1, "maxLength": ALIAS_BYTES},
)
INTERFACE = Shape(
    "the name of an interface like eth0",
    read_name,
    # Without quotes, a name like 0123 is a number for other programs.
    {"type": ["string", "number"], "pattern": f"^{NAME.pattern}$", "not": {"enum": list(RESERVED)}},
)
NETWORK_NAME = Shape("the name of another network of this file, like vmbr2", read_name, INTERFACE.schema)
UPLINK = Shape(
    "the name of an interface like vmbr0, any, or auto",
    read_uplink,
    {"anyOf": [{"enum": list(WAYS)}, INTERFACE.schema]},
)
MTU = Shape(
    f"a whole number from {LEAST_MTU} to {MOST_MTU}, or auto",
    read_mtu,
    {"anyOf": [{"type": "integer", "minimum": LEAST_MTU, "maximum": MOST_MTU}, {"const": "auto"}]},
)
PORTS = Shape(
    "a range of ports like 1024-65535",
    read_ports,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": LAST_PORT},
            {"type": "string", "pattern": f"^{PORT.pattern}(-{PORT.pattern})?$"},
        ]
    },
)
HOST_ACCESS = Shape(
    "true, false, or services like 22/tcp",
    read_host_access,
    {
        "anyOf": [
            {"type": "boolean"},
            {"type": "string", "pattern": f"^{PORT.pattern}(-{PORT.pattern})?/({'|'.join(PROTOCOLS)})$"},
        ]
    },
)
MAC_ADDRESS = Shape(
    "a MAC address like 52:54:00:12:34:56",
    read_mac,
    {"type": "string", "pattern": f"^{MAC.pattern}$"},
)


def whole(low: int, high: int) -> Shape:
    """Return the shape of a whole number from `low` to `high`."""
    words = f"a whole number from {low} to {high}"
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Shape(words, partial(read_whole, low=low, high=high), schema)


def duration(low: int, high: int, example: str) -> Shape:
    """Return the shape of a duration from `low` to `high` seconds."""
    words = f"a duration from {low} to {high} seconds, like {example}"
    number = {"type": "number", "minimum": low, "maximum": high}
    text = {"type": "string", "pattern": f"^{DURATION.pattern}$"}
    return Shape(words, partial(read_duration, low=low, high=high), {"anyOf": [number, text]})
