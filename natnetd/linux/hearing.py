"""Whether a dnsmasq hears what it is there to hear: who holds its ports, asked of sock_diag(7)."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, IPPROTO_UDP

from natnetd.errors import HostError
from natnetd.linux import ports
from natnetd.linux.diag import Diag, Owner
from natnetd.linux.events import read_process
from natnetd.rows import Link

DNS_PORT, DHCP_PORT, DHCP6_PORT = 53, 67, 547
V4, V6 = ("0.0.0.0", DHCP_PORT), ("::", DHCP6_PORT)  # noqa: S104  # what is asked, nothing binds it


@dataclass(slots=True)
class Hearing:
    """Asks whose ports are; `own` are the sockets of a process, as they were read last."""

    diag: Diag = field(default_factory=Diag)
    own: dict[int, frozenset[int]] = field(default_factory=dict)

    def deaf(self, pid: int, link: Link, asked: Iterable[str]) -> frozenset[str]:
        """Of some addresses, and a bridge's name for DHCP, tell where a process holds no port.

        A socket is bound to a bridge by its index: that of a bridge made anew is another. Only root sees
        whose a socket is; others go by the user.
        """
        found = set()
        for at in asked:
            if at in (link.name, by6(link.name)):
                hears = self.hears_dhcp(pid, link.index, *(V6 if at == by6(link.name) else V4))
            else:
                hears = self.hears_dns(pid, at)
            if not hears:
                found.add(at)
        return frozenset(found)

    def hears_dns(self, pid: int, address: str) -> bool:
        """Whether a process holds the port at an address; also if that cannot be told."""
        held = self.diag.holders(address, DNS_PORT, (IPPROTO_TCP, IPPROTO_UDP))
        return held is None or all(owner and self.owns(pid, owner) for owner in held)

    def hears_dhcp(self, pid: int, link: int, address: str, port: int) -> bool:
        """Whether a process has bound the port to a bridge; also if that cannot be told.

        One that started before its bridge was there has bound it to none: it would hear all networks, and
        hide from the kernel's lookup who bound it to theirs.
        """
        try:
            return any(self.owns(pid, owner) for owner in self.diag.bound(port, link, address))
        except (HostError, OSError):
            return True

    def owns(self, pid: int, owner: Owner) -> bool:
        """Whether a socket is a process's; what that has is read again if it seems not to be."""
        uid, inode = owner
        if os.geteuid() != 0:
            return uid == uid_of(pid)
        if inode not in self.own.get(pid, ()):
            self.own[pid] = ports.inodes(pid)
        return inode in self.own[pid]


def by6(name: str) -> str:
    """How a bridge is called where DHCPv6 is meant."""
    return f"{name} (DHCPv6)"


def uid_of(pid: int) -> int:
    """Read whose a process is; its files may be root's, whoever it is."""
    status = read_process(pid, "status")
    words = next((line.split() for line in status.splitlines() if line.startswith("Uid:")), [])
    return int(words[2]) if len(words) > 2 else -1
