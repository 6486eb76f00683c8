"""Elements of forwards: the kernel reads back what was written, and one change touches one of them."""

from pathlib import Path

import pytest
from networks import Networks

from natnetd import config
from natnetd.host import ALL, Before, Hint, Layer, Scope
from natnetd.kinds.doors import SETS, elements
from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.linux import open_host
from natnetd.reconcile import Pass, reconcile

ALL_KINDS = """
      vmbr1:
        addresses: ["10.0.0.1/16", "fd00:1::1/64"]
        forwards:
          - {listen: "203.0.113.2:8080/both", to: "10.0.0.2:7"}
          - {listen: "203.0.113.2:9000-9010/both", to: 10.0.0.2}
          - {listen: 8081/both, to: "10.0.0.2:7"}
          - {listen: 1-7/udp, to: 10.0.0.2}
          - {listen: 65530-65535/tcp, to: 10.0.0.2}
          - {listen: 203.0.113.77, to: 10.0.0.3}
          - {listen: "[2001:db8:203::2]:8080/both", to: "[fd00:1::2]:7"}
          - {listen: "[2001:db8:203::2]:9000-9010/both", to: "[fd00:1::2]"}
          - {listen: 8086/both, to: "[fd00:1::2]:7"}
          - {listen: 1-7/udp, to: "fd00:1::2"}
          - {listen: "2001:db8:203::77", to: "fd00:1::2"}
"""
ONE = """
      vmbr1: {addresses: 10.0.0.1/16, forwards: [%s]}
      vmbr2: {addresses: 10.20.0.1/24, forwards: [%s]}
"""


@pytest.fixture
def net(host: Namespace) -> Networks:  # noqa: ARG001  # in it, and without a world
    return Networks(None, open_host())  # type: ignore[arg-type]


def test_the_kernel_has_what_was_written(net: Networks) -> None:
    net.become(ALL_KINDS)
    network = config.parse(f"networks:{ALL_KINDS}", "f").networks["vmbr1"]
    wanted = {e.name: e for e in elements(network)}
    assert {e.set for e in wanted.values()} == SETS
    seen = net.host.look(ALL, Before()).table
    assert seen is not None
    assert {name: e for name, e in seen.elements.items() if e.set in SETS} == wanted
    scope = Scope(frozenset({"vmbr1"}), frozenset({Layer.NFT}), host=False)
    near = net.host.look(scope, Before(), Hint(tuple(wanted.values()))).table
    assert near is not None
    assert near.elements == wanted
    assert net.become(ALL_KINDS).outcomes == ()


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (
            ("", ""),
            ("{listen: 80/tcp, to: 10.0.0.5}", ""),
            3,
        ),  # and that the network has some, and forwarding
        (("{listen: 80/tcp, to: 10.0.0.5}", ""), ("{listen: 80/tcp, to: 10.0.0.6}", ""), 1),
        (("{listen: 80/tcp, to: 10.0.0.5}", ""), ("{listen: 80/tcp, to: '10.0.0.5:81'}", ""), 1),
        (("{listen: 80/tcp, to: 10.0.0.5}", ""), ("{listen: 81/tcp, to: 10.0.0.5}", ""), 2),
        (("{listen: 1-9/tcp, to: 10.0.0.5}", ""), ("{listen: 1-9/tcp, to: 10.0.0.6}", ""), 1),
        (("{listen: 1-9/tcp, to: 10.0.0.5}", ""), ("{listen: 1-8/tcp, to: 10.0.0.5}", ""), 2),
        (("{listen: 1-9/tcp, to: 10.0.0.5}", ""), ("{listen: 5-20/tcp, to: 10.0.0.5}", ""), 2),
        (
            ("{listen: 1-9/tcp, to: 10.0.0.5}", ""),
            ("{listen: 1-4/tcp, to: 10.0.0.5}, {listen: 5-9/tcp, to: 10.0.0.6}", ""),
            3,
        ),
        (
            ("{listen: 1-4/tcp, to: 10.0.0.5}, {listen: 5-9/tcp, to: 10.0.0.6}", ""),
            ("{listen: 1-9/tcp, to: 10.0.0.5}", ""),
            3,
        ),
        (
            ("{listen: 1-4/tcp, to: 10.0.0.5}, {listen: 5-9/tcp, to: 10.0.0.6}", ""),
            ("{listen: 3-6/tcp, to: 10.0.0.5}, {listen: 8-10/tcp, to: 10.0.0.5}", ""),
            4,
        ),
        (("{listen: 80/tcp, to: 10.0.0.5}", ""), ("", "{listen: 80/tcp, to: 10.20.0.5}"), 3),
        (("{listen: 1-9/udp, to: 10.0.0.5}", ""), ("", "{listen: 1-9/udp, to: 10.20.0.5}"), 3),
        (("{listen: 1-9/udp, to: 10.0.0.5}", ""), ("", "{listen: 5-12/udp, to: 10.20.0.5}"), 4),
    ],
)
def test_a_change_touches_what_differs_and_is_done_in_one_pass(
    net: Networks, before: tuple[str, str], after: tuple[str, str], changes: int
) -> None:
    net.become(ONE % before)
    done = net.become(ONE % after).outcomes
    assert len([o for o in done if o.change.kind != "nft"]) == changes  # with the first one come its chains
    assert net.become(ONE % after).outcomes == ()


