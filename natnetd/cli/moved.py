"""What guests moved, for `natnetd top` and `natnetd status --guests`: read, named, and written in columns."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from natnetd import config
from natnetd.cli.terminal import size, table
from natnetd.errors import HostError
from natnetd.guests import LIMIT, Counted, Guest, Ledger, Moved, guests, ordered
from natnetd.leases import known
from natnetd.linux.guests import counted, networks
from natnetd.linux.leased import LeaseFiles
from natnetd.linux.netlink import NETFILTER, Asker
from natnetd.linux.starting import places

TOTALS = ("NETWORK", "GUEST", "NAME", "SENT", "PACKETS", "RECEIVED", "PACKETS", "CONNECTIONS")
SPEEDS = ("NETWORK", "GUEST", "NAME", "SENT/s", "PKT/s", "RECEIVED/s", "PKT/s", "NEW/s")
SUMS = ("SENT", "RECEIVED", "CONNECTIONS")
ALL = "(all)"


class Reader:
    """Reads the kernel's figures again and again, for all networks of a file or one of them."""

    def __init__(self, path: str, network: str | None) -> None:
        self.config = config.load(path)
        if network is not None and network not in self.config.networks:
            names = ", ".join(self.config.networks) or "none"
            raise HostError(f"there is no network {network} (known: {names})")
        self.networks = [n for n in self.config.networks.values() if network in (None, n.name)]
        self.asker = Asker(NETFILTER)
        self.files = LeaseFiles(places().leases)
        self.ledger = Ledger()
        self.counted = Counted()

    def close(self) -> None:
        """Give the socket back."""
        self.asker.close()

    @property
    def names(self) -> dict[str, str]:
        """The names of guests, by address: of leases and reservations."""
        now = time.time()
        rows = [row for n in self.networks if n.dhcp for row in known(n, self.files.of(n.name), now)]
        return {row.address: row.name for row in rows if row.name}

    def guests(self) -> list[Guest]:
        """Tell what each guest moved in all, by network and address. Raises HostError."""
        self.counted = counted(self.asker)
        wanted = {network.name for network in self.networks}
        rows = guests(self.config, self.counted, self.names)
        return ordered([row for row in rows if row.network in wanted], "address")

    def take(self) -> list[Guest]:
        """Read once more: speeds since then, and networks that do not count their guests as a whole.

        Raises HostError.
        """
        rows = self.guests()
        whole = networks(self.asker)
        rows += [
            Guest(n.name, "", "", whole.get(n.name, Moved())) for n in self.networks if not n.count_guests
        ]
        self.ledger.take({f"{g.network} {g.address}": g.total for g in rows}, time.monotonic())
        return [self.grown(row) for row in rows]

    def grown(self, row: Guest) -> Guest:
        """Give a row the totals and speeds of all readings."""
        key = f"{row.network} {row.address}"
        return Guest(
            row.network, row.address, row.name, self.ledger.total[key], self.ledger.speed.get(key, Moved())
        )

    def notes(self) -> Iterator[str]:
        """Say what is missing, and why."""
        if self.counted.full:
            yield f"! {LIMIT} addresses are counted, and no more: new guests are left out"
        if not any(network.count_guests for network in self.networks):
            yield "i no guest is counted by itself: write count_guests: true under networks, or defaults"


def totals(rows: Sequence[Guest]) -> str:
    """Write what guests moved in all."""
    listed = [(g.network, g.address, g.name, *figures(g.total, "")) for g in rows]
    return table([TOTALS, *listed], range(3, 8)) if listed else "no guest has been counted yet"


def speeds(rows: Sequence[Guest]) -> list[tuple[str, ...]]:
    """Write what moves right now, and in all, cell by cell; the head comes first."""
    return [(*SPEEDS, *SUMS), *(line(guest) for guest in rows)]


def line(guest: Guest) -> tuple[str, ...]:
    """Write one guest; the kernel does not count connections of a network as a whole."""
    sums = (size(guest.total.sent_bytes), size(guest.total.received_bytes), f"{guest.total.connections:.0f}")
    cells = (*figures(guest.speed, "/s"), *sums)
    if not guest.address:
        cells = (*cells[:4], "-", *cells[5:7], "-")
    return (guest.network, guest.address or ALL, guest.name, *cells)


def figures(moved: Moved, each: str) -> tuple[str, ...]:
    """Write five figures; `each` says that they are of one second."""
    return (
        size(moved.sent_bytes) + each,
        f"{moved.sent_packets:.0f}",
        size(moved.received_bytes) + each,
        f"{moved.received_packets:.0f}",
        f"{moved.connections:.0f}",
    )


def packed(guest: Guest, *, speed: bool = False) -> dict[str, Any]:
    """Make JSON's words of a guest."""
    row: dict[str, Any] = {"network": guest.network, "address": guest.address or None, "name": guest.name}
    row["total"] = asdict(guest.total)
    return row | ({"per_second": asdict(guest.speed)} if speed else {})
