"""The desired state as frozen values: what the operator wrote, checked and complete.

What each key of the file takes and means is said once, in `natnetd.file.keys`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Nat:
    """How guests leave: translated, by an uplink."""

    uplinks: tuple[str, ...] = ()  # empty: any
    source: IPv4Address | None = None  # None: masquerade
    exempt: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """A named bridged subnet of guests; `None` stands for "the file does not say"."""

    name: str
    addresses: tuple[Interface, ...] = ()
    description: str | None = None
    mtu: int | None = None
    mac: str | None = None
    stp: bool | None = None
    forward_delay: float | None = None  # seconds
    nat: Nat | None = None
    routed: bool = False
    reach: tuple[str, ...] = ()
    inbound: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where Prometheus scrapes."""

    host: str = "127.0.0.1"
    port: int = 9787


@dataclass(frozen=True, slots=True)
class Config:
    """One file, read: networks by the name of their bridge."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    metrics: Metrics | None = field(default_factory=Metrics)
