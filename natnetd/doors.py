"""Forwards: doors from outside to a guest, as values and as the packet path keeps them; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Row = tuple[str, tuple[str, ...], str]
"""Map, key and value."""

MAPS = frozenset(
    f"{name}{family}" for name in ("door", "span", "whole", "anydoor", "anyspan") for family in (4, 6)
)


@dataclass(frozen=True, slots=True)
class Forward:
    """What comes to an address of the host, or to all of them (`at` None), goes to a guest.

    Without `protocols` it is everything that comes to the address. `port` is the guest's; None: the one it
    came to, and always so for a range of ports.
    """

    to: IPv4Address | IPv6Address
    at: IPv4Address | IPv6Address | None = None
    protocols: tuple[str, ...] = ()
    ports: tuple[int, int] = (0, 0)
    port: int | None = None

    def __str__(self) -> str:
        at = bracketed(self.at) if self.at is not None and self.protocols else str(self.at or "")
        if not self.protocols:
            return at
        protocol = self.protocols[0] if len(self.protocols) == 1 else "both"
        return f"{at}{':' if at else ''}{span(self.ports)}/{protocol}"

    def rows(self) -> Iterator[Row]:
        """Yield the elements that it is: one for each protocol, whatever the number of ports."""
        family = "4" if self.to.version == 4 else "6"
        at = () if self.at is None else (str(self.at),)
        if not self.protocols:
            yield f"whole{family}", at, str(self.to)
        where = "" if at else "any"
        for protocol in self.protocols:
            key = (*at, protocol, span(self.ports))
            if self.ports[0] == self.ports[1]:
                yield f"{where}door{family}", key, f"{self.to} . {self.port or self.ports[0]}"
            else:
                yield f"{where}span{family}", key, str(self.to)


def bracketed(address: IPv4Address | IPv6Address) -> str:
    """Write an address as it stands before a port."""
    return f"[{address}]" if address.version == 6 else str(address)


def span(ports: tuple[int, int]) -> str:
    """Write ports as nft lists them."""
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"
