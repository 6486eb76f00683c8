"""What a network's dnsmasq tells by router advertisements and DHCPv6, as lines; pure."""

from collections.abc import Iterator

from natnetd.model import SLAAC_PREFIX, Network

INTERVAL, LIFETIME = 600, 1800  # seconds; dnsmasq's own, which it takes from RFC 4861 6.2.1


def advertising(network: Network, domain: str) -> Iterator[str]:
    """Yield the lines; `domain` is empty where nobody answers DNS.

    A router of lifetime 0 is no default router: a closed network keeps its prefix and gets no way out. The
    name server is named by its gateway's address: dnsmasq would take the link-local one, which means nothing
    without its interface, and is another one for a bridge made anew by somebody else.
    """
    yield "enable-ra"
    yield "quiet-ra"
    size = f"mtu:{network.mtu}," if network.mtu else ""
    lifetime = LIFETIME if network.leaves6 else 0
    yield f"ra-param={network.name},{size}{INTERVAL},{lifetime}"
    prefixes = (a.network for a in network.gateways6 if a.network.prefixlen == SLAAC_PREFIX)
    for prefix in dict.fromkeys(prefixes):
        yield f"dhcp-range={prefix.network_address},ra-stateless,{SLAAC_PREFIX}"
    if domain:
        yield f"dhcp-option=option6:dns-server,[{network.gateways6[0].ip}]"
        yield f"dhcp-option=option6:domain-search,{domain}"
