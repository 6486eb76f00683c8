"""Files for the chaos: random networks, good files, and bad ones that must change nothing."""

import json
import random
from typing import Any

NAMES = ("vmbr1", "vmbr2", "vmbr3", "vmbr4", "vault", "lab6")
WAYS = ("vmbr0", "vmbr9", "wg0")
"""Uplinks; wg0 never comes."""

DOORS = (
    "203.0.113.2:8080/both",
    "203.0.113.2:9000-9010/udp",
    "203.0.113.2:9011-9020/udp",
    "8081/tcp",
    "9000-9010/both",
    "203.0.113.77",
    "[2001:db8:203::2]:8080/tcp",
    "2001:db8:203::77",
)
"""What forwards listen at: each has one network, or none."""

CUT = "quarantine"
"""Who is cut off: written at the top level, not with the network."""
Networks = dict[str, dict[str, Any]]

OUT: tuple[dict[str, Any], ...] = (
    {"nat": {"uplink": "vmbr0"}},
    {"nat": {"uplink": "vmbr0"}},
    {"nat": {"uplink": "vmbr0", "source": "203.0.113.50"}},
    {"nat": {"uplink": ["vmbr0", "vmbr9", "wg0"]}},
    {"nat": {"uplink": "vmbr0", "ports": "1-65535", "fully_random": True}},
    {"nat": {"uplink": "vmbr0", "source": "203.0.113.50", "ports": "2000-2999", "persistent": True}},
    {"nat": {"uplink": "vmbr0", "exempt": ["198.18.0.0/24", "192.168.0.0/16", "192.168.7.0/24"]}},
    {"nat": True},
    {"nat": {"uplink": "auto"}},
    {"nat": {"uplink": "auto"}},
    {"nat": {"uplink": "vmbr0", "ipv6": False}},
    {"nat": {"uplink": "vmbr0", "ipv6": "routed"}},
    {"nat": {"uplink": ["vmbr0", "vmbr9"], "ipv4": False, "exempt": ["2001:db8:918::/64", "fd77::/16"]}},
    {"routed": True},
    {},
    {"inbound": "vmbr9"},
    {"nat": {"uplink": "vmbr9"}, "inbound": "vmbr0"},
)
START: Networks = {
    "vmbr1": {
        "addresses": "10.1.0.1/24",
        "description": "Internal network",
        "nat": {"uplink": "vmbr0"},
    },
    "vmbr2": {
        "addresses": ["10.2.0.1/24", "10.2.0.2/24", "fd00:2::1/64"],
        "nat": {"uplink": "vmbr0", "source": "203.0.113.50"},
        "reach": "vmbr1",
    },
    "vmbr3": {"addresses": "10.3.0.1/24", "routed": True, "inbound": "vmbr9"},
    "vault": {"addresses": "10.5.0.1/24", "mtu": 1400},
}


def subnet(name: str) -> int:
    """Give each name a subnet of its own."""
    return NAMES.index(name) + 1


def reserved(n: int) -> list[dict[str, str]]:
    """One guest's address, and its name."""
    return [{"mac": f"02:00:00:00:{n:02x}:99", "address": f"10.{n}.0.99", "name": "kept"}]


def network(rng: random.Random, name: str, others: list[str], *, closed: bool) -> dict[str, Any]:
    """Draw one network."""
    n = subnet(name)
    extra = (f"10.{n}.0.2/24", f"10.{n}.1.1/24", f"fd00:{n}::1/64", f"fd00:{n}::2/64")
    addresses = [f"10.{n}.0.1/24", *(a for a in extra if rng.random() < 0.25)]
    if rng.random() < 0.1:
        addresses = [f"10.{n}.0.2/24"]
    found: dict[str, Any] = {"addresses": addresses, **({} if closed else rng.choice(OUT))}
    if isinstance(nat := found.get("nat"), dict) and nat.get("ipv6") == "routed":
        addresses.append(f"2001:db8:{n}::1/64")
    if others and rng.random() < 0.3 and not closed:
        found["reach"] = sorted(rng.sample(others, rng.randint(1, min(2, len(others)))))
    perhaps = (
        (0.2, "mtu", rng.choice([1400, 1500, 9000])),
        (0.1, "mac", f"02:00:00:00:00:{n:02x}"),
        (0.4, "description", rng.choice(["Lab", "Büro « 1 »", 'with "quotes" and \\'])),
        (0.05, "stp", True),
        (0.1, "forward_delay", 2),
        (0.5, "count_guests", True),
        (0.4, "dhcp", rng.choice([True, True, {"lease_time": "2h", "reservations": reserved(n)}])),
        (0.3, "host_access", rng.choice([False, ["22/tcp", "20-30/tcp", "5000-5009/udp"]])),
        (0.4, "guard", rng.choice([True, *guards(n)])),
        (0.2, CUT, [f"10.{n}.0.8", f"02:00:00:00:{n:02x}:08"]),
    )
    found |= {key: value for chance, key, value in perhaps if rng.random() < chance}
    return found


def guards(n: int) -> tuple[dict[str, Any], ...]:
    """Guards that take more than one line."""
    return (
        {"anti_spoof": False, "new_connections": "50/second", "open_connections": 500},
        {"bogons": True, "new_connections": "1000/second"},
        {"strict": True, "open_connections": 20000},
        {"quarantine": [f"10.{n}.0.9", "02:00:00:00:00:09"], "anti_spoof": False},
    )


def good(rng: random.Random) -> Networks:
    """Draw a file."""
    if (drawn := rng.random()) < 0.04:
        return {}
    names = [name for name in NAMES if rng.random() < 0.7]
    found = {name: network(rng, name, [n for n in names if n != name], closed=drawn < 0.12) for name in names}
    for listen in DOORS if names else ():
        if rng.random() < 0.3:
            forward(rng, found[name := rng.choice(names)], subnet(name), listen)
    return found


def forward(rng: random.Random, network: dict[str, Any], n: int, listen: str) -> None:
    """Lead what comes there to a guest of a network, if it has one of that family."""
    guest = rng.randint(8, 9)
    six = listen.count(":") > 1
    if six and not any(address.startswith("fd00:") for address in network["addresses"]):
        return
    to = f"fd00:{n}::{guest}" if six else f"10.{n}.0.{guest}"
    port = "/" in listen and "-" not in listen and rng.random() < 0.5
    row = {"listen": listen, "to": (f"[{to}]:80" if six else f"{to}:80") if port else to}
    network["forwards"] = [*network.get("forwards", ()), row]


def text(networks: Networks) -> str:
    """Write it: YAML that is JSON as well."""
    own = {name: {k: v for k, v in keys.items() if k != CUT} for name, keys in networks.items()}
    rows = [f"  {name}: {json.dumps(keys, ensure_ascii=False)}" for name, keys in own.items()]
    cut = [f"{name}/{guest}" for name, keys in networks.items() for guest in keys.get(CUT, ())]
    told = [f"quarantine: {json.dumps(cut)}"] if cut else []
    return "\n".join(["metrics: false", "networks:" if rows else "networks: {}", *rows, *told]) + "\n"


BAD = (
    b"",
    b"networks:",
    b"networks: {vmbr1: {addresses: 10.1.0.300/24}}\n",
    b"networks: {vmbr1: {addresses: 10.1.0.1/24, nat: true, natt: 1}}\n",
    b"metrics: false\nnetworks: [",
    b"\xff\xfe\x00",
    b"networks: {}\nnetworks: {}\n",
)
