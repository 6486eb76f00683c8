"""A server that tells everyone who asks, over TCP or UDP, from which address and port the question came."""

import selectors
import socket
import struct
import threading
from contextlib import suppress
from typing import Self

from natnetd.lab.netns import Namespace

PORT = 7
_IPV6_RECVPKTINFO, _IPV6_PKTINFO = 49, 50
_LONGEST = 2048


class Echo:
    """Answers each message on any address of a namespace with its sender, like 203.0.113.2:40123.

    An IPv6 sender looks like [2001:db8::2]:40123. It serves in a thread of this process from construction
    to `close`; `asked` lists the senders so far.
    """

    def __init__(self, ns: Namespace, port: int = PORT) -> None:
        self.asked: list[str] = []
        self._listener = ns.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self._datagrams = ns.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._wake, self._woken = socket.socketpair()
        for door in (self._listener, self._datagrams):
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(("::", port))
        # An answer must come from the address that was asked, or the host's NAT does not know it.
        self._datagrams.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        self._listener.listen()
        self._selector = selectors.DefaultSelector()
        for door, serve in (
            (self._listener, self._accept),
            (self._datagrams, self._answer_datagram),
            (self._woken, None),
        ):
            self._selector.register(door, selectors.EVENT_READ, serve)
        self._thread = threading.Thread(target=self._serve, name=f"echo {ns.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and close every connection."""
        self._wake.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    for each in list(self._selector.get_map().values()):
                        self._close(each.fileobj)
                    return
                # The other side may be gone, or the way to it; that is its affair.
                with suppress(OSError):
                    key.data(key.fileobj)

    def _close(self, door: object) -> None:
        if isinstance(door, socket.socket):
            self._selector.unregister(door)
            door.close()

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._selector.register(connection, selectors.EVENT_READ, self._answer_stream)

    def _answer_stream(self, connection: socket.socket) -> None:
        heard = b""
        try:
            heard = connection.recv(_LONGEST)
        finally:
            if not heard:
                self._close(connection)
        if heard:
            connection.send(self._note(connection.getpeername()))

    def _answer_datagram(self, door: socket.socket) -> None:
        _, ancillary, _, peer = door.recvmsg(_LONGEST, socket.CMSG_SPACE(20))
        (asked,) = (data[:16] for level, kind, data in ancillary if kind == _IPV6_PKTINFO)
        # Interface 0: the route decides the way back, as it would for any server.
        info = (socket.IPPROTO_IPV6, _IPV6_PKTINFO, asked + struct.pack("I", 0))
        door.sendmsg([self._note(peer)], [info], 0, peer)

    def _note(self, peer: tuple[str, int, int, int]) -> bytes:
        address = peer[0].removeprefix("::ffff:")
        text = f"[{address}]:{peer[1]}" if ":" in address else f"{address}:{peer[1]}"
        self.asked.append(text)
        return text.encode()
