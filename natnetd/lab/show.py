"""What `natnetd lab` shows: the service at work in a world of its own, and disturbed in every way."""

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from natnetd import config
from natnetd.file.sources import gather
from natnetd.lab.echo import PORT, Echo
from natnetd.lab.names import PATIENCE, Lease, ask_for_address, program, resolve, serve_names
from natnetd.lab.netns import Namespace
from natnetd.lab.sandbox import private
from natnetd.lab.service import Service
from natnetd.lab.traffic import ping, tcp
from natnetd.lab.wait import wait_until
from natnetd.lab.world import FIRST, Guest, World
from natnetd.model import Config, Network

SHOWN = (
    "natnetd_network_in_sync",
    "natnetd_network_forwarded_packets_total",
    "natnetd_drift_detected_total",
    "natnetd_last_unprotected_window_seconds",
)


NAME = "www.example.net"
DIRECTORY = Path("/run/natnetd-lab")


def say(text: str = "") -> None:
    """Print at once."""
    print(text, flush=True)


@dataclass(slots=True)
class Show:
    """One performance."""

    world: World
    service: Service
    network: Network
    guest: Guest
    internet: str
    address: str
    lease: Lease | None = None

    def introduce(self) -> None:
        """Say what there is, and that it works."""
        addresses = ", ".join(map(str, self.network.addresses))
        say(f"service ready: network {self.network.name} ({addresses}) is kept true")
        if self.lease:
            self.names(self.lease)
        self.reach("a guest plugs itself in")
        if self.network.ra and self.network.leaves6:
            self.reach_by_ipv6()

    def names(self, lease: Lease) -> None:
        """Say what a guest was told, and let it ask for a name that somebody outside knows."""
        told = f"{lease.address}, gateway {lease.router}, DNS {lease.dns}"
        say(f"  a guest that knows nothing asks by DHCP, and is told: {told}")
        ask = partial(resolve, self.guest.ns, lease.dns, NAME)
        wait_until(lambda: ask() == [self.internet], what=f"the address of {NAME}")
        say(f"  it asks for the address of {NAME}: {self.internet}")

    def reach(self, when: str) -> None:
        """Let the guest reach the outside, and say how the outside saw it."""
        wait_until(lambda: ping(self.guest.ns, self.internet), what=f"the guest's ping of {self.internet}")
        seen = tcp(self.guest.ns, self.internet)
        say(f"  {when}: it pings {self.internet}; over TCP the outside sees {seen}")

    def reach_by_ipv6(self) -> None:
        """Let the guest make itself an address, reach the outside by it, and say how the outside saw it."""
        far = FIRST.internet[1].partition("/")[0]
        what = f"the guest's ping of {far}"
        wait_until(lambda: ping(self.guest.ns, far, deadline=0.5), PATIENCE, what=what)
        say(f"  it made itself an IPv6 address: over TCP {far} sees {tcp(self.guest.ns, far)}")

    def disturb(self, what: str, command: list[str], *parts: str) -> None:
        """Do harm, and wait for the repair."""
        say(f"\nsomebody runs: {' '.join(command)}")
        before = len(self.service.lines())
        subprocess.run(command, check=True, capture_output=True)
        line = self.service.wait_line("drift", *parts, after=before)
        for told in self.service.lines()[before:]:
            if "drift" in told:
                say(f"  {told.removeprefix('natnetd: ')}")
        if not line:
            raise TimeoutError(what)
        self.reach("afterwards")

    def lead_in(self) -> None:
        """Lead a port of the host to the guest by a drop-in, and let everybody ask there."""
        host, port = FIRST.host[0].partition("/")[0], 8080
        forward = f"forwards: {{listen: {port}/tcp, to: {self.address}:{PORT}}}"
        file = DIRECTORY / "natnetd.d" / "web.yaml"
        say(f"\nsomebody writes {file}: {self.network.name}: {forward}")
        file.parent.mkdir()
        before = len(self.service.lines())
        file.write_text(f"networks: {{{self.network.name}: {{{forward}}}}}\n", "ascii")
        say(f"  {self.service.wait_line('+ forward', after=before).removeprefix('natnetd: ')}")
        neighbour = plugged(self.world, self.network, "neighbour", kind="veth")
        with Echo(self.guest.ns):
            for who, ns in (
                ("somebody outside", self.world.outside),
                ("the host itself", self.world.host),
                ("a neighbour", neighbour.ns),
                ("the guest itself", self.guest.ns),
            ):
                seen = tcp(ns, host, port)
                if seen is None:
                    raise TimeoutError(f"{who} waited in vain for an answer from {host}:{port}")
                say(f"  {who} asks {host}:{port}; the guest sees {seen}")

    def scrape(self, listen: str) -> None:
        """Show a few lines of what Prometheus gets."""
        text = wait_until(lambda: fetched(f"http://{listen}/metrics"), what="a scrape")
        say(f"\na scrape of http://{listen}/metrics (a few of {len(text.splitlines())} lines):")
        for line in text.splitlines():
            if line.startswith(SHOWN) and not line.endswith(" 0.0"):
                say(f"  {line}")


