"""A row for each way to break what natnetd keeps: it is heard of, told in the log, and repaired."""

import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import TWO, converged, reloaded, start, undone

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.linux.events import INIT_PID_NAMESPACE

FOREIGN = """
table ip other { chain c { type filter hook forward priority 7; policy accept; counter comment "theirs"; }
    set s { type ifname; elements = { "vmbr1" }; }; }
table inet other { map m { type ifname : verdict; elements = { "vmbr1" : accept }; }; }
"""
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


@pytest.fixture
def service(world: World, directory: Path) -> Service:
    """Start the service on a host with two guests and with tables of others."""
    world.host.check(["nft", "-f", "-"], stdin=FOREIGN)
    service = start(world.host, directory, TWO)
    world.guest("web", "vmbr1", "10.0.0.2/16")
    world.guest("db", "vmbr1", "10.0.0.3/16", kind="tap")
    converged(directory)
    return service


def foreign(host: Namespace) -> list[str]:
    tables = [line.split()[1:] for line in host.check(["nft", "list", "tables"]).splitlines()]
    theirs = [(family, name) for family, name in tables if name != "natnetd"]
    return [host.check(["nft", "list", "table", family, name]) for family, name in theirs]


def damage(service: Service, host: Namespace, row: Row) -> list[str]:
    """Do harm, wait until each line is told, and return those lines.

    The first one is drift; what hangs on it may have failed before it was repaired, and be tried again.
    """
    before = len(service.lines())
    host.check(["sh", "-ec", row.harm])
    first, *others = row.lines
    lines = [service.wait_line("drift: ", *first, "repaired in", after=before)]
    return lines + [service.wait_line(*words, " ms", after=before) for words in others]


def at_rest(service: Service, directory: Path) -> bool:
    """Say whether nothing is left to do, for a fresh look and for the service's own next one."""
    return converged(directory) and not [line for line in reloaded(service) if "natnetd: reload: " in line]


@pytest.mark.parametrize("row", NFT, ids=lambda row: row.name)
def test_harm_to_the_table_is_repaired_and_its_culprit_is_named(
    service: Service, world: World, directory: Path, row: Row
) -> None:
    before = foreign(world.host)
    with service:
        for line in damage(service, world.host, row):
            assert re.search(rf"\(was (deleted|changed|added) by {NFT_NAMED}", line), line
        assert at_rest(service, directory)
        assert not undone(directory)
    assert foreign(world.host) == (before if row.foreign_survive else [])


@pytest.mark.parametrize("row", HOST, ids=lambda row: row.name)
def test_harm_to_links_addresses_and_forwarding_is_repaired(
    service: Service, world: World, directory: Path, row: Row
) -> None:
    before = foreign(world.host)
    with service:
        damage(service, world.host, row)
        assert at_rest(service, directory)
        assert plugged(world.host) == {"veth100i0": "vmbr1", "tap101i0": "vmbr1"}
    assert foreign(world.host) == before


def test_ports_get_their_own_settings_back_with_their_bridge(service: Service, world: World) -> None:
    with service:
        world.host.check(
            ["bridge", "link", "set", "dev", "veth100i0", "isolated", "on", "learning", "off", "cost", "7"]
        )
        world.host.ip("link del vmbr1")
        service.wait_line("drift: ~ port veth100i0 on vmbr1", "repaired in")
        wait_until(lambda: "isolated on" in port_of(world.host), what="its settings")
        assert "learning off" in port_of(world.host)
        assert "cost 7" in port_of(world.host)


def port_of(host: Namespace) -> str:
    return host.check(["bridge", "-d", "link", "show", "dev", "veth100i0"])


def plugged(host: Namespace) -> dict[str, str]:
    lines = host.check(["ip", "-o", "link", "show", "type", "veth"]).splitlines()
    found = {line.split()[1].partition("@")[0]: re.search(r" master (\S+)", line) for line in lines}
    return {name: there[1] for name, there in found.items() if there and there[1] != "vmbr0"}


def test_a_renamed_bridge_keeps_its_guests_and_a_new_one_takes_its_place(
    service: Service, world: World, directory: Path
) -> None:
    with service:
        world.host.ip("link set vmbr1 down", "link set vmbr1 name old", "link set old up")
        service.wait_line("drift: - address 10.0.0.1/16 on old", "repaired in")
        service.wait_line("! in use old: ", "tap101i0, veth100i0")
        assert at_rest(service, directory)
        assert plugged(world.host) == {"veth100i0": "old", "tap101i0": "old"}
        world.host.ip("link set veth100i0 master vmbr1", "link set tap101i0 master vmbr1")
        service.send(1)
        service.wait_line("- bridge old")
        assert at_rest(service, directory)


