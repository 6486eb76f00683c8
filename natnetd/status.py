"""What `natnetd status` shows: made from reports, kept in $RUNTIME_DIRECTORY/status.json."""

import json
import re
from collections import Counter as Counts
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from natnetd import __version__
from natnetd.codec import pack, unpack
from natnetd.errors import HostError
from natnetd.host import Finding, State
from natnetd.model import Config, Nat, Network
from natnetd.report import Report, Traffic, states
from natnetd.rows import Counter, Link

DRIFTS_KEPT = 20
PLACE = re.compile(r"(.+?):\d+:\d+: ")  # where a complaint stands


@dataclass(frozen=True, slots=True)
class Drift:
    """One repaired drift, as the log told it; `at` is in seconds since 1970."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """One network: its state and why, and what it has sent and received."""

    name: str
    state: State
    description: str = ""
    addresses: tuple[str, ...] = ()
    way_out: str = ""
    adopted: bool = False
    guests: int = 0
    why: tuple[str, ...] = ()
    sent: Counter = field(default_factory=Counter)
    received: Counter = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Status:
    """The whole: `pid` 0 means that no daemon runs and the host was looked at for this.

    `waiting`: there was no good file yet, so nothing is changed.
    """

    version: str = __version__
    pid: int = 0
    at: float = 0.0
    file: str = ""
    file_error: str = ""
    waiting: bool = False
    networks: tuple[NetworkStatus, ...] = ()
    findings: tuple[Finding, ...] = ()
    drifts: tuple[Drift, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    blind: str = ""

    @property
    def in_sync(self) -> bool:
        """Whether all is as the file says, and the file is good."""
        return not (self.blind or self.file_error) and all(n.state is State.IN_SYNC for n in self.networks)

    @property
    def bad_file(self) -> str:
        """The file that is complained of first: a drop-in, maybe. Empty if there is no telling."""
        place = PLACE.match(self.file_error)
        return place[1] if place else ""

    @property
    def line(self) -> str:
        """One line for systemctl and people."""
        bad = self.bad_file
        if self.waiting:
            return f"no good configuration: waiting for {bad or self.file}"
        if self.blind:
            return f"cannot look at the host: {self.blind}"
        out = [f"{n.name} {n.state.replace('_', ' ')}" for n in self.networks if n.state is not State.IN_SYNC]
        count = f"{len(self.networks)} network{'' if len(self.networks) == 1 else 's'}"
        words = f"{count}, {len(out)} not in sync: {', '.join(out[:5])}" if out else f"{count} in sync"
        if not self.file_error:
            return words
        the_file = "the file" if bad in ("", self.file) else bad
        if not self.networks:
            return f"{the_file} is bad"
        return f"{words}; {the_file} is bad" + (", the last good one is in force" if self.pid else "")


def networks(
    config: Config, report: Report, links: Mapping[str, Link], total: Traffic
) -> tuple[NetworkStatus, ...]:
    """Say of each network, wanted or left over, what state it is in and why.

    `links` are the last ones seen: the report may be of a look at something else.
    """
    found = states(config.networks, report.findings, report.seen.before.troubles.values())
    if report.blind:
        found = dict.fromkeys(found, State.FAILED)
    why: dict[str, list[str]] = {}
    for finding in report.findings:
        why.setdefault(finding.network or "", []).append(finding.text)
    for trouble in report.seen.before.troubles.values():
        for name in (trouble.network,) if trouble.network is not None else found:
            why.setdefault(name, []).append(trouble.text)
    guests = Counts(link.master for link in links.values())
    return tuple(
        one(
            config.networks.get(name, Network(name)), state, why.get(name, []), links.get(name), guests, total
        )
        for name, state in sorted(found.items())
    )


def one(
    network: Network,
    state: State,
    why: list[str],
    link: Link | None,
    guests: Mapping[int | None, int],
    total: Traffic,
) -> NetworkStatus:
    """Describe one network; `guests` are the ports of each bridge, by its index."""
    return NetworkStatus(
        name=network.name,
        state=state,
        description=network.description or "",
        addresses=tuple(str(a) for a in network.addresses),
        way_out=way_out(network),
        adopted=link is not None and not link.ours and state is not State.CONFLICT,
        guests=0 if link is None else guests.get(link.index, 0),
        why=tuple(dict.fromkeys(why)),
        sent=total.elements.get(f"tx {network.name}", Counter()),
        received=total.elements.get(f"rx {network.name}", Counter()),
    )


def way_out(network: Network) -> str:
    """How guests leave, in a few words."""
    if network.routed:
        return "routed"
    if network.nat is None:
        return "closed"
    how = f"source {network.nat.source}" if network.nat.source else "masquerade"
    uplinks = "the default route" if network.nat.auto else "any uplink"
    return f"{how} by {', '.join(network.nat.uplinks) or uplinks}{family(network, network.nat)}"


def family(network: Network, nat: Nat) -> str:
    """What is special about one of the families."""
    if not nat.ipv4:
        return ", no IPv4"
    if not network.gateways6 or (nat.ipv6 and not nat.routed6):
        return ""
    return ", IPv6 routed" if nat.ipv6 else ", no IPv6"


def text(status: Status, *, indent: int | None = None) -> str:
    """Write it down; with an indent for people, which takes json five times as long."""
    return json.dumps(pack(status, whole=True), ensure_ascii=False, indent=indent) + "\n"


def read(path: Path) -> Status:
    """Read what was published. Raises HostError: nothing there, or not to be understood."""
    try:
        found: Status = unpack(Status, json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HostError(f"cannot understand {path}: {error}") from error
    return found
