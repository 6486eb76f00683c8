"""Ways to break what natnetd keeps, and the words that its log must have for each."""

import sys
from dataclasses import dataclass
from pathlib import Path

from natnetd.linux.events import INIT_PID_NAMESPACE

MARKED = """
from natnetd.host import Layer
from natnetd.linux import open_host
from natnetd.plan import Change
from natnetd.rows import Address
row = Address("vmbr1", "10.9.9.9/24", True)
open_host().doors[Layer.ADDRESS].apply([Change("address", "", "", "", None, row)])
"""
# In a container the kernel's process numbers mean nothing, and natnetd leaves them out.
AT_HOME = Path("/proc/self/ns/pid").stat().st_ino == INIT_PID_NAMESPACE
NFT_NAMED = r"nft\[\d+\]" if AT_HOME else r"nft\)"
FORWARDING = "/proc/sys/net/ipv4/conf/{}/forwarding"


@dataclass(frozen=True)
class Row:
    """A shell command that does harm, and words that the log must have for it, one tuple a line."""

    name: str
    harm: str
    lines: tuple[tuple[str, ...], ...]
    foreign_survive: bool = True


def told(*lines: str | tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple((line,) if isinstance(line, str) else line for line in lines)


def handle(chain: str, part: str) -> str:
    listing = f"nft -a list chain inet natnetd {chain}"
    return f"$({listing} | sed -n '/{part}/s/.*# handle //p' | head -1)"


def batch(*lines: str) -> str:
    text = "\n".join(lines)
    return f"nft -f - <<'END'\n{text}\nEND"


NFT = [
    Row("table deleted", "nft delete table inet natnetd", told(("+ nft table inet natnetd", "was deleted"))),
    Row(
        "everything flushed", "nft flush ruleset", told(("+ nft table", "was deleted")), foreign_survive=False
    ),
    Row(
        "rules flushed",
        "nft flush table inet natnetd",
        told(("~ nft chain forward (altered)", "was changed"), "~ nft chain guard", "~ nft chain count"),
    ),
    Row(
        "dormant",
        "nft 'add table inet natnetd { flags dormant; }'",
        told("table inet natnetd flags dormant → none"),
    ),
    Row(
        "element deleted",
        "nft 'delete element inet natnetd nets { \"vmbr1\" }'",
        told(("+ isolation nets vmbr1", "was deleted")),
    ),
    Row(
        "element added",
        'nft \'add element inet natnetd pairs { "vmbr1" . "vmbr2" }\'',
        told(("- isolation pairs vmbr1 . vmbr2", "was added")),
    ),
    Row(
        "element of nobody added",
        "nft 'add element inet natnetd anyup { \"eno1\" }'",
        told(("- nat anyup eno1", "was added")),
    ),
    Row(
        "source changed",
        batch(
            'delete element inet natnetd snat4 { "vmbr2" }',
            'add element inet natnetd snat4 { "vmbr2" : 192.0.2.66-192.0.2.66 }',
        ),
        told(("~ nat snat4 vmbr2 value 192.0.2.66 → 203.0.113.2", "was changed")),
    ),
    Row(
        "ports changed",
        batch(
            'delete element inet natnetd snatp4 { "vmbr2" }',
            'add element inet natnetd snatp4 { "vmbr2" : 203.0.113.2-203.0.113.9 . 1-1023 }',
        ),
        told(
            (
                "~ nat snatp4 vmbr2 value 203.0.113.2-203.0.113.9 . 1-1023 → 203.0.113.2 . 1024-65535",
                "was changed",
            )
        ),
    ),
    Row(
        "access to the host opened",
        batch('add element inet natnetd host_tcp { "vmbr2" . 1-65535 }'),
        told(("- access host_tcp vmbr2 . 1-65535", "was added")),
    ),
    Row(
        "ports drawn by others",
        batch('add element inet natnetd shuffled { "vmbr2" }'),
        told(("- nat shuffled vmbr2", "was added")),
    ),
    Row(
        "statistics deleted",
        "nft 'delete element inet natnetd tx { \"vmbr1\" }'",
        told("+ counters tx vmbr1"),
    ),
    Row(
        "rule deleted",
        f"nft delete rule inet natnetd guard handle {handle('guard', 'untranslated')}",
        told(("~ nft chain guard (altered)", "was changed")),
    ),
    Row("rule added", "nft insert rule inet natnetd forward accept", told("~ nft chain forward (altered)")),
    Row(
        "rule replaced by one with the same comment",
        "listing=$(nft list chain inet natnetd between)\n"
        'comment=$(echo "$listing" | sed -n \'s/.*comment "\\(isolation .*\\)"/\\1/p\')\n'
        f"nft replace rule inet natnetd between handle {handle('between', 'isolation')}"
        ' counter accept comment "\\"$comment\\""',
        told("~ nft chain between (altered)"),
    ),
    Row("policy changed", "nft 'chain inet natnetd forward { policy drop; }'", told("~ nft chain forward")),
    Row(
        "priority changed",
        batch(
            "flush chain inet natnetd guard",
            "delete chain inet natnetd guard",
            "add chain inet natnetd guard { type filter hook postrouting priority 5; }",
        ),
        told("~ nft chain guard"),
    ),
    Row(
        "chain deleted",
        batch("flush chain inet natnetd count", "delete chain inet natnetd count"),
        told(("+ nft chain count", "was deleted")),
    ),
    Row("chain added", "nft add chain inet natnetd evil", told(("- nft chain evil", "was added"))),
    Row(
        "chain that drops all added",
        "nft 'add chain inet natnetd evil { type filter hook forward priority -10; policy drop; }'",
        told("- nft chain evil"),
    ),
    Row(
        "chain added and jumped to",
        batch(
            "add chain inet natnetd evil",
            "add rule inet natnetd evil drop",
            "insert rule inet natnetd forward jump evil",
        ),
        told("- nft chain evil", "~ nft chain forward"),
    ),
    Row(
        "chains, a set and a map that need each other added",
        batch(
            "add chain inet natnetd e3",
            "add chain inet natnetd e4",
            "add set inet natnetd e5 { type ifname; }",
            "add map inet natnetd e6 { type ifname : verdict; }",
            "add counter inet natnetd e7",
            "add rule inet natnetd e3 jump e4",
            "add rule inet natnetd e4 iifname @e5 counter name e7 jump between",
            'add element inet natnetd e6 { "x" : jump e4 }',
            "add rule inet natnetd e3 iifname vmap @e6",
        ),
        told("- nft chain e3", "- nft chain e4", "- nft set e5", "- nft map e6", "- nft counter e7"),
    ),
    Row(
        "exchanged for one that sleeps",
        batch(
            "delete table inet natnetd",
            "add table inet natnetd { flags dormant; }",
            "add chain inet natnetd forward",
            "add set inet natnetd nets { type inet_service; }",
        ),
        told(
            "table inet natnetd flags dormant → none",
            "+ nft chain guard",
            "~ nft chain forward (altered)",
        ),
    ),
    Row("set added", "nft 'add set inet natnetd extra { type ifname; }'", told("- nft set extra")),
    Row(
        "set added and asked",
        batch(
            "add set inet natnetd extra { type ifname; }",
            "add chain inet natnetd evil",
            "add rule inet natnetd evil iifname @extra drop",
        ),
        told("- nft set extra", "- nft chain evil"),
    ),
    Row("counter added", "nft add counter inet natnetd c", told("- nft counter c")),
    Row(
        "set of another type",
        batch(
            "flush table inet natnetd",
            "delete set inet natnetd tx",
            "add set inet natnetd tx { type ipv4_addr; }",
        ),
        told("~ nft set tx", "+ counters tx vmbr1", "+ counters tx vmbr2"),
    ),
]

HOST = [
    Row("address deleted", "ip address del 10.0.0.1/16 dev vmbr1", told("+ address 10.0.0.1/16 on vmbr1")),
    Row("addresses flushed", "ip address flush dev vmbr2", told("+ address 10.20.0.1/24 on vmbr2")),
    Row(
        "route to the guests deleted",
        "ip route del 10.0.0.0/16 dev vmbr1",
        told("~ address 10.0.0.1/16 on vmbr1 routed off → on"),
    ),
    Row(
        "routes flushed",
        "ip route flush dev vmbr2",
        told("~ address 10.20.0.1/24 on vmbr2 routed off → on"),
    ),
    Row(
        "mark cleared",
        "ip address replace 10.0.0.1/16 dev vmbr1",
        told("~ address 10.0.0.1/16 on vmbr1 marked off → on"),
    ),
    Row(
        "address with our mark added",
        f"{sys.executable} -c '{MARKED}'",  # Debian 12's ip(8) knows no protocol of addresses
        told("- address 10.9.9.9/24 on vmbr1"),
    ),
    Row(
        "forwarding off",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        told("net.ipv4.ip_forward value 0 → 1", "conf.vmbr0.forwarding value 0 → 1"),
    ),
    Row("bridge's off", f"echo 0 >{FORWARDING.format('vmbr1')}", told("conf.vmbr1.forwarding value 0 → 1")),
    Row("uplink's off", f"echo 0 >{FORWARDING.format('vmbr0')}", told("conf.vmbr0.forwarding value 0 → 1")),
    Row("everyone's off", f"echo 0 >{FORWARDING.format('all')}", told("conf.vmbr0.forwarding value 0 → 1")),
    Row("down", "ip link set vmbr1 down", told("~ bridge vmbr1 up off → on")),
    Row("group", "ip link set vmbr1 group 0", told("~ bridge vmbr1 group 0 → 1851880548")),
    Row("mtu", "ip link set vmbr1 mtu 1400", told("~ bridge vmbr1 mtu 1400 → 1500")),
    Row("alias", "ip link set vmbr1 alias theirs", told("~ bridge vmbr1 alias theirs → Internal network")),
    Row("alias not UTF-8", "ip link set vmbr1 alias $(printf '\\377')", told("~ bridge vmbr1 alias")),
    Row("mac", "ip link set vmbr1 address 02:00:00:00:00:99", told("~ bridge vmbr1 mac 02:00:00:00:00:99 →")),
    Row("stp", "ip link set vmbr1 type bridge stp_state 1", told("~ bridge vmbr1 stp on → off")),
    Row(
        "bridge deleted with two ports",
        "ip link del vmbr1",
        told("+ bridge vmbr1", "+ address 10.0.0.1/16", "port veth100i0 on vmbr1", "port tap101i0 on vmbr1"),
    ),
    Row(
        "bridge deleted without ports",
        "ip link del vmbr2",
        told("+ bridge vmbr2", "+ address 10.20.0.1/24 on vmbr2"),
    ),
    Row(
        "everything at once",
        "nft delete table inet natnetd; ip link del vmbr1; ip link del vmbr2\n"
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        told(
            "+ nft table",
            "+ bridge vmbr1",
            "+ bridge vmbr2",
            "port tap101i0 on vmbr1",
            "ip_forward value 0 → 1",
        ),
    ),
]
