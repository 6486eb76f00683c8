"""Laws of the file: whatever the bytes, there is a Config or a list of complaints, and nothing else."""

import json
from ipaddress import IPv4Address, IPv4Network, ip_interface
from itertools import combinations
from typing import Any

from good_files import GOOD
from hypothesis import given
from hypothesis import strategies as st

from natnetd.config import parse
from natnetd.errors import ConfigError
from natnetd.file.schema import flow
from natnetd.model import Config, Metrics, Nat, Network, Pool

TEXTS = [text for text, _ in GOOD.values()]
SCRAPS = [
    *(
        "",
        " ",
        "\n",
        "  ",
        "\t",
        ":",
        ": ",
        "- ",
        "? ",
        "#",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "\\",
        "|\n",
        ">-\n",
    ),
    *(
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "null",
        "~",
        "true",
        "no",
        "0x1F",
        "010",
    ),
    *(
        "1e3",
        "-1",
        ".5",
        "10.0.0.1/24",
        "10.0.0.0/0",
        "::1/64",
        "fd00::1/64",
        "52:54:00:12:34:56",
        "[::1]:9787",
    ),
    *(
        "\\U0010FFFF",
        "\u2028",
        "\ufeff",
        "\x00",
        "\x1b",
        "\udc80",
        "ä",
        "💥",
        "any",
        "auto",
        "masquerade",
        "15s",
    ),
    *(
        "defaults:\n",
        "networks:\n",
        "  a:\n",
        "    nat: ",
        "    addresses: ",
        "metrics: ",
        "listen: ",
        "uplink: ",
    ),
]
KEYS = [
    *(
        "defaults",
        "networks",
        "metrics",
        "listen",
        "description",
        "addresses",
        "mtu",
        "mac",
        "stp",
        "nat",
        "uplink",
    ),
    *("forward_delay", "source", "exempt", "routed", "reach", "inbound", "a", "b", "address", "<<", "", "\n"),
]


def look(text: str | bytes) -> Config | None:
    """Parse; a refusal must consist of complaints that can be printed, each on one line and in its place."""
    try:
        return parse(text, "f")
    except ConfigError as error:
        complaints = error.complaints
    assert complaints
    assert list(complaints) == sorted(set(complaints))
    for complaint in complaints:
        assert min(complaint.line, complaint.column) >= 1
        assert len(str(complaint).splitlines()) == 1
        assert str(complaint).encode()
    return None


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    look(raw)


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    look(text)


@given(st.lists(st.sampled_from(SCRAPS), max_size=40).map("".join))
def test_any_scraps_of_yaml(text: str) -> None:
    look(text)


@st.composite
def mutilated(draw: st.DrawFn) -> str:
    """Draw a good file in which something was cut out, put in or doubled, a few times."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        middle = draw(st.sampled_from([*SCRAPS, text[start:end] * 2]))
        text = text[:start] + middle + text[end:]
    return text


@given(mutilated())
def test_any_mutilated_file(text: str) -> None:
    look(text)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(SCRAPS) | st.text(max_size=8)
)
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS), below, max_size=4),
    max_leaves=12,
)


@given(TREES, TREES, TREES)
def test_any_structure(defaults: Any, network: Any, metrics: Any) -> None:
    look(json.dumps({"defaults": defaults, "networks": {"a": network, "b": {}}, "metrics": metrics}))


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", fullmatch=True).filter(
    lambda name: name not in {"all", "any", "auto", "default", "lo"}
)
WORDS = st.text(
    st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp", "Cn", "Co")), min_size=1, max_size=40
)


def pool(ends: tuple[int, int]) -> Pool:
    return Pool(*(IPv4Address(f"192.0.2.{last}") for last in sorted(ends)))


NATS = st.builds(
    Nat,
    persistent=st.booleans(),
    fully_random=st.booleans(),
    uplinks=st.lists(NAMES.map(lambda name: f"u{name}"[:15]), max_size=2, unique=True).map(tuple),
    source=st.none() | st.tuples(st.integers(1, 254), st.integers(1, 254)).map(pool),
    exempt=st.lists(
        st.sampled_from([IPv4Network("172.16.0.0/12"), IPv4Network("198.51.100.7/32")]), unique=True
    ).map(tuple),
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Draw any configuration that makes sense; uplinks and inbounds begin with u, bridges with n."""
    names = draw(st.lists(NAMES.map(lambda name: f"n{name}"[:15]), max_size=4, unique=True))
    networks = {}
    for index, name in enumerate(names):
        four = ip_interface(f"10.{index}.0.1/{draw(st.integers(16, 30))}")
        six = draw(st.sampled_from([(), (ip_interface(f"fd00:{index}::1/64"),)]))
        stp = draw(st.sampled_from([None, False, True]))
        nat = draw(st.none() | NATS)
        networks[name] = Network(
            name,
            (four, *six),
            description=draw(st.none() | WORDS.filter(str.strip)),
            mtu=draw(st.none() | st.integers(1280, 65535)),
            mac=draw(st.none() | st.just(f"52:54:00:00:00:{index:02x}")),
            stp=stp,
            forward_delay=draw(
                st.none() | st.integers(20 if stp else 0, 300).map(lambda tenths: tenths / 10)
            ),
            nat=nat,
            routed=nat is None and draw(st.booleans()),
            reach=tuple(
                other for other in draw(st.lists(st.sampled_from(names), unique=True)) if other != name
            ),
            inbound=draw(
                st.lists(NAMES.map(lambda other: f"u{other}"[:15]), max_size=2, unique=True).map(tuple)
            ),
        )
    return Config(
        networks,
        draw(st.none() | st.builds(Metrics, st.sampled_from(["127.0.0.1", "::1"]), st.integers(1, 65535))),
    )


