"""Traffic that must not notice what happens to the host: an old flow, new ones, and a long transfer."""

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import Flow
from natnetd.lab.wait import wait_until

TICK = 0.004  # seconds between two datagrams of the old flow: 250 a second
FRESH = 5  # of these ticks to a new flow
CHUNK = b"\xa5" * 8192
SINK = 5001


@dataclass
class Figures:
    """What was sent and what came back: datagrams of the old flow and of new ones; bytes by TCP."""

    seconds: float = 0.0
    sent: int = 0
    answered: int = 0
    flows: int = 0
    flows_answered: int = 0
    bytes_sent: int = 0
    bytes_arrived: int = 0
    seen_as: set[str] = field(default_factory=set)
    broken: str = ""

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s: {self.sent - self.answered} of {self.sent} datagrams and "
            f"{self.flows - self.flows_answered} of {self.flows} new flows lost, "
            f"{self.bytes_arrived / 1e6:.1f} MB by TCP, {self.broken or 'nothing broken'}"
        )

    @property
    def whole(self) -> bool:
        """Say whether nothing was lost and nothing broken."""
        return (
            (self.sent, self.flows, self.bytes_sent)
            == (self.answered, self.flows_answered, self.bytes_arrived)
            and min(self.sent, self.flows, self.bytes_sent) > 0
            and not self.broken
        )


class Stream:
    """Runs from construction to `stop`, in threads of this process."""

    def __init__(self, guest: Namespace, outside: Namespace, address: str) -> None:
        self.guest, self.address = guest, address
        self.figures = Figures()
        self.begun = time.monotonic()
        self.ended = threading.Event()
        self.echo = Echo(outside)
        self.listener = outside.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("0.0.0.0", SINK))
        self.listener.listen()
        self.steady = self.flow()
        self.fresh: list[Flow] = []
        self.threads = [
            threading.Thread(target=each, daemon=True) for each in (self.talk, self.pour, self.drain)
        ]
        for thread in self.threads:
            thread.start()
        wait_until(self.flowing, what="the first answers")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def flowing(self) -> bool:
        """Say whether each kind of traffic has passed."""
        f = self.figures
        return bool(f.broken) or min(f.answered, f.flows_answered, f.bytes_arrived) > 0

    def goes_on(self) -> None:
        """Demand that all three kinds of traffic pass from now on."""
        f = self.figures
        before = f.answered, f.flows_answered, f.bytes_arrived

        def more() -> bool:
            return all(
                a > b + 10
                for a, b in zip((f.answered, f.flows_answered, f.bytes_arrived), before, strict=True)
            )

        wait_until(lambda: f.broken or more(), 20, what="traffic to go on")

    def stop(self) -> Figures:
        """Send no more, wait for what is under way, and return the figures."""
        if not self.ended.is_set():
            self.ended.set()
            for thread in self.threads:
                thread.join(20)
            self.figures.seconds = time.monotonic() - self.begun
            for flow in (self.steady, *self.fresh):
                flow.close()
            self.listener.close()
            self.echo.close()
        return self.figures

    def talk(self) -> None:
        """Ask on the old flow each tick, on a new one each fifth, and take in answers."""
        try:
            while not self.ended.wait(TICK):
                self.steady.send()
                self.figures.sent += 1
                if self.figures.sent % FRESH == 0:
                    self.fresh.append(self.flow())
                    self.fresh[-1].send()
                    self.figures.flows += 1
                self.listen()
            with suppress(TimeoutError):
                wait_until(self.all_answered, 2, what="the last answers")
        except OSError as error:
            self.figures.broken += f"UDP: {error}; "

    def flow(self) -> Flow:
        """Open a flow that waits for nothing."""
        flow = Flow(self.guest, self.address)
        flow.socket.setblocking(False)
        return flow

    def all_answered(self) -> bool:
        """Take in answers, and say whether all are there."""
        self.listen()
        return self.figures.sent == self.figures.answered and not self.fresh

    def listen(self) -> None:
        """Take in the answers that are there."""
        while self.answered(self.steady):
            self.figures.answered += 1
        waiting = []
        for flow in self.fresh:
            if self.answered(flow):
                self.figures.flows_answered += 1
                flow.close()
            else:
                waiting.append(flow)
        self.fresh = waiting

    def answered(self, flow: Flow) -> bool:
        """Take in one answer, if it is there."""
        try:
            heard = flow.socket.recv(2048)
        except BlockingIOError:
            return False
        self.figures.seen_as.add(heard.decode().rpartition(":")[0])
        return True

    def pour(self) -> None:
        """Send bytes as a guest that uploads a file does, not faster than the others can bear."""
        try:
            with self.guest.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
                door.settimeout(10)
                door.connect((self.address, SINK))
                while not self.ended.wait(TICK):
                    door.sendall(CHUNK)
                    self.figures.bytes_sent += len(CHUNK)
        except OSError as error:
            self.figures.broken += f"TCP of the guest: {error}; "

    def drain(self) -> None:
        """Take the bytes in, outside."""
        try:
            connection, _ = self.listener.accept()
            with connection:
                connection.settimeout(10)
                while heard := connection.recv(1 << 16):
                    self.figures.bytes_arrived += len(heard)
        except OSError as error:
            self.figures.broken += f"TCP outside: {error}; "
