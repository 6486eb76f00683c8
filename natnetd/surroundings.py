"""What others do to our networks' traffic: explained with the command that mends it, never fought; pure.

An accept of ours cannot override somebody else's drop, and their settings are theirs. The texts stay the
same while the cause does: a finding with new words would be logged again.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Interface, IPv4Network

from natnetd.around import Translation
from natnetd.firewalls import GUARDS, note, walled
from natnetd.host import Finding, Snapshot
from natnetd.model import Config
from natnetd.walls import Judge

FULL, EMPTIER = 0.8, 0.7  # of the table of connections: said from the first on, no more below the second
CROWDED = "the table of connections (conntrack) is over 80 % full: new ones will be dropped: sysctl -w"
COUNT, MAX = "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max"
SEES_MARKS = "net.ipv4.conf.all.src_valid_mark"
STRICT = 1


def surroundings(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """Find everything."""
    if not config.networks:
        return
    for wall in seen.around.walls:
        yield from walled(config, seen, Judge(wall))
    yield from guarded(seen)
    yield from strict(config, seen)
    yield from translated(config, seen)
    yield from overlapping(config, seen)
    yield from crowded(seen)


def guarded(seen: Snapshot) -> Iterator[Finding]:
    """Guests' firewall bridges that answer for the gateway's address: their packets take a wrong way in."""
    settings = seen.around.settings
    for name in sorted(name for name in seen.links if name.startswith(GUARDS)):
        told_ = [effective(settings, name, key) for key in ("rp_filter", "arp_ignore")]
        if told_ == [0, 0]:
            yield note(
                None,
                f"rp_filter and arp_ignore are 0 on the guests' firewall bridges ({GUARDS}*): they answer ARP"
                " for the gateway, and NAT breaks for their guests: sysctl -w net.ipv4.conf.all.arp_ignore=1",
            )
            return


def effective(settings: Mapping[str, str], link: str, key: str) -> int | None:
    """What counts for a link: the greater of its own value and that for all; None if not known."""
    found = [settings.get(f"net.ipv4.conf.{name}.{key}") for name in ("all", link)]
    return max(int(value) for value in found if value) if all(found) else None


def strict(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """An uplink that takes no answers from where only marked packets are sent by it."""
    settings = seen.around.settings
    if not seen.around.by_mark or not seen.default_links or settings.get(SEES_MARKS) == "1":
        return
    for network in config.networks.values():
        for way in network.nat.uplinks if network.nat else ():
            if way not in seen.default_links and effective(settings, way, "rp_filter") == STRICT:
                yield note(
                    network.name,
                    f"rp_filter is strict on {way}, and policy rules send packets there by their marks:"
                    f" answers that come in by it are dropped: sysctl -w net.ipv4.conf.{way}.rp_filter=2",
                )


def translated(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """A how-to's rule that translates what natnetd translates before it: a leftover."""
    rules: dict[str, list[Translation]] = {}
    for rule in seen.around.translations:
        rules.setdefault(rule.source, []).append(rule)
    for network in config.networks.values() if rules else ():
        for subnet in subnets(network.addresses) if network.nat else ():
            for rule in rules.get(str(subnet), ()):
                yield note(
                    network.name,
                    f"{rule.tool}'s table {rule.table} translates {subnet} too (a line of"
                    f" /etc/network/interfaces, perhaps): natnetd is there before it; {removal(rule)}",
                )


def removal(rule: Translation) -> str:
    """How to delete a rule."""
    if rule.tool == "nft":
        return f"remove it: nft delete rule {rule.table} {rule.chain} handle {rule.handle}"
    table = f"{rule.tool} -t nat"
    if not rule.sure:
        return f"find it by {table} -S {rule.chain} and remove it"
    out = f" -o {rule.oif.replace('*', '+')}" if rule.oif and rule.oif[0] != "!" else ""
    out = f" ! -o {rule.oif[1:].replace('*', '+')}" if rule.oif.startswith("!") else out
    action = f"SNAT --to-source {rule.to}" if rule.to else "MASQUERADE"
    return f"remove it, as often as it is there: {table} -D {rule.chain} -s {rule.source}{out} -j {action}"


def overlapping(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """A subnet that the host reaches elsewhere too: inside it by a route, or anyhow by an interface's own."""
    elsewhere = [(IPv4Network(r.destination), r.link, False) for r in seen.around.routes]
    elsewhere += [
        (subnet, link, True)
        for link, rows in seen.addresses.items()
        if link not in config.networks
        for subnet in subnets([IPv4Interface(row.interface) for row in rows if ":" not in row.interface])
    ]
    owned = sorted(
        (*span(subnet), network.name, subnet.prefixlen)
        for network in (config.networks.values() if elsewhere else ())
        for subnet in subnets(network.addresses)
    )
    starts = [first for first, *_ in owned]
    for other, link, connected in elsewhere:
        low, high = span(other)
        for first, last, name, length in owned[
            max(0, bisect_right(starts, low) - 1) : bisect_right(starts, high)
        ]:
            if link != name and last >= low and (connected or other.prefixlen >= length):
                yield note(name, overlap(IPv4Network((first, length)), other, link, connected=connected))


def overlap(subnet: IPv4Network, other: IPv4Network, link: str, *, connected: bool) -> str:
    """Say what overlaps."""
    remove = "address" if connected else f"route: ip route del {other} dev {link}"
    return (
        f"its subnet {subnet} overlaps {other}, which the host finds at {link}: one of the two cannot be"
        f" reached: give the network another subnet, or remove that {remove}"
    )


def span(subnet: IPv4Network) -> tuple[int, int]:
    """First and last address, as numbers."""
    first = int(subnet.network_address)
    return first, first | (1 << (32 - subnet.prefixlen)) - 1


def subnets(addresses: Iterable[object]) -> list[IPv4Network]:
    """The IPv4 subnets of addresses, without those of one address only."""
    found = [a.network for a in addresses if isinstance(a, IPv4Interface)]
    return [subnet for subnet in found if subnet.prefixlen < 32]


def crowded(seen: Snapshot) -> Iterator[Finding]:
    """Too many connections: said once, and not again while their number swings."""
    count, most = (int(seen.around.settings.get(key) or 0) for key in (COUNT, MAX))
    said = any(f.text.startswith(CROWDED) for f in seen.before.findings)
    if most and count > most * (EMPTIER if said else FULL):
        yield note(None, f"{CROWDED} {MAX}={2 * most} (on Proxmox: nf_conntrack_max in host.fw)")
