"""Imports from text, for tests, and how a network leaves in short."""

from collections.abc import Sequence

from natnetd.cli.import_ import complaints
from natnetd.config import parse
from natnetd.model import Network
from natnetd.moving.answer import Answer, answer
from natnetd.moving.interfaces import read
from natnetd.moving.saved import Saved
from natnetd.moving.saved import read as read_saved
from natnetd.moving.site import Site

NAT = "up iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE"
LEGACY = """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [12:720]
-A PREROUTING -i vmbr0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.9:80
-A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE
-A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -m comment --comment "the \\"lab\\"" -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""
NFT = "*nat\n-A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j MASQUERADE\nCOMMIT\n"


def live(**listings: str) -> tuple[Saved, ...]:
    return tuple(s for name, text in listings.items() for s in read_saved(text, f"iptables-{name}"))


def imported(text: str, live: Sequence[Saved] | None = None, *, forwarding: bool = False) -> Answer:
    """Import a text, as the verb does."""
    found = answer(Site.of([read(text, "f")], forwarding=forwarding, live=live), complaints)
    parse(found.text, "stdout")
    return found


def stanza(*commands: str, name: str = "vmbr1", address: str = "10.0.0.1/24") -> str:
    """Write a bridge's stanza."""
    lines = [
        f"auto {name}",
        f"iface {name} inet static",
        f"address {address}",
        "bridge-ports none",
        *commands,
    ]
    return "\n".join(lines) + "\n"


def way(network: Network) -> str:
    """Write how a network leaves, in short."""
    if network.nat is None:
        return "routed" if network.routed else "closed"
    nat = network.nat
    source = f" as {nat.source}" if nat.source else ""
    exempt = f" but {', '.join(map(str, nat.exempt))}" if nat.exempt else ""
    return f"{' '.join(nat.uplinks) or 'any'}{source}{exempt}"
