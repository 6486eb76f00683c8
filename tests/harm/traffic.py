"""What may happen to the filters that complete checksums, where the kernel can have them."""

from ground import Ground

from harm.way import harm
from natnetd.linux import tc
from natnetd.linux.netlink import NLM_F_CREATE


@harm(2, needs="checksums")
def filters_deleted(g: Ground) -> str:
    name = g.name()
    g.tell((tc.RTM_DELTFILTER, 0, tc.place(g.index(name))))
    return name


@harm(1, needs="checksums")
def discipline_deleted(g: Ground) -> str:
    name = g.name()
    g.tell((tc.RTM_DELQDISC, 0, tc.qdisc(g.index(name))))
    return name


@harm(1, needs="checksums")
def discipline_made(g: Ground) -> str:
    name = g.name()
    g.tell((tc.RTM_NEWQDISC, NLM_F_CREATE, tc.qdisc(g.index(name))))
    return name


@harm(1, needs="checksums")
def filter_doubled(g: Ground) -> str:
    name = g.name()
    g.tell((tc.RTM_NEWTFILTER, NLM_F_CREATE, tc.filter_(g.index(name))))
    return name
