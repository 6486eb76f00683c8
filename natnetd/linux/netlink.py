"""Netlink by hand, for what the libraries do too slowly or not at all: dumps, events, one-shot requests.

pyroute2 needs 0.4 to 1 s to read 1,000 links and 1.4 s to filter their addresses; this needs 20-35 ms
(docs/decisions/0003). Only what is read in bulk or must not be missed is read here; writing is pyroute2's.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from natnetd.errors import HostError

ROUTE, NETFILTER = 0, 12  # protocols of AF_NETLINK
SOL_NETLINK = 270
ADD_MEMBERSHIP, EXT_ACK, GET_STRICT_CHK = 1, 11, 12
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x300
NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
BUFFER = 8 << 20  # bytes: 1,000 networks made at once emit 2 MB of events
RECEIVE = 1 << 18
ATTEMPTS = 20
AT_ONCE = 50  # requests in one datagram

HEADER = struct.Struct("=IHHII")
PAIR = struct.Struct("=HH")

Message = tuple[int, int, bytes]
"""Type, sender's port id, payload."""


def open_socket(protocol: int, groups: tuple[int, ...] = ()) -> socket.socket:
    """Open a netlink socket, member of multicast groups. Needs CAP_NET_ADMIN for its big buffer.

    bind() comes first: binding to no group clears the memberships of groups below 32.

    Raises HostError: no permission, or the kernel has no such protocol.
    """
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        sock.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        if protocol == ROUTE:
            sock.setsockopt(SOL_NETLINK, GET_STRICT_CHK, 1)
        if groups:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    except PermissionError as error:
        raise HostError("needs CAP_NET_ADMIN: run it as root or by its systemd unit") from error
    except OSError as error:
        raise HostError(f"cannot open a netlink socket (protocol {protocol}): {error.strerror}") from error
    if groups:
        sock.setblocking(False)
    else:
        sock.settimeout(10)
    return sock


