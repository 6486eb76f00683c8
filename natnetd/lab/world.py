"""A small world around the host: an uplink, somebody outside who stands for the internet, and guests."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Literal, Self

from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until


@dataclass(frozen=True)
class Uplink:
    """A bridge of the host with a wire to somebody outside, who also owns an address further away."""

    bridge: str
    port: str
    host: tuple[str, ...]
    gateway: tuple[str, ...]
    internet: tuple[str, ...]
    default: bool


# Every address is one of documentation or benchmarks (RFC 5737, RFC 2544, RFC 3849).
FIRST = Uplink(
    bridge="vmbr0",
    port="eno1",
    host=("203.0.113.2/24", "2001:db8:203::2/64"),
    gateway=("203.0.113.1/24", "2001:db8:203::1/64"),
    internet=("198.51.100.7/32", "2001:db8:198::7/128"),
    default=True,
)
SECOND = Uplink(
    bridge="vmbr9",
    port="eno2",
    host=("198.18.0.2/24", "2001:db8:918::2/64"),
    gateway=("198.18.0.1/24", "2001:db8:918::1/64"),
    internet=("198.51.100.9/32", "2001:db8:198::9/128"),
    default=False,
)


class Guest:
    """A namespace with eth0, whose other end `port` is plugged into a bridge of the host, or hangs loose."""

    def __init__(self, host: Namespace, ns: Namespace, port: str, bridge: str) -> None:
        self.host = host
        self.ns = ns
        self.port = port
        self.bridge = bridge

    @property
    def name(self) -> str:
        """Return the name it was given."""
        return self.ns.name

    def plug(self, bridge: str = "") -> None:
        """Put the wire into `bridge` (else its own) and wait until packets pass; HostError without one."""
        self.bridge = bridge or self.bridge
        self.host.ip(f"link set {self.port} up master {self.bridge}")
        _wait_running(self.ns, "eth0")
        # A bridge that is down passes nothing: it is not ours to switch it on.
        if self.host.up(self.bridge):
            _wait_running(self.host, self.bridge)

    def unplug(self) -> None:
        """Pull the wire out of the bridge."""
        self.host.ip(f"link set {self.port} nomaster")


class World:
    """The host, its first uplink with `outside` at the other end, and the guests made so far.

    Outside has no route to private addresses, as the internet has none.
    """

    def __init__(self, host: Namespace, uplink: Uplink = FIRST) -> None:
        self.host = host
        self.guests: dict[str, Guest] = {}
        self._open = ExitStack()
        self.outside = self.add_uplink(uplink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_uplink(self, uplink: Uplink) -> Namespace:
        """Make the uplink's bridge and routes, and return the namespace at its other end.

        The second one is no default route: the host only finds its `internet` addresses behind it.
        """
        outside = self._open.enter_context(Namespace.new(f"outside {uplink.bridge}"))
        targets = ("default",) * 2 if uplink.default else uplink.internet
        self.host.ip(
            f"link add {uplink.bridge} up type bridge",
            f"link add {uplink.port} type veth peer name eth0 netns {outside.path}",
            f"link set {uplink.port} up master {uplink.bridge}",
            *(f"addr add {address} dev {uplink.bridge}" for address in uplink.host),
            *(_route(to, via) for to, via in zip(targets, uplink.gateway, strict=True)),
        )
        outside.ip(
            "link set eth0 up",
            *(f"addr add {address} dev eth0" for address in uplink.gateway),
            *(f"addr add {address} dev lo" for address in uplink.internet),
        )
        _wait_running(outside, "eth0")
        _wait_running(self.host, uplink.bridge)
        return outside

    def let_outside_reach(self, prefix: str) -> None:
        """Give outside a route to `prefix` through the host: what an attacker on the same wire would set."""
        via = FIRST.host[ip_interface(prefix).version == 6]
        self.outside.ip(_route(prefix, via))

    def guest(
        self,
        name: str,
        bridge: str,
        addresses: str | Sequence[str],
        gateways: str | Sequence[str] = (),
        kind: Literal["veth", "tap"] = "veth",
    ) -> Guest:
        """Make a guest, as Proxmox would name its port: veth100i0 of a container, tap100i0 of a machine.

        A tap is a veth by another name here. It is plugged in if the bridge is there, else `plug` it later.
        """
        port = f"{kind}{100 + len(self.guests)}i0"
        ns = self._open.enter_context(Namespace.new(name))
        ns.ip(
            f"link add eth0 type veth peer name {port} netns {self.host.path}",
            "link set eth0 up",
            *(f"addr add {address} dev eth0" for address in _several(addresses)),
            *(_route("default", gateway) for gateway in _several(gateways)),
        )
        guest = self.guests[name] = Guest(self.host, ns, port, bridge)
        if bridge in self.host.run(lambda: [name for _, name in socket.if_nameindex()]):
            guest.plug()
        else:
            self.host.ip(f"link set {port} up")
        return guest

    def close(self) -> None:
        """Kill what runs in the guests and outside, and let go of them; the host is its owner's."""
        self._open.close()


def _route(to: str, via: str) -> str:
    return f"route add {to} via {ip_interface(via).ip}"


def _several(values: str | Sequence[str]) -> Sequence[str]:
    return (values,) if isinstance(values, str) else values


def _wait_running(ns: Namespace, interface: str) -> None:
    wait_until(lambda: ns.running(interface), what=f"{interface} in {ns.name} to carry packets")
