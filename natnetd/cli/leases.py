"""`natnetd leases [NETWORK]`: who has which address. As root it also asks whether the guests are there."""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from ipaddress import IPv4Address

from natnetd import config
from natnetd.cli.terminal import table
from natnetd.errors import HostError
from natnetd.leases import Known, known
from natnetd.linux.arp import answering
from natnetd.linux.leased import LeaseFiles
from natnetd.linux.starting import places
from natnetd.model import Network

HEAD = ("NETWORK", "ADDRESS", "MAC", "NAME", "EXPIRES", "RESERVED", "ANSWERS")
WORDS = {True: "yes", False: "no", None: "?"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take one network, and how to print."""
    parser.add_argument("network", nargs="?", metavar="NETWORK", help="this one only")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    """Print every lease in force, and every reservation."""
    networks = [n for n in config.load(asked.config).networks.values() if n.dhcp]
    if asked.network is not None:
        names = ", ".join(n.name for n in networks) or "none"
        networks = [n for n in networks if n.name == asked.network]
        if not networks:
            raise HostError(f"there is no network {asked.network} with dhcp (known: {names})")
    files, now = LeaseFiles(places().leases), time.time()
    rows = [row for n in networks for row in asked_for(n, list(known(n, files.of(n.name), now)))]
    if asked.json:
        print(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False))
    elif rows:
        print(table([HEAD, *map(words, rows)]))
    else:
        print("no leases")
    return 0


def asked_for(network: Network, rows: list[Known]) -> Iterable[Known]:
    """Ask which guests are there, from the gateway of each one's subnet."""
    answers: dict[str, bool] = {}
    for gateway in network.gateways:
        there = [row.address for row in rows if IPv4Address(row.address) in gateway.network]
        heard = answering(network.name, str(gateway.ip), there) if there else None
        answers |= {} if heard is None else {address: address in heard for address in there}
    return [replace(row, answers=answers.get(row.address)) for row in rows]


def words(row: Known) -> tuple[str, ...]:
    """Write one row for people."""
    until = {None: "-", 0: "never"}.get(row.expires) or (
        f"{datetime.fromtimestamp(row.expires or 0).astimezone():%F %T}"
    )
    reserved = "yes" if row.reserved else ""
    return (row.network, row.address, row.mac, row.name, until, reserved, WORDS[row.answers])
