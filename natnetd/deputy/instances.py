"""DHCP and DNS of networks: units natnetd-dnsmasq@NETWORK.DIGEST.service are started, stopped and reloaded.

Which program runs, with which rights, is the unit's; the service only chooses which of the configurations
that it has written are in force.
"""

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from natnetd.deputy.asks import MOST, NAME, NOT_OURS, RefusedError
from natnetd.deputy.places import Places

UNIT = "natnetd-dnsmasq@"
DIGEST = re.compile(r"[0-9a-f]{12}", re.ASCII)
FIELDS = frozenset(("run", "restart", "reload"))
PATIENCE = 45.0  # seconds; a unit's own are less
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
REASON = re.compile(r"^(?:dnsmasq: )?(.*(?:fail|cannot|bad |unknown|in use|denied).*)$", re.MULTILINE)
DEAD = frozenset(("inactive", "failed"))

Run = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Asked:
    """Instances, as NETWORK.DIGEST: all that shall run; of these, which anew, and which read lists again."""

    run: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()


def read(told: Any) -> Asked:
    """Read what is asked. Raises RefusedError."""
    if not isinstance(told, dict) or told.keys() != FIELDS:
        raise RefusedError(f"dnsmasq: has not exactly the keys {', '.join(sorted(FIELDS))}")
    found = {key: tuple(instances(key, told[key])) for key in FIELDS}
    networks = {network(name) for name in found["run"]}
    if len(networks) != len(found["run"]):
        raise RefusedError("dnsmasq: run: a network stands there twice")
    if not set(found["restart"]) | set(found["reload"]) <= set(found["run"]):
        raise RefusedError("dnsmasq: what shall not run cannot restart or reload")
    return Asked(**found)


def instances(key: str, told: Any) -> Iterable[str]:
    """Read a list of instances. Raises RefusedError."""
    if not isinstance(told, list) or len(told) > MOST:
        raise RefusedError(f"dnsmasq: {key}: is no list of at most {MOST} instances")
    for item in told:
        name, _, digest = item.rpartition(".") if isinstance(item, str) else ("", "", "")
        if not NAME.fullmatch(name) or name in NOT_OURS or not DIGEST.fullmatch(digest):
            raise RefusedError(f"dnsmasq: {key}: {item!a:.60} is no NETWORK.DIGEST")
        yield item


def network(instance: str) -> str:
    """The network of an instance."""
    return instance.rpartition(".")[0]


def unit(instance: str) -> str:
    """Name its unit."""
    return f"{UNIT}{instance}.service"


def work(asked: Asked, _places: Places, run: Run | None = None) -> dict[str, str]:
    """Have exactly these run; tell errors by network."""
    do = run or command
    there = states(do)
    errors: dict[str, str] = {}
    if extra := sorted(there.keys() - set(asked.run)):
        do("systemctl", "stop", *map(unit, extra))
        if failed := [unit(name) for name in extra if there[name] == "failed"]:
            do("systemctl", "reset-failed", *failed)
    said = ""
    if anew := [name for name in asked.restart if name in there]:
        said = do("systemctl", "restart", *map(unit, anew))
    if todo := [name for name in asked.run if there.get(name, "inactive") in DEAD and name not in anew]:
        said += do("systemctl", "start", *map(unit, todo))
    if again := [name for name in asked.reload if there.get(name) == "active" and name not in anew]:
        do("systemctl", "kill", "--signal=HUP", *map(unit, again))
    after = states(do) if todo or anew else {}
    for name in (*todo, *anew):
        if after.get(name) not in ("active", "activating"):
            errors[network(name)] = reason(do, name, said)
    return errors


def states(do: Run) -> Mapping[str, str]:
    """Tell all instances that systemd knows of, and in which state they are; one that waits has failed."""
    listed = do("systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", f"{UNIT}*.service")
    rows = [line.split() for line in listed.splitlines()]
    return {
        row[0].removeprefix(UNIT).removesuffix(".service"): "failed" if row[3] == "auto-restart" else row[2]
        for row in rows
        if len(row) > 3 and row[0].startswith(UNIT)
    }


def reason(do: Run, instance: str, told: str) -> str:
    """Say why an instance does not run: in its own last words, or in systemd's."""
    said = do("journalctl", "--unit", unit(instance), "--output=cat", "--lines=20", "--since=-30s")
    words: list[str] = REASON.findall(said)
    own = [word for word in words if "systemd" not in word and "Failed with result" not in word]
    words = own or told.strip().splitlines() or [f"systemctl status {unit(instance)}"]
    return f"dnsmasq does not start: {words[-1]}"


def command(*words: str) -> str:
    """Run a program of systemd; what it prints, and complains of: the look afterwards tells."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE,
            env={"PATH": PATH, "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{words[0]}: {error}"
    return done.stdout + done.stderr
