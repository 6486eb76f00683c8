"""What others have set up around our networks: only looked at, and what cannot be read is left out."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from socket import AF_INET

from natnetd.around import Around, Route, Translation, Wall
from natnetd.doors import Forward
from natnetd.errors import HostError
from natnetd.linux import foreign, sysctl, xtables
from natnetd.linux.dumps import ROUTE_HEAD, RTA_DST, RTPROT_KERNEL, UNICAST, exits
from natnetd.linux.listeners import Listeners
from natnetd.linux.netlink import Asker, attributes
from natnetd.linux.nfnl import generation
from natnetd.rows import Link

RTM_GETRULE = 34
FRA_FWMARK = 10
MANY_ROUTES = 2000
"""More of them are somebody's whole routing table, which is not compared."""
MANY_GUARDS = 50

HOST_SETTINGS = (
    "net.bridge.bridge-nf-call-iptables",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.src_valid_mark",
)


@dataclass(slots=True)
class Surroundings:
    """Looks at them; chains of nftables only when the generation of the ruleset says that they changed."""

    netfilter: Asker
    route: Asker
    covered: int = -1
    walls: tuple[Wall, ...] = ()
    translations: tuple[Translation, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    listeners: Listeners = field(default_factory=Listeners)

    def look(
        self,
        links: Mapping[str, Link],
        ways: Iterable[str],
        doors: Iterable[Forward] = (),
        routes: Iterable[bytes] = (),
    ) -> Around:
        """See what there is. Never raises."""
        names = {link.index: link.name for link in links.values()}
        self.read_nftables(names)
        walls, translations = list(self.walls), list(self.translations)
        with suppress(OSError, ValueError, struct.error):
            walls += xtables.walls()
        with suppress(OSError, ValueError, struct.error):
            translations += xtables.translations()
        by_mark = False
        with suppress(HostError):
            by_mark = self.by_mark()
        return Around(
            tuple(filter(able, walls)),
            tuple(translations),
            tuple(set_by_hand(routes, names)),
            by_mark,
            settings(links, ways),
            self.listeners.look(doors),
        )

    def read_nftables(self, names: Mapping[int, str]) -> None:
        """Read chains of others, if any can have changed."""
        try:
            now = generation(self.netfilter)
        except (HostError, OSError):
            return
        if now != self.covered:
            self.walls, self.translations = foreign.read(self.netfilter, names)
            self.covered = now

    def by_mark(self) -> bool:
        """Say whether a policy rule goes by packets' marks. Raises HostError."""
        rules = self.route.dump(RTM_GETRULE, ROUTE_HEAD.pack(AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))
        return any(FRA_FWMARK in attributes(rule, 12, len(rule)) for rule in rules)


def set_by_hand(routes: Iterable[bytes], names: Mapping[int, str]) -> Iterator[Route]:
    """Yield IPv4 routes that somebody set."""
    found = [r for r in routes if r[5] != RTPROT_KERNEL and r[7] == UNICAST and r[1]]
    for payload in found if len(found) <= MANY_ROUTES else ():
        destination = IPv4Address(attributes(payload, 12, len(payload))[RTA_DST])
        link = next((names[index] for index in exits(payload) if index in names), "")
        if link:
            yield Route(f"{destination}/{payload[1]}", link)


def able(wall: Wall) -> bool:
    """Say whether a firewall can drop anything."""
    return wall.policy == "drop" or any(
        rule.verdict == "drop" for rules in wall.chains.values() for rule in rules
    )


def settings(links: Mapping[str, Link], ways: Iterable[str]) -> dict[str, str]:
    """Read the sysctls that matter: of the host, of the uplinks, and of guests' firewall bridges."""
    wanted = [*HOST_SETTINGS, *(f"net.ipv4.conf.{way}.rp_filter" for way in ways)]
    found = {name: read(name) for name in wanted}
    if found["net.ipv4.conf.all.rp_filter"] == found["net.ipv4.conf.all.arp_ignore"] == "0":
        for link in [name for name in links if name.startswith("fwbr")][:MANY_GUARDS]:
            for key in ("rp_filter", "arp_ignore"):
                found[f"net.ipv4.conf.{link}.{key}"] = read(f"net.ipv4.conf.{link}.{key}")
    return {name: value for name, value in found.items() if value is not None}


def read(name: str) -> str | None:
    """Read a sysctl; an interface's name may have dots."""
    first, *others = name.split(".", 3 if name.startswith("net.ipv4.conf.") else 2)
    if others[1:2] == ["conf"]:
        link, _, key = others[2].rpartition(".")
        others = [others[0], "conf", link, key]
    with suppress(HostError):
        return sysctl.read(first, *others)
    return None
