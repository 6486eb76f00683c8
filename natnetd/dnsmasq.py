"""What a network's dnsmasq runs with: its configuration, reservations and names, as lines; pure."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface, ip_address

from natnetd import ranges
from natnetd.advertising import advertising
from natnetd.host import Finding, Snapshot, State
from natnetd.model import Config, Dhcp, Dns, Network, Span
from natnetd.rows import Served, Server

CODES = {"dns": 6, "ntp": 42, "boot_server": 66, "boot_file": 67, "captive_portal": 114, "search": 119}
"""IANA's numbers of the options that are passed on as they are; `router` is not."""
ABSENT = "dnsmasq is not installed: apt install dnsmasq-base"
CACHE = 1000  # names
MOST_LEASES = 1_000_000


def digest(lines: Iterable[str]) -> str:
    """What tells a text from another, in the name of its file."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def text(lines: Iterable[str]) -> str:
    """Write lines down."""
    return "".join(f"{line}\n" for line in lines)


def server(network: Network, served: Served) -> Server:
    """Say what a network's dnsmasq runs with."""
    return Server(
        tuple(config(network, served)),
        tuple(hosts(network)),
        tuple(names(network)),
        tuple(upstream(network, served)),
    )


def config(network: Network, served: Served) -> Iterator[str]:
    """Yield the lines of the configuration.

    bind-dynamic follows the bridge's deletion, return and change of addresses without a restart; packets that
    came in by another interface are not answered.
    """
    name = network.name
    yield f"# natnetd's, of the network {name}: a change here is undone."
    yield f"pid-file={served.pids}/{name}.pid"
    yield f"interface={name}"
    yield "except-interface=lo"
    yield "bind-dynamic"
    yield "no-hosts"
    if network.dhcp or network.ra:
        yield f"dhcp-leasefile={served.leases}/{name}.leases"
    if network.ra:
        yield from advertising(network, domain_of(network) if network.dns else "")
    if network.dhcp:
        yield f"dhcp-hostsfile={served.files}/{name}.hosts"
        yield from telling(network, network.dhcp)
    if network.dns:
        yield f"addn-hosts={served.files}/{name}.names"
        yield from answering(network, network.dns, served)
    else:
        yield "port=0"


def telling(network: Network, dhcp: Dhcp) -> Iterator[str]:
    """Yield the lines about DHCP."""
    yield "dhcp-authoritative"
    yield "dhcp-rapid-commit"
    spans = ranges.of(dhcp, network.gateways)
    # Of what reservations there are it must not depend: they take no restart.
    yield f"dhcp-lease-max={min(MOST_LEASES, sum(g.network.num_addresses for g in network.gateways))}"
    if dhcp.static_only:
        yield "dhcp-ignore=tag:!known"
    # A guest that calls itself wpad would be everybody's proxy: VU#598349.
    yield "dhcp-name-match=set:wpad,wpad"
    yield "dhcp-ignore-names=tag:wpad"
    for number, gateway in enumerate(network.gateways):
        subnet, tag = gateway.network, f"set:net{number}"
        if any(g.network == subnet for g in network.gateways[:number]):
            continue
        inside = [span for span in spans if span.first in subnet]
        for span in inside:
            yield f"dhcp-range={tag},{span.first},{span.last},{subnet.netmask},{dhcp.lease_time}"
        if not inside:  # reservations may be there
            yield f"dhcp-range={tag},{subnet.network_address},static,{subnet.netmask},{dhcp.lease_time}"
        yield from routing(network, dhcp, number, gateway)
    if network.mtu:
        yield f"dhcp-option-force=26,{network.mtu}"
    for option, values in dhcp.options.items():
        if option in CODES:
            yield f"dhcp-option={CODES[option]},{','.join(values)}"


