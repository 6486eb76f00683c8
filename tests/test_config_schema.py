"""JSON Schema, reference, examples and shipped file say what the parser does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from good_files import GOOD

from natnetd.config import compose, parse, understand
from natnetd.errors import ConfigError
from natnetd.file.forward_keys import FORWARDS
from natnetd.file.guard_keys import GUARD
from natnetd.file.keys import FILE, METRICS, NAT, NETWORK_SECTION
from natnetd.file.nodes import Mapping, Node, Scalar, Sequence
from natnetd.file.schema import flow, json_schema, reference, renewed
from natnetd.file.service_keys import DHCP, DNS, RECORDS, RESERVATIONS
from natnetd.file.service_keys import OPTIONS as OPTIONS_SECTION
from natnetd.file.sources import Text
from natnetd.model import Config, Dhcp, Dns, Guard, Nat, Network

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()]
SHIPPED = (ROOT / "config/natnetd.yaml").read_text()
NATS = (
    "nat",
    *(f"nat.{key}" for key in ("uplink", "source", "ports", "persistent", "fully_random", "exempt")),
    *("nat.ipv4", "nat.ipv6", "ra"),
)
DHCPS = ("ranges", "lease_time", "static_only", "reservations", "options")
RESERVED = ("mac", "address", "name")
OPTIONS = ("router", "dns", "ntp", "search", "boot_server", "boot_file", "captive_portal")
SERVICE = (
    *("dhcp", "dns", "dns.domain", "dns.upstream", "dns.records", "dns.records.name", "dns.records.address"),
    *(f"dhcp.{key}" for key in DHCPS),
    *(f"dhcp.reservations.{key}" for key in RESERVED),
    *(f"dhcp.options.{key}" for key in OPTIONS),
)
GUARDS = ("anti_spoof", "strict", "rogue_dhcp", "rogue_ra", "bogons", "new_connections", "open_connections")
GUARDED = ("guard", "guard.quarantine", *(f"guard.{key}" for key in GUARDS))
SHARED = (
    *("mtu", "stp", "forward_delay", "routed", "reach", "inbound", "host_access", "count_guests"),
    *(*NATS, *SERVICE, *GUARDED),
)
EVERY_KEY = {
    *("defaults", "networks", "metrics", "metrics.listen", "metrics.guests", "proxmox", "proxmox.register"),
    "quarantine",
    *(f"networks.*.{key}" for key in ("description", "addresses", "mac", *SHARED)),
    *(f"networks.*.{key}" for key in ("forwards", "forwards.listen", "forwards.to")),
    *(f"defaults.{key}" for key in SHARED),
}


def faults(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield what is wrong with `value`: JSON Schema, as far as ours goes; a word it does not know fails."""
    for word, rule in schema.items():
        yield from WORDS[word](value, rule, path, schema)


def wrong(word: str, path: str, *, unless: bool) -> Iterator[str]:
    if not unless:
        yield f"{path}: {word}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": is_number,
    "integer": lambda value: is_number(value) and value == int(value),
}


def fits_type(value: Any, rule: Any, path: str, _: Any) -> Iterator[str]:
    names = rule if isinstance(rule, list) else [rule]
    yield from wrong("type", path, unless=any(TYPES[name](value) for name in names))


def fits_one(value: Any, rule: Any, path: str, _: Any) -> Iterator[str]:
    tries = [list(faults(value, option, path)) for option in rule]
    if all(tries):
        yield min(tries, key=lambda found: -max(map(len, found)))[0]


def fits_properties(value: Any, rule: Any, path: str, _: Any) -> Iterator[str]:
    for key, below in rule.items():
        if isinstance(value, dict) and key in value:
            yield from faults(value[key], below, f"{path}.{key}")


def fits_others(value: Any, rule: Any, path: str, schema: dict[str, Any]) -> Iterator[str]:
    for key, below in value.items() if isinstance(value, dict) else ():
        if key not in schema.get("properties", {}):
            yield from (
                faults(below, rule, f"{path}.{key}") if rule else [f"{path}.{key}: additionalProperties"]
            )


