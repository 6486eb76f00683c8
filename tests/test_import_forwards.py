"""`natnetd import`: rules that lead from outside to guests."""

import pytest
from imports import NAT, imported, stanza

from natnetd.config import parse

UPLINK = "auto vmbr0\niface vmbr0 inet static\naddress 192.0.2.2/24\nbridge-ports eno1\n"
DYNAMIC = "auto vmbr0\niface vmbr0 inet dhcp\nbridge-ports eno1\n"


@pytest.mark.parametrize(
    ("uplink", "rules", "rows", "why"),
    [
        (
            UPLINK,
            ["-i vmbr0 -p tcp --dport 80 -j DNAT --to 10.0.0.5"],
            ["192.0.2.2:80/tcp to 10.0.0.5:80"],
            "",
        ),
        (DYNAMIC, ["-i vmbr0 -p tcp --dport 80 -j DNAT --to 10.0.0.5:8080"], ["80/tcp to 10.0.0.5:8080"], ""),
        (UPLINK, ["-p udp -m udp --dport 80 -j DNAT --to 10.0.0.5:80"], ["80/udp to 10.0.0.5:80"], ""),
        (
            UPLINK,
            ["-d 192.0.2.9/32 -p tcp -m multiport --dports 22,25:30 -j DNAT --to 10.0.0.5"],
            ["192.0.2.9:22/tcp to 10.0.0.5:22", "192.0.2.9:25-30/tcp to 10.0.0.5"],
            "",
        ),
        (UPLINK, ["-d 192.0.2.9 -j DNAT --to 10.0.0.5"], ["192.0.2.9 to 10.0.0.5"], ""),
        (UPLINK, ["-d 192.0.2.9 -p tcp -j DNAT --to 10.0.0.5"], ["192.0.2.9:1-65535/tcp to 10.0.0.5"], ""),
        (
            UPLINK,
            [
                "-i vmbr0 -d 192.0.2.2 -p tcp --dport 80 -j DNAT --to 10.0.0.5",
                "-i vmbr1 -d 192.0.2.2 -p tcp --dport 80 -j DNAT --to 10.0.0.5",
            ],
            ["192.0.2.2:80/tcp to 10.0.0.5:80"],
            "",
        ),
        (
            UPLINK,
            ["-i vmbr0 -p tcp --dport 22 -j ACCEPT", "-i vmbr0 -p tcp --dport 80 -j DNAT --to 10.0.0.5"],
            ["192.0.2.2:80/tcp to 10.0.0.5:80"],
            "nothing like it",
        ),
        (
            UPLINK,
            ["-i vmbr0 -p tcp --dport 80 -j ACCEPT", "-i vmbr0 -p tcp --dport 80 -j DNAT --to 10.0.0.5"],
            [],
            "not imported and may take a part",
        ),
        (
            UPLINK,
            [
                "-p tcp --dport 80 -j DNAT --to 10.0.0.5",
                "-d 192.0.2.2 -p tcp --dport 80:90 -j DNAT --to 10.0.0.6",
            ],
            ["80/tcp to 10.0.0.5:80"],
            "shares ports",
        ),
        (
            UPLINK,
            [
                "-d 192.0.2.2 -p tcp --dport 80:90 -j DNAT --to 10.0.0.6",
                "-p tcp --dport 80 -j DNAT --to 10.0.0.5",
            ],
            ["192.0.2.2:80-90/tcp to 10.0.0.6", "80/tcp to 10.0.0.5:80"],
            "",
        ),
        (UPLINK, ["-i vmbr1 -p tcp --dport 80 -j DNAT --to 10.0.0.5"], [], "what guests of vmbr1 send"),
        (UPLINK, ["-p tcp --dport 80 -j DNAT --to 10.0.0.1"], [], "no guest's"),
        (UPLINK, ["-p tcp --dport 80 -j DNAT --to 10.0.0.5-10.0.0.9"], [], "no guest with its port"),
        (UPLINK, ["-p tcp --dport 80:90 -j DNAT --to 10.0.0.5:80"], [], "a range of ports to others"),
        (UPLINK, ["-d 192.0.2.9 -p tcp -j DNAT --to 10.0.0.5:80"], [], "all ports to one"),
        (UPLINK, ["-d 192.0.2.0/28 -p tcp --dport 80 -j DNAT --to 10.0.0.5"], [], "one address, or any"),
        (UPLINK, ["-i vmbr0 -j DNAT --to 10.0.0.5"], [], "an address"),
        (UPLINK, ["-p sctp --dport 80 -j DNAT --to 10.0.0.5"], [], "is about sctp"),
        (UPLINK, ["! -i vmbr1 -p tcp --dport 80 -j DNAT --to 10.0.0.5"], [], "asks for a source"),
        (UPLINK, ["-p tcp --dport 80 --syn -j DNAT --to 10.0.0.5"], [], "--syn"),
    ],
)
def test_rules_that_lead_to_guests(uplink: str, rules: list[str], rows: list[str], why: str) -> None:
    lines = [f"up iptables -t nat -A PREROUTING {rule}" for rule in rules]
    found = imported(uplink + stanza(NAT, *lines))
    (network,) = parse(found.text, "stdout").networks.values()
    wrote = [
        f"{f} to {f.to}{f':{f.port or f.ports[0]}' if f.ports[0] and f.ports[0] == f.ports[1] else ''}"
        for f in network.forwards
    ]
    assert wrote == rows
    assert bool(found.missing) == bool(why)
    assert not why or why in found.missing[-1].text