def messages(datagram: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield (type, flags, sequence, sender, start of payload, end) of each message of a datagram."""
    offset, size = 0, len(datagram)
    while offset + 16 <= size:
        length, kind, flags, sequence, sender = HEADER.unpack_from(datagram, offset)
        if length < 16:
            return
        yield kind, flags, sequence, sender, offset + 16, min(offset + length, size)
        offset += (length + 3) & ~3


def attributes(buffer: bytes, offset: int, end: int) -> dict[int, bytes]:
    """Split attributes: payload by type, without the nested and byte-order flags (last one wins)."""
    found: dict[int, bytes] = {}
    while offset + 4 <= end:
        length, kind = PAIR.unpack_from(buffer, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = buffer[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def some_attributes(buffer: bytes, wanted: frozenset[int], offset: int = 0) -> dict[int, bytes]:
    """Split off those that are wanted, until all are found: a link has 110, of which 12 matter to us."""
    found: dict[int, bytes] = {}
    end, left = len(buffer), len(wanted)
    while offset + 4 <= end and left:
        length, kind = PAIR.unpack_from(buffer, offset)
        if length < 4:
            break
        if (kind := kind & 0x3FFF) in wanted:
            found[kind] = buffer[offset + 4 : offset + length]
            left -= 1
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, payload: bytes) -> bytes:
    """Pack one attribute, padded to four bytes."""
    return PAIR.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) & 3)


def failure(payload: bytes) -> OSError | None:
    """Read an NLMSG_ERROR: None for an acknowledgement."""
    code: int = struct.unpack_from("=i", payload)[0]
    return OSError(-code, os.strerror(-code)) if code else None


class Asker:
    """A socket for requests of our own; one thread's."""

    def __init__(self, protocol: int) -> None:
        self.socket = open_socket(protocol)
        self.sequence = 0

    def send(self, kind: int, flags: int, body: bytes) -> int:
        """Send one request and return its sequence number."""
        self.sequence += 1
        header = HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST, self.sequence, 0)
        self.socket.send(header + body)
        return self.sequence

    def ask(self, kind: int, body: bytes, flags: int = 0) -> Iterator[bytes]:
        """Yield the payloads that answer one request. Raises OSError as the kernel tells."""
        sequence = self.send(kind, flags | NLM_F_ACK if not flags & NLM_F_DUMP else flags, body)
        while True:
            datagram = self.socket.recv(RECEIVE)
            for got, got_flags, number, _sender, start, end in messages(datagram):
                if number != sequence:
                    continue
                if got == NLMSG_DONE:
                    return
                if got == NLMSG_ERROR:
                    error = failure(datagram[start:end])
                    if error is not None:
                        raise error
                    return
                if got_flags & NLM_F_DUMP_INTR:
                    raise InterruptedError(errno.EINTR, "the kernel changed while it was read")
                yield datagram[start:end]

    def batch(self, requests: Sequence[tuple[int, int, bytes]]) -> list[OSError | None]:
        """Send requests (type, flags, payload), some in each datagram; say of each how it ended.

        They are not a transaction: one that fails does not stop the others.
        """
        answers: list[OSError | None] = []
        for start in range(0, len(requests), AT_ONCE):
            answers += self.batch_of_some(requests[start : start + AT_ONCE])
        return answers

    def batch_of_some(self, requests: Sequence[tuple[int, int, bytes]]) -> list[OSError | None]:
        """Send one datagram of requests and collect the acknowledgements."""
        first, datagram = self.sequence + 1, bytearray()
        for kind, flags, body in requests:
            self.sequence += 1
            header = HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, self.sequence, 0)
            datagram += header + body
        self.socket.send(datagram)
        answers: dict[int, OSError | None] = {}
        while len(answers) < len(requests):
            got = self.socket.recv(RECEIVE)
            for kind, _flags, number, _sender, start, end in messages(got):
                if kind == NLMSG_ERROR and first <= number <= self.sequence:
                    answers[number - first] = failure(got[start:end])
        return [answers[i] for i in range(len(requests))]

    def transaction(self, requests: Sequence[tuple[int, int, bytes]], around: tuple[int, bytes, int]) -> None:
        """Send requests that succeed or fail together, `around` them a first and a last: type, payload, type.

        Raises OSError: the first failure. Only the last of the requests is acknowledged: 3,000 answers would
        not fit. Those that fail are told before, and a commit that fails of the first message.
        """
        begin, body, end = around
        first = self.sequence + 1
        last = first + len(requests) + 1
        datagram = bytearray(HEADER.pack(16 + len(body), begin, NLM_F_REQUEST, first, 0) + body)
        for number, (kind, flags, payload) in enumerate(requests, first + 1):
            asked = flags | NLM_F_REQUEST | (NLM_F_ACK if number == last - 1 else 0)
            datagram += HEADER.pack(16 + len(payload), kind, asked, number, 0) + payload
        datagram += HEADER.pack(16 + len(body), end, NLM_F_REQUEST, last, 0) + body
        self.sequence = last
        if len(datagram) > self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * len(datagram))
        self.socket.send(datagram)
        done = False
        while not done:
            got = self.socket.recv(RECEIVE)
            for kind, _flags, number, _sender, start, stop in messages(got):
                if kind != NLMSG_ERROR or not first <= number <= last:
                    continue
                if error := failure(got[start:stop]):
                    raise error
                done |= number == last - 1

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Read everything of a sort; again if the kernel changed meanwhile.

        Raises HostError: the kernel refuses, or never holds still.
        """
        for _attempt in range(ATTEMPTS):
            try:
                return list(self.ask(kind, body, NLM_F_DUMP))
            except InterruptedError:
                self.renew()
            except OSError as error:
                raise HostError(f"cannot read from the kernel: {error.strerror or error}") from error
        raise HostError("cannot read from the kernel: it changes faster than it can be read")

    def renew(self) -> None:
        """Take a fresh socket: an interrupted dump leaves its rest in the old one."""
        protocol = self.socket.proto
        self.socket.close()
        self.socket = open_socket(protocol)

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()
