"""A row for each way to break a guard; see test_repairs.py."""

import re
from pathlib import Path

import pytest
from repair_rows import NFT_NAMED, Row, batch, told
from running import converged, start, undone
from test_repairs import at_rest, damage

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service

FILE = """\
metrics: false
networks:
  vmbr1:
    addresses: 10.0.0.1/16
    dhcp: {reservations: [{mac: 52:54:00:12:34:56, address: 10.0.0.2, name: web}]}
    dns: false
    guard: {strict: true, bogons: true, new_connections: 100/second, open_connections: 1000}
  vmbr2: {addresses: [10.20.0.1/24, "fd00:2::1/64"]}
quarantine: [vmbr1/web, "vmbr2/fd00:2::9"]
"""
ROWS = [
    Row(
        "let in",
        batch(
            'delete element inet natnetd cut4 { "vmbr1" . 10.0.0.2 }',
            'delete element inet natnetd cut6 { "vmbr2" . fd00:2::9 }',
            'delete element inet natnetd cut_mac { "vmbr1" . 52:54:00:12:34:56 }',
        ),
        told("+ guard cut4 vmbr1 . 10.0.0.2", "+ guard cut6 vmbr2 . fd00:2::9", "+ guard cut_mac vmbr1 . 52"),
    ),
    Row(
        "somebody else cut off",
        batch(
            'add element inet natnetd cut4 { "vmbr1" . 10.0.0.3 }',
            'add element inet natnetd cut_mac { "vmbr2" . 02:00:00:00:00:01 }',
        ),
        told("- guard cut4 vmbr1 . 10.0.0.3", "- guard cut_mac vmbr2 . 02:00:00:00:00:01"),
    ),
    Row(
        "unwatched",
        "nft 'delete element inet natnetd watched { \"vmbr1\" }'",
        told("+ guard watched vmbr1"),
    ),
    Row(
        "reserved for another",
        batch(
            'delete element inet natnetd reserved4 { "vmbr1" . 52:54:00:12:34:56 . 10.0.0.2 }',
            'add element inet natnetd reserved4 { "vmbr1" . 52:54:00:12:34:56 . 10.0.0.3 }',
        ),
        told(
            "+ guard reserved4 vmbr1 . 52:54:00:12:34:56 . 10.0.0.2",
            "- guard reserved4 vmbr1 . 52:54:00:12:34:56 . 10.0.0.3",
        ),
    ),
    Row(
        "another limit",
        batch(
            "add chain inet natnetd fresh_1000",
            'delete element inet natnetd fresh { "vmbr1" }',
            'add element inet natnetd fresh { "vmbr1" : jump fresh_1000 }',
        ),
        told("~ guard fresh vmbr1 value jump fresh_1000 → jump fresh_100", "- nft chain fresh_1000"),
    ),
    Row("no limit", "nft 'delete element inet natnetd crowd { \"vmbr1\" }'", told("+ guard crowd vmbr1")),
    Row("limit gone", "nft flush chain inet natnetd crowd_1000", told("~ nft chain crowd_1000 (altered)")),
]


@pytest.fixture
def service(host: Namespace, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Start the service with a guard; a look of the test's own finds dnsmasq where that put it."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(directory / "run"))
    monkeypatch.setenv("STATE_DIRECTORY", str(directory / "state"))
    service = start(host, directory, FILE)
    converged(directory)
    return service


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_harm_to_a_guard_is_repaired_and_its_culprit_is_named(
    service: Service, host: Namespace, directory: Path, row: Row
) -> None:
    with service:
        for line in damage(service, host, row):
            assert re.search(rf"\(was (deleted|changed|added) by {NFT_NAMED}", line), line
        assert at_rest(service, directory)
        assert not undone(directory)


def test_what_packets_put_into_a_set_is_no_drift(service: Service, host: Namespace, directory: Path) -> None:
    with service:
        before = len(service.lines())
        sample = '{ "vmbr1" . 02:00:00:00:00:07 limit rate over 100/second burst 500 packets }'
        host.check(["nft", f"add element inet natnetd fresh_100 {sample}"])
        assert not undone(directory)
        assert at_rest(service, directory)
        assert not [line for line in service.lines()[before:] if "drift" in line]
        host.check(["nft", 'get element inet natnetd fresh_100 { "vmbr1" . 02:00:00:00:00:07 }'])
