"""Configurations, states of a host and scopes, whatever can be: what the laws are tried with."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_interface, ip_network
from typing import Any

from fake import FakeHost
from hypothesis import strategies as st

from natnetd.doors import Forward
from natnetd.host import Layer, Scope
from natnetd.intervals import in_the_way
from natnetd.model import (
    ALL_PORTS,
    CROWDS,
    HIGH_PORTS,
    RATES,
    Config,
    Dhcp,
    Dns,
    Guard,
    Nat,
    Network,
    Pool,
    Proxmox,
    Reservation,
    Service,
)
from natnetd.page import FRAME_PAGE, PAGE
from natnetd.rows import (
    ANSWERS,
    GROUP,
    Address,
    Block,
    Checksum,
    Counter,
    Element,
    Register,
    Served,
    Server,
    Stanza,
    Table,
)

NAMES = ("vmbr1", "vmbr2", "vault", "lab")
UPLINKS = ("vmbr0", "eno1", "wg0")
SETS1 = (
    "nets",
    "routed",
    "closed",
    "closed4",
    "closed6",
    "routed6",
    "anyup",
    "exempting",
    "anyport",
    "sticky",
    "shuffled",
    "walled",
    "watched",
    "honest",
    "wary",
    "tx",
    "rx",
    "metered",
)
SERVICES = st.builds(
    lambda protocol, ends: Service(protocol, *sorted(ends)),
    st.sampled_from(["tcp", "udp"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
GUARDS = st.builds(
    Guard,
    *[st.booleans()] * 5,
    st.none() | st.sampled_from(RATES),
    st.none() | st.sampled_from(CROWDS),
)
NATS = st.builds(
    Nat,
    st.sets(st.sampled_from(UPLINKS)).map(lambda u: tuple(sorted(u))),
    st.none() | st.just(Pool(IPv4Address("192.0.2.10"), IPv4Address("192.0.2.10"))),
    st.sets(st.sampled_from(["192.168.0.0/16", "192.168.5.0/24", "2001:db8::/32"])).map(
        lambda p: tuple(ip_network(x) for x in sorted(p))
    ),
    st.sampled_from([HIGH_PORTS, ALL_PORTS, (2000, 2999)]),
    *[st.booleans()] * 6,
)
GIVEN = Reservation("02:00:00:00:00:77", IPv4Address("10.0.0.77"), "web")
CUT = ("10.0.0.9", "fd00::9", "02:00:00:00:00:99")
FRAME_SETS = ("cutting", "no_dhcp", "no_router", "truthful", "listed")
SETS2 = ("pairs", "inbound", "exits", "doors")
SPOTS: list[dict[str, Any]] = [
    {"at": IPv4Address("192.0.2.10"), "protocols": ("tcp",), "ports": (80, 80), "port": 8080},
    {"at": IPv4Address("192.0.2.10"), "protocols": ("tcp", "udp"), "ports": (90, 99)},
    {"protocols": ("udp",), "ports": (80, 80)},
    {"protocols": ("tcp", "udp"), "ports": (90, 99)},
    {"at": IPv4Address("192.0.2.11")},
]
"""What forwards listen at: one network has it, or none."""
FORMER: list[dict[str, Any]] = [
    {"at": IPv4Address("192.0.2.10"), "protocols": ("tcp",), "ports": (95, 120)},
    {"protocols": ("udp",), "ports": (80, 95)},
]
"""What they listened at before."""


@st.composite
def forwards(draw: st.DrawFn, names: list[str]) -> dict[str, tuple[Forward, ...]]:
    """Share the spots out among networks; each leads to some guest."""
    found: dict[str, tuple[Forward, ...]] = {}
    for spot in SPOTS if names else ():
        name = draw(st.none() | st.sampled_from(names))
        if name:
            to = IPv4Address(f"10.{NAMES.index(name)}.0.{draw(st.integers(5, 6))}")
            found[name] = (*found.get(name, ()), Forward(to, **spot))
    return found


def rows_of(name: str) -> list[Element]:
    """Elements of forwards that a network may have, and one that is nobody's."""
    rows = [row for spot in (*SPOTS, *FORMER) for row in Forward(IPv4Address("10.1.0.5"), **spot).rows()]
    return [Element(set_, key, value, owner=name) for set_, key, value in rows]


