"""`natnetd top` and `natnetd status --guests`: on a terminal, a dumb one, a pipe; and in the metrics."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import NATNETD, ONE, natnetd, reloaded, run, start, written
from test_metrics_service import scrape

from natnetd.cli.screen import ENTER, LEAVE, cut
from natnetd.guests import LIMIT
from natnetd.lab.netns import Namespace
from natnetd.lab.traffic import ping
from natnetd.lab.wait import wait_until
from natnetd.lab.world import Guest, World

INTERNET = "198.51.100.7"
FILE = """\
metrics: {guests: 2}
networks:
  vmbr1:
    addresses: 10.0.0.1/24
    nat: {uplink: vmbr0}
    count_guests: true
    dhcp: {reservations: {mac: 52:54:00:00:00:01, address: 10.0.0.2, name: web}}
  vmbr2: {addresses: 10.2.0.1/24, nat: true}
"""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

HEARING = ("env", "--default-signal=INT")
"""Whoever runs the tests in the background of a shell has them ignore Ctrl-C, and their children too."""


@pytest.fixture
def guests(world: World, directory: Path) -> list[Guest]:
    """Make three guests that have pinged 3, 2 and 1 times, and one whose network does not count them."""
    written(directory, FILE.replace("    dhcp:", "    # dhcp:"))
    natnetd(directory, "apply")
    written(directory, FILE)
    names = enumerate(("web", "db", "mail"), 2)
    made = [world.guest(name, "vmbr1", f"10.0.0.{i}/24", "10.0.0.1") for i, name in names]
    made.append(world.guest("other", "vmbr2", "10.2.0.2/24", "10.2.0.1"))
    for guest, times in zip(made, (3, 2, 1, 1), strict=True):
        assert ping(guest.ns, INTERNET, times)
    return made


def table(text: str) -> list[list[str]]:
    """Split a table at its columns: two blanks or more."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line]


def test_status_shows_what_guests_moved(guests: list[Guest], directory: Path) -> None:
    assert guests
    text = natnetd(directory, "status", "--guests", code=2)
    assert table(text)[-4:] == [
        ["NETWORK", "GUEST", "NAME", "SENT", "PACKETS", "RECEIVED", "PACKETS", "CONNECTIONS"],
        ["vmbr1", "10.0.0.2", "web", "84 B", "3", "84 B", "3", "1"],
        ["vmbr1", "10.0.0.3", "56 B", "2", "56 B", "2", "1"],
        ["vmbr1", "10.0.0.4", "28 B", "1", "28 B", "1", "1"],
    ]
    told = json.loads(natnetd(directory, "status", "--guests", "--json", code=2))
    assert [row["address"] for row in told["guests"]] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert told["guests"][0] == {
        "network": "vmbr1",
        "address": "10.0.0.2",
        "name": "web",
        "total": {
            "sent_bytes": 84,
            "sent_packets": 3,
            "received_bytes": 84,
            "received_packets": 3,
            "connections": 1,
        },
    }
    assert "guests" not in json.loads(natnetd(directory, "status", "--json", code=2))
    one = natnetd(directory, "status", "vmbr2", "--guests")
    assert "no guest has been counted yet" in one
    assert "count_guests: true" in one


