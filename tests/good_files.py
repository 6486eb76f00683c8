"""Files that are right, and what they mean."""

from ipaddress import IPv4Address, IPv4Network, ip_address, ip_interface

from natnetd.doors import Forward
from natnetd.model import (
    ALL_PORTS,
    Config,
    Dhcp,
    Dns,
    Guard,
    Interface,
    Metrics,
    Nat,
    Network,
    Pool,
    Record,
    Reservation,
    Service,
    Span,
)

DEFAULT = Metrics()


def addresses(*texts: str) -> tuple[Interface, ...]:
    return tuple(ip_interface(text) for text in texts)


def span(first: str, last: str) -> Span:
    return Span(IPv4Address(first), IPv4Address(last))


def config(*networks: Network, metrics: Metrics | None = DEFAULT) -> Config:
    return Config({network.name: network for network in networks}, metrics)


def pool(first: str, last: str = "") -> Pool:
    return Pool(IPv4Address(first), IPv4Address(last or first))


def forward(
    to: str,
    at: str,
    protocols: tuple[str, ...] = (),
    ports: tuple[int, int] = (0, 0),
    port: int | None = None,
) -> Forward:
    return Forward(ip_address(to), ip_address(at) if at else None, protocols, ports, port)


LAB = addresses("10.0.0.1/24")

