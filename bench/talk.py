"""Talks that go on while something happens: a stream of datagrams, a TCP transfer, very many new flows."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from natnetd.lab.netns import Namespace

INTERNET = "198.51.100.7"
STREAM, TRANSFER, FLOWS = 5001, 5002, 6000
CHUNK = 1000


class Stream:
    """A guest's datagrams, so many a second, each with its number; somebody outside notes which arrive."""

    def __init__(self, guest: Namespace, outside: Namespace, rate: float = 500.0) -> None:
        self.ear = outside.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ear.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        self.ear.bind((INTERNET, STREAM))
        self.door = guest.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.door.connect((INTERNET, STREAM))
        self.pause, self.going, self.sent, self.refused = 1 / rate, True, 0, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Send, at an even pace."""
        start = time.monotonic()
        while self.going:
            try:
                self.door.send(str(self.sent).encode())
            except OSError:
                self.refused += 1
            self.sent += 1
            if (ahead := self.sent * self.pause - (time.monotonic() - start)) > 0:
                time.sleep(ahead)

    def end(self) -> tuple[int, int]:
        """Stop; return how many were sent, and how many of them did not arrive."""
        self.going = False
        self.thread.join()
        self.ear.settimeout(0.3)
        heard = set()
        try:
            while True:
                heard.add(self.ear.recv(64))
        except TimeoutError:
            pass
        self.ear.close()
        self.door.close()
        return self.sent, self.sent - len(heard)


class Transfer:
    """A TCP connection of a guest over which chunks are sent and come back."""

    def __init__(self, guest: Namespace, outside: Namespace) -> None:
        self.listener = outside.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((INTERNET, TRANSFER))
        self.listener.listen()
        self.door = guest.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.door.settimeout(5)
        self.door.connect((INTERNET, TRANSFER))
        self.far, _ = self.listener.accept()
        self.going, self.chunks, self.error = True, 0, ""
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.echo, self.run)]
        for thread in self.threads:
            thread.start()

    def echo(self) -> None:
        """Send back what comes."""
        while heard := self.far.recv(65536):
            self.far.sendall(heard)

    def run(self) -> None:
        """Send chunks and wait for each."""
        try:
            while self.going:
                self.door.sendall(b"x" * CHUNK)
                left = CHUNK
                while left:
                    heard = self.door.recv(left)
                    if not heard:
                        raise ConnectionError("closed")
                    left -= len(heard)
                self.chunks += 1
                time.sleep(0.001)
        except OSError as error:
            self.error = str(error)
        self.door.close()

    def end(self) -> tuple[int, str]:
        """Stop; return how many chunks came back, and what broke the connection, if anything did."""
        self.going = False
        for thread in reversed(self.threads):
            thread.join()
        self.far.close()
        self.listener.close()
        return self.chunks, self.error


@contextmanager
def flows(guest: Namespace, rate: float = 5000.0) -> Iterator[None]:
    """Have a guest begin so many new flows a second."""
    door = guest.socket(socket.AF_INET, socket.SOCK_DGRAM)
    going = True

    def run() -> None:
        start = time.monotonic()
        for number in count():
            if not going:
                return
            try:
                door.sendto(b"new", (INTERNET, FLOWS + number % 50000))
            except OSError:  # no route while the bridge is gone
                time.sleep(0.0002)
            ahead = number / rate - (time.monotonic() - start)
            if ahead > 0.001:
                time.sleep(ahead)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        going = False
        thread.join()
        door.close()
