"""Asks who is there (ARP, RFC 826): a guest answers whatever its firewall says."""

import socket
import struct
import time
from collections.abc import Iterable

ETH_P_ARP = 0x0806
PACKET = struct.Struct("!HHBBH6s4s6s4s")
REQUEST, REPLY = 1, 2
EVERYBODY = b"\xff" * 6
PATIENCE = 0.3  # seconds


def answering(link: str, own: str, addresses: Iterable[str], patience: float = PATIENCE) -> set[str] | None:
    """Tell which of some IPv4 addresses answer on a link, asked from our own; None: we may not ask.

    `patience` is in seconds, for all of them together.
    """
    asked = set(addresses)
    found: set[str] = set()
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ARP)) as door:
            door.bind((link, ETH_P_ARP))
            mac = door.getsockname()[4]
            for address in asked:
                ends = (mac, socket.inet_aton(own), bytes(6), socket.inet_aton(address))
                door.sendto(PACKET.pack(1, 0x0800, 6, 4, REQUEST, *ends), (link, ETH_P_ARP, 0, 0, EVERYBODY))
            end = time.monotonic() + patience
            while found < asked and (left := end - time.monotonic()) > 0:
                door.settimeout(left)
                heard = PACKET.unpack_from(door.recv(128).ljust(PACKET.size, b"\0"))
                if heard[4] == REPLY:
                    found.add(socket.inet_ntoa(heard[6]))
    except TimeoutError:
        pass
    except OSError:
        return None
    return found & asked
