"""What systemd hears: the journal's native protocol without ever waiting, sd_notify, the choice of a log."""

import array
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from natnetd.lab.netns import Namespace
from natnetd.systemd import JournalHandler, notify, pack, watchdog_period


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """Stand in for journald."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(5)
        yield listening


@pytest.fixture
def handler(journal: socket.socket) -> Iterator[JournalHandler]:
    """Write to that stand-in."""
    made = JournalHandler(journal.getsockname())
    yield made
    made.socket.close()


def record(text: str, level: int = logging.INFO, **fields: str) -> logging.LogRecord:
    made = logging.LogRecord("natnetd", level, "/usr/lib/natnetd/daemon.py", 7, "%s", (text,), None)
    vars(made).update(fields)
    return made


def parsed(datagram: bytes) -> dict[str, str]:
    """Read the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    found: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest.startswith(b"\n")
            rest = rest[1:]
        found[name.decode()], datagram = value.decode(), rest
    return found


def heard(journal: socket.socket) -> dict[str, str]:
    """Receive one record, from the datagram or from the memory file that came with it."""
    datagram, ancillary, _flags, _sender = journal.recvmsg(1 << 20, socket.CMSG_SPACE(4))
    if not ancillary:
        return parsed(datagram)
    (fd,) = array.array("i", ancillary[0][2])
    with os.fdopen(fd, "rb") as file:
        with pytest.raises(OSError, match="Operation not permitted"):
            os.write(os.open(f"/proc/self/fd/{fd}", os.O_RDWR), b"sealed")
        file.seek(0)
        return parsed(file.read())


def test_a_record_carries_its_message_priority_place_and_own_fields(
    journal: socket.socket, handler: JournalHandler
) -> None:
    handler.emit(record("drift: + bridge vmbr1", logging.WARNING, NATNETD_NETWORK="vmbr1", lower="x"))
    assert heard(journal) == {
        "MESSAGE": "drift: + bridge vmbr1",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "natnetd",
        "CODE_FILE": "/usr/lib/natnetd/daemon.py",
        "CODE_LINE": "7",
        "NATNETD_NETWORK": "vmbr1",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, "7"),
        (logging.INFO, "6"),
        (logging.WARNING, "4"),
        (logging.ERROR, "3"),
        (logging.CRITICAL, "2"),
    ],
)
def test_levels_become_syslogs_priorities(
    journal: socket.socket, handler: JournalHandler, level: int, priority: str
) -> None:
    handler.emit(record("text", level))
    assert heard(journal)["PRIORITY"] == priority


@pytest.mark.parametrize("text", ["two\nlines", "\n", "a=b", "", "ä → ü", "x" * 1000])
def test_any_text_arrives_as_it_was(journal: socket.socket, handler: JournalHandler, text: str) -> None:
    handler.emit(record(text, NATNETD_CULPRIT=text))
    found = heard(journal)
    assert (found["MESSAGE"], found["NATNETD_CULPRIT"]) == (text, text)


def test_bytes_that_are_no_text_do_not_lose_the_record(
    journal: socket.socket, handler: JournalHandler
) -> None:
    handler.emit(record("alias a\udcff"))
    assert heard(journal)["MESSAGE"] == "alias a?"
    assert handler.dropped == 0


def test_a_record_too_large_for_a_datagram_comes_in_a_sealed_memory_file(
    journal: socket.socket, handler: JournalHandler
) -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    handler.emit(record(text))
    assert heard(journal)["MESSAGE"] == text
    assert handler.dropped == 0


def test_a_stalled_journal_never_blocks_and_what_it_missed_is_counted(
    journal: socket.socket, handler: JournalHandler
) -> None:
    def flood() -> None:
        for number in range(5000):
            handler.emit(record(f"{number} {'x' * 2000}"))

    writer = threading.Thread(target=flood, daemon=True)
    writer.start()
    writer.join(10)
    assert not writer.is_alive()
    assert 0 < handler.dropped < 5000
    kept = 5000 - handler.dropped
    assert [heard(journal)["MESSAGE"].split()[0] for _ in range(kept)] == [str(n) for n in range(kept)]
    handler.emit(record("again"))
    assert heard(journal)["MESSAGE"] == "again"


def test_a_journal_that_is_gone_is_counted_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    handler = JournalHandler(str(path))
    handler.emit(record("lost"))
    assert handler.dropped == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        handler.emit(record("found"))
        assert parsed(listening.recv(4096))["MESSAGE"] == "found"
    handler.socket.close()


