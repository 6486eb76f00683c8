"""Where it is measured: an empty host with an uplink, so many networks, and the real service on it."""

import gc
import random
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.shares import Shares
from natnetd import config
from natnetd.host import Scope, Snapshot
from natnetd.kinds import KINDS
from natnetd.lab.netns import Namespace
from natnetd.lab.sandbox import Sandbox
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.linux.events import IPV4_IFADDR, IPV6_IFADDR, LINKS, drain
from natnetd.linux.host import machine_id, open_host
from natnetd.linux.netlink import ROUTE, open_socket
from natnetd.model import Config
from natnetd.plan import Plan, make_plan
from natnetd.reconcile import Pass, reconcile

UPLINK = "vmbr0"
PORT = 9787
NATNETD = (sys.executable, "-m", "natnetd")
SERVED = ("  dhcp: true",)
UNIT = Path(__file__).parent.parent / "packaging" / "systemd" / "natnetd.service"
_numbers = count()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for. `few` is for what takes long."""

    sandbox: Sandbox
    sizes: tuple[int, ...] = (1, 1000)
    runs: int = 50
    brief: bool = False
    shares: Shares = field(default_factory=lambda: Shares({}))

    @property
    def few(self) -> int:
        """Runs of what takes long."""
        return min(self.runs, 3)


def name(number: int) -> str:
    """Name a network."""
    return f"nn{number:04d}"


def gateway(number: int) -> str:
    """Give its address."""
    return f"10.{number >> 8}.{number & 255}.1/24"


def text(networks: int, *, metrics: bool = False, dhcp: bool = False) -> str:
    """Write a file with so many networks that leave by the uplink."""
    rows = [f"  {name(i)}: {{description: Network {i}, addresses: {gateway(i)}}}" for i in range(networks)]
    head = [] if metrics else ["metrics: false"]
    shared = ["defaults:", f"  nat: {{uplink: {UPLINK}}}", *(SERVED if dhcp else ())]
    return "\n".join([*head, *shared, "networks:", *rows]) + "\n"


def wanted(networks: int) -> Config:
    """Read such a file."""
    return config.parse(text(networks), "bench.yaml")


def fresh_plan(networks: int, scope: Scope) -> Plan:
    """Plan for a host with nothing on it."""
    return make_plan(KINDS, wanted(networks), Snapshot(machine=machine_id()), scope)


@contextmanager
def empty(sandbox: Sandbox) -> Iterator[Namespace]:
    """Give an empty host, and wait for its end: the kernel takes 16 ms a bridge, and locks others out."""
    sign = f"sign{next(_numbers)}"
    with sandbox.fresh_host() as host:
        host.ip(f"link add sign type veth peer name {sign} netns {sandbox.host.path}")
        yield host
    gc.collect()  # a forgotten socket would keep the namespace
    with suppress(TimeoutError):
        wait_until(lambda: not Path("/sys/class/net", sign).exists(), 300, what="the host to be gone")


@contextmanager
def directory() -> Iterator[Path]:
    """Make a directory for file, log and state; /run is ours alone."""
    with TemporaryDirectory(dir="/run", prefix="bench.", ignore_cleanup_errors=True) as path:
        yield Path(path)


@dataclass(slots=True)
class Place:
    """A host with networks that are true after one pass of `took` seconds, and natnetd on it, if it runs."""

    world: World
    directory: Path
    networks: int
    took: float
    service: Service | None = field(default=None)

    @property
    def host(self) -> Namespace:
        """The namespace that plays the host."""
        return self.world.host

    @property
    def file(self) -> Path:
        """The configuration."""
        return self.directory / "natnetd.yaml"

    def start(self) -> Service:
        """Start the service and wait until it is READY and at rest."""
        first = ("nice", "-n", as_in_unit("Nice"))
        self.service = Service(self.host, self.file, self.directory, command=first)
        self.service.wait_ready(120)
        self.rest()
        return self.service

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self.service is not None:
            self.service.stop()
            self.service = None

    def reload(self) -> None:
        """Have the file read again: past fights are forgotten with it."""
        assert self.service is not None
        before = self.service.heard().count("READY=1")
        self.service.process.send_signal(1)
        service = self.service
        wait_until(lambda: service.heard().count("READY=1") > before, 60, what="the end of the reload")
        self.rest()

    def rest(self) -> None:
        """Wait until it does nothing: what is not urgent comes after a repair, as status and counters."""
        if self.service is not None:
            rest(self.service.process.pid)


def as_in_unit(setting: str) -> str:
    """Read how systemd would run it."""
    lines = UNIT.read_text("utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{setting}="))


def rest(pid: int, quiet: float = 0.06) -> None:
    """Wait until a process has used no CPU for a moment."""
    time.sleep(quiet)
    since, last = time.monotonic(), cpu(pid)
    end = since + 30
    while (now := time.monotonic()) < min(since + quiet, end):
        time.sleep(0.005)
        if (used := cpu(pid)) != last:
            since, last = now, used
    time.sleep(random.random() / 100)  # noqa: S311  # not in step with anything


def cpu(pid: int) -> float:
    """Tell how many seconds of CPU a process has used, to the microsecond (sched-stats.rst)."""
    total = 0
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text("ascii").split()[0])
    return total / 1e9


@contextmanager
def place(sandbox: Sandbox, networks: int, *, metrics: bool = False) -> Iterator[Place]:
    """Make a host on which so many networks are true; natnetd does not run yet."""
    with empty(sandbox) as host, directory() as path, World(host) as world:
        found = Place(world, path, networks, converge(networks))
        found.file.write_text(text(networks, metrics=metrics), "utf-8")
        settle()
        try:
            yield found
        finally:
            found.stop()


def settle(quiet: float = 1.5) -> None:
    """Wait until the kernel is done with fresh links: it looks after their carriers for some seconds."""
    listener = open_socket(ROUTE, (LINKS, IPV4_IFADDR, IPV6_IFADDR))
    end = time.monotonic() + 60
    while time.monotonic() < end and select.select([listener], [], [], quiet)[0]:
        for _datagram in drain(listener):
            pass
    listener.close()


def converge(networks: int) -> float:
    """Make networks true by one pass in this process; return the seconds it took."""
    config_, host = wanted(networks), open_host()
    start = time.perf_counter()
    report = reconcile(config_, host, Pass(clock=time.monotonic))
    took = time.perf_counter() - start
    host.close()
    assert report.ok, [o.error for o in report.outcomes if o.error][:5]
    return took
