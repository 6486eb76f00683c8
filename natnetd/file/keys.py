"""Every key of the file, described once: parser, JSON Schema and reference are made from this page."""

from natnetd.file.addresses import INTERFACE_ADDRESS, LISTEN, NETWORK, SOURCE
from natnetd.file.forward_keys import FORWARDS
from natnetd.file.grammar import Feature, Key, Many, Named, Section
from natnetd.file.guard_keys import GUARD, QUARANTINE
from natnetd.file.numbers_keys import COUNT_GUESTS, GUESTS
from natnetd.file.service_keys import DHCP, DNS
from natnetd.file.shapes import (
    HOST_ACCESS,
    INTERFACE,
    MAC_ADDRESS,
    MTU,
    NETWORK_NAME,
    PORTS,
    SWITCH,
    SWITCH_OR_AUTO,
    TEXT,
    UPLINK,
    duration,
)
from natnetd.file.six import FAMILY_KEYS, RA

NAT = Section(
    (
        Key(
            "uplink",
            Many(UPLINK, if_none="any"),
            "The interfaces by which guests leave. A packet that the host would send out by another one is "
            "dropped and counted. `any` allows every interface that is not a network of this file. `auto` "
            "follows the host's default route, whichever it is (a VPN's and policy rules count), and waits "
            "while there is none. An uplink that is not there yet is waited for.",
            "`any`",
            ("vmbr0", ["vmbr0", "wg0"], "auto"),
            value="any",
        ),
        Key(
            "source",
            SOURCE,
            "The address guests are seen under outside, or a pool of them: a range, or all addresses of a "
            "prefix. They must be ones that the host answers for. With `masquerade` it is the address of the "
            "uplink, whatever that is at the time. Several networks may share one source. Connections that "
            "are established keep theirs when it changes. It is for IPv4; IPv6 takes the uplink's address.",
            "`masquerade`",
            ("192.0.2.10", "192.0.2.10-192.0.2.20", "192.0.2.16/28"),
            value="masquerade",
        ),
        Key(
            "ports",
            PORTS,
            "The ports that guests' connections and UDP flows come from outside; a guest's own is kept if it "
            "is in the range and free. Ports below 1024 are left out because some services grant rights by "
            "them, which a guest must not get by the host's address. `1-65535` keeps them (IPsec without NAT "
            "traversal needs 500, NFS exports with `secure` a low one). Any other range takes a fixed "
            "`source`.",
            "`1024-65535`",
            ("1-65535",),
            value="1024-65535",
        ),
        Key(
            "persistent",
            SWITCH,
            "Whether a guest has the same address of a pool wherever it connects to. Otherwise it is chosen "
            "anew for each destination. Without a pool it changes nothing.",
            "`false`",
            (True,),
            value=False,
        ),
        Key(
            "fully_random",
            SWITCH,
            "Whether ports are drawn at random instead of kept: harder to guess from outside, and "
            "connections that begin at the same moment do not race for one port. Protocols that need a "
            "guest's own port do not work then.",
            "`false`",
            (True,),
            value=False,
        ),
        Key(
            "exempt",
            Many(NETWORK),
            "Destinations that guests reach untranslated, under their own addresses: the far side of a VPN, "
            "for instance. Those destinations need a route back. Multicast is never translated; it leaves "
            "only if it is exempt here, e.g. 239.0.0.0/8.",
            "none",
            ("192.168.50.0/24", ["192.168.50.0/24", "172.16.0.0/12", "fd00:50::/48"]),
            value=[],
        ),
        *FAMILY_KEYS,
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
        MTU,
        "The largest packet in bytes. IPv6 takes at least 1280 (RFC 8200). `auto` is the smallest of the "
        "uplinks' (with any uplink, that of the default route), and follows it; a closed network "
        "has 1500 then.",
        "1500; a bridge that somebody else made keeps its own",
        (1500, 9000, "auto"),
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
        "Guests leave translated. `true` stands for any uplink and its own address. Of IPv6, unique-local "
        "prefixes are translated; see `ipv6`. New connections from outside are dropped, except by `inbound`. "
        "Not together with `routed`; where one of them comes from `defaults`, the one the network says "
        "itself holds.",
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
        "host_access",
        Many(HOST_ACCESS),
        "Which services of the host itself guests may open connections to, by whatever address of the host: "
        "all (`true`), none, or these. DHCP, DNS and ICMP (ping) always pass, and so do answers to what the "
        "host began. All is the default, as the how-to has it: guests often use something of their host (a "
        "mirror, a backup, NFS), and would lose it with an update. On a host whose guests are strangers, "
        "write `false`.",
        "`true`",
        (False, ["22/tcp", "8006/tcp", "5000-5009/udp"]),
        value=True,
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
        "`true` where `dhcp` or `ra` is on, else `false`",
        (False, {"domain": "lab.internal", "upstream": "192.0.2.53"}),
    ),
    COUNT_GUESTS,
    RA,
    Key(
        "guard",
        Feature(GUARD),
        "What guests may not do to each other, and to the outside. `true` stands for `anti_spoof`, "
        "`rogue_dhcp` and `rogue_ra`; limits are chosen by number. See docs/guard.md.",
        "`false`",
        (True, {"new_connections": "100/second"}),
        value=False,
    ),
    Key(
        "forwards",
        FORWARDS,
        "Doors to guests: what comes to a port (or all) of an address of the host goes to a guest. They work "
        "from outside, from the host itself, and from guests of this network and others, but those of closed "
        "ones. A closed network lets in what comes by its forwards, and nothing else. See docs/forwards.md.",
        "none",
        (
            {"listen": "203.0.113.5:8080/tcp", "to": "10.0.0.5:80"},
            [{"listen": "443/tcp", "to": "10.0.0.5"}, {"listen": "203.0.113.7", "to": "10.0.0.7"}],
        ),
        value=[],
        shared=False,
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
            GUESTS,
        ),
        words="true, false, or keys like listen: 127.0.0.1:9787",
    )
)

PROXMOX = Feature(
    Section(
        (
            Key(
                "register",
                SWITCH_OR_AUTO,
                "Whether the networks stand in Proxmox VE's list of bridges, so that guests can be plugged "
                "into them there: a stanza without `auto` in `/etc/network/interfaces` for each, with its "
                "description. `auto` stands for yes on a Proxmox VE host. See docs/proxmox.md.",
                "`auto`",
                ("auto", True, False),
                value="auto",
            ),
        ),
        words="true, false, or keys like register: auto",
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
        Key(
            "proxmox",
            PROXMOX,
            "What Proxmox VE is told of the networks. `true` and `false` stand for `register: true` and "
            "`register: false`.",
            "`{register: auto}`",
            ({"register": "auto"}, False),
            value={"register": "auto"},
        ),
        Key(
            "quarantine",
            QUARANTINE,
            "Guests that are cut off, each with its network before it; the same as `quarantine` under a "
            "network's `guard`. This is the key that `natnetd quarantine` and `natnetd release` keep in a "
            "drop-in of their own, `quarantine.yaml`. See docs/guard.md.",
            "none",
            ("vmbr1/10.0.0.20", ["vmbr1/web1", "vmbr1/52:54:00:12:34:56"]),
            value=[],
        ),
    ),
    words="keys like networks: {vmbr1: {addresses: 10.0.0.1/24}}",
)
