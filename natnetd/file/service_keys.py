"""The keys under `dhcp` and `dns`."""

from natnetd.file.grammar import Key, Many, Rows, Section
from natnetd.file.names import ANY_ADDRESS, DOMAIN, HOST_ADDRESS, HOST_NAME, LEASE_TIME, SPAN, WORDS
from natnetd.file.shapes import MAC_ADDRESS, SWITCH

ADDRESSES = Many(HOST_ADDRESS)

RESERVATIONS = Rows(
    Section(
        (
            Key(
                "mac",
                MAC_ADDRESS,
                "The guest's MAC address.",
                "none; it must be said",
                ("52:54:00:12:34:56",),
            ),
            Key(
                "address",
                HOST_ADDRESS,
                "The address that is kept for it, in a subnet of the network; inside or outside of `ranges`.",
                "none; it must be said",
                ("10.0.0.20",),
            ),
            Key(
                "name",
                HOST_NAME,
                "The name that others find it by, in the network's domain.",
                "what the guest calls itself",
                ("web1",),
            ),
        ),
        words="its keys, e.g. {mac: 52:54:00:12:34:56, address: 10.0.0.20, name: web1}",
    ),
    words="a list like [{mac: 52:54:00:12:34:56, address: 10.0.0.20, name: web1}]",
)

OPTIONS = Section(
    (
        Key(
            "router",
            HOST_ADDRESS,
            "The default gateway, where it is not this host.",
            "the host's address; none if closed",
            ("10.0.0.2",),
        ),
        Key(
            "dns",
            ADDRESSES,
            "Name servers, where it is not this host.",
            "the host's address where `dns` is on",
            ("10.0.0.3", ["10.0.0.3", "10.0.0.4"]),
        ),
        Key("ntp", ADDRESSES, "Time servers.", "none", ("10.0.0.3",)),
        Key(
            "search",
            Many(DOMAIN),
            "Domains that short names are looked up in.",
            "none",
            (["lab.internal", "example.com"],),
        ),
        Key("boot_server", WORDS, "The TFTP server to boot from, by name or address.", "none", ("10.0.0.5",)),
        Key("boot_file", WORDS, "The file to boot from.", "none", ("pxelinux.0",)),
        Key(
            "captive_portal",
            WORDS,
            "The address of the portal's API (RFC 8910).",
            "none",
            ("https://portal.example/api",),
        ),
    ),
    words="options like ntp: 10.0.0.3",
)

DHCP = Section(
    (
        Key(
            "ranges",
            Many(SPAN, if_none="at least one, or static_only: true"),
            "The addresses that are handed out, in the network's subnets. A gateway may not be among them.",
            "in the first IPv4 subnet, without its first sixteenth and the gateways, 4,096 at most: "
            "`10.0.0.16-10.0.0.254`, or `10.0.16.0-10.0.31.255` of a /16",
            ("10.0.0.100-10.0.0.199", ["10.0.0.50-10.0.0.99", "10.0.0.150-10.0.0.199"]),
        ),
        Key(
            "lease_time",
            LEASE_TIME,
            "How long a guest may keep its address; it asks again after half of it. Seconds, or a number "
            "with `s`, `m`, `h` or `d`.",
            "`1h`",
            ("12h", 7200),
            value=3600,
        ),
        Key(
            "reservations",
            RESERVATIONS,
            "Addresses that are kept for guests, by their MAC addresses. A change of them restarts nothing; "
            "a guest hears of it when it asks again.",
            "none",
            ([{"mac": "52:54:00:12:34:56", "address": "10.0.0.20", "name": "web1"}],),
            value=[],
        ),
        Key(
            "options",
            OPTIONS,
            "What guests are told besides.",
            "none",
            ({"ntp": "10.0.0.3"},),
        ),
        Key(
            "static_only",
            SWITCH,
            "Only guests with a reservation get an address. Not together with `ranges`.",
            "`false`",
            (True,),
            value=False,
        ),
    ),
    words="true, false, or keys like lease_time: 12h",
)

RECORDS = Rows(
    Section(
        (
            Key(
                "name",
                DOMAIN,
                "The name; one without a dot is in the network's domain.",
                "none; it must be said",
                ("db", "db.example.com"),
            ),
            Key(
                "address", ANY_ADDRESS, "The address it stands for.", "none; it must be said", ("10.0.0.30",)
            ),
        ),
        words="its keys, e.g. {name: db, address: 10.0.0.30}",
    ),
    words="a list like [{name: db, address: 10.0.0.30}]",
)

DNS = Section(
    (
        Key(
            "domain",
            DOMAIN,
            "The domain of the network's guests. Questions about it are never passed on.",
            "the network's name and `.internal`, like `vmbr1.internal`",
            ("lab.internal",),
        ),
        Key(
            "upstream",
            Many(ANY_ADDRESS),
            "Servers that are asked what is not known here.",
            "those of the host's /etc/resolv.conf; nobody for a closed network",
            ("192.0.2.53", ["192.0.2.53", "2001:db8::53"]),
        ),
        Key(
            "records",
            RECORDS,
            "Names of one's own.",
            "none",
            ([{"name": "db", "address": "10.0.0.30"}],),
            value=[],
        ),
    ),
    words="true, false, or keys like domain: lab.internal",
)
