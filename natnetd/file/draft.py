"""Networks as the file says them: values with their places, before anybody judges them as a whole."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from natnetd.file.nodes import Node, Scalar
from natnetd.file.shapes import WAYS
from natnetd.model import HIGH_PORTS, Nat, Network, Service


class Found(NamedTuple):
    """A value and where it stands; `None` stands for a value that was complained about."""

    value: Any
    node: Node


Values = dict[str, list[Found]]  # by key path within the section: "mtu", "nat", "nat.uplink"


@dataclass(frozen=True, slots=True)
class Draft:
    """A network as the file says it: `own` by itself, `values` with the defaults laid under them."""

    key: Scalar  # the bridge's name
    own: Values
    values: Values

    def found(self, key: str) -> list[Found]:
        """Return what stands under `key` and is usable."""
        return [found for found in self.values.get(key, ()) if found.value is not None]

    def every(self, key: str) -> tuple[Any, ...]:
        """Return the values under `key`, without repetition."""
        return tuple(dict.fromkeys(found.value for found in self.found(key)))

    def one(self, key: str) -> Any:
        """Return the value under `key`, or `None`."""
        return next(iter(self.every(key)), None)

    def clashes(self) -> bool:
        """Whether `nat` and `routed` are both on, and neither is just inherited."""
        both = self.one("nat") and self.one("routed")
        return bool(both) and ("nat" in self.own) == ("routed" in self.own)

    def translated(self) -> bool:
        """Whether guests leave by NAT: a `routed` of the network's own wins over an inherited `nat`."""
        return bool(self.one("nat")) and not (self.one("routed") and "nat" not in self.own)

    def routed(self) -> bool:
        """Whether guests leave untranslated: a `nat` of the network's own wins over an inherited `routed`."""
        return bool(self.one("routed")) and not self.translated()

    def network(self) -> Network:
        """Return the network, for a draft that nobody complained about."""
        return Network(
            name=self.key.text,
            addresses=self.every("addresses"),
            description=self.one("description"),
            mtu=None if self.one("mtu") == "auto" else self.one("mtu"),
            mtu_auto=self.one("mtu") == "auto",
            mac=self.one("mac"),
            stp=self.one("stp"),
            forward_delay=self.one("forward_delay"),
            nat=self.nat() if self.translated() else None,
            routed=self.routed(),
            # Inherited from the defaults, a network may well be told to reach itself.
            reach=tuple(name for name in self.every("reach") if name != self.key.text),
            inbound=self.every("inbound"),
            host_access=self.host_access(),
            count_guests=bool(self.one("count_guests")),
        )

    def host_access(self) -> tuple[Service, ...] | None:
        """Return the services of the host that guests may use; None: all."""
        said = self.every("host_access")
        services = tuple(value for value in said if isinstance(value, Service))
        return services if services or False in said or self.found_empty("host_access") else None

    def found_empty(self, key: str) -> bool:
        """Whether an empty list stands under `key`."""
        return key in self.values and not self.values[key]

    def nat(self) -> Nat:
        """Return how guests leave, translated."""
        return Nat(
            uplinks=tuple(name for name in self.every("nat.uplink") if name not in WAYS),
            auto="auto" in self.every("nat.uplink"),
            source=next(
                (found.value for found in self.found("nat.source") if found.value != "masquerade"), None
            ),
            exempt=self.every("nat.exempt"),
            ports=self.one("nat.ports") or HIGH_PORTS,
            ipv4=self.one("nat.ipv4") is not False,
            ipv6=self.one("nat.ipv6") is not False,
            routed6=self.one("nat.ipv6") == "routed",
            persistent=bool(self.one("nat.persistent")),
            fully_random=bool(self.one("nat.fully_random")),
        )
