"""From nothing to networks: one pass of natnetd, beside iproute2 and nft doing exactly the same."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import place
from bench.figures import Row, Spread
from bench.place import NATNETD, Asked, directory, empty, fresh_plan
from natnetd.host import ALL, Layer
from natnetd.kinds import KINDS
from natnetd.lab.netns import Namespace
from natnetd.linux.nftext import script
from natnetd.plan import phases
from natnetd.rows import Address, Bridge

SWITCH = Path("/proc/sys/net/ipv4/ip_forward")
Way = Callable[[int], float]
"""Builds so many networks on an empty host; returns the seconds it took."""


def apply(networks: int) -> float:
    """`natnetd apply`, the whole process."""
    with directory() as path:
        file = path / "natnetd.yaml"
        file.write_text(place.text(networks), "utf-8")
        return run([*NATNETD, "--config", str(file), "apply"], "")


def floor(networks: int) -> float:
    """`ip -batch` and `nft -f` with prepared text that does the same, and the switch of forwarding."""
    plan = fresh_plan(networks, ALL)
    links = "\n".join(line for change in plan for line in iproute2(change.want))
    table = "".join(script(batch) for layer, batch in phases(KINDS, plan) if layer is Layer.NFT)
    took = run(["nft", "-f", "-"], table) + run(["ip", "-batch", "-"], links)
    start = time.perf_counter()
    SWITCH.write_text("1", "ascii")
    return took + time.perf_counter() - start


def iproute2(row: object) -> Iterator[str]:
    """Say in iproute2's words what natnetd wants of a bridge or an address."""
    match row:
        case Bridge(alias=alias, group=group, mac=mac, mtu=mtu):
            name = f"nn{int(str(alias).removeprefix('Network ')):04d}"
            about = "type bridge stp_state 0 forward_delay 0"
            yield f"link add {name} up address {mac} mtu {mtu} group {group} {about}"
            yield f'link set {name} alias "{alias}"'
        case Address(link=link, interface=interface):
            yield f"addr add {interface} brd + dev {link}"


def shell(networks: int) -> float:
    """The lines of a how-to, each a process; its iptables rule in nft's words."""
    chain = "type nat hook postrouting priority srcnat; policy accept;"
    lines = ["nft add table ip nat", f"nft add chain ip nat postrouting '{{ {chain} }}'"]
    for number in range(networks):
        name, address = place.name(number), place.gateway(number)
        lines += [
            f"ip link add {name} type bridge",
            f"ip addr add {address} dev {name}",
            f"ip link set {name} up",
            "sysctl -q -w net.ipv4.ip_forward=1",
            f"nft add rule ip nat postrouting ip saddr {address} oifname {place.UPLINK} masquerade",
        ]
    return run(["sh", "-e"], "\n".join(lines))


def run(command: list[str], text: str) -> float:
    """Time a process that reads its work."""
    start = time.perf_counter()
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    took = time.perf_counter() - start
    assert done.returncode == 0, (command, done.stderr[-500:], done.stdout[-500:])
    return took


def timed(asked: Asked, way: Way, networks: int, runs: int) -> Spread:
    """Time one way on hosts that are empty but for an uplink."""
    times = []
    for _ in range(runs):
        with empty(asked.sandbox) as host:
            uplink(host)
            times.append(way(networks))
    return Spread.of(times, 1000)


def uplink(host: Namespace) -> None:
    """Make the uplink."""
    host.ip(f"link add {place.UPLINK} up type bridge")


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for each size."""
    middle = () if asked.brief or max(asked.sizes) < 100 else (100,)
    for networks in sorted({*asked.sizes, *middle}):
        runs = asked.few if networks >= 1000 else min(asked.runs, 15)
        beside = timed(asked, floor, networks, runs)
        ours = timed(asked, place.converge, networks, runs)
        times = 1.5 if networks == 1000 else None
        yield Row("converge", "one pass", networks, "ms", ours, "ip -batch + nft -f", beside, None, times)
        if asked.brief:
            continue
        whole = timed(asked, apply, networks, runs)
        yield Row("converge", "`natnetd apply`", networks, "ms", whole, "ip -batch + nft -f", beside)
        lines = timed(asked, shell, networks, 1 if networks >= 1000 else min(runs, 5))
        yield Row("converge", "`natnetd apply`", networks, "ms", whole, "a how-to's shell lines", lines)
