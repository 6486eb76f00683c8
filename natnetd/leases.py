"""Leases as dnsmasq writes them down, and reservations beside them; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from natnetd.model import Network


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a guest has; `expires` is in seconds since 1970, 0 for never."""

    address: str
    mac: str
    name: str = ""
    expires: int = 0

    def runs(self, now: float) -> bool:
        """Whether it is in force."""
        return self.expires == 0 or self.expires > now


@dataclass(frozen=True, slots=True)
class Known:
    """A guest as `natnetd leases` shows it; `expires` None: it has no lease; `answers` None: not asked."""

    network: str
    address: str
    mac: str
    name: str = ""
    expires: int | None = None
    reserved: bool = False
    answers: bool | None = None


def parse(lines: Iterable[str]) -> Iterator[Lease]:
    """Read a file of leases: expiry, MAC address, address, name, client id. Those of IPv6 are passed over."""
    for line in lines:
        words = line.split()
        if len(words) >= 4 and words[0].isdigit() and words[2].count(".") == 3:
            yield Lease(words[2], words[1].lower(), "" if words[3] == "*" else words[3], int(words[0]))


def known(network: Network, leases: Iterable[Lease], now: float) -> Iterator[Known]:
    """Yield guests with a lease in force or a reservation, in the order of their addresses."""
    reserved = {r.mac: r for r in network.dhcp.reservations} if network.dhcp else {}
    running = [lease for lease in leases if lease.runs(now)]
    rows: dict[str, Known] = {}
    for row in reserved.values():
        rows[str(row.address)] = Known(network.name, str(row.address), row.mac, row.name, None, reserved=True)
    for lease in running:
        kept = reserved.get(lease.mac)
        fixed = kept is not None and str(kept.address) == lease.address
        name = lease.name or (kept.name if kept and fixed else "")
        rows[lease.address] = Known(network.name, lease.address, lease.mac, name, lease.expires, fixed)
    yield from sorted(rows.values(), key=lambda row: tuple(map(int, row.address.split("."))))


def counts(leases: Mapping[str, Iterable[Lease]], now: float) -> dict[str, int]:
    """How many leases are in force, by network."""
    return {name: sum(lease.runs(now) for lease in rows) for name, rows in leases.items()}