def test_a_guest_that_was_unplugged_stays_so_when_its_bridge_comes_back(
    service: Service, world: World, directory: Path
) -> None:
    with service:
        world.host.ip("link set veth100i0 nomaster")
        service.send(signal.SIGHUP)
        assert at_rest(service, directory)
        world.host.ip("link del vmbr1")
        service.wait_line("drift: ~ port tap101i0 on vmbr1", "repaired in")
        assert at_rest(service, directory)
        assert plugged(world.host) == {"tap101i0": "vmbr1"}


def test_a_guest_belongs_to_the_bridge_it_lost_last(service: Service, world: World, directory: Path) -> None:
    with service:
        service.send(signal.SIGSTOP)
        world.host.ip("link del vmbr1", "link set veth100i0 master vmbr2", "link del vmbr2")
        service.send(signal.SIGCONT)
        service.wait_line("drift: ~ port veth100i0 on vmbr2", "repaired in")
        assert at_rest(service, directory)
        assert plugged(world.host) == {"veth100i0": "vmbr2", "tap101i0": "vmbr1"}


def test_a_closed_networks_switch_counts_though_nobody_wants_that_for_all(
    world: World, directory: Path
) -> None:
    closed = "metrics: false\nnetworks: {vmbr1: {addresses: 10.0.0.1/16}, vmbr2: {addresses: 10.20.0.1/24}}\n"
    with start(world.host, directory, closed) as service:
        for path in (FORWARDING.format("all"), FORWARDING.format("vmbr2")):
            before = len(service.lines())
            world.host.check(["sh", "-ec", f"echo 1 >{path}; echo 0 >{path}"])
            service.wait_line("conf.vmbr2.forwarding value 0 → 1", "repaired in", after=before)
            assert at_rest(service, directory)


def test_the_default_routes_interface_is_watched_where_the_file_names_no_uplink(
    world: World, directory: Path
) -> None:
    text = TWO.replace("nat: {uplink: vmbr0}", "nat: true")
    second = "addr add 203.0.114.2/24 dev vmbr9", "route add default via 203.0.114.1 metric 900"
    world.host.ip("link add vmbr9 up type bridge", *second)  # packets take it when the first one fails
    with start(world.host, directory, text.replace("uplink: vmbr0, ", "")) as service:
        for link in ("vmbr0", "vmbr9"):
            world.host.check(["sh", "-ec", f"echo 0 >{FORWARDING.format(link)}"])
            service.wait_line("drift: ", f"conf.{link}.forwarding value 0 → 1", "repaired in")
        assert at_rest(service, directory)


def test_an_uplink_that_is_made_anew_forwards_where_the_file_names_none(
    world: World, directory: Path
) -> None:
    """It comes without the default route that makes it one, so its own news tells nothing."""
    text = TWO.replace("nat: {uplink: vmbr0}", "nat: true").replace("uplink: vmbr0, ", "")
    with start(world.host, directory, text) as service:
        world.host.check(["sh", "-ec", f"echo 0 >{FORWARDING.format('default')}"])
        world.host.ip("link del vmbr0")
        assert converged(directory)
        before = len(service.lines())
        world.host.ip("link add vmbr0 up type bridge", "addr add 203.0.113.2/24 dev vmbr0")
        assert converged(directory)
        world.host.ip("route add default via 203.0.113.1")
        service.wait_line("drift: ", "conf.vmbr0.forwarding value 0 → 1", "repaired in", after=before)
        assert at_rest(service, directory)


def test_other_peoples_bridges_addresses_and_tables_cause_no_change(
    service: Service, world: World, directory: Path
) -> None:
    with service:
        before = len(service.lines())
        world.host.ip(
            "link add docker0 up type bridge",
            "addr add 172.17.0.1/16 dev docker0",
            "addr add 10.0.0.77/16 dev vmbr1",
            "link add tap9 up type veth peer name eth9",
            "link set tap9 master vmbr1",
            "link del tap9",
        )
        world.host.check(["nft", "add table ip theirs"])
        assert at_rest(service, directory)
        assert [line for line in service.lines()[before:] if "drift" in line] == []
        assert "10.0.0.77/16" in world.host.check(["ip", "address", "show", "dev", "vmbr1"])
