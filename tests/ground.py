"""The ground of the chaos: the host, the real service, and a model of what is whose."""

import json
import random
import signal
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import chaos_files as files
import portraits
from running import at_home

from natnetd import config
from natnetd.host import ALL, Before, Layer, Snapshot
from natnetd.judge import Judged
from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import FIRST, Guest, Uplink, World
from natnetd.linux import additions, open_host
from natnetd.linux.libnft import nftables_context
from natnetd.linux.netlink import NETFILTER, ROUTE, Asker, open_socket
from natnetd.linux.nfnl import generation
from natnetd.model import Config, Network
from natnetd.plan import Plan
from natnetd.reconcile import Pass, decide, reconcile
from natnetd.rows import FRAMES, TABLE
from natnetd.ways import resolved

BOUND = 30.0
"""Seconds to converge. A fight is repaired once a second, what fails is tried after up to 3; the rest is for
a busy machine: while another namespace with many bridges is cleared, nobody changes a link for seconds. It
stays below the minute after which natnetd looks at everything and would mend what it had missed."""
CALM = 200  # listings until one is undisturbed
OURS = {tuple(TABLE.split()), tuple(FRAMES.split())}
"""Our tables, by family and name."""
THEIRS = ("10.77.", "172.", "203.0.113.", "198.18.", "2001:db8:203:", "2001:db8:918:")
"""How addresses of others begin; no file has such."""


class Refused(Exception):  # noqa: N818  # somebody was quicker: that is what chaos is like
    """The kernel refused a harm."""


@dataclass
class Plugged:
    """Where a guest's port should be: in the bridge of this index, or in its successor of this name."""

    index: int
    bridge: str


