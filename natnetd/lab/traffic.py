"""Real packets: ask an `Echo` over TCP or UDP what it sees of us, keep such a talk going, ping."""

import itertools
import os
import socket
import struct
import time
from contextlib import suppress
from ipaddress import ip_address
from typing import Self

from natnetd.lab.echo import PORT
from natnetd.lab.netns import Namespace

DEADLINE = 2.0
# Long enough for an answer on a loaded machine, short enough to be waited for in vain.
ABSENCE = 0.3

_PING_INTERVAL = 0.05
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_idents = itertools.count(os.getpid())


class Flow:
    """A UDP socket in a namespace, connected to `address` and `port`: one flow, whatever happens around it.

    Deadlines are seconds. A refusal is an answer, hence an error: ConnectionRefusedError (nobody listens, so
    the packet did pass), OSError ENETUNREACH (no route), PermissionError (dropped on its way out, by nft).
    """

    KIND = socket.SOCK_DGRAM

    def __init__(
        self, ns: Namespace, address: str, port: int = PORT, source_port: int = 0, deadline: float = DEADLINE
    ) -> None:
        self.socket = ns.socket(_family(address), self.KIND)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if source_port:
                self.socket.bind(("", source_port))
            self.socket.settimeout(deadline)
            self.socket.connect((address, port))
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Return the source port, before any translation."""
        return int(self.socket.getsockname()[1])

    def send(self, text: str = "?") -> None:
        """Send one message and wait for nothing."""
        self.socket.send(text.encode())

    def receive(self, deadline: float = DEADLINE) -> str | None:
        """Return the next message, or None if none comes in time; ConnectionError if the server closed."""
        self.socket.settimeout(deadline)
        try:
            heard = self.socket.recv(2048)
        except TimeoutError:
            return None
        if not heard:
            raise ConnectionError("the other side closed the connection")
        return heard.decode()

    def ask(self, deadline: float = DEADLINE) -> str | None:
        """Send a question and return how the server sees us, or None if no answer comes in time."""
        self.send()
        return self.receive(deadline)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Connection(Flow):
    """A TCP connection; made when constructed, TimeoutError if nothing answers within `deadline` seconds."""

    KIND = socket.SOCK_STREAM


def tcp(ns: Namespace, address: str, port: int = PORT, deadline: float = DEADLINE) -> str | None:
    """Connect, ask once, return how the server saw us; None when nothing came in time. Errors: see Flow."""
    try:
        with Connection(ns, address, port, deadline=deadline) as connection:
            return connection.ask(deadline)
    except TimeoutError:
        return None


def udp(
    ns: Namespace, address: str, port: int = PORT, source_port: int = 0, deadline: float = DEADLINE
) -> str | None:
    """Send one datagram, return how the server saw us; None when nothing came in time. Errors: see Flow."""
    with Flow(ns, address, port, source_port) as flow:
        return flow.ask(deadline)


def ping(ns: Namespace, address: str, count: int = 1, deadline: float = DEADLINE) -> bool:
    """Tell whether `count` echo requests are answered within `deadline` seconds; one is sent each 50 ms.

    A request that cannot even be sent (no route, dropped by a rule) is one without an answer.
    """
    ident = next(_idents) & 0xFFFF
    end = time.monotonic() + deadline
    family = _family(address)
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    # Raw, since the kernel's own ping sockets are open to nobody in a new namespace (ping_group_range).
    with ns.socket(family, socket.SOCK_RAW, protocol) as door:
        for sequence in range(count):
            packet = _echo(_REQUEST[family], ident, sequence)
            answer = _echo(_REPLY[family], ident, sequence)
            while not _exchange(door, address, packet, answer):
                if time.monotonic() > end:
                    return False
    return True


def _exchange(door: socket.socket, address: str, packet: bytes, answer: bytes) -> bool:
    end = time.monotonic() + _PING_INTERVAL
    with suppress(OSError):
        door.sendto(packet, (address, 0))
    while (left := end - time.monotonic()) > 0:
        door.settimeout(left)
        with suppress(TimeoutError):
            # IPv4 hands out its own header as well; the checksum differs by request, and was checked.
            heard = door.recv(2048)
            message = heard[(heard[0] & 0xF) * 4 :] if door.family == socket.AF_INET else heard
            if message[:2] + message[4:8] == answer[:2] + answer[4:8]:
                return True
    return False


def _echo(kind: int, ident: int, sequence: int) -> bytes:
    """Build an echo message (RFC 792, RFC 4443) of 8 bytes; over IPv6 the kernel puts its own checksum."""
    total = (kind << 8) + ident + sequence
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", kind, 0, checksum, ident, sequence)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