def fetched(url: str) -> str:
    """Get a page, or nothing yet."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # http of this very lab
            return str(answer.read().decode())
    except OSError:
        return ""


def chosen(wanted: Config) -> Network:
    """Choose the network to show: one with NAT and room for a guest."""
    for network in wanted.networks.values():
        if network.nat and any(a.version == 4 for a in network.addresses):
            return network
    raise ValueError("the lab shows a network with nat and an IPv4 address: the file has none")


def perform(path: Path, *, keep: bool) -> int:
    """Show everything and clean up; with `keep`, wait for the end of the terminal's patience."""
    read = config.understand(gather(path))
    wanted = read.config
    network = chosen(wanted)
    uplink = (network.nat.uplinks if network.nat else ()) or (FIRST.bridge,)
    started = time.monotonic()
    sandbox = private()
    with ExitStack() as stack:
        sandbox.host.run(bridge_plainly)
        world = stack.enter_context(World(sandbox.host, replace(FIRST, bridge=uplink[0])))
        stack.enter_context(Echo(world.outside))
        DIRECTORY.mkdir()
        internet = FIRST.internet[0].partition("/")[0]
        serves = bool(network.dhcp and network.dns and program("dnsmasq") and program("busybox"))
        if serves:
            stack.callback(serve_names(world.outside, internet, NAME).kill)
        file = DIRECTORY / "natnetd.yaml"
        file.write_bytes(read.in_one)
        say(f"a private host, uplink {uplink[0]}, {FIRST.host[0]}; somebody outside is {FIRST.internet[0]}")
        before = time.monotonic()
        service = stack.enter_context(Service(sandbox.host, file, DIRECTORY, env=resolving(internet)))
        service.wait_ready()
        say(f"natnetd run is READY after {time.monotonic() - before:.2f} s:")
        for line in service.lines():
            say(f"  {line.removeprefix('natnetd: ')}")
        guest = (
            world.guest("guest", network.name, (), kind="tap") if serves else plugged(world, network, "guest")
        )
        lease = ask_for_address(guest.ns, DIRECTORY) if serves else None
        address = lease.address.partition("/")[0] if lease else free(network, 0)
        show = Show(world, service, network, guest, internet, address, lease)
        play(show, wanted)
        if keep:
            explain(sandbox.host, world, service)
            with suppress(KeyboardInterrupt):
                signal.pause()
    say(f"\neverything is removed; that took {time.monotonic() - started:.1f} s")
    return 0


def bridge_plainly() -> None:
    """Be a host without br_netfilter: with it no guest reaches itself by a forward."""
    for path in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*tables"):
        path.write_text("0", "ascii")


def resolving(server: str) -> dict[str, str]:
    """Have the networks' dnsmasq ask the lab's name server, and not whom the machine asks."""
    path = DIRECTORY / "resolv.conf"
    path.write_text(f"nameserver {server}\n", "ascii")
    return {"NATNETD_DNSMASQ_OPTIONS": "--no-ping", "NATNETD_RESOLV_CONF": str(path)}


def plugged(world: World, network: Network, name: str, kind: Literal["veth", "tap"] = "tap") -> Guest:
    """Plug a guest in that has an address of its own, one of the first."""
    gateway = network.gateways[0]
    address = free(network, len(world.guests))
    return world.guest(
        name, network.name, f"{address}/{gateway.network.prefixlen}", str(gateway.ip), kind=kind
    )


def free(network: Network, number: int) -> str:
    """Choose an address for the first guest (0), the second, ..."""
    gateway = network.gateways[0]
    return str(next(islice((ip for ip in gateway.network.hosts() if ip != gateway.ip), number, None)))


def play(show: Show, wanted: Config) -> None:
    """Disturb, in turn, everything that is kept true."""
    bridge = show.network.name
    address = str(show.network.addresses[0])
    show.introduce()
    show.disturb("flush", ["nft", "flush", "ruleset"], "nft table")
    show.disturb("address", ["ip", "address", "del", address, "dev", bridge], "address")
    show.disturb("forwarding", ["sysctl", "-qw", "net.ipv4.ip_forward=0"], "ip_forward")
    show.disturb("bridge", ["ip", "link", "del", bridge], "port")
    if show.lease:
        show.disturb("dnsmasq", ["pkill", "--full", f"conf-file={show.service.runtime}/dnsmasq/"], "dhcp")
    if not show.network.forwards:
        show.lead_in()
    if wanted.metrics is not None:
        show.scrape(f"{wanted.metrics.host}:{wanted.metrics.port}")


def explain(host: Namespace, world: World, service: Service) -> None:
    """Say how to look around."""
    say("\nThe lab stays up until Ctrl-C. To look around, as root, in other terminals:")
    places: list[tuple[str, Callable[[], list[str]]]] = [
        ("the host", host.enter_command),
        ("outside", world.outside.enter_command),
    ]
    places += [(guest.name, guest.ns.enter_command) for guest in world.guests.values()]
    for name, command in places:
        say(f"  {name + ':':10} {' '.join(command())}")
    say(f"  in the host: RUNTIME_DIRECTORY={service.runtime} {sys.argv[0]} status")
    say(f"  the log:     {service.log}")
