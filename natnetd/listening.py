"""What stands in the way of forwards on this host, and in whose way they are; pure."""

from collections.abc import Iterator
from ipaddress import ip_address

from natnetd.around import Listener
from natnetd.doors import Forward, bracketed
from natnetd.host import Finding, Snapshot, State
from natnetd.model import Config, Network

ANY = ("0.0.0.0", "::")  # noqa: S104  # what is seen, nothing binds it
BRIDGED = "net.bridge.bridge-nf-call-iptables"


def forwards(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """Find everything."""
    networks = [network for network in config.networks.values() if network.forwards]
    if not networks:
        return
    carried = {row.interface.partition("/")[0] for rows in seen.addresses.values() for row in rows}
    gateways = {str(a.ip) for network in config.networks.values() for a in network.addresses}
    for network in networks:
        yield from absent(network, carried | gateways)
        for listener in seen.around.listeners:
            yield from taken(network, listener, carried, gateways)
    if seen.around.settings.get(BRIDGED) == "1" and any(
        f.to.version == 4 for n in networks for f in n.forwards
    ):
        yield Finding(
            None,
            State.IN_SYNC,
            f"{BRIDGED} is 1: guests reach their neighbours by forwards, but not themselves: if no firewall"
            f" of the host needs it: sysctl -w {BRIDGED}=0",
        )


def absent(network: Network, carried: set[str]) -> Iterator[Finding]:
    """Addresses to listen at that no interface has: nobody is told that they are here."""
    for at in dict.fromkeys(f.at for f in network.forwards if f.at is not None):
        if str(at) not in carried:
            yield Finding(
                network.name,
                State.WAITING,
                f"forwards listen at {at}, which no interface carries: give it to the uplink, or to lo if it"
                f" is routed to this host: ip address add {at}/{at.max_prefixlen} dev lo",
            )


def taken(network: Network, listener: Listener, carried: set[str], gateways: set[str]) -> Iterator[Finding]:
    """A service of the host that listens where a forward does: the forward wins."""
    for forward in network.forwards:
        if meets(forward, listener, carried, gateways):
            at = f"{bracketed(ip_address(listener.address))}:{listener.port}/{listener.protocol}"
            yield Finding(
                network.name,
                State.IN_SYNC,
                f"forward {forward} takes what came to {listener.owner}, which listens at {at} on this host:"
                " nobody reaches it there any more; give one of them another port",
            )


def meets(forward: Forward, listener: Listener, carried: set[str], gateways: set[str]) -> bool:
    """Say whether a forward takes a service's packets; all of an address is meant to take what is there."""
    if forward.at is not None and str(forward.at) not in carried:
        return False
    if not forward.protocols:
        return listener.address == str(forward.at)
    first, last = forward.ports
    if listener.protocol not in forward.protocols or not first <= listener.port <= last:
        return False
    if listener.address in ANY:
        return forward.to.version in listener.families
    if forward.at is not None:
        return listener.address == str(forward.at)
    own = ip_address(listener.address)
    return own.version == forward.to.version and not own.is_loopback and listener.address not in gateways
