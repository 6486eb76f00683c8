"""What natnetd keeps true, one small pure module for each kind; KINDS is the only list of features.

The order is the order of building: the packet filter comes first and forwarding late, so that the host
routes no packet before the rules that judge it are in place; statistics come late, and who
serves guests comes last.
"""

from natnetd.kinds import address, bridge, counters, dhcp, forwarding, inbound, isolation, nat, port, table
from natnetd.plan import Kind

KINDS: tuple[Kind, ...] = (table, isolation, nat, inbound, bridge, port, address, forwarding, counters, dhcp)
