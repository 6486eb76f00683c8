"""What systemd wants to hear, and the journal without ever waiting for it."""

import array
import errno
import fcntl
import logging
import os
import select
import socket
import struct
import sys
from contextlib import suppress

from systemd import daemon

JOURNAL = "/run/systemd/journal/socket"
F_ADD_SEALS, ALL_SEALS = 1033, 0xF
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


WAITING: dict[str, str] = {}
"""The latest of each kind that systemd had no room for: sd_notify(3) would wait as long as it is busy."""


def notify(**words: str | int) -> None:
    """Tell systemd, if it listens: READY=1, STATUS="2 networks in sync" and the like; never waits for it.

    What it has no room for is told next time; with no words only that is done.
    """
    for kind in list(words)[:1]:
        WAITING.pop(kind, None)
        if kind == "RELOADING":
            WAITING.pop("READY", None)
        WAITING[kind] = "\n".join(f"{word}={value}" for word, value in words.items())
    while WAITING and takes_more():
        with suppress(OSError):
            daemon.notify(WAITING.pop(next(iter(WAITING))))


def takes_more() -> bool:
    """Whether a message to systemd would go through at once, or get nowhere."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(address)
        except OSError:
            return True
        poll = select.poll()  # select(2) takes no descriptor above 1023, and each dnsmasq has one of ours
        poll.register(probe, select.POLLOUT)
        return bool(poll.poll(0))


def watchdog_period() -> float | None:
    """Seconds between two signs of life: half of what systemd allows (sd_watchdog_enabled(3))."""
    period = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not period.isdigit() or pid not in ("", str(os.getpid())):
        return None
    return int(period) / 2e6


class JournalHandler(logging.Handler):
    """Writes to the journal's native socket with fields, never blocking; what does not go through is counted.

    systemd-python's own handler holds the interpreter's lock while journald is stalled, and the whole
    process with it.
    """

    def __init__(self, path: str = JOURNAL) -> None:
        super().__init__()
        self.path = path
        self.dropped = 0
        self.socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, with the upper-case fields it was given as `extra`."""
        try:
            self.send(pack(self.fields(record)))
        except OSError:
            self.dropped += 1
        except Exception:  # noqa: BLE001  # logging's own contract: a bad record must not end the daemon
            self.handleError(record)

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Name a record's fields as journald does (systemd.journal-fields(7))."""
        priority = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
        own = {name: str(value) for name, value in vars(record).items() if name.isupper()}
        return {
            "MESSAGE": self.format(record),
            "PRIORITY": str(priority),
            "SYSLOG_IDENTIFIER": "natnetd",
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            **own,
        }

    def send(self, datagram: bytes) -> None:
        """Send a datagram; one that is too large goes in a sealed memory file."""
        try:
            self.socket.sendto(datagram, self.path)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            fd = os.memfd_create("journal", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
            try:
                os.write(fd, datagram)
                fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)
                rights = array.array("i", [fd])
                self.socket.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], 0, self.path)
            finally:
                os.close(fd)


def pack(fields: dict[str, str]) -> bytes:
    """Write fields in the journal's native protocol: NAME=value, or the length first if it has newlines."""
    lines = bytearray()
    for name, text in fields.items():
        value = text.encode("utf-8", "replace")
        if b"\n" in value:
            lines += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        else:
            lines += name.encode() + b"=" + value + b"\n"
    return bytes(lines)


def start_logging(level: str) -> JournalHandler | None:
    """Log to the journal if that is where stderr goes (JOURNAL_STREAM, systemd.exec(5)), else to stderr."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    journal = JournalHandler() if goes_to_journal() else None
    handler = journal or logging.StreamHandler(sys.stderr)
    if journal is None:
        handler.setFormatter(logging.Formatter("natnetd: %(message)s"))
    root.handlers[:] = [handler]
    return journal


def goes_to_journal() -> bool:
    """Whether stderr is connected to the journal."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))
