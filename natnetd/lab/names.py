"""Names and addresses in a lab: a guest that knows nothing, a DNS server outside, a question to one."""

import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from natnetd.lab.netns import Namespace
from natnetd.lab.wait import wait_until

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 20.0  # seconds: a client asks again after three
SCRIPT = """\
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
echo "$ip/$mask $router $dns $domain" >{told}.new && mv {told}.new {told}
"""


def program(*names: str) -> str | None:
    """Find one of some programs; None: none of them is installed."""
    return next((found for name in names if (found := shutil.which(name, path=PATH))), None)


@dataclass(frozen=True, slots=True)
class Lease:
    """What a client was told."""

    address: str
    router: str
    dns: str
    domain: str


def ask_for_address(ns: Namespace, directory: Path) -> Lease:
    """Have busybox's DHCP client set up eth0 of a guest. Raises TimeoutError: nobody answers."""
    told, script = directory / f"{ns.name}.lease", directory / f"{ns.name}.udhcpc"
    script.write_text(SCRIPT.format(told=told), "ascii")
    script.chmod(0o755)
    words = ["busybox", "udhcpc", "-f", "-q", "-i", "eth0", "-s", str(script), "-x", f"hostname:{ns.name}"]
    client = ns.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(told.exists, PATIENCE, what="an answer to the guest's DHCP client")
    finally:
        client.kill()
        client.wait()
    return Lease(*(told.read_text("ascii").rstrip("\n").split(" ") + [""] * 4)[:4])


def serve_names(ns: Namespace, address: str, name: str) -> "subprocess.Popen[str]":
    """Run a DNS server at an address that knows one name, of the address itself."""
    words = [
        "dnsmasq",
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
        "--bind-interfaces",
    ]
    words += [f"--listen-address={address}", f"--address=/{name}/{address}", "--user=root"]
    return ns.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def resolve(
    ns: Namespace, server: str, name: str, kind: int = 1, patience: float = 3.0
) -> list[str] | int | None:
    """Ask a server: addresses, the error (3: no such name), or None if nobody answers."""
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with ns.socket(family, socket.SOCK_DGRAM) as door:
        door.settimeout(patience)
        door.sendto(question, (server, 53))
        try:
            answer = door.recv(4096)
        except (TimeoutError, ConnectionRefusedError):
            return None
    _, flags, _, count, _, _ = struct.unpack_from("!HHHHHH", answer)
    if flags & 15:
        return int(flags & 15)
    at, found = len(question), []
    for _ in range(count):
        at += 2  # a pointer to the question
        sort, _, _, size = struct.unpack_from("!HHIH", answer, at)
        at += 10 + size
        if sort == 1:
            found.append(socket.inet_ntoa(answer[at - 4 : at]))
        elif sort == 28:
            found.append(socket.inet_ntop(socket.AF_INET6, answer[at - 16 : at]))
    return found