def test_values_with_newlines_are_written_with_their_length() -> None:
    assert pack({"A": "b", "C": "d\ne"}) == b"A=b\nC\n\x03\0\0\0\0\0\0\0d\ne\n"


# --- sd_notify


def run_python(program: str, **env: str) -> str:
    """Run Python elsewhere, since these read and keep the environment."""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_words_for_systemd_arrive_in_one_datagram(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        program = "from natnetd.systemd import notify; notify(READY=1, STATUS='2 networks in sync')"
        run_python(program, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert listening.recv(4096) == b"READY=1\nSTATUS=2 networks in sync"


def test_nobody_to_tell_is_no_trouble(tmp_path: Path) -> None:
    program = "from natnetd.systemd import notify; notify(READY=1); print('went on')"
    assert run_python(program, NOTIFY_SOCKET=str(tmp_path / "nobody")) == "went on\n"
    notify(READY=1)


BUSY = """
from natnetd import systemd
for number in range(40):
    systemd.notify(STATUS=number)
    systemd.notify(WATCHDOG=1)
print(len(systemd.WAITING), flush=True)
input()
systemd.notify()
print(len(systemd.WAITING), flush=True)
"""


def test_a_busy_systemd_is_not_waited_for_and_told_later(tmp_path: Path) -> None:
    """The kernel keeps some ten datagrams (net.unix.max_dgram_qlen), then sd_notify(3) would wait."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", BUSY], env=env, **pipes) as process:  # type: ignore[call-overload]
            assert int(process.stdout.readline()) == 2
            heard = drained(listening)
            told, _ = process.communicate("\n", timeout=10)
        assert int(told) == 0
        heard += drained(listening)
        statuses = [word for word in heard if word.startswith("STATUS=")]
        *first, last = statuses
        assert first == [f"STATUS={number}" for number in range(len(first))]
        assert last == "STATUS=39"
        assert heard[-2:] == ["STATUS=39", "WATCHDOG=1"]


def drained(listening: socket.socket) -> list[str]:
    """Tell what has come so far."""
    listening.setblocking(False)
    found: list[str] = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.mark.parametrize(
    ("env", "period"),
    [
        ({"WATCHDOG_USEC": "30000000"}, "15.0"),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, "None"),
        ({"WATCHDOG_USEC": "soon"}, "None"),
        ({}, "None"),
    ],
)
def test_signs_of_life_are_due_at_half_of_what_systemd_allows(env: dict[str, str], period: str) -> None:
    program = "from natnetd.systemd import watchdog_period; print(watchdog_period())"
    assert run_python(program, **env) == f"{period}\n"
    assert watchdog_period() is None


# --- the choice of a log


@pytest.fixture
def run_journal(host: Namespace) -> Iterator[socket.socket]:
    """Stand in for journald at its own place, in the private /run of the tests."""
    assert host.up("lo")
    path = Path("/run/systemd/journal/socket")
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(5)
        yield listening
    path.unlink()


STARTED = """
import logging, os, sys
from natnetd import systemd
fd = os.fstat(2)
os.environ["JOURNAL_STREAM"] = sys.argv[1].format(dev=fd.st_dev, ino=fd.st_ino)
made = systemd.start_logging("info")
logging.getLogger("natnetd").info("hello")
logging.getLogger("natnetd").debug("not asked for")
print(type(made).__name__)
"""


@pytest.mark.parametrize(
    ("stream", "chosen"),
    [("{dev}:{ino}", "JournalHandler"), ("1:1", "NoneType"), ("", "NoneType"), ("x", "NoneType")],
)
def test_the_journal_is_used_exactly_if_stderr_goes_there(
    run_journal: socket.socket, stream: str, chosen: str
) -> None:
    words = [sys.executable, "-c", STARTED, stream]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"{chosen}\n"
    if chosen == "NoneType":
        assert done.stderr == "natnetd: hello\n"
    else:
        assert done.stderr == ""
        assert heard(run_journal)["MESSAGE"] == "hello"


MANY = """
import os, resource, socket, sys
from natnetd import systemd
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
systemd.notify(STATUS="many")
"""


def test_descriptors_above_1023_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(path))
        door.settimeout(5)
        subprocess.run(
            [sys.executable, "-c", MANY], env={**os.environ, "NOTIFY_SOCKET": str(path)}, check=True
        )
        assert door.recv(100) == b"STATUS=many"
