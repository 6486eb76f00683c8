"""The real host: the only files that know pyroute2, libnftables and /proc."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2 import IPRoute

from natnetd.host import Before, Door, Layer, Scope, Snapshot
from natnetd.linux import dumps, sysctl
from natnetd.linux.netlink import ROUTE, Asker
from natnetd.linux.nft import NftDoor
from natnetd.linux.rtnl import AddressDoor, LinkDoor
from natnetd.report import Traffic
from natnetd.rows import Link

MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class LinuxHost:
    """The host of the network namespace it was opened in; one thread's."""

    nft: NftDoor
    route: Asker
    doors: Mapping[Layer, Door]
    machine: str = field(default="")

    def look(self, scope: Scope, before: Before) -> Snapshot:
        """See what a scope covers. Raises HostError."""
        links: dict[str, Link] = {}
        others = scope.layers - {Layer.NFT}
        if others:
            links = dumps.links(self.route)
        names = {link.index: link.name for link in links.values()}
        return Snapshot(
            links=links,
            addresses=dumps.addresses(self.route, names) if others else {},
            settings=settings(links) if Layer.SYSCTL in scope.layers else {},
            table=self.nft.look() if Layer.NFT in scope.layers else None,
            default_links=dumps.default_links(self.route, names) if others else frozenset(),
            machine=self.machine,
            before=before,
        )

    def sample(self) -> Traffic:
        """Read the counters of the packet path. Raises HostError."""
        return self.nft.sample()

    @property
    def generation(self) -> int:
        """The generation of the ruleset that the last look covers."""
        return self.nft.covered

    def close(self) -> None:
        """Give sockets back."""
        self.route.close()
        self.nft.asker.close()
        for door in (self.doors[Layer.LINK],):
            if isinstance(door, LinkDoor):
                door.route.close()


def settings(links: Mapping[str, Link]) -> dict[str, str]:
    """Tell the switches of forwarding; one link dump carries every interface's."""
    found = {
        f"net.ipv4.conf.{link.name}.forwarding": str(int(link.forwarding))
        for link in links.values()
        if link.forwarding is not None
    }
    switch = sysctl.read("net", "ipv4", "ip_forward")
    return found if switch is None else found | {"net.ipv4.ip_forward": switch}


def open_host() -> LinuxHost:
    """Open the host this thread is in. Raises HostError: no permission, no nf_tables, no libnftables."""
    asker = Asker(ROUTE)
    nft = NftDoor()
    route = IPRoute()
    doors: dict[Layer, Door] = {
        Layer.NFT: nft,
        Layer.LINK: LinkDoor(route),
        Layer.ADDRESS: AddressDoor(route),
        Layer.SYSCTL: sysctl.SysctlDoor(),
    }
    return LinuxHost(nft, asker, doors, machine_id())


def machine_id() -> str:
    """Read the id that systemd gives a machine (machine-id(5)); empty where there is none."""
    try:
        return MACHINE_ID.read_text("ascii").strip()
    except OSError:
        return ""
