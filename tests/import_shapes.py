"""What was found in the wild, by shape: networks, exit code, and what the report must hold."""

SHAPES = {
    "00-how-to": ("vmbr0 10.10.10.1/24 eno1", 0, []),
    "01-addresses": (
        "vmbr1 10.1.0.1/24 closed; vmbr2 10.2.0.1/24 closed; vmbr3 10.3.0.1/30 closed; "
        "vmbr4 10.4.0.1/24 closed",
        2,
        ["vmbr5: address 10.5.0.1", "take vmbr1, vmbr2, vmbr3, vmbr4 out"],
    ),
    "02-bridge-words": (
        "vmbr1 10.1.0.1/24 closed",
        2,
        ["bridge-hello 2: natnetd has no key", "vmbr2: names the bridge vmbr3 as a port"],
    ),
    "03-commands": ("br-lab 10.3.0.1/24 10.3.1.1/24 any", 2, ["with br-lab for $IFACE"]),
    "04-white-space": ("vmbr1 10.4.0.1/24 vmbr0", 0, ["interfaces:7-13: iface vmbr1"]),
    "05-gaps": ("vmbr1 10.5.0.1/24 eno1", 0, ["interfaces:4: a blank line", "interfaces:2-9: iface vmbr1"]),
    "06-forwarding": (
        "vmbr1 10.6.0.1/24 routed",
        0,
        ["interfaces:5: post-up echo 1", "interfaces:15: post-down echo 0", "rp_filter"],
    ),
    "07-host-as-source": (
        "vmbr1 10.7.0.1/24 vmbr0; vmbr2 10.72.0.1/24 routed",
        2,
        ["10.7.0.8/31, a part of vmbr1", "10.72.0.9/32, a part of vmbr2"],
    ),
    "08-wider-source": ("vmbr1 10.8.1.254/24 vmbr0; vmbr2 10.8.2.77/24 vmbr0", 0, []),
    "09-no-source": (
        "vmbr1 10.9.1.1/24 vmbr0; vmbr2 10.9.2.1/24 wg0",
        0,
        ["-D POSTROUTING -o vmbr0 -j MASQUERADE"],
    ),
    "10-exclusions": (
        "vmbr1 10.10.0.1/24 any; vmbr2 10.20.0.1/24 vmbr0 but 192.168.0.0/16; vmbr3 10.30.0.1/24 routed; "
        "vmbr4 10.40.0.1/24 vmbr0 but 172.16.0.0/12",
        2,
        ["cannot exclude the way out wg0"],
    ),
    "11-fixed-source": (
        "vmbr1 10.11.0.1/24 vmbr0 as 192.0.2.11; vmbr2 10.12.0.1/24 routed",
        2,
        ["interfaces:6: post-up iptables", "cannot ask for --to-source 192.0.2.12-192.0.2.14"],
    ),
    "12-zones": (
        "vmbr1 10.12.1.1/24 vmbr0; vmbr2 10.12.2.1/24 vmbr0",
        0,
        ["-D PREROUTING -i fwbr+ -j CT --zone 1"],
    ),
    "13-forwards": (
        "vmbr1 10.13.0.1/24 vmbr0",
        2,
        [
            *(f"interfaces:{line}: post-up iptables -t nat -A" for line in range(18, 27) if line != 19),
            "-D PREROUTING -i vmbr0 -p tcp --dport 80 -j DNAT --to 10.13.0.9",
            "-D PREROUTING -d 192.0.2.7 -j DNAT --to 10.13.0.7",
        ],
    ),
    "14-ipv6": (
        "vmbr1 10.14.0.1/24 fd00:14::1/64 vmbr0; vmbr2 2001:db8:14::1/64 closed",
        2,
        ["no effect any more; remove it", "switches it on", "fe80::1/64"],
    ),
    "15-firewall": (
        "vmbr1 10.15.1.1/24 vmbr0; vmbr2 10.15.2.1/24 closed",
        2,
        ["interfaces:7: post-up", "interfaces:8: post-up", "iptables -D FORWARD -i vmbr1 -o vmbr2 -j DROP"],
    ),
    "16-routes": ("vmbr1 10.16.0.1/24 closed", 2, ["proxy_arp", "interfaces:12: up ip route add"]),
    "17-opaque": ("vmbr1 10.17.0.1/24 closed", 2, ["loads a whole set", "flush ruleset", "nft add rule"]),
    "18-idempotent": ("vmbr1 10.18.0.1/24 vmbr0", 2, ["interfaces:7: post-up [ -x"]),
    "19-broken": (
        "vmbr1 10.19.0.1/24 vmbr0",
        2,
        [
            "interfaces:6: post-down iptables -t nat -A",
            "empties the table nat",
            "80 is no word of iptables here",
            "&gt; is HTML",
            "1> is a redirection",
            "a quote that is not closed",
            "10.20.0.0 is the network address",
        ],
    ),
    "20-commented-out": ("vmbr1 10.20.0.1/24 closed", 0, []),
    "21-remarks": ("vmbr1 10.21.1.1/24 closed; vmbr2 10.21.2.1/24 closed; vmbr3 10.21.3.1/24 closed", 0, []),
    "22-files/network/interfaces": (
        "vmbr1 10.22.0.1/24 routed",
        2,
        [
            "interfaces.d/sdn:1-6: written by Proxmox",
            "interfaces.new:1:",
            "three.cfg",
            "in a circle",
            "gone.cfg",
        ],
    ),
    "23-elsewhere": ("vmbr1 10.23.0.1/24 closed", 2, ["nat.sh is a program that natnetd does not know"]),
    "24-uplinks": (
        "vmbr1 10.24.1.1/24 wlp2s0 ppp0; vmbr2 10.24.2.1/24 vmbr0; vmbr3 10.24.3.1/24 eth0; "
        "vmbr4 10.24.4.1/24 any",
        2,
        ["translates what vmbr3 sends to vmbr2"],
    ),
    "25-vlans": (
        "vmbr3 10.27.0.1/24 vmbr0",
        2,
        ["vmbr1: is VLAN-aware", "vmbr1.114: a VLAN", "vmbr2: carries the VLAN vmbr2.5", "holds for vmbr1,"],
    ),
    "26-open-vswitch": ("", 2, ["vmbr1: made by Open vSwitch", "nat1: made by Open vSwitch"]),
}