def written(config: Config) -> dict[str, Any]:
    """Return `config` as its author would have written it."""
    networks = {}
    for network in config.networks.values():
        said = {
            key: getattr(network, key)
            for key in ("description", "mtu", "mac", "stp", "forward_delay")
            if getattr(network, key) is not None
        }
        if nat := network.nat:
            source = {"source": str(nat.source)} if nat.source else {}
            said["nat"] = {
                "uplink": list(nat.uplinks) or "any",
                "exempt": list(map(str, nat.exempt)),
                **source,
                "ports": f"{nat.ports[0]}-{nat.ports[1]}",
                "persistent": nat.persistent,
                "fully_random": nat.fully_random,
            }
        said |= {"routed": network.routed, "reach": list(network.reach), "inbound": list(network.inbound)}
        networks[network.name] = said | {"addresses": list(map(str, network.addresses))}
    metrics: Any = False
    if config.metrics:
        host = f"[{config.metrics.host}]" if ":" in config.metrics.host else config.metrics.host
        metrics = {"listen": f"{host}:{config.metrics.port}"}
    return {"networks": networks, "metrics": metrics}


@given(configs())
def test_what_is_written_is_read(config: Config) -> None:
    """As JSON, which is YAML, and as we write YAML in the reference."""
    assert parse(json.dumps(written(config), ensure_ascii=False), "f") == config
    assert parse(flow(written(config)), "f") == config


@given(configs())
def test_what_all_share_may_stand_under_defaults(config: Config) -> None:
    """A key that every network says is the same key under `defaults`."""
    file = written(config)
    shared = {
        key: file["networks"][name][key]
        for name in list(file["networks"])[:1]
        for key in ("routed", "inbound")
    }
    for network in file["networks"].values():
        for key, value in shared.items():
            if network[key] == value and not (key == "routed" and value and "nat" in network):
                del network[key]
    assert parse(flow(file | {"defaults": shared}), "f") == config


SUBNETS = st.builds(
    lambda ip, prefix: IPv4Network((0x0A000000 | ip, prefix), strict=False),
    st.integers(0, 0xFFFF),
    st.integers(16, 30),
)


@given(st.lists(st.lists(SUBNETS, min_size=1, max_size=3), max_size=5))
def test_overlaps_are_found_exactly(networks: list[list[IPv4Network]]) -> None:
    """The walk in order of address finds an overlap if, and only if, comparing every pair does."""
    file = {
        f"n{i}": {"addresses": [f"{s[1]}/{s.prefixlen}" for s in subnets]}
        for i, subnets in enumerate(networks)
    }
    claims = [(i, subnet) for i, subnets in enumerate(networks) for subnet in subnets]
    pairs = [(one, other) for one, other in combinations(claims, 2) if one[1].overlaps(other[1])]
    assert (look(json.dumps({"networks": file})) is None) == bool(pairs)
