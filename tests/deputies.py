"""The root deputy in a small world of its own."""

import json
from pathlib import Path
from typing import Any

from natnetd.deputy import __main__ as program
from natnetd.deputy import asks
from natnetd.deputy.places import Places
from natnetd.deputy.stanzas import Entry

HOST = b"""\
auto lo
iface lo inet loopback

auto vmbr0
iface vmbr0 inet static
\taddress 203.0.113.2/24
#WAN

source /etc/network/interfaces.d/*
"""
ONE = Entry("vmbr1", "10.0.0.1/16", "", ("Internal network",))
TWO = Entry("vmbr2", "10.20.0.1/24", "fd00::1/64")
ROW = {"name": "vmbr1", "inet": "10.0.0.1/16", "inet6": "", "comment": ["Internal network"]}


def small_world(root: Path) -> Places:
    """Make places with Proxmox VE's file in them."""
    made = Places.under(root, owner="nobody")
    for path in (made.interfaces, made.asks):
        path.parent.mkdir(parents=True)
    made.interfaces.write_bytes(HOST)
    made.interfaces.chmod(0o640)
    return made


def answered(places: Places) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(places.answer.read_text("utf-8"))
    return told


def put(places: Places, told: object) -> bytes:
    raw = told if isinstance(told, bytes) else json.dumps(told).encode()
    places.asks.write_bytes(raw)
    return raw


def ask(places: Places, *entries: Entry) -> int:
    put(places, asks.written(entries, 7))
    return program.main(places, linger=0)


def left(places: Places) -> list[str]:
    """What stands in /etc/network."""
    return sorted(path.name for path in places.interfaces.parent.iterdir())