FILE = """
metrics: false
networks:
  vmbr1:
    addresses: [10.0.0.1/16, "fd00:1::1/64"]
    forwards:
      - {listen: "203.0.113.2:8080/tcp", to: "10.0.0.2:7"}
      - {listen: "203.0.113.2:9000-9010/udp", to: 10.0.0.2}
      - {listen: 203.0.113.77, to: 10.0.0.3}
      - {listen: "[2001:db8:203::2]:8080/tcp", to: "[fd00:1::2]:7"}
  vmbr2: {addresses: 10.20.0.1/24}
"""
HARMS = {
    "deleted": (
        "delete element inet natnetd door4 { 203.0.113.2 . tcp . 8080 }",
        "+ forward door4 203.0.113.2 . tcp . 8080",
    ),
    "range deleted": (
        "delete element inet natnetd span4 { 203.0.113.2 . udp . 9000-9010 }",
        "+ forward span4 203.0.113.2 . udp . 9000-9010",
    ),
    "of IPv6 deleted": (
        "delete element inet natnetd door6 { 2001:db8:203::2 . tcp . 8080 }",
        "+ forward door6 2001:db8:203::2 . tcp . 8080",
    ),
    "map flushed": ("flush map inet natnetd whole4", "+ forward whole4 203.0.113.77"),
    "led elsewhere": (
        "delete element inet natnetd door4 { 203.0.113.2 . tcp . 8080 }\n"
        "add element inet natnetd door4 { 203.0.113.2 . tcp . 8080 : 10.0.0.66 . 22 }",
        "~ forward door4 203.0.113.2 . tcp . 8080 value 10.0.0.66 . 22 → 10.0.0.2 . 7, owner none → vmbr1",
    ),
    "without its network": (
        "delete element inet natnetd door4 { 203.0.113.2 . tcp . 8080 }\n"
        'add element inet natnetd door4 { 203.0.113.2 . tcp . 8080 comment "vmbr2" : 10.0.0.2 . 7 }',
        "~ forward door4 203.0.113.2 . tcp . 8080 owner vmbr2 → vmbr1",
    ),
    "somebody else's": (
        "add element inet natnetd anydoor4 { tcp . 22 : 10.0.0.66 . 22 }",
        "- forward anydoor4 tcp . 22",
    ),
    "of a protocol without a name": (
        "add element inet natnetd anydoor4 { 132 . 22 : 10.0.0.66 . 22 }",
        "- forward anydoor4 132 . 22",
    ),
    "of a shape of its own": (
        "add element inet natnetd span4 { 198.51.100.0/24 . 6-17 . 0-65535 : 10.0.0.66 }",
        "- forward span4 198.51.100.0/24 . 6-17 . 0-65535",
    ),
    "in a network's name": (
        'add element inet natnetd anyspan6 { udp . 22-33 comment "vmbr2" : fd00:1::66 }',
        "- forward anyspan6 udp . 22-33",
    ),
    "for all others": (
        "add element inet natnetd span4 { * : 10.0.0.66 }\nadd element inet natnetd nets { * }",
        "- forward span4 *",
    ),
    "let in": (
        'add element inet natnetd doors { "vmbr2" . "vmbr2" }',
        "- forward doors vmbr2 . vmbr2",
    ),
}


def test_drift_is_heard_of_told_and_repaired(host: Namespace, directory: Path) -> None:
    file = directory / "natnetd.yaml"
    file.write_text(FILE)
    with Service(host, file, directory).wait_ready() as service:
        whole = host.check(["nft", "-s", "list", "table", "inet", "natnetd"])
        for name, (harm, line) in HARMS.items():
            after = len(service.lines())
            host.check(["nft", "-f", "-"], stdin=harm)
            assert service.wait_line(line, "repaired in", after=after), name
            assert host.check(["nft", "-s", "list", "table", "inet", "natnetd"]) == whole, name
    wanted = config.parse(FILE, "f")
    assert reconcile(wanted, open_host(), Pass()).outcomes == ()