def fits_names(value: Any, rule: Any, path: str, _: Any) -> Iterator[str]:
    for key in value if isinstance(value, dict) else ():
        yield from faults(key, rule, f"{path}.{key}")


def fits_items(value: Any, rule: Any, path: str, _: Any) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from faults(item, rule, f"{path}[{index}]")


def simple(word: str, sort: str, test: Any) -> Any:
    return lambda value, rule, path, _: wrong(word, path, unless=not TYPES[sort](value) or test(value, rule))


WORDS: dict[str, Any] = {
    "type": fits_type,
    "anyOf": fits_one,
    "properties": fits_properties,
    "additionalProperties": fits_others,
    "propertyNames": fits_names,
    "items": fits_items,
    "not": lambda value, rule, path, _: wrong("not", path, unless=bool(list(faults(value, rule)))),
    "const": lambda value, rule, path, _: wrong("const", path, unless=value == rule),
    "enum": lambda value, rule, path, _: wrong("enum", path, unless=value in rule),
    "required": simple("required", "object", lambda value, rule: set(rule) <= set(value)),
    "pattern": simple("pattern", "string", lambda value, rule: re.search(rule, value)),
    "minLength": simple("minLength", "string", lambda value, rule: len(value) >= rule),
    "maxLength": simple("maxLength", "string", lambda value, rule: len(value) <= rule),
    "minItems": simple("minItems", "array", lambda value, rule: len(value) >= rule),
    "minimum": simple("minimum", "number", lambda value, rule: value >= rule),
    "maximum": simple("maximum", "number", lambda value, rule: value <= rule),
    **{word: lambda *_: iter(()) for word in ("$schema", "title", "description", "default", "examples")},
}


def as_json(node: Node | None) -> Any:
    """Return what an editor with YAML 1.2 would hand to a JSON Schema."""
    match node:
        case Mapping():
            return {key: as_json(value) for key, value in node.values.items()}
        case Sequence():
            return [as_json(item) for item in node.items]
        case Scalar() if node.plain and re.fullmatch(r"true|false|null|-?\d+(\.\d+)?", node.text):
            return json.loads(re.sub(r"^0+(?=\d)", "", node.text))
        case Scalar():
            return node.text
    raise AssertionError(node)


def complaints_of_schema(text: str) -> list[str]:
    return list(faults(as_json(compose(text.encode(), "f", [])), json_schema()))


def paths(schema: dict[str, Any], under: str = "") -> Iterator[str]:
    for option in schema.get("anyOf", ()):
        yield from paths(option, under)
    for key, below in schema.get("properties", {}).items():
        yield f"{under}{key}"
        yield from paths(below, f"{under}{key}.")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from paths(schema["additionalProperties"], f"{under}*.")


def test_the_schema_knows_every_key_and_no_other() -> None:
    assert sorted(paths(json_schema())) == sorted(EVERY_KEY)


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("title", GOOD)
def test_the_schema_accepts_what_the_parser_accepts(title: str) -> None:
    assert complaints_of_schema(GOOD[title][0]) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("metrics: true", ": required"),
        ("{networks: {}, network: {}}", ".network: additionalProperties"),
        ("networks: []", ".networks: type"),
        ("networks: {a/b: {}}", ".networks.a/b: pattern"),
        ("networks: {lo: {}}", ".networks.lo: not"),
        ("networks: {a: }", ".networks.a: type"),
        ("networks: {a: {mtu: 100}}", ".networks.a.mtu: minimum"),
        ("networks: {a: {mtu: '1500'}}", ".networks.a.mtu: const"),
        ("networks: {a: {stp: no}}", ".networks.a.stp: type"),
        ("networks: {a: {mac: 52:54:00:12:34}}", ".networks.a.mac: pattern"),
        ("networks: {a: {addresses: host/24}}", ".networks.a.addresses: pattern"),
        ("networks: {a: {addresses: [10.0.0.1/24, x]}}", ".networks.a.addresses[1]: pattern"),
        ("networks: {a: {nat: {upling: b}}}", ".networks.a.nat.upling: additionalProperties"),
        ("{networks: {}, defaults: {mac: 52:54:00:12:34:56}}", ".defaults.mac: additionalProperties"),
        ("{networks: {}, metrics: {listen: localhost:1}}", ".metrics.listen: pattern"),
    ],
)
def test_the_schema_refuses(text: str, fault: str) -> None:
    assert complaints_of_schema(text) == [fault]


