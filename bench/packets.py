"""What a packet costs: natnetd's table with 1 and 1,000 networks, beside rules one after the other.

The rules are what people write: for each network two that accept and count, one that isolates, one that
masquerades. What they cost depends on where a network stands among them.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench import place, raw
from bench.blast import BATCH, Blaster
from bench.figures import Row, Spread
from bench.place import Asked, empty
from natnetd.config import parse
from natnetd.host import Layer, Scope, Snapshot
from natnetd.kinds import KINDS
from natnetd.lab.world import World
from natnetd.linux.nftext import script
from natnetd.plan import make_plan, phases

INTERNET = "198.51.100.7"
FIRST = 2000  # port
MANY = 1000
DEAF = "table ip deaf { chain c { type filter hook prerouting priority raw; udp dport 1024-65535 drop; }; }"
"""Outside drops what arrives, at once: no answers, the same for everybody."""
ONE_RULE = """
table ip linear {
    chain post { type nat hook postrouting priority srcnat; oifname "vmbr0" masquerade; }
}
"""


def natnetd(networks: int) -> str:
    """Write natnetd's table for so many networks."""
    return table(place.text(networks))


def table(file: str) -> str:
    """Write natnetd's table for a file."""
    plan = make_plan(KINDS, parse(file, "bench.yaml"), Snapshot(), Scope(None, frozenset({Layer.NFT})))
    return "".join(script(batch) for _layer, batch in phases(KINDS, plan))


def counting() -> str:
    """Write the same for one network whose guests are counted one by one."""
    return table(place.text(1).replace("addresses: ", "count_guests: true, addresses: "))


def linear(position: int) -> str:
    """Write the rules of so many networks, the guest's at a position; the others stand around it."""
    forward, post = [], []
    for number in range(MANY):
        own = 0 if number == position else number + 1
        name, prefix = place.name(own), place.gateway(own).replace(".1/24", ".0/24")
        forward += [
            f'iifname "{name}" oifname "vmbr0" counter accept',
            f'iifname "vmbr0" oifname "{name}" counter accept',
            f'iifname "{name}" oifname "nn*" drop',
        ]
        post.append(f'ip saddr {prefix} oifname "vmbr0" masquerade')
    return "\n".join(
        [
            "table ip linear {",
            "chain forward {",
            "type filter hook forward priority filter; policy accept;",
            *forward,
            "}",
            "chain post {",
            "type nat hook postrouting priority srcnat; policy accept;",
            *post,
            "}",
            "}",
        ]
    )


COUNTED = "guests counted"

WAYS: Mapping[str, Callable[[], str]] = {
    "natnetd 1": lambda: natnetd(1),
    "natnetd 1000": lambda: natnetd(MANY),
    "one masquerade rule": lambda: ONE_RULE,
    "linear rules, first network": lambda: linear(0),
    "linear rules, middle network": lambda: linear(MANY // 2),
    "linear rules, last network": lambda: linear(MANY - 1),
    COUNTED: counting,
}


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for packets of a flow, and for packets that begin one."""
    ways = {way: write() for way, write in list(WAYS.items())[: 3 if asked.brief else None]}
    found: dict[tuple[str, bool], list[float]] = {}
    for _round in range(1 if asked.brief else 3):
        for way, text in ways.items():
            for new in (False, True):
                found.setdefault((way, new), []).extend(measured(asked, text, new=new))
    for new, what in ((False, "packets/s, established"), (True, "new flows/s")):
        for networks in (1, MANY):
            ours = rate(found[f"natnetd {networks}", new])
            for way in list(ways)[2:]:
                other = rate(found[way, new])
                yield Row("packets", what, networks, "k/s", ours, way, other)


def rate(times: list[float]) -> Spread:
    """Turn CPU seconds a batch into thousands a second."""
    return Spread.of([BATCH / time / 1000 for time in times])


def measured(asked: Asked, text: str, *, new: bool) -> list[float]:
    """Send batches through a host with these rules; return the CPU seconds of each."""
    with empty(asked.sandbox) as host, World(host) as world:
        host.check(["nft", "-f", "-"], stdin=text)
        bridge, address = place.name(0), place.gateway(0)
        host.ip(f"link add {bridge} up type bridge", f"addr add {address} dev {bridge}")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1", "ascii")
        guest = world.guest("guest", bridge, address.replace(".1/", ".2/"), address.partition("/")[0])
        blaster, line, times = Blaster(guest.ns, INTERNET), raw.netfilter(), []
        establish(world, blaster)
        world.outside.check(["nft", DEAF])
        before = arrived(world)
        for batch in range(batches := 10 if asked.brief else 40):
            if new and batch % 20 == 0:
                line.send(raw.forget_flows())
            blaster.aim(FIRST + (batch % 20) * BATCH if new else FIRST, int(new))
            times.append(blaster.fire())
        came = arrived(world) - before
        assert came >= BATCH * batches * 0.99, f"only {came} packets came through"
        blaster.close()
        line.close()
    return times[2:]


def establish(world: World, blaster: Blaster) -> None:
    """Have the first flow answered once: from then on it is an established one."""
    with world.outside.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind((INTERNET, FIRST))
        door.settimeout(5)
        blaster.door.sendto(b"?", (INTERNET, FIRST))
        _, sender = door.recvfrom(64)
        door.sendto(b"!", sender)
        blaster.door.settimeout(5)
        blaster.door.recv(64)
        blaster.door.setblocking(True)


def arrived(world: World) -> int:
    """Count the packets that somebody outside has received."""
    told = world.outside.check(["ip", "-s", "-o", "link", "show", "dev", "eth0"])
    return int(told.partition("RX:")[2].partition("\\")[2].split()[1])