def routing(network: Network, dhcp: Dhcp, number: int, gateway: IPv4Interface) -> Iterator[str]:
    """Yield the options about the way out of one subnet.

    Whoever gets classless routes (121) must ignore the router (3), so that they name it again: RFC 3442.
    Where the host is the default gateway they would say nothing new, and are left out.
    """
    router = next((r for r in dhcp.options.get("router", ()) if IPv4Address(r) in gateway.network), "")
    if not router and network.leaves4:
        return  # dnsmasq names itself
    tag = f"tag:net{number}"
    yield f"dhcp-option={tag},3" + (f",{router}" if router else "")
    others = [g.network for g in network.gateways if g.network != gateway.network]
    routes = [f"{subnet},{gateway.ip}" for subnet in dict.fromkeys((*others, *dhcp.routes))]
    if routes:
        default = [f"0.0.0.0/0,{router}"] if router else []
        yield f"dhcp-option={tag},121,{','.join((*default, *routes))}"


def answering(network: Network, dns: Dns, served: Served) -> Iterator[str]:
    """Yield the lines about DNS.

    dnsmasq itself never follows resolv.conf: each would take one of its user's 128 inotify instances.
    """
    domain = domain_of(network)
    yield f"domain={domain}"
    yield f"local=/{domain}/"
    yield "domain-needed"
    yield f"cache-size={CACHE}"
    yield "no-resolv"
    if dns.upstream:
        yield from (f"server={address}" for address in dns.upstream)
    elif follows(network):
        yield f"servers-file={served.files}/{network.name}.servers"
        yield "bogus-priv"  # the host's servers know nothing of private addresses; others may


def follows(network: Network) -> bool:
    """Whether a network asks whom the host asks; of a closed one nothing gets out, by the DNS neither."""
    return network.dns is not None and not network.dns.upstream and not network.closed


def upstream(network: Network, served: Served) -> Iterator[str]:
    """Yield a line for each name server of the host's, where a network asks these."""
    if follows(network):
        yield from (f"server={address}" for address in served.resolvers)


def name_servers(lines: Iterable[str]) -> tuple[str, ...]:
    """Read the name servers from the lines of a resolv.conf(5); what is no address is nobody."""
    found = []
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            with suppress(ValueError):
                found.append(str(ip_address(words[1])))
    return tuple(dict.fromkeys(found))


def domain_of(network: Network) -> str:
    """The domain of a network's guests."""
    if network.dns and network.dns.domain:
        return network.dns.domain
    label = "".join(c if c.isalnum() else "-" for c in network.name.lower()).strip("-")
    return f"{label}.internal"


def hosts(network: Network) -> Iterator[str]:
    """Yield a line for each reservation."""
    for row in network.dhcp.reservations if network.dhcp else ():
        yield f"{row.mac},{row.address}" + (f",{row.name}" if row.name else "")


def names(network: Network) -> Iterator[str]:
    """Yield a line for each name: of the records, and of reserved guests, known before they ask."""
    if network.dns is None:
        return
    domain = domain_of(network)
    for record in network.dns.records:
        yield f"{record.address} " + (
            record.name if "." in record.name else f"{record.name}.{domain} {record.name}"
        )
    for row in network.dhcp.reservations if network.dhcp else ():
        if row.name:
            yield f"{row.address} {row.name}.{domain} {row.name}"


def range_of(network: Network) -> int:
    """How many addresses a network hands out, reserved ones included."""
    if network.dhcp is None:
        return 0
    spans = ranges.of(network.dhcp, network.gateways)
    outside = {r.address for r in network.dhcp.reservations if not inside(r.address, spans)}
    return ranges.count(spans) + len(outside)


def inside(address: IPv4Address, spans: Iterable[Span]) -> bool:
    """Whether an address is in one of some ranges."""
    return any(span.first <= address <= span.last for span in spans)


def notes(wanted: Config, seen: Snapshot) -> Iterator[Finding]:
    """Say of each network that nobody can serve it."""
    if seen.served is None or seen.served.installed:
        return
    for network in wanted.networks.values():
        if network.served:
            yield Finding(network.name, State.WAITING, ABSENT)


def is_note(finding: Finding) -> bool:
    """Whether a finding is one of these."""
    return finding.text == ABSENT


def others(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Leave these out."""
    return tuple(finding for finding in findings if not is_note(finding))
