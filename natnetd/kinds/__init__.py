"""What natnetd keeps true, one small pure module for each kind; KINDS is the only list of features.

The order is the order of building: the packet filter comes first and forwarding late, so that the host
routes no packet before the rules that judge it are in place; statistics come late, then who serves guests,
and what only shows the networks to others comes last.
"""

from natnetd.kinds import (
    access,
    address,
    bridge,
    checksum,
    counters,
    dhcp,
    doors,
    forwarding,
    frames,
    guard,
    guests,
    inbound,
    isolation,
    nat,
    port,
    registration,
    router,
    table,
)
from natnetd.plan import Kind

KINDS: tuple[Kind, ...] = (
    table,
    isolation,
    nat,
    inbound,
    access,
    guard,
    doors,
    bridge,
    port,
    address,
    forwarding,
    router,
    frames,
    counters,
    guests,
    checksum,
    dhcp,
    registration,
)
