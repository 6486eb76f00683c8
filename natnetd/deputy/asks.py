"""What the service asks for: read with distrust, for whoever took the service over may have written it."""

import hashlib
import json
import os
import pwd
import re
import stat
from collections.abc import Iterable
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from natnetd.deputy.places import Places
from natnetd.deputy.stanzas import Entry, cleaned
from natnetd.errors import HostError

LARGEST = 4 << 20  # bytes
MOST = 10_000  # networks
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
NOT_OURS = frozenset(("lo", "all", "any", "auto", "default"))
COMMENT_LINES, COMMENT_BYTES = 8, 255
FIELDS = frozenset(("name", "inet", "inet6", "comment"))


class RefusedError(HostError):
    """The asks are not as the service writes them: nothing of them is done."""


def fetch(places: Places) -> bytes:
    """Read the file of asks. Raises RefusedError; FileNotFoundError: there is none."""
    path = places.asks
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RefusedError(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError(f"{path}: is no regular file")
        if found.st_uid not in owners(places.owner):
            raise RefusedError(f"{path}: belongs to user {found.st_uid}, not to {places.owner} or root")
        raw = os.read(fd, LARGEST + 1)  # in one go: the file is renamed into its place
    finally:
        os.close(fd)
    if len(raw) > LARGEST:
        raise RefusedError(f"{path}: is larger than {LARGEST} bytes")
    return raw


def owners(name: str) -> frozenset[int]:
    """Return the users who may ask."""
    try:
        return frozenset((0, pwd.getpwnam(name).pw_uid))
    except KeyError:
        return frozenset((0,))


def digest(raw: bytes) -> str:
    """What an answer names the asks by."""
    return hashlib.sha256(raw).hexdigest()


def parse(raw: bytes, verbs: Iterable[str]) -> dict[str, Any]:
    """Read what is asked of each verb; `serial` only makes each asking another. Raises RefusedError."""
    try:
        told = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"the asks are no JSON: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.pop("serial", None), int):
        raise RefusedError("the asks are no object with a serial number")
    unknown = sorted(told.keys() - set(verbs))
    if unknown:
        raise RefusedError(f"the asks have an unknown verb: {unknown[0][:40]!a}")
    return told


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of which each key stands there once. Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def entries(told: Any) -> tuple[Entry, ...]:
    """Read what `register` is asked. Raises RefusedError."""
    if not isinstance(told, list) or len(told) > MOST:
        raise RefusedError(f"register: is no list of at most {MOST} networks")
    found = tuple(entry(item) for item in told)
    if len({e.name for e in found}) != len(found):
        raise RefusedError("register: a network stands there twice")
    return found


def entry(told: Any) -> Entry:
    """Read one network. Raises RefusedError."""
    if not isinstance(told, dict) or told.keys() != FIELDS:
        raise RefusedError(f"register: a network has not exactly the keys {', '.join(sorted(FIELDS))}")
    name = told["name"]
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in NOT_OURS:
        raise RefusedError(f"register: {name!a:.60} is no name of a network")
    comment = told["comment"]
    if not isinstance(comment, list) or len(comment) > COMMENT_LINES:
        raise RefusedError(f"register: {name}: the comment is no list of at most {COMMENT_LINES} lines")
    lines = tuple(line(name, item) for item in comment)
    return Entry(name, address(name, told["inet"], 4), address(name, told["inet6"], 6), lines)


def address(name: str, told: Any, version: int) -> str:
    """Read an interface's address, or that there is none. Raises RefusedError."""
    if told == "":
        return ""
    try:
        found = ip_interface(told) if isinstance(told, str) and "%" not in told else None
    except ValueError:
        found = None
    if found is None or found.version != version or str(found) != told:
        raise RefusedError(f"register: {name}: {told!a:.60} is no IPv{version} interface address")
    return str(found)


def line(name: str, told: Any) -> str:
    """Read a line of comment. Raises RefusedError."""
    if (
        not isinstance(told, str)
        or not 0 < len(told.encode("utf-8", "surrogatepass")) <= COMMENT_BYTES
        or told != cleaned(told)
    ):
        raise RefusedError(f"register: {name}: {told!a:.60} is no line of comment")
    return told


def written(wanted: Iterable[Entry], serial: int) -> bytes:
    """Write asks down: the whole list, so that asking twice is asking once."""
    rows = [{"name": e.name, "inet": e.inet, "inet6": e.inet6, "comment": list(e.comment)} for e in wanted]
    return json.dumps({"serial": serial, "register": rows}, ensure_ascii=False).encode() + b"\n"


def written_instances(
    run: Iterable[str], restart: Iterable[str], reload: Iterable[str], serial: int
) -> bytes:
    """Write down which dnsmasq shall run, as NETWORK.DIGEST, and which of them anew or by new lists."""
    told = {"run": sorted(run), "restart": sorted(restart), "reload": sorted(reload)}
    return json.dumps({"serial": serial, "dnsmasq": told}).encode() + b"\n"


def read_json(path: Path) -> Any:
    """Read a small file of the deputy's own. Raises OSError, ValueError."""
    with path.open("rb") as stream:
        return json.loads(stream.read(LARGEST))