@dataclass
class Ground:
    """All that a harm acts upon. `rng` is drawn anew for each step, so that a race shifts no later draw."""

    world: World
    directory: Path
    rng: random.Random
    service: Service | None = None
    networks: files.Networks = field(default_factory=dict)
    wanted: Config = field(default_factory=Config)
    file_bad: bool = False
    loading: str = ""  # a good file that is not in force yet
    stopped: bool = False
    unseen: bool = False  # something that no event tells of was done while the service was not ready
    certain: bool = True  # whether the service has heard everything since the last rest
    tables: dict[tuple[str, str], str] = field(default_factory=dict)
    portraits: dict[str, dict[str, Any]] = field(default_factory=dict)
    visitors: set[tuple[int, str]] = field(default_factory=set)  # others' addresses on our bridges
    guests: list[Guest] = field(default_factory=list)
    echoes: dict[str, Echo] = field(default_factory=dict)
    where: dict[str, Plugged | None] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)  # unplugged, or on their way back, since the last rest
    saved: tuple[str, dict[tuple[str, str], str]] | None = None
    references: dict[tuple[str, frozenset[str], frozenset[str]], dict[str, Any]] = field(default_factory=dict)
    number: int = 0  # for names that never come again

    def __post_init__(self) -> None:
        self.host: Namespace = self.world.host
        self.nft = nftables_context()
        self.eyes = open_host()
        self.route = Asker(ROUTE)
        self.filter = Asker(NETFILTER)
        self.ears = [open_socket(ROUTE, (1, 5, 9, 24)), open_socket(NETFILTER, (7,))]

    # --- the service and its file

    @property
    def file(self) -> Path:
        return self.directory / "natnetd.yaml"

    @property
    def resolvers(self) -> Path:
        return self.directory / "resolv.conf"

    def start(self) -> None:
        self.service = Service(self.host, self.file, self.directory)

    def kill(self) -> None:
        """End the service without a word; what happens until the next rest may pass it by."""
        self.certain = False
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        """End the service; where another namespace is being cleared it may take long to die."""
        if self.service is not None:
            self.go_on()
            self.service.send(number)
            self.service.process.wait(60)
            self.service.stop()
            self.service = None

    def alive(self) -> Service:
        """Start the service if it is dead, and wait until it is ready."""
        if self.service is None:
            self.start()
        assert self.service is not None
        self.go_on()
        self.service.wait_ready(60)
        if self.unseen:
            self.look_again()
        return self.service

    def stop(self) -> None:
        if self.service is not None:
            self.service.send(signal.SIGSTOP)
            self.stopped = True

    def look_again(self) -> None:
        """Have everything looked at, as it is once a minute: no event tells of what was just done.

        A service that is not ready yet may have looked there already, and would be killed by the signal.
        """
        self.unseen = self.service is None or "READY=1" not in self.service.heard()
        if self.service is not None and not self.unseen:
            self.service.send(signal.SIGHUP)

    def go_on(self) -> None:
        if self.service is not None and self.stopped:
            self.service.send(signal.SIGCONT)
        self.stopped = False

    def loaded(self) -> None:
        """Wait until the last good file is in force: it must not be overwritten unread."""
        if self.loading:
            self.alive()
            last = self.directory / "state" / "last-good.yaml"
            want = self.loading.encode()
            wait_until(lambda: last.exists() and last.read_bytes() == want, BOUND, what="the file to be read")
            self.loading = ""

    def want(self, networks: files.Networks) -> None:
        """Take it that this will be in force; guests of a network that goes or comes are not followed."""
        if networks.keys() != self.networks.keys():
            self.certain = False
        self.networks, self.loading, self.file_bad = networks, files.text(networks), False
        self.wanted = config.parse(self.loading, "chaos.yaml")

    def lines(self) -> list[str]:
        log = self.directory / "log"
        return log.read_text("utf-8", "replace").splitlines() if log.exists() else []

    # --- looking

    def look(self) -> tuple[Snapshot, Judged, Plan]:
        """Look afresh, and decide what is to be done."""
        seen = self.eyes.look(ALL, Before())
        return seen, *decide(self.wanted, seen)

    def heard(self) -> list[tuple[int, bytes]]:
        """Tell the events of the kernel since the last time: their types and payloads."""
        found = []
        for ear in self.ears:
            while True:
                try:
                    datagram = ear.recv(1 << 18)
                except BlockingIOError:
                    break
                except OSError:
                    found.append((0, b""))
                    continue
                found.append((int.from_bytes(datagram[4:6], "little"), datagram))
        return found

    # --- tools: quick ways to the kernel

    def pick(self, things: Iterable[Any]) -> Any:
        """Draw one with one call of the generator, however many there are."""
        drawn, all_ = self.rng.random(), list(things)
        if not all_:
            raise Refused("nothing there")
        return all_[int(drawn * len(all_))]

    def fresh(self, stem: str) -> str:
        self.number += 1
        return f"{stem}{self.number}"

    def name(self) -> str:
        """Draw a network's name, wanted or not."""
        return self.pick(files.NAMES)

    def index(self, link: str) -> int:
        try:
            return socket.if_nametoindex(link)
        except OSError as error:
            raise Refused(f"no {link}") from error

    def ip(self, *lines: str) -> None:
        done = subprocess.run(
            ["ip", "-batch", "-"], input="\n".join(lines), text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise Refused(done.stderr.strip().splitlines()[0])

    def ip_json(self, *words: str) -> list[dict[str, Any]]:
        out = subprocess.run(["ip", "-j", *words], text=True, capture_output=True, check=True).stdout
        return json.loads(out or "[]")

    def tell(self, *messages: additions.Request) -> None:
        """Send messages to rtnetlink in one datagram."""
        errors = [error for error in self.route.batch(messages) if error]
        if errors:
            raise Refused(str(errors[0]))

    def plug(self, port: str, bridge_index: int) -> None:
        self.tell(additions.plug(self.index(port), bridge_index))

    def commit(self, text: str) -> None:
        """Change the ruleset: by a process of nft now and then, else in here."""
        if self.rng.random() < 0.15:
            done = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, check=False)
            code, problem = done.returncode, done.stderr
        else:
            code, _, problem = self.nft.cmd(text)
        if code:
            raise Refused(problem.strip().splitlines()[0])

    def listing(self, what: str, *, handles: bool = True) -> str:
        """List a part of the ruleset without counters; empty if it is not there."""
        self.nft.set_stateless_output(True)
        self.nft.set_handle_output(handles)
        code, out, _ = self.nft.cmd(f"list {what}")
        return "" if code else str(out)

    def rules(self, chain: str, table: str = TABLE) -> list[int]:
        """Find the handles of a chain's rules."""
        lines = self.listing(f"chain {table} {chain}").splitlines()
        return [
            int(found[1]) for line in lines if not line.endswith("{") and (found := portraits.handle_of(line))
        ]

    def switch(self, path: str, value: str) -> None:
        try:
            Path("/proc/sys/net", path).write_text(value, "ascii")
        except OSError as error:
            raise Refused(str(error)) from error

    # --- strangers

    def table_names(self) -> list[tuple[str, str]]:
        self.nft.set_handle_output(False)
        _, out, _ = self.nft.cmd("list tables")
        return [tuple(line.split()[1:3]) for line in str(out).splitlines()]  # type: ignore[misc]

    def remember_table(self, family: str, name: str) -> None:
        self.tables[family, name] = self.portrait_of_table(family, name)

    def portrait_of_table(self, family: str, name: str) -> str:
        """List a table by a process: the cache of a context in use has been seen to hold chains twice.

        So has a process's own, where somebody commits while it reads, or is refused, which changes no
        generation: only what is listed twice in a row in a calm moment counts.
        """
        words = ["nft", "-s", "-a", "list", "table", family, name]
        last: str | None = None
        told: str | None = None
        for _ in range(CALM):
            before = generation(self.filter)
            last, told = told, subprocess.run(words, text=True, capture_output=True, check=False).stdout
            if generation(self.filter) == before and told == last:
                break
        return told or ""

    def remember_link(self, name: str) -> None:
        self.portraits[name] = self.portrait(name)

    def portrait(self, name: str) -> dict[str, Any]:
        """Describe a link of somebody else in all that natnetd has no business with."""
        try:
            (link,) = self.ip_json("-d", "link", "show", "dev", name)
            addresses = self.ip_json("address", "show", "dev", name)
        except (subprocess.CalledProcessError, ValueError):
            return {}
        about = link.get("linkinfo", {}).get("info_data", {})
        figures = portraits.figures(about)
        adoptable = name in files.NAMES or name.startswith(("old", "aside"))
        if adoptable:
            figures = {"ageing_time": figures.get("ageing_time")}
        if about.get("stp_state"):
            figures["ageing_time"] = portraits.PASSED
        plain = ("ifindex", "master", "group") + (() if adoptable else ("mtu", "address", "ifalias"))
        up = None if adoptable else "UP" in link["flags"]
        return {
            "link": {key: link.get(key) for key in plain} | {"up": up},
            "figures": figures,
            "addresses": sorted(
                f"{a['local']}/{a['prefixlen']} {a.get('label')} {a['scope']}"
                for row in addresses
                for a in row.get("addr_info", ())
                if a["local"].startswith(THEIRS)
            ),
            "sysctls": {} if adoptable else portraits.sysctls(name),
        }

    def altered(self, name: str) -> str:
        """Tell what of a link of somebody else is not as he left it; nothing if all is."""
        have, want = self.portrait(name), self.portraits[name]
        figures = [dict(about.get("figures", {})) for about in (have, want)]
        if any(found.get("ageing_time") == portraits.PASSED for found in figures):
            for found in figures:
                found.pop("ageing_time", None)
        return portraits.difference({**have, "figures": figures[0]}, {**want, "figures": figures[1]})

    def forget_link(self, index: int, name: str) -> None:
        """A link is about to go by our own hand."""
        self.portraits.pop(name, None)
        self.visitors = {(i, a) for i, a in self.visitors if i != index}

    # --- the reference: what a fresh host looks like under the same file

    def reference(self, seen: Snapshot) -> dict[str, Any]:
        """Build the networks in force on an empty host that has these ways out, and describe them."""
        key = files.text(self.networks), seen.auto, seen.auto6
        if key not in self.references:
            known = resolved(self.wanted, seen.auto, seen.links, seen.auto6)
            wanted = replace(known, networks={name: named(n) for name, n in known.networks.items()})
            with Namespace.new("reference") as ns:
                self.references[key] = ns.run(lambda: self.build(wanted))
        return self.references[key]

    def build(self, wanted: Config) -> dict[str, Any]:
        with at_home(self.directory / "elsewhere"):
            host = open_host()
        try:
            no_servers = replace(ALL, layers=ALL.layers - {Layer.SERVICE})
            report = reconcile(wanted, host, Pass(scope=no_servers))
            assert report.ok, [o.error for o in report.outcomes if o.error]
            return self.described(nftables_context(), self.networks)
        finally:
            host.close()

    def described(self, nft: Any, bridges: Iterable[str]) -> dict[str, Any]:
        """Describe our table and some bridges of ours, in words that two hosts have in common."""
        nft.set_stateless_output(True)
        nft.set_handle_output(False)
        tables = {table: str(nft.cmd(f"list table {table}")[1]) for table in (TABLE, FRAMES)}
        found: dict[str, Any] = {"nft": {t: portraits.canonical(told) for t, told in tables.items()}}
        links = {row["ifname"]: row for row in self.ip_json("-d", "link")}
        addresses = {row["ifname"]: row["addr_info"] for row in self.ip_json("address")}
        for name in bridges:
            link = links.get(name, {})
            about = link.get("linkinfo", {}).get("info_data", {})
            found[name] = {
                "figures": portraits.figures(about, portraits.UNSET),
                "link": {k: link.get(k) for k in ("mtu", "group", "address", "ifalias", "txqlen")},
                "addresses": sorted(
                    f"{a['local']} {a.get('address')}/{a['prefixlen']}"
                    for a in addresses.get(name, ())
                    if not a["local"].startswith("fe80")
                ),
            }
        return found

    # --- uplinks

    def remake(self, uplink: Uplink) -> list[str]:
        """Lines that give an uplink back its addresses and routes."""
        gateways = [address.partition("/")[0] for address in uplink.gateway]
        targets = ("default",) * 2 if uplink.default else uplink.internet
        return [
            *(f"addr replace {address} dev {uplink.bridge}" for address in carried(uplink)),
            *(f"route replace {to} via {via}" for to, via in zip(targets, gateways, strict=True)),
        ]

    def close(self) -> None:
        self.end(signal.SIGTERM)
        self.eyes.close()
        self.route.close()
        self.filter.close()
        for echo in self.echoes.values():
            echo.close()
        for ear in self.ears:
            ear.close()


def carried(uplink: Uplink) -> tuple[str, ...]:
    """Addresses of an uplink; the first one carries a fixed source as well."""
    return (*uplink.host, "203.0.113.50/24") if uplink is FIRST else uplink.host


def named(network: Network) -> Network:
    """Take an uplink that was looked up for one that the file names."""
    return replace(network, nat=replace(network.nat, auto=False)) if network.nat else network
