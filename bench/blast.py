"""Datagrams as fast as one process can send them: sendmmsg(2) by ctypes, a thousand a call.

On veths all the work of forwarding is done in the sender's system call, so that its CPU time is the price.
"""

import ctypes
import socket
import struct
import time

from natnetd.lab.netns import Namespace

PAYLOAD = 64 - 42
"""Bytes, so that a frame has 64 with Ethernet, IP and UDP."""
BATCH = 1000


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)


class Blaster:
    """A UDP socket in a guest, and so many prepared datagrams to ports of one address."""

    def __init__(self, ns: Namespace, address: str) -> None:
        self.door = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = address
        self.payload = ctypes.create_string_buffer(PAYLOAD)
        self.vector = _Vector(ctypes.addressof(self.payload), PAYLOAD)
        self.names = ctypes.create_string_buffer(16 * BATCH)
        self.messages = (_Message * BATCH)()
        base = ctypes.addressof(self.names)
        for number, message in enumerate(self.messages):
            message.header.name, message.header.name_length = base + 16 * number, 16
            message.header.vectors, message.header.vector_count = ctypes.pointer(self.vector), 1

    def aim(self, first: int, step: int) -> None:
        """Set the ports: `step` 0 is one flow, 1 a new flow each."""
        host = socket.inet_aton(self.address)
        for number in range(BATCH):
            where = struct.pack("=H", socket.AF_INET) + struct.pack("!H", first + number * step) + host
            ctypes.memmove(ctypes.addressof(self.names) + 16 * number, where.ljust(16, b"\0"), 16)

    def fire(self) -> float:
        """Send them all; return the CPU seconds of it."""
        start, sent = time.thread_time(), 0
        while sent < BATCH:
            where = ctypes.byref(self.messages, sent * ctypes.sizeof(_Message))
            count = _libc.sendmmsg(self.door.fileno(), where, BATCH - sent, 0)
            if count < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += count
        return time.thread_time() - start

    def close(self) -> None:
        """Close the socket."""
        self.door.close()
