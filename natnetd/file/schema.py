"""JSON Schema and the written reference, both made from the descriptions in `natnetd.file.keys`."""

import json
import re
from collections.abc import Iterator
from typing import Any

from natnetd.file.forward_keys import FORWARDS
from natnetd.file.grammar import Feature, Key, Many, Named, Rows, Section, Takes
from natnetd.file.guard_keys import GUARD
from natnetd.file.keys import FILE, METRICS, NAT, NETWORK_SECTION, PROXMOX
from natnetd.file.service_keys import DHCP, DNS, OPTIONS, RECORDS, RESERVATIONS
from natnetd.file.shapes import Shape

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MARKER = "<!-- What follows is made from natnetd/file/keys.py by natnetd.file.schema.renewed(). -->\n"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _./-]*(?::[A-Za-z0-9_.-]+)*")
CHAPTERS = (
    ("Top level", FILE),
    ("A network", NETWORK_SECTION),
    ("Under `nat`", NAT),
    ("Under `dhcp`", DHCP),
    ("Each of `dhcp.reservations`", RESERVATIONS.section),
    ("Under `dhcp.options`", OPTIONS),
    ("Under `dns`", DNS),
    ("Each of `dns.records`", RECORDS.section),
    ("Under `guard`", GUARD),
    ("Each of `forwards`", FORWARDS.section),
    ("Under `metrics`", METRICS.section),
    ("Under `proxmox`", PROXMOX.section),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the file; it accepts every file that the parser accepts.

    It cannot tell what two keys are to each other (subnets that overlap, `nat` together with `routed`).
    """
    return {"$schema": DIALECT, "title": "natnetd.yaml", **schema_of(FILE)}


def schema_of(takes: Takes) -> dict[str, Any]:
    """Return the schema of what a key takes."""
    match takes:
        case Shape():
            return dict(takes.schema)
        case Many(shape, if_none):
            several = {"type": "array", "items": dict(shape.schema), **({"minItems": 1} if if_none else {})}
            return {"anyOf": [dict(shape.schema), several]}
        case Feature(section):
            return {"anyOf": [{"type": "boolean"}, schema_of(section)]}
        case Named(names, section):
            name = {"propertyNames": dict(names.schema)}
            return {"type": "object", **name, "additionalProperties": schema_of(section)}
        case Rows(section):
            return {"anyOf": [schema_of(section), {"type": "array", "items": schema_of(section)}]}
        case Section(keys):
            required = [key.name for key in keys if key.required]
            return {
                "type": "object",
                "properties": {key.name: schema_of_key(key) for key in keys},
                **({"required": required} if required else {}),
                "additionalProperties": False,
            }


def schema_of_key(key: Key) -> dict[str, Any]:
    """Return the schema of a key, with its description, default and examples."""
    default = {} if key.value is None else {"default": key.value}
    return {"description": key.doc, **schema_of(key.takes), **default, "examples": list(key.examples)}


def reference() -> str:
    """Return the reference of all keys, in Markdown."""
    return "\n".join(line for title, section in CHAPTERS for line in chapter(title, section))


def renewed(page: str) -> str:
    """Return `page` (docs/config.md) with everything below the marker made anew."""
    return page.partition(MARKER)[0] + MARKER + "\n" + reference()


def chapter(title: str, section: Section) -> Iterator[str]:
    """Yield the lines about a section."""
    yield from (f"## {title}", "")
    for key in section.keys:
        yield from (f"### `{key.name}`", "", key.doc, "")
        yield f"- Takes {in_words(key.takes)}."
        yield "- Required." if key.required else f"- Default: {key.default}."
        yield f"- Written like {', or '.join(f'`{key.name}: {flow(example)}`' for example in key.examples)}."
        if not key.shared:
            yield "- Not under `defaults`."
        yield ""


def in_words(takes: Takes) -> str:
    """Say what a key takes."""
    match takes:
        case Many(shape):
            return f"{shape.words}; one or a list"
        case Feature(section):
            return section.words
        case Shape(words) | Named(_, _, words) | Section(_, words) | Rows(_, words):
            return words


def flow(value: Any) -> str:
    """Return a JSON value as YAML on one line, with quotes only where they are needed."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str() if PLAIN.fullmatch(value):
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)
