"""`natnetd lab`, as `make run` shows it: the shipped file at work, and nothing left behind."""

import subprocess
from pathlib import Path

from running import NATNETD

ROOT = Path(__file__).parents[1]
SHOWN = (
    "a guest that knows nothing asks by DHCP, and is told: 10.0.",
    "it asks for the address of www.example.net: 198.51.100.7",
    "drift: + nft table inet natnetd (was deleted",
    "drift: + address 10.0.0.1/16 on vmbr1; repaired in",
    "drift: ~ forwarding net.ipv4.ip_forward value 0 → 1; repaired in",
    "drift: ~ port tap100i0 on vmbr1 bridge none → vmbr1; repaired in",
    "drift: + dhcp vmbr1; repaired in",
    "reload: + forward anydoor4 tcp . 8080; done after",
    "somebody outside asks 203.0.113.2:8080; the guest sees 203.0.113.1:",
    "the host itself asks 203.0.113.2:8080; the guest sees 203.0.113.2:",
    "a neighbour asks 203.0.113.2:8080; the guest sees 10.0.0.1:",
    "the guest itself asks 203.0.113.2:8080; the guest sees 10.0.0.1:",
    'natnetd_network_in_sync{network="vmbr1"} 1',
    "everything is removed",
)


def test_the_lab_shows_all_that_is_kept_true() -> None:
    done = subprocess.run(
        [*NATNETD, "--config", str(ROOT / "config/natnetd.yaml"), "lab"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [words for words in SHOWN if words not in done.stdout] == []
    assert done.stdout.count("afterwards: it pings") == 5


SIX = """
networks:
  vmbr1: {addresses: [10.0.0.1/16, "fd00:1::1/64"], nat: {uplink: vmbr0}, dhcp: true}
"""


def test_the_lab_shows_ipv6_where_there_is_some(tmp_path: Path) -> None:
    file = tmp_path / "natnetd.yaml"
    file.write_text(SIX, "utf-8")
    done = subprocess.run(
        [*NATNETD, "--config", str(file), "lab"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "over TCP 2001:db8:198::7 sees [2001:db8:203::2]:" in done.stdout
