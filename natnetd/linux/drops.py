"""What our rules have dropped, by reason, read by hand: libnftables 1.0.6 reads every element to list a rule.

At 1,000 networks its listing takes 15 ms, this 0.3 ms; scrapes are frequent, and repairs wait for them.
"""

from natnetd.linux.nested import each, inside, number
from natnetd.linux.netlink import Asker, attribute
from natnetd.linux.nfnl import INET, NFT, TABLE_NAME, head
from natnetd.page import PAGES
from natnetd.rows import Counter

GETRULE = NFT | 7
CHAIN, EXPRESSIONS, USERDATA = 2, 4, 7
CHAINS = {
    own.encode() + b"\0": own
    for page in PAGES.values()
    for kind, _, own in (name.partition(" ") for name in page)
    if kind == "chain"
}
"""Our chains, as the kernel writes their names; others in our table may be called anything."""


def drops(asker: Asker, family: int = INET) -> dict[str, Counter]:
    """Sum the counters of our rules by reason and chain; nothing if there is no table. Raises HostError."""
    found: dict[str, Counter] = {}
    for payload in asker.dump(GETRULE, head(family) + attribute(1, TABLE_NAME)):
        rule = inside(payload[4:])
        reason = comment(rule.get(USERDATA, b"")).rpartition(" ")[0]
        for expression in each(rule.get(EXPRESSIONS, b"")):
            about = inside(expression)
            if reason and about[1] == b"counter\0" and (chain := CHAINS.get(rule[CHAIN])):
                key = f"{reason} {chain}"
                count, old = inside(about[2]), found.get(key, Counter())
                found[key] = Counter(old.packets + number(count[2]), old.bytes + number(count[1]))
    return found


def comment(userdata: bytes) -> str:
    """Find a rule's comment (type 0) among what nft(8) has written beside it: type, length, value."""
    offset = 0
    while offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == 0:
            return userdata[offset + 2 : offset + 2 + length].rstrip(b"\0").decode("utf-8", "replace")
        offset += 2 + length
    return ""
