"""The real service, `natnetd run`, as a process of a lab's host."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until


class Service:
    """Starts `natnetd run` and waits until it says READY, as systemd does; its log is in `log`."""

    def __init__(
        self,
        host: Namespace,
        config: Path,
        directory: Path,
        *options: str,
        command: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.runtime, self.state = directory / "run", directory / "state"
        for path in (self.runtime, self.state):
            path.mkdir(parents=True, exist_ok=True)
        self.log = directory / "log"
        self.words: list[str] = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listener.setblocking(False)
        address = directory / f"notify.{id(self)}"
        address.unlink(missing_ok=True)  # an earlier one may have had this id
        self.listener.bind(str(address))
        address.chmod(0o666)
        own = {
            "NOTIFY_SOCKET": str(address),
            "RUNTIME_DIRECTORY": str(self.runtime),
            "STATE_DIRECTORY": str(self.state),
        }
        words = (*command, sys.executable, "-m", "natnetd", "run", "--config", str(config), *options)
        with self.log.open("ab") as log:
            self.process = host.popen(
                words,
                env={**os.environ, **own, **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def heard(self) -> list[str]:
        """Tell all that it has told systemd so far."""
        while True:
            try:
                self.words += self.listener.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self.words

    def wait_ready(self, deadline: float = 10.0) -> Self:
        """Wait for READY=1; TimeoutError, with the log, without it."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise TimeoutError(f"natnetd run ended with {self.process.returncode}: {self.lines()}")
            return "READY=1" in self.heard()

        wait_until(ready, deadline, what=f"READY=1 ({self.lines()})")
        return self

    def lines(self) -> list[str]:
        """Return its log."""
        return self.log.read_text("utf-8").splitlines()

    def wait_line(self, *parts: str, after: int = 0, deadline: float = 5.0) -> str:
        """Wait for a line of the log that has all `parts`, past line `after`; return it."""

        def there() -> str | None:
            return next((line for line in self.lines()[after:] if all(p in line for p in parts)), None)

        return wait_until(there, deadline, what=f"a line with {parts}") or ""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(10)
        self.listener.close()
        return code