def ranges_of(name: str) -> list[Element]:
    """Elements that are ranges, wider and narrower ones, as an older file may have left them."""
    number = NAMES.index(name) if name in NAMES else 9
    exempt = [
        ("exempt4", (f"10.{number}.0.0/{n}", to))
        for n in (24, 23)
        for to in ("192.168.0.0/16", "192.168.5.0/24")
    ]
    return [
        *(Element(set_, (name, *key)) for set_, key in exempt),
        *(Element("host_tcp", (name, ports)) for ports in ("1-9", "3", "5-20")),
        *(Element("own4", (name, f"10.{number}.0.0/{n}")) for n in (23, 24, 25)),
        *(Element("own6", (name, f"fd0{number}::/{n}")) for n in (63, 64)),
    ]


def apart(rows: Iterable[Element]) -> Iterator[Element]:
    """Leave out what meets one before it: no kernel has both."""
    kept: list[Element] = []
    for row in rows:
        if not list(in_the_way(kept, [row])):
            kept.append(row)
            yield row


@st.composite
def networks(draw: st.DrawFn, name: str) -> Network:
    number = NAMES.index(name)
    addresses = draw(
        st.sets(
            st.sampled_from([f"10.{number}.0.1/24", f"10.{number}.0.2/24", f"fd0{number}::1/64"]), min_size=1
        )
    )
    nat = draw(st.none() | NATS)
    others = [n for n in NAMES if n != name]
    return Network(
        name,
        tuple(ip_interface(a) for a in sorted(addresses)),
        description=draw(st.none() | st.just("") | st.just("Internal network")),
        mtu=draw(st.none() | st.sampled_from([1400, 9000])),
        mac=draw(st.none() | st.just(f"02:00:00:00:00:0{number}")),
        stp=draw(st.none() | st.booleans()),
        forward_delay=draw(st.none() | st.sampled_from([2.0, 15.0])),
        nat=nat,
        routed=nat is None and draw(st.booleans()),
        reach=tuple(sorted(draw(st.sets(st.sampled_from(others))))),
        inbound=tuple(sorted(draw(st.sets(st.sampled_from(["wg0", "eno1"]))))),
        mtu_auto=draw(st.booleans()),
        host_access=draw(st.none() | st.lists(SERVICES, max_size=3).map(tuple)),
        guard=draw(st.none() | GUARDS),
        quarantine=tuple(sorted(draw(st.sets(st.sampled_from(CUT), max_size=2)))),
        dhcp=draw(st.none() | st.sampled_from([Dhcp(), Dhcp(static_only=True, reservations=(GIVEN,))])),
        dns=draw(st.none() | st.just(Dns())),
        count_guests=draw(st.booleans()),
        ra=draw(st.booleans()) and any(":" in a for a in addresses),
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    names = draw(st.sets(st.sampled_from(NAMES)))
    told = Proxmox(draw(st.sampled_from([None, True, False])))
    doors = draw(forwards(sorted(names)))
    drawn = {name: draw(networks(name)) for name in sorted(names)}
    return Config({n: replace(row, forwards=doors.get(n, ())) for n, row in drawn.items()}, proxmox=told)


@st.composite
def tables(draw: st.DrawFn, page: Mapping[str, Block] = PAGE, sets: tuple[str, ...] = SETS1) -> Table | None:
    if draw(st.booleans()):
        return None
    blocks = dict(page)
    for name in draw(st.sets(st.sampled_from(sorted(page)), max_size=3)):
        del blocks[name]
    for name in draw(
        st.sets(st.sampled_from(sorted(n for n in blocks if n.startswith("chain "))), max_size=2)
    ):
        blocks[name] = replace(blocks[name], rules=("accept",))
    if draw(st.booleans()):
        blocks["chain evil"] = Block("chain evil", (), ("drop",))
    name = st.sampled_from([*NAMES, "gone"])
    plain = st.builds(
        lambda s, n: Element(s, (n,), count=Counter(3, 4) if s in ("tx", "rx") else None),
        st.sampled_from(sets),
        name,
    )
    double = st.builds(
        lambda s, n, m: Element(s, (n, m)), st.sampled_from(SETS2), name, st.sampled_from([*NAMES, *UPLINKS])
    )
    mapped = st.builds(
        lambda n, v: Element("snat4", (n,), v), name, st.sampled_from(["192.0.2.10", "192.0.2.11"])
    )
    door = st.sampled_from([*NAMES, "gone", ""]).flatmap(lambda n: st.sampled_from(rows_of(n)))
    wide = name.flatmap(lambda n: st.sampled_from(ranges_of(n)))
    drawn = draw(st.lists(plain | double | mapped | door | wide, max_size=12))
    elements = {e.name: e for e in apart(drawn) if {f"set {e.set}", f"map {e.set}"} & blocks.keys()}
    return Table(blocks, elements, draw(st.sampled_from(["", "dormant"])))


@st.composite
def registers(draw: st.DrawFn) -> Register:
    files = draw(st.sampled_from([("interfaces",), ("interfaces", "interfaces.new")]))
    names = draw(st.sets(st.sampled_from([*NAMES, "vmbr0"])))
    recorded = draw(st.frozensets(st.sampled_from([*NAMES, "old"])))
    stanzas = {
        f"{name} in {file}": Stanza("10.0.0.1/24", "x", name in recorded, ("iface",), f"{file}:1")
        for name in names
        for file in draw(st.sets(st.sampled_from(files)))
    }
    strange = {name: "elsewhere:1" for name in draw(st.sets(st.sampled_from(NAMES))) if name not in recorded}
    return Register(draw(st.booleans()), files, stanzas, recorded, strange)


@st.composite
def hosts(draw: st.DrawFn) -> FakeHost:
    host = FakeHost(ip_forward=draw(st.booleans()), ip6_forward=draw(st.booleans()), table=draw(tables()))
    for name in draw(st.sets(st.sampled_from([*NAMES, "old", "docker0", *UPLINKS]))):
        ours = draw(st.booleans()) and name not in ("docker0", *UPLINKS)
        kind = draw(st.sampled_from(["bridge", "bridge", "veth"]))
        host.add_link(
            name,
            kind=kind,
            up=draw(st.booleans()),
            mtu=draw(st.sampled_from([1500, 1400])),
            mac=draw(st.sampled_from(["02:00:00:00:00:01", "aa:00:00:00:00:01"])),
            group=GROUP if ours and kind == "bridge" else 0,
            alias=draw(st.sampled_from(["", "x"])),
            stp=draw(st.booleans()),
            forward_delay=draw(st.sampled_from([0, 150])),
        )
        six = {"forwarding6": draw(st.booleans()), "accept_ra": draw(st.integers(0, 2))}
        host.links[name] = replace(host.links[name], forwarding=draw(st.booleans()), **six)  # type: ignore[arg-type]
        spots = [f"10.{i}.0.1/24" for i in range(4)] + ["10.0.0.1/23", "192.0.2.10/32"]
        cidrs = draw(st.sets(st.sampled_from([*spots, draw(st.sampled_from(["fd00::1/63", "fd01::1/64"]))])))
        host.addresses[name] = {
            c: Address(name, c, c == "fd00::1/63" or draw(st.booleans())) for c in sorted(cidrs)
        }
    bridges = [link for link in host.links.values() if link.kind == "bridge"]
    for i in range(draw(st.integers(0, 3))):
        host.add_link(f"tap{i}", kind=draw(st.sampled_from(["tun", "veth", ""])))
        if bridges and draw(st.booleans()):
            name = f"tap{i}"
            host.links[name] = replace(host.links[name], master=draw(st.sampled_from(bridges)).index)
    names = draw(st.sets(st.sampled_from([*NAMES, "gone"]), max_size=2))
    host.served = Served(servers={n: Server(draw(st.sampled_from([(), ("?",)]))) for n in sorted(names)})
    host.guardable = draw(st.booleans())
    host.frames = draw(tables(FRAME_PAGE, FRAME_SETS)) if host.guardable else None
    marks = draw(st.sets(st.sampled_from([link.name for link in bridges]))) if bridges else set()
    rows = {
        n: Checksum(draw(st.sampled_from([(ANSWERS,), ("?",), (ANSWERS, ANSWERS)]))) for n in sorted(marks)
    }
    host.checksums = draw(st.sampled_from([rows, None]))
    host.default_links = frozenset(draw(st.sets(st.sampled_from((*UPLINKS, "vmbr1")), max_size=1)))
    host.register = draw(st.none() | registers())
    return host


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    names = draw(st.sets(st.sampled_from([*NAMES, "old"])))
    layers = draw(st.sets(st.sampled_from(list(Layer)), min_size=1))
    touched = [(s, (n,)) for s in SETS1 for n in names] + [
        (s, (n, m)) for s in SETS2 for n in names for m in (*NAMES, *UPLINKS)
    ]
    touched += [(s, (n,)) for s in ("snat4", *FRAME_SETS) for n in names]
    touched += [(e.set, e.key) for n in names for e in ranges_of(n)]
    touched += [(e.set, e.key) for e in rows_of("")]
    some = draw(st.sets(st.sampled_from(touched), max_size=8)) if touched and draw(st.booleans()) else None
    if some is not None:  # as news of single elements has it
        names = {n for n in names if any(key[0] == n for _, key in some)} | (names & set(NAMES))
        return Scope(frozenset(names), frozenset({Layer.NFT}), False, frozenset(some), True)
    return Scope(frozenset(names), frozenset(layers), host=draw(st.booleans()), touched=frozenset(touched))