def test_once_is_a_table_with_speeds(guests: list[Guest], directory: Path) -> None:
    with subprocess.Popen(
        [*NATNETD, "--config", str(directory / "natnetd.yaml"), "top", "--once", "--interval", "1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end:
            assert ping(guests[2].ns, INTERNET)
        assert process.stdout is not None
        head, *rows = table(process.stdout.read())
    assert process.returncode == 0
    assert head[:8] == ["NETWORK", "GUEST", "NAME", "SENT/s", "PKT/s", "RECEIVED/s", "PKT/s", "NEW/s"]
    assert [row[1] for row in rows[:1]] == ["10.0.0.4"]  # the busiest now
    assert int(rows[0][-4]) > 0
    assert {row[1] for row in rows} == {"10.0.0.2", "10.0.0.3", "10.0.0.4", "(all)"}
    (whole,) = [row for row in rows if row[1] == "(all)"]
    assert (whole[0], whole[-1], whole[-4]) == ("vmbr2", "-", "-")


def test_a_pipe_gets_json_if_asked(guests: list[Guest], directory: Path) -> None:
    assert guests
    rows = json.loads(natnetd(directory, "top", "vmbr1", "--json", "--interval", "0.1", "--sort", "total"))
    assert [row["address"] for row in rows] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert rows[0]["name"] == "web"
    assert rows[0]["total"]["received_packets"] == 3
    assert rows[0]["per_second"] == dict.fromkeys(rows[0]["total"], 0)
    rows = json.loads(natnetd(directory, "top", "vmbr2", "--json", "--interval", "0.1"))
    assert [row["address"] for row in rows] == [None]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--interval", "0"), 64, "0 is not a number of seconds from 0.1 to 3600"),
        (("--interval", "soon"), 64, "soon is not a number of seconds"),
        (("--sort", "age"), 64, "invalid choice: 'age'"),
        (("vmbr7",), 1, "there is no network vmbr7 (known: vmbr1, vmbr2)"),
    ],
)
def test_bad_words(host: Namespace, directory: Path, words: tuple[str, ...], code: int, said: str) -> None:
    assert host.up("lo")
    written(directory, FILE)
    done = run(directory, "top", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("verb", [("top", "--once"), ("status", "--guests")])
def test_whoever_may_not_read_them_is_told_what_to_do(
    guests: list[Guest], directory: Path, verb: tuple[str, ...]
) -> None:
    assert guests
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    directory.joinpath("natnetd.yaml").chmod(0o644)
    done = subprocess.run(
        [*words, *NATNETD, "--config", str(directory / "natnetd.yaml"), *verb],
        text=True,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert "CAP_NET_ADMIN" in done.stderr


# --- a terminal


class Terminal:
    """`natnetd top` on a pseudo terminal."""

    def __init__(self, directory: Path, *words: str, term: str = "xterm") -> None:
        self.ours, theirs = pty.openpty()
        self.resize(24, 100)
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [
                *HEARING,
                *NATNETD,
                "--config",
                str(directory / "natnetd.yaml"),
                "top",
                "--interval",
                "0.2",
                *words,
            ],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            process_group=0,  # of this session: nobody stops a group without a parent (credentials(7))
            env={**os.environ, "TERM": term, "COLUMNS": "", "LINES": "", "NO_COLOR": "1"},
        )
        self.theirs = theirs
        self.text = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> str:
        while select.select([self.ours], [], [], 0)[0]:
            self.text += os.read(self.ours, 65536).decode()
        return self.text

    def shows(self, words: str) -> str:
        """Wait until a whole page has these words, and return it."""

        def there() -> str:
            pages = self.read().split("\x1b[H")[1:-1]
            return next((page for page in reversed(pages[-1:]) if words in page), "")

        return wait_until(there, what=f"{words!r} in {self.text[-2000:]!r}")

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def end(self) -> int:
        code = self.process.wait(10)
        self.read()
        after = termios.tcgetattr(self.theirs)
        assert after == self.before
        os.close(self.theirs)
        os.close(self.ours)
        return code


@pytest.fixture
def terminal(guests: list[Guest], directory: Path) -> Iterator[Terminal]:
    """Watch them."""
    assert guests
    found = Terminal(directory)
    found.shows("10.0.0.2")
    yield found
    found.process.kill()
    found.process.wait()


def test_it_is_drawn_again_and_keys_work(terminal: Terminal, guests: list[Guest]) -> None:
    page = ANSI.sub("", terminal.shows("by bytes"))
    assert "every 0.2 s, by bytes; b bytes, p packets" in page
    assert "web" in page
    for key, sort in (("t", "total"), ("c", "connections"), ("A", "address"), ("x", "address")):
        terminal.press(key)
        terminal.shows(f"by {sort};")
    assert ping(guests[1].ns, INTERNET, 5)
    wait_until(lambda: "196 B" in terminal.shows("10.0.0.3"), what="what it sent by now")
    terminal.press("q")
    assert terminal.end() == 0
    assert terminal.text.startswith(ENTER)
    assert terminal.text.endswith(LEAVE)


def test_another_size_is_drawn_at_once(guests: list[Guest], directory: Path) -> None:
    assert guests
    terminal = Terminal(directory, "--interval", "60")
    wait_until(lambda: "10.0.0.4" in terminal.read(), what="the first page")
    terminal.resize(4, 30)
    terminal.process.send_signal(signal.SIGWINCH)
    wait_until(lambda: terminal.read().count("\x1b[H") == 2, what="the second page")
    last = terminal.read().rpartition("\x1b[H")[2]
    lines = [ANSI.sub("", line) for line in last.split("\r\n")]
    assert len(lines) == 4
    assert max(map(len, lines)) == 30
    terminal.press("q")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_gives_the_terminal_back(terminal: Terminal, number: signal.Signals, code: int) -> None:
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert terminal.text.endswith(LEAVE)


def test_it_stops_and_goes_on_with_the_terminal_in_order(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGTSTP)
    stat = Path(f"/proc/{terminal.process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what="a stop")
    assert terminal.read().endswith(LEAVE)
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    terminal.process.send_signal(signal.SIGCONT)
    wait_until(lambda: terminal.read().count(ENTER) == 2, what="the page to come back")
    terminal.press("q")
    assert terminal.end() == 0


def test_a_dumb_terminal_gets_tables(guests: list[Guest], directory: Path) -> None:
    assert guests
    terminal = Terminal(directory, term="dumb")
    wait_until(lambda: terminal.read().count("NETWORK") >= 3, what="three tables")
    assert "\x1b" not in terminal.text
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130


def test_lines_are_cut_but_not_their_colours() -> None:
    assert cut("abcdef", 3) == "abc"
    assert cut("\x1b[1mabcdef\x1b[0m", 4) == "\x1b[1mabcd\x1b[0m"
    assert cut("ab", 3) == "ab"


# --- Prometheus


def of_guests(found: dict[str, float]) -> dict[str, float]:
    prefix = "natnetd_guest_"
    return {key.removeprefix(prefix): v for key, v in found.items() if key.startswith(prefix)}


def test_the_busiest_guests_are_in_the_metrics(guests: list[Guest], world: World, directory: Path) -> None:
    with start(world.host, directory, FILE) as service:
        assert of_guests(scrape()) == {
            "bytes_total{direction=egress,guest=10.0.0.2,network=vmbr1}": 84,
            "bytes_total{direction=ingress,guest=10.0.0.2,network=vmbr1}": 84,
            "bytes_total{direction=egress,guest=10.0.0.3,network=vmbr1}": 56,
            "bytes_total{direction=ingress,guest=10.0.0.3,network=vmbr1}": 56,
            "packets_total{direction=egress,guest=10.0.0.2,network=vmbr1}": 3,
            "packets_total{direction=ingress,guest=10.0.0.2,network=vmbr1}": 3,
            "packets_total{direction=egress,guest=10.0.0.3,network=vmbr1}": 2,
            "packets_total{direction=ingress,guest=10.0.0.3,network=vmbr1}": 2,
            "connections_total{guest=10.0.0.2,network=vmbr1}": 1,
            "connections_total{guest=10.0.0.3,network=vmbr1}": 1,
        }
        assert scrape()["natnetd_guests_counted{}"] == 3
        assert scrape()["natnetd_guests_counted_limit{}"] == LIMIT
        assert ping(guests[2].ns, INTERNET, 4)
        assert {key.partition("guest=")[2][:8] for key in of_guests(scrape())} == {"10.0.0.2", "10.0.0.4"}
        written(directory, FILE.replace("metrics: {guests: 2}\n", ""))
        reloaded(service)
        assert not [key for key in scrape() if "guest" in key]


def test_no_guest_is_in_the_metrics_unless_asked(world: World, directory: Path) -> None:
    with start(world.host, directory, ONE.replace("metrics: false\n", "")):
        assert not [key for key in scrape() if "guest" in key]
