"""What really passes an interface: the proof that a packet came by, or that none did."""

import socket
from collections import Counter
from typing import NamedTuple, Self

from natnetd.errors import HostError
from natnetd.lab.netns import Namespace

_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33
_BUFFER = 16 << 20


class Packet(NamedTuple):
    """The two ends of an IPv4 or IPv6 packet."""

    source: str
    destination: str


class Sniffer:
    """Collects the packets an interface sends or receives, from construction on; packet(7).

    The kernel queues them, so no thread is needed. What a chain drops before the interface is not seen; what
    the interface received is, even if it is dropped later.
    """

    def __init__(self, ns: Namespace, interface: str) -> None:
        self._seen: Counter[Packet] = Counter()
        self._interface = interface
        # Protocol 0 hears nothing until bind: no stray packet of another interface gets in.
        self._door = ns.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._door.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._door.setblocking(False)
        self._door.bind((interface, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def packets(self) -> Counter[Packet]:
        """Count what was seen so far by its two ends; raises HostError if the kernel had to leave some out.

        A packet that was answered has been seen. To prove an absence, let one that must pass follow it.
        """
        while (packet := self._next()) is not None:
            self._seen.update(packet)
        lost = int.from_bytes(self._door.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)[4:], "little")
        if lost:
            raise HostError(
                f"cannot tell what passed {self._interface}: {lost} packets did not fit the buffer"
            )
        return self._seen.copy()

    def sources(self) -> Counter[str]:
        """Count the packets by source address."""
        counted: Counter[str] = Counter()
        for packet, number in self.packets().items():
            counted[packet.source] += number
        return counted

    def close(self) -> None:
        """Stop listening."""
        self._door.close()

    def _next(self) -> tuple[Packet, ...] | None:
        """Take one from the queue: empty for a frame that is no IP packet, None when nothing is left."""
        try:
            heard, sender = self._door.recvfrom(64)
        except BlockingIOError:
            return None
        if sender[1] == _ETH_P_IP:
            return (Packet(*(socket.inet_ntop(socket.AF_INET, heard[at : at + 4]) for at in (12, 16))),)
        if sender[1] == _ETH_P_IPV6:
            return (Packet(*(socket.inet_ntop(socket.AF_INET6, heard[at : at + 16]) for at in (8, 24))),)
        return ()
