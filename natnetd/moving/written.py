"""The text of a file for natnetd."""

import json
import re
from collections.abc import Iterator, Mapping

from natnetd.moving.networks import Net
from natnetd.moving.places import visible

PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _./-]*[A-Za-z0-9_./-])?")
MEANT = re.compile(r"true|false|null|yes|no|on|off|[0-9.]+(?:e[0-9]+)?|0x.*", re.IGNORECASE)
HEAD = re.compile(r'  ("[^"]*"|[^\s:#]+):')


def written(nets: Mapping[str, Net]) -> str:
    """Return the file of these networks."""
    if not nets:
        return "networks: {}\n"
    return "\n".join(["networks:", *(line for net in nets.values() for line in about(net))]) + "\n"


def about(net: Net) -> Iterator[str]:
    """Yield the lines of one network."""
    for note in dict.fromkeys((*net.notes, *about_six(net))):
        yield f"  # {visible(note)}"
    yield f"  {scalar(net.name)}:"
    if net.description:
        yield f"    description: {scalar(net.description)}"
    yield f"    addresses: {several([str(address) for address in net.addresses])}"
    if net.mtu is not None:
        yield f"    mtu: {net.mtu}"
    if net.mac:
        yield f"    mac: {net.mac}"
    if net.stp:
        yield "    stp: true"
    if net.delay:
        yield f"    forward_delay: {net.delay}"
    if net.nat:
        yield f"    nat: {nat(net)}"
    if net.routed:
        yield "    routed: true"
    if net.forwards:
        yield "    forwards:"
        yield from (f"      - {row}" for row in net.forwards)


def about_six(net: Net) -> Iterator[str]:
    """Yield what becomes of IPv6 in a network that leaves translated."""
    if net.nat and net.outer:
        prefixes = ", ".join(str(address.network) for address in net.outer)
        yield f"IPv6 stays inside; where guests are known outside by {prefixes}, write ipv6: routed"
    elif net.nat and net.local:
        prefixes = ", ".join(str(address.network) for address in net.local)
        yield f"{prefixes} leaves translated too (NAT66); to keep it inside, write nat: {{ipv6: false}}"


def nat(net: Net) -> str:
    """Write how a network leaves."""
    keys = []
    if net.uplinks and not net.any_way:
        keys.append(f"uplink: {several([scalar(name) for name in net.uplinks])}")
    if net.source:
        keys.append(f"source: {net.source}")
    if net.exempt:
        keys.append(f"exempt: {several(net.exempt)}")
    if net.outer:
        keys.append("ipv6: false")
    return f"{{{', '.join(keys)}}}" if keys else "true"


def several(words: list[str]) -> str:
    """Write one value, or a list."""
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"


def scalar(text: str) -> str:
    """Write text, in quotes where YAML could take it for something else."""
    if PLAIN.fullmatch(text) and not MEANT.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def at(text: str, line: int) -> str:
    """Return the network that a line of the file is about; nothing for none."""
    heads = [found[1] for found in map(HEAD.match, text.split("\n")[:line]) if found]
    return str(json.loads(heads[-1])) if heads and heads[-1].startswith('"') else (heads[-1] if heads else "")
