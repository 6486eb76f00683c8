"""Every key of the file, described once: parser, JSON Schema and reference are made from this page."""

from natnetd.file.addresses import INTERFACE_ADDRESS, LISTEN, NETWORK, SOURCE
from natnetd.file.grammar import Feature, Key, Many, Named, Section
from natnetd.file.service_keys import DHCP, DNS
from natnetd.file.shapes import (
    INTERFACE,
    MAC_ADDRESS,
    NETWORK_NAME,
    SWITCH,
    TEXT,
    UPLINK,
    duration,
    whole,
)

NAT = Section(
    (
        Key(
            "uplink",
            Many(UPLINK, if_none="any"),
            "The interfaces by which guests leave. A packet that the host would send out by another one is "
            "dropped and counted. `any` allows every interface that is not a network of this file. An "
            "uplink that is not there yet is waited for.",
            "`any`",
            ("vmbr0", ["vmbr0", "wg0"]),
            value="any",
        ),
        Key(
            "source",
            SOURCE,
            "The address guests are seen under outside. It must be one that the host answers for. With "
            "`masquerade` it is the address of the uplink, whatever that is at the time. Several networks "
            "may share one source.",
            "`masquerade`",
            ("192.0.2.10",),
            value="masquerade",
        ),
        Key(
            "exempt",
            Many(NETWORK),
            "Destinations that guests reach untranslated, under their own addresses: the far side of a VPN, "
            "for instance. Those destinations need a route back.",
            "none",
            ("192.168.50.0/24", ["192.168.50.0/24", "172.16.0.0/12"]),
            value=[],
        ),
    ),
    words="true, false, or keys like uplink: vmbr0",
)

NETWORK_KEYS = (
    Key(
        "description",
        TEXT,
        "What the network is for, in at most 255 bytes. It becomes the alias of the bridge, shown by `ip "
        "link`.",
        "none",
        ("Internal network",),
        shared=False,
    ),
    Key(
        "addresses",
        Many(INTERFACE_ADDRESS, if_none="at least one, like 10.0.0.1/16, or leave the key out"),
        "The gateway's addresses, each with the prefix length of its subnet. Guests use them as their "
        "default gateway. Subnets of different networks may not overlap. A closed network (without `nat` "
        "and `routed`) may do without.",
        "none; required with `nat` or `routed`",
        ("10.0.0.1/16", ["10.20.0.1/24", "10.20.1.1/24"]),
        shared=False,
    ),
    Key(
        "mtu",
        whole(576, 65535),
        "The largest packet in bytes. IPv6 takes at least 1280 (RFC 8200).",
        "the kernel's, which follows the guests' interfaces",
        (1500, 9000),
    ),
    Key(
        "mac",
        MAC_ADDRESS,
        "The bridge's MAC address, a unicast one.",
        "made from the machine id and the bridge's name, so that it stays the same",
        ("52:54:00:12:34:56",),
        shared=False,
    ),
    Key(
        "stp",
        SWITCH,
        "Whether the bridge speaks the spanning tree protocol. Only bridges that could form a loop need it.",
        "`false`",
        (True,),
        value=False,
    ),
    Key(
        "forward_delay",
        duration(0, 30, "15s"),
        "How long a new port listens before it forwards: seconds, or a number with `s` or `m`, in tenths of "
        "a second at the finest. With `stp: true` the kernel takes 2 to 30 seconds.",
        "`0`; the kernel's 2 to 30 seconds with `stp: true`",
        (0, "15s"),
        value=0,
    ),
    Key(
        "nat",
        Feature(NAT),
        "Guests leave translated. `true` stands for any uplink and its own address. New connections from "
        "outside are dropped, except by `inbound`. Not together with `routed`; where one of them comes from "
        "`defaults`, the one the network says itself holds.",
        "`false`",
        (True, {"uplink": "vmbr0"}, {"uplink": "vmbr0", "source": "192.0.2.10"}),
        value=False,
    ),
    Key(
        "routed",
        SWITCH,
        "Packets pass in and out untranslated, and new connections may come from either side. The outside "
        "needs a route to the network.",
        "`false`",
        (True,),
        value=False,
    ),
    Key(
        "reach",
        Many(NETWORK_NAME),
        "Other networks of this file to which guests may open connections. It is one-way: answers pass, new "
        "connections from there do not, unless that network says so too.",
        "none",
        ("vmbr2", ["vmbr2", "vmbr3"]),
        value=[],
    ),
    Key(
        "inbound",
        Many(INTERFACE),
        "Interfaces (not networks of this file) from which new connections to guests may come: a VPN, for "
        "instance.",
        "none",
        ("wg0", ["wg0", "tailscale0"]),
        value=[],
    ),
    Key(
        "dhcp",
        Feature(DHCP),
        "Guests get their addresses by DHCP (IPv4): with the gateway, the name server, the domain, the MTU "
        "if the network pins one, and routes to the networks it may `reach`. A closed network hands out no "
        "gateway. It takes an IPv4 address among `addresses`, and Debian's package dnsmasq-base. From "
        "`defaults` it holds for networks that have an IPv4 address. See docs/dhcp.md.",
        "`false`",
        (True, {"lease_time": "12h"}),
        value=False,
    ),
    Key(
        "dns",
        Feature(DNS),
        "The gateway answers guests' DNS: the names of guests, of `records`, and what whoever is `upstream` "
        "knows. Nobody else is answered.",
        "`true` where `dhcp` is on, else `false`",
        (False, {"domain": "lab.internal", "upstream": "192.0.2.53"}),
    ),
)

NETWORK_SECTION = Section(NETWORK_KEYS, words="its keys, e.g. addresses: 10.0.0.1/24")

DEFAULTS = Section(
    tuple(key for key in NETWORK_KEYS if key.shared),
    words="keys that all networks share, e.g. nat: {uplink: vmbr0}",
    refused={
        key.name: f"{key.name} cannot be shared by all networks; write it under each network"
        for key in NETWORK_KEYS
        if not key.shared
    },
)

METRICS = Feature(
    Section(
        (
            Key(
                "listen",
                LISTEN,
                "Address and port of the endpoint; a port alone means 127.0.0.1, an IPv6 address stands in "
                "brackets and quotes. `0.0.0.0:9787` listens on every IPv4 address.",
                "`127.0.0.1:9787`",
                ("127.0.0.1:9787", "[::1]:9787", 9787),
                value="127.0.0.1:9787",
            ),
        ),
        words="true, false, or keys like listen: 127.0.0.1:9787",
    )
)

NETWORKS = Named(INTERFACE, NETWORK_SECTION, words="networks by the names of their bridges, or {} for none")

FILE = Section(
    (
        Key(
            "defaults",
            DEFAULTS,
            "What all networks share. A network that says a key itself goes by its own word; the keys under "
            "`nat` are merged one by one. `nat: true` in a network keeps what `defaults` say under `nat`, "
            "`nat: false` turns it off.",
            "none",
            ({"nat": {"uplink": "vmbr0"}},),
        ),
        Key(
            "networks",
            NETWORKS,
            "The networks, by the names of their bridges. `{}` stands for none: natnetd then removes the "
            "networks it made.",
            "none",
            ({"vmbr1": {"addresses": "10.0.0.1/16", "nat": {"uplink": "vmbr0"}}}, {}),
            required=True,
        ),
        Key(
            "metrics",
            METRICS,
            "Whether, and where, Prometheus finds metrics at `/metrics`.",
            "`true`",
            (False, {"listen": "127.0.0.1:9787"}),
            value=True,
        ),
    ),
    words="keys like networks: {vmbr1: {addresses: 10.0.0.1/24}}",
)