GOOD: dict[str, tuple[str, Config]] = {
    "no networks": ("networks: {}", config()),
    "the how-to": (
        """\
networks:
  vmbr1:
    description: Internal network
    addresses: 10.0.0.1/16
    nat: {uplink: vmbr0}
""",
        config(
            Network("vmbr1", addresses("10.0.0.1/16"), description="Internal network", nat=Nat(("vmbr0",))),
        ),
    ),
    "the design's example": (
        """\
defaults:
  nat: {uplink: vmbr0}
networks:
  vmbr1:
    description: Internal network
    addresses: 10.0.0.1/16
  vmbr2:
    description: Lab, leaves by a fixed address
    addresses: [10.20.0.1/24, 10.20.1.1/24]
    nat: {source: 192.0.2.10}
    reach: vmbr1
  vault:
    addresses: 10.30.0.1/24
    nat: false
""",
        config(
            Network("vmbr1", addresses("10.0.0.1/16"), description="Internal network", nat=Nat(("vmbr0",))),
            Network(
                "vmbr2",
                addresses("10.20.0.1/24", "10.20.1.1/24"),
                description="Lab, leaves by a fixed address",
                nat=Nat(("vmbr0",), pool("192.0.2.10")),
                reach=("vmbr1",),
            ),
            Network("vault", addresses("10.30.0.1/24")),
        ),
    ),
    "every key": (
        """\
networks:
  vmbr1:
    description: "Ünïted: the lab"
    addresses: [10.0.0.1/24, 'fd00:0:0::1/64']
    mtu: 9000
    mac: 52-54-00-12-34-AB
    stp: true
    forward_delay: 2.5
    nat:
      uplink: [vmbr0, wg0]
      source: 192.0.2.10
      exempt: [192.168.50.0/24, 172.16.0.0/12]
    routed: false
    reach: [vmbr2]
    inbound: [wg0]
  vmbr2: {}
metrics: {listen: "[::1]:9100"}
""",
        config(
            Network(
                "vmbr1",
                addresses("10.0.0.1/24", "fd00::1/64"),
                description="Ünïted: the lab",
                mtu=9000,
                mac="52:54:00:12:34:ab",
                stp=True,
                forward_delay=2.5,
                nat=Nat(
                    ("vmbr0", "wg0"),
                    pool("192.0.2.10"),
                    (IPv4Network("192.168.50.0/24"), IPv4Network("172.16.0.0/12")),
                ),
                reach=("vmbr2",),
                inbound=("wg0",),
            ),
            Network("vmbr2"),
            metrics=Metrics("::1", 9100),
        ),
    ),
    "nat: true is any uplink": (
        "networks: {a: {addresses: 10.0.0.1/24, nat: true}}",
        config(Network("a", LAB, nat=Nat())),
    ),
    "the default route, and the size it takes": (
        "networks: {a: {addresses: 10.0.0.1/24, mtu: auto, nat: {uplink: auto}}}",
        config(Network("a", LAB, mtu_auto=True, nat=Nat(auto=True))),
    ),
    "services of the host": (
        "networks: {a: {addresses: 10.0.0.1/24, host_access: [22/tcp, 5000-5009/udp]},"
        " b: {host_access: false}, c: {host_access: true}, d: {host_access: []}}",
        config(
            Network("a", LAB, host_access=(Service("tcp", 22, 22), Service("udp", 5000, 5009))),
            Network("b", host_access=()),
            Network("c"),
            Network("d", host_access=()),
        ),
    ),
    "a pool, and all ports": (
        "networks: {a: {addresses: 10.0.0.1/24,"
        " nat: {source: 192.0.2.10-192.0.2.20, ports: 1-65535, persistent: true, fully_random: true}}}",
        config(
            Network(
                "a",
                LAB,
                nat=Nat(
                    (), pool("192.0.2.10", "192.0.2.20"), (), ALL_PORTS, persistent=True, fully_random=True
                ),
            )
        ),
    ),
    "a pool from a prefix, and some ports": (
        "networks: {a: {addresses: 10.0.0.1/24, nat: {source: 192.0.2.16/28, ports: 2000-2999}}}",
        config(Network("a", LAB, nat=Nat((), pool("192.0.2.16", "192.0.2.31"), (), (2000, 2999)))),
    ),
    "nat: {} is the same": (
        "networks: {a: {addresses: 10.0.0.1/24, nat: {}}}",
        config(Network("a", LAB, nat=Nat())),
    ),
    "defaults can be written out": (
        "networks: {a: {addresses: 10.0.0.1/24, stp: false, forward_delay: 0, reach: [], inbound: [],"
        " nat: {uplink: any, source: masquerade, exempt: []}}}",
        config(Network("a", LAB, stp=False, forward_delay=0.0, nat=Nat())),
    ),
    "nat: true keeps what the defaults say under nat": (
        "{defaults: {nat: {uplink: vmbr0}}, networks: {a: {addresses: 10.0.0.1/24, nat: true}}}",
        config(Network("a", LAB, nat=Nat(("vmbr0",)))),
    ),
    "a network's own word wins, a list as a whole": (
        "{defaults: {mtu: 9000, inbound: [wg0, wg1], nat: {uplink: [a0, a1], source: 192.0.2.1}},"
        " networks: {a: {addresses: 10.0.0.1/24, mtu: 1500, inbound: wg2,"
        " nat: {uplink: any, source: masquerade}}}}",
        config(Network("a", LAB, mtu=1500, inbound=("wg2",), nat=Nat())),
    ),
    "routed wins over an inherited nat": (
        "{defaults: {nat: true}, networks: {a: {addresses: 10.0.0.1/24, routed: true}}}",
        config(Network("a", LAB, routed=True)),
    ),
    "nat wins over an inherited routed": (
        "{defaults: {routed: true}, networks: {a: {addresses: 10.0.0.1/24, nat: true}}}",
        config(Network("a", LAB, nat=Nat())),
    ),
    "routed, with nat turned off by name": (
        "networks: {a: {addresses: 10.0.0.1/24, nat: false, routed: true}}",
        config(Network("a", LAB, routed=True)),
    ),
    "routed: false leaves an inherited nat alone": (
        "{defaults: {nat: true}, networks: {a: {addresses: 10.0.0.1/24, routed: false}}}",
        config(Network("a", LAB, nat=Nat())),
    ),
    "an inherited reach does not hold for the network it names": (
        "{defaults: {reach: a}, networks: {a: {}, b: {}}}",
        config(Network("a"), Network("b", reach=("a",))),
    ),
    "names are text, whatever they look like": (
        "networks: {1e3: {}, 010: {}, true: {}, null: {}, no: {reach: [010, 1e3, 'true', no-one]}, 0x1F: {},"
        " 52: {}, 1.5: {inbound: 0123}, no-one: {}, a.b-c_d: {}, averyshort15byt: {}}",
        config(
            *map(Network, ["1e3", "010", "true", "null"]),
            Network("no", reach=("010", "1e3", "true", "no-one")),
            *map(Network, ["0x1F", "52"]),
            Network("1.5", inbound=("0123",)),
            *map(Network, ["no-one", "a.b-c_d", "averyshort15byt"]),
        ),
    ),
    "a MAC address is no number": (
        "networks: {a: {mac: 52:54:00:12:34:56}, b: {mac: 02:00:00:00:00:01}}",
        config(Network("a", mac="52:54:00:12:34:56"), Network("b", mac="02:00:00:00:00:01")),
    ),
    "a description is text, also a number or a folded one": (
        "networks:\n  a: {description: 2024}\n  b: {description: no}\n"
        "  c:\n    description: >-\n      two\n      lines\n",
        config(
            Network("a", description="2024"),
            Network("b", description="no"),
            Network("c", description="two lines"),
        ),
    ),
    "a description of 255 bytes": (
        f"networks: {{a: {{description: {'ä' * 127}x}}}}",
        config(Network("a", description="ä" * 127 + "x")),
    ),
    "durations": (
        "networks: {a: {forward_delay: 15}, b: {forward_delay: 15s}, c: {forward_delay: 0.1},"
        " d: {forward_delay: 0.5m}, e: {stp: true, forward_delay: 30}, f: {forward_delay: '2'}}",
        config(
            *(
                Network(name, forward_delay=delay)
                for name, delay in [("a", 15.0), ("b", 15.0), ("c", 0.1), ("d", 30.0)]
            ),
            Network("e", stp=True, forward_delay=30.0),
            Network("f", forward_delay=2.0),
        ),
    ),
    "the limits of an MTU": (
        "networks: {a: {mtu: 576}, b: {mtu: 65535}, c: {mtu: 1280, addresses: 'fd00::1/64'}}",
        config(
            Network("a", mtu=576), Network("b", mtu=65535), Network("c", addresses("fd00::1/64"), mtu=1280)
        ),
    ),
    "two addresses of one subnet": (
        "networks: {a: {addresses: [10.0.0.1/24, 10.0.0.2/24]}}",
        config(Network("a", addresses("10.0.0.1/24", "10.0.0.2/24"))),
    ),
    "subnets side by side": (
        "networks: {a: {addresses: 10.0.0.1/25}, b: {addresses: [10.0.0.129/25, 10.0.1.1/24, 'fd00::1/64']},"
        " c: {addresses: 'fd00:0:0:1::1/64'}}",
        config(
            Network("a", addresses("10.0.0.1/25")),
            Network("b", addresses("10.0.0.129/25", "10.0.1.1/24", "fd00::1/64")),
            Network("c", addresses("fd00:0:0:1::1/64")),
        ),
    ),
    "the smallest and the largest subnets": (
        "networks: {a: {addresses: [10.0.0.0/31, 'fd00::/127']}, b: {addresses: [11.0.0.1/8, '2001::1/8']}}",
        config(
            Network("a", addresses("10.0.0.0/31", "fd00::/127")),
            Network("b", addresses("11.0.0.1/8", "2001::1/8")),
        ),
    ),
    "a source that several share": (
        "{defaults: {nat: {source: 192.0.2.1}},"
        " networks: {a: {addresses: 10.0.0.1/24}, b: {addresses: 10.0.1.1/24}}}",
        config(
            Network("a", LAB, nat=Nat(source=pool("192.0.2.1"))),
            Network("b", addresses("10.0.1.1/24"), nat=Nat(source=pool("192.0.2.1"))),
        ),
    ),
    "repetitions are dropped": (
        "networks: {a: {addresses: 10.0.0.1/24, inbound: [w, w], reach: [b, b],"
        " nat: {uplink: [u, u], exempt: [10.9.0.0/16, 10.9.0.0/16]}}, b: {}}",
        config(
            Network(
                "a", LAB, nat=Nat(("u",), None, (IPv4Network("10.9.0.0/16"),)), reach=("b",), inbound=("w",)
            ),
            Network("b"),
        ),
    ),
    "guards, from the defaults too": (
        "{defaults: {guard: {bogons: true, new_connections: 50}}, networks: {"
        "a: {addresses: 10.0.0.1/24, guard: {rogue_ra: false, new_connections: false,"
        " open_connections: 500}},"
        " b: {addresses: 10.0.1.1/24, guard: true}, c: {guard: false}}}",
        config(
            Network("a", LAB, guard=Guard(rogue_ra=False, bogons=True, open_connections=500)),
            Network("b", addresses("10.0.1.1/24"), guard=Guard(bogons=True, new_connections=50)),
            Network("c"),
        ),
    ),
    "guests that are cut off": (
        "{networks: {a: {addresses: [10.0.0.1/24, 'fd00::1/64'],"
        " guard: {strict: true, quarantine: [WEB, 10.0.0.9]},"
        " dhcp: {reservations: {mac: 52:54:00:12:34:56, address: 10.0.0.2, name: web}}, dns: false}},"
        " quarantine: [a/fd00::9, a/10.0.0.2, a/52-54-00-12-34-57]}",
        config(
            Network(
                "a",
                addresses("10.0.0.1/24", "fd00::1/64"),
                dhcp=Dhcp(reservations=(Reservation("52:54:00:12:34:56", IPv4Address("10.0.0.2"), "web"),)),
                guard=Guard(strict=True),
                quarantine=("52:54:00:12:34:56", "10.0.0.2", "10.0.0.9", "fd00::9", "52:54:00:12:34:57"),
                ra=True,
            )
        ),
    ),
    "dhcp: true brings DNS": (
        "networks: {a: {addresses: 10.0.0.1/24, dhcp: true}}",
        config(Network("a", LAB, dhcp=Dhcp(), dns=Dns())),
    ),
    "dhcp without DNS": (
        "networks: {a: {addresses: 10.0.0.1/24, dhcp: {}, dns: false}}",
        config(Network("a", LAB, dhcp=Dhcp())),
    ),
    "DNS without dhcp": (
        "networks: {a: {addresses: 10.0.0.1/24, dns: true}}",
        config(Network("a", LAB, dns=Dns())),
    ),
    "dhcp from the defaults holds where it can": (
        "{defaults: {dhcp: {lease_time: 12h}, dns: {domain: Lab.internal}}, networks: {"
        "a: {addresses: 10.0.0.1/24}, b: {}, c: {addresses: 'fd00::1/64'},"
        " d: {addresses: 10.0.1.1/24, dhcp: false}, e: {addresses: 10.0.2.1/24, dns: false}}}",
        config(
            Network("a", LAB, dhcp=Dhcp(lease_time=43200), dns=Dns("lab.internal")),
            Network("b"),
            Network("c", addresses("fd00::1/64"), dns=Dns("lab.internal"), ra=True),
            Network("d", addresses("10.0.1.1/24"), dns=Dns("lab.internal")),
            Network("e", addresses("10.0.2.1/24"), dhcp=Dhcp(lease_time=43200)),
        ),
    ),
    "IPv6 leaves as the file says": (
        "{defaults: {nat: {uplink: vmbr0}}, networks: {"
        "a: {addresses: [10.0.0.1/24, 'fd00:1::1/64']}, b: {addresses: 'fd00:2::1/64', nat: true, ra: true},"
        " c: {addresses: ['fd00:3::1/64', '2001:db8:3::1/64'], nat: {ipv6: routed}},"
        " d: {addresses: [10.0.4.1/24, '2001:db8:4::1/64'], nat: {ipv6: false}},"
        " e: {addresses: [10.0.5.1/24, 'fd00:5::1/64'], nat: {ipv4: false}, dhcp: true, dns: false},"
        " f: {addresses: ['fd00:6::1/56', 10.0.6.1/24], dhcp: true, dns: false, routed: true},"
        " g: {addresses: [10.0.7.1/24, 'fd00:7::1/64'], dhcp: true, dns: false, ra: false, nat: false}}}",
        config(
            Network("a", addresses("10.0.0.1/24", "fd00:1::1/64"), nat=Nat(("vmbr0",))),
            Network("b", addresses("fd00:2::1/64"), nat=Nat(("vmbr0",)), ra=True, dns=Dns()),
            Network(
                "c",
                addresses("fd00:3::1/64", "2001:db8:3::1/64"),
                nat=Nat(("vmbr0",), routed6=True),
            ),
            Network("d", addresses("10.0.4.1/24", "2001:db8:4::1/64"), nat=Nat(("vmbr0",), ipv6=False)),
            Network(
                "e",
                addresses("10.0.5.1/24", "fd00:5::1/64"),
                nat=Nat(("vmbr0",), ipv4=False),
                dhcp=Dhcp(),
                ra=True,
            ),
            Network("f", addresses("fd00:6::1/56", "10.0.6.1/24"), routed=True, dhcp=Dhcp()),
            Network("g", addresses("10.0.7.1/24", "fd00:7::1/64"), dhcp=Dhcp()),
        ),
    ),
    "all of dhcp and DNS": (
        """\
networks:
  a:
    addresses: [10.0.0.1/24, 10.1.0.1/24]
    dhcp:
      ranges: [10.0.0.100-10.0.0.199, 10.1.0.7 - 10.1.0.9, 10.0.0.50]
      lease_time: 12h
      reservations:
        - {mac: 52-54-00-12-34-AB, address: 10.0.0.20, name: Web}
        - mac: 12:34:56:00:11:22
          address: 10.0.0.100
      options: {ntp: [10.0.0.3, 10.0.0.4], router: 10.0.0.2}
      static_only: false
    dns:
      domain: lab.internal
      upstream: [192.0.2.53, '2001:db8::53', 127.0.0.53]
      records: {name: db, address: 10.0.0.30}
""",
        config(
            Network(
                "a",
                addresses("10.0.0.1/24", "10.1.0.1/24"),
                dhcp=Dhcp(
                    ranges=(
                        span("10.0.0.100", "10.0.0.199"),
                        span("10.1.0.7", "10.1.0.9"),
                        span("10.0.0.50", "10.0.0.50"),
                    ),
                    lease_time=43200,
                    reservations=(
                        Reservation("52:54:00:12:34:ab", IPv4Address("10.0.0.20"), "web"),
                        Reservation("12:34:56:00:11:22", IPv4Address("10.0.0.100")),
                    ),
                    options={"ntp": ("10.0.0.3", "10.0.0.4"), "router": ("10.0.0.2",)},
                ),
                dns=Dns(
                    "lab.internal",
                    tuple(ip_address(a) for a in ("192.0.2.53", "2001:db8::53", "127.0.0.53")),
                    (Record("db", IPv4Address("10.0.0.30")),),
                ),
            )
        ),
    ),
    "forwards": (
        """
        networks:
          a:
            addresses: [10.0.0.1/24, 'fd00::1/64']
            dhcp: {reservations: {mac: 52:54:00:12:34:ab, address: 10.0.0.20, name: Web1}}
            forwards:
              - {listen: 203.0.113.5:8080/tcp, to: 10.0.0.5:80}
              - {listen: 8080/both, to: 'web1:8080'}
              - {listen: 1000-1999/udp, to: WEB1:1000-1999}
              - {listen: 203.0.113.7, to: 10.0.0.7}
              - {listen: 10.1.0.1:53/udp, to: 10.0.0.7}
              - {listen: '[2001:DB8::5]:443/tcp', to: '[fd00::5]'}
              - {listen: '[2001:db8::7]', to: 'fd00::7'}
          b: {addresses: 10.1.0.1/24, forwards: {listen: 8081/tcp, to: 10.1.0.5:80}}
        """,
        config(
            Network(
                "a",
                addresses("10.0.0.1/24", "fd00::1/64"),
                dhcp=Dhcp(reservations=(Reservation("52:54:00:12:34:ab", IPv4Address("10.0.0.20"), "web1"),)),
                dns=Dns(),
                ra=True,
                forwards=(
                    forward("10.0.0.5", "203.0.113.5", ("tcp",), (8080, 8080), 80),
                    forward("10.0.0.20", "", ("tcp", "udp"), (8080, 8080)),
                    forward("10.0.0.20", "", ("udp",), (1000, 1999)),
                    forward("10.0.0.7", "203.0.113.7"),
                    forward("10.0.0.7", "10.1.0.1", ("udp",), (53, 53)),
                    forward("fd00::5", "2001:db8::5", ("tcp",), (443, 443)),
                    forward("fd00::7", "2001:db8::7"),
                ),
            ),
            Network(
                "b",
                addresses("10.1.0.1/24"),
                forwards=(forward("10.1.0.5", "", ("tcp",), (8081, 8081), 80),),
            ),
        ),
    ),
    "no metrics": ("{networks: {}, metrics: false}", config(metrics=None)),
    "metrics: true": ("{networks: {}, metrics: true}", config()),
    "metrics: {}": ("{networks: {}, metrics: {}}", config()),
    "guests counted": (
        "{defaults: {count_guests: true}, networks: {a: {}, b: {count_guests: false}}, metrics: {guests: 5}}",
        config(Network("a", count_guests=True), Network("b"), metrics=Metrics(guests=5)),
    ),
    "metrics by port": ("{networks: {}, metrics: {listen: 9100}}", config(metrics=Metrics(port=9100))),
    "metrics for all": (
        "{networks: {}, metrics: {listen: 0.0.0.0:9787}}",
        config(metrics=Metrics("0.0.0.0")),
    ),
    "metrics for all, IPv6 too": (
        "{networks: {}, metrics: {listen: '[0::0]:9787'}}",
        config(metrics=Metrics("::")),
    ),
    "a document's start and end, and comments": ("# one\n---\nnetworks: {} # two\n...\n", config()),
    "lines that end as on Windows": ("networks:\r\n  a: {mtu: 1500}\r\n", config(Network("a", mtu=1500))),
    "a tab in a comment": ("networks: {} # a\ttab\n", config()),
}
