"""The real service in a test: its file, a start, a look at what it has left undone, the kernel in words."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from natnetd import config
from natnetd.host import ALL, Before
from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.linux import open_host
from natnetd.linux.netlink import NETFILTER, Asker
from natnetd.linux.nfnl import generation
from natnetd.plan import Plan
from natnetd.reconcile import decide

ONE = """\
metrics: false
networks:
  vmbr1:
    description: Internal network
    addresses: 10.0.0.1/16
    nat: {uplink: vmbr0}
"""
TWO = f"""\
{ONE}
  vmbr2:
    addresses: 10.20.0.1/24
    nat: {{uplink: vmbr0, source: 203.0.113.2}}
    reach: vmbr1
"""
BAD = ONE.replace("10.0.0.1", "10.0.0.300")

NATNETD = [sys.executable, "-m", "natnetd"]


def written(directory: Path, text: str = ONE) -> Path:
    """Write the configuration file."""
    path = directory / "natnetd.yaml"
    path.write_text(text, "utf-8")
    return path


def start(
    host: Namespace,
    directory: Path,
    text: str = ONE,
    *options: str,
    command: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> Service:
    """Start the service with a file and wait until it is READY."""
    service = Service(host, written(directory, text), directory, *options, command=command, env=env)
    try:
        return service.wait_ready()
    except TimeoutError:
        service.process.kill()
        service.stop()
        raise


def natnetd(directory: Path, *words: str, code: int = 0, **env: str) -> str:
    """Run a verb by this host's file and return what it printed; its exit code must be `code`."""
    done = run(directory, *words, **env)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def run(directory: Path, *words: str, stdin: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a verb; its environment has little more than where the service publishes."""
    plain = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "RUNTIME_DIRECTORY": str(directory / "run"),
        "TZ": "UTC",
    }
    return subprocess.run(
        [*NATNETD, "--config", str(directory / "natnetd.yaml"), *words],
        env=plain | env,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        timeout=20,
    )


@contextmanager
def at_home(directory: Path) -> Iterator[None]:
    """Have a host of this process look for its dnsmasq in a directory, where a service may keep them."""
    own = {
        "RUNTIME_DIRECTORY": str(directory / "run"),
        "STATE_DIRECTORY": str(directory / "state"),
        "NATNETD_DNSMASQ_OPTIONS": "--no-ping",
        "NATNETD_RESOLV_CONF": str(directory / "resolv.conf"),
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def undone(directory: Path) -> Plan:
    """Look at the kernel afresh, and tell what would have to be changed."""
    host = open_host()
    try:
        return decide(config.load(directory / "natnetd.yaml"), host.look(ALL, Before()))[1]
    finally:
        host.close()


def converged(directory: Path) -> bool:
    """Wait until there is nothing left to do."""
    return wait_until(
        lambda: not undone(directory), what=f"natnetd to do {list(map(str, undone(directory)))}"
    )


def reloaded(service: Service) -> list[str]:
    """Have the file read again, wait for the end of it, and return what that put into the log."""
    before, ready = len(service.lines()), service.heard().count("READY=1")
    service.process.send_signal(1)
    wait_until(lambda: service.heard().count("READY=1") > ready, what="the end of the reload")
    return service.lines()[before:]


def ruleset_generation() -> int:
    """Read how often the ruleset was changed, without libnftables."""
    asker = Asker(NETFILTER)
    try:
        return generation(asker)
    finally:
        asker.close()


def lasting(link: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a link what changes by itself: its carrier and all that hangs on it."""
    names = ("ifindex", "ifname", "address", "mtu", "master", "group", "ifalias")
    bridge = link.get("linkinfo", {}).get("info_data", {})
    found = {name: link.get(name) for name in names} | {"up": "UP" in link["flags"]}
    return found | {name: bridge.get(name) for name in ("stp_state", "forward_delay")}


def kernel(host: Namespace) -> dict[str, Any]:
    """Tell everything that natnetd could change, in the words of others' tools."""
    links = json.loads(host.check(["ip", "-d", "-j", "link"]))
    addresses = json.loads(host.check(["ip", "-j", "address"]))
    switches = sorted(Path("/proc/sys/net/ipv4/conf").glob("*/forwarding"))
    return {
        "links": [lasting(link) for link in links],
        # The kernel gives and takes fe80:: by itself, when a carrier comes or a port is plugged in.
        "addresses": [(a["ifname"], [x for x in a["addr_info"] if x["scope"] != "link"]) for a in addresses],
        "nft": host.check(["nft", "-s", "list", "ruleset"]),
        "switches": {str(path): path.read_text("ascii") for path in switches},
        "ip_forward": Path("/proc/sys/net/ipv4/ip_forward").read_text("ascii"),
    }