GIVEN = {"mac": "52:54:00:00:00:01", "address": "10.0.0.9"}
RECORD = {"name": "x", "address": "10.0.0.9"}
NAMED = {"reservations": {"mac": "52:54:00:00:00:01", "address": "10.0.0.9", "name": "web1"}}


BOTH = ["10.0.0.1/24", "fd00::1/64"]


def serving(**service: Any) -> dict[str, Any]:
    return {"networks": {"vmbr1": {"addresses": "10.0.0.1/24", **service}}}


def forwarding(value: dict[str, Any]) -> dict[str, Any]:
    """Complete a forward, in a network where the names and addresses of the examples are guests."""
    web = {"mac": "52:54:00:00:00:01", "address": "10.0.0.9", "name": "web1"}
    row = {"listen": "203.0.113.5:81/tcp", "to": "10.0.0.5"} | value
    if row["listen"] == "203.0.113.7":
        row["to"] = "10.0.0.7"
    if row["listen"][0] == "[":
        row["to"] = "fd00::5"
    served = serving(dhcp={"reservations": web}, forwards=row)
    served["networks"]["vmbr1"]["addresses"] = ["10.0.0.1/24", "fd00::1/64"]
    return served


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a whole file for each example and each default in the descriptions."""
    others: dict[str, Any] = {"vmbr2": {}, "vmbr3": {}}
    for section, wrap in (
        (FILE, lambda value: value),
        (
            NETWORK_SECTION,
            lambda value: {"networks": {"vmbr1": {"addresses": BOTH, **value}, **others}},
        ),
        (NAT, lambda value: {"networks": {"vmbr1": {"addresses": "10.0.0.1/24", "nat": value}, **others}}),
        (METRICS.section, lambda value: {"metrics": value}),
        (DHCP, lambda value: serving(dhcp=value)),
        (OPTIONS_SECTION, lambda value: serving(dhcp={"options": value})),
        (RESERVATIONS.section, lambda value: serving(dhcp={"reservations": GIVEN | value})),
        (DNS, lambda value: serving(dns=value)),
        (FORWARDS.section, forwarding),
        (RECORDS.section, lambda value: serving(dns={"records": RECORD | value})),
        (GUARD, lambda value: serving(dhcp=NAMED, guard=value)),
    ):
        for key in section.keys:
            for value in (*key.examples, *([] if key.value is None else [key.value])):
                whole = wrap({key.name: value})
                yield f"{key.name}: {flow(value)}", serving(dhcp=NAMED, count_guests=True) | whole


@pytest.mark.parametrize(("title", "file"), examples())
def test_every_example_and_default_holds(title: str, file: dict[str, Any]) -> None:
    """They hold as JSON and as the reference writes them, and the schema accepts them."""
    text = flow(file)
    assert title in text
    assert parse(text, "f") == parse(json.dumps(file), "f")
    assert complaints_of_schema(text) == []


def test_every_key_has_an_example() -> None:
    service = (DHCP, OPTIONS_SECTION, RESERVATIONS.section, DNS, RECORDS.section)
    sections = (FILE, NETWORK_SECTION, NAT, METRICS.section, GUARD, *service)
    keys = [key for section in sections for key in section.keys]
    assert [key.name for key in keys if not key.examples or not key.doc or not key.default] == []


def test_what_is_said_to_be_the_default_is_the_default() -> None:
    """Writing every default out changes nothing but what "the file does not say" stands for."""
    spelt = {key.name: key.value for key in NETWORK_SECTION.keys if key.value is not None}
    assert parse(flow({"networks": {"a": spelt}}), "f") == Config(
        {"a": Network("a", stp=False, forward_delay=0.0)}
    )
    nat = {key.name: key.value for key in NAT.keys}
    file = {"networks": {"a": {"addresses": "10.0.0.1/24", "nat": nat}}}
    assert parse(flow(file), "f").networks["a"].nat == Nat()
    for name, section, plain in (("dhcp", DHCP, Dhcp()), ("dns", DNS, Dns()), ("guard", GUARD, Guard())):
        spelt = {key.name: key.value for key in section.keys if key.value is not None}
        file = {"networks": {"a": {"addresses": "10.0.0.1/24", name: spelt}}}
        assert getattr(parse(flow(file), "f").networks["a"], name) == plain
    spelt = {key.name: key.value for key in METRICS.section.keys}
    assert parse(flow({"networks": {}, "metrics": spelt}), "f") == Config()


def test_the_reference_is_up_to_date() -> None:
    page = (ROOT / "docs/config.md").read_text()
    assert page == renewed(page)
    assert page.count("## Top level") == 1


def test_the_reference_names_every_key() -> None:
    headings = re.findall(r"^### `(.*)`$", reference(), re.MULTILINE)
    assert set(headings) == {path.rpartition(".")[2] for path in EVERY_KEY}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_of_the_documentation_holds(page: Path) -> None:
    for text in blocks(page, "yaml"):
        assert isinstance(parse(text, page.name), Config), text


def test_the_page_about_the_file_has_examples() -> None:
    assert len(blocks(ROOT / "docs/config.md", "yaml")) == 3


def test_the_complaints_in_the_documentation_are_real() -> None:
    main = Text("/etc/natnetd.yaml", b"networks:\n  vmbr1:\n    addresses: 10.0.0.1/16\n")
    drop_in = Text("/etc/natnetd.d/20-web.yaml", main.raw)
    wrong = Text(main.file, main.raw.replace(b".1/", b".300/") + b"    nat: {uplnk: vmbr0}\n")
    told = []
    for texts in ((main, drop_in), (wrong,)):
        with pytest.raises(ConfigError) as caught:
            understand(texts)
        told.append(f"{caught.value}\n")
    assert blocks(ROOT / "docs/config.md", "text") == told


def test_the_shipped_file_is_the_how_to() -> None:
    (dhcp,) = (line for line in SHIPPED.splitlines(keepends=True) if "dhcp: true" in line)
    assert parse(SHIPPED.replace(dhcp, ""), "f") == GOOD["the how-to"][1]


def hidden_keys() -> list[tuple[int, int]]:
    """Return first and last+1 line of each example that is commented out: "#key", then lines of "#  more"."""
    lines = SHIPPED.splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r" *#\w", line)]
    ends = [
        next(j for j in range(i + 1, len(lines) + 1) if not re.match(" *#  ", "".join(lines[j : j + 1])))
        for i in starts
    ]
    return list(zip(starts, ends, strict=True))


def uncommented(*groups: tuple[int, int]) -> str:
    lines = SHIPPED.splitlines()
    for start, end in groups:
        lines[start:end] = [line.replace("#", "", 1) for line in lines[start:end]]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("group", hidden_keys())
def test_each_commented_key_of_the_shipped_file_holds(group: tuple[int, int]) -> None:
    assert parse(uncommented(group), "f") != parse(SHIPPED, "f")


def test_all_commented_keys_of_the_shipped_file_hold_together() -> None:
    config = parse(uncommented(*hidden_keys()), "f")
    assert list(config.networks) == ["vmbr1", "vmbr2", "vault"]
    assert config.networks["vmbr2"].reach == ("vmbr1",)
