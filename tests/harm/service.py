"""What may happen to the file and to the service."""

import signal
from typing import Any

import chaos_files as files
from ground import Ground, Refused

from harm.bridges import bridge_down
from harm.guests import address_deleted
from harm.others import forwarding_off
from harm.table import element_deleted, table_deleted
from harm.way import harm
from natnetd.linux import additions

# --- the file


@harm(4)
def another_file(g: Ground) -> str:
    g.loaded()
    g.want(files.good(g.rng))
    how = g.rng.choice(["renamed", "written in place", "written in halves", "written twice"])
    text = g.loading.encode()
    if how == "renamed":
        aside = g.directory / "aside.yaml"
        aside.write_bytes(text)
        aside.replace(g.file)
    elif how == "written in halves":
        with g.file.open("wb", buffering=0) as file:
            file.write(text[: len(text) // 2])
            file.write(text[len(text) // 2 :])
    else:
        for _ in range(1 + (how == "written twice")):
            g.file.write_bytes(text)
    return f"{how}: {g.loading}"


@harm(1)
def one_network_changed(g: Ground) -> str:
    g.loaded()
    name = g.name()
    others = [n for n in g.networks if n != name]
    g.want({**g.networks, name: files.network(g.rng, name, others, closed=False)})
    g.file.write_bytes(g.loading.encode())
    return f"{name}: {g.networks[name]}"


@harm(1.5)
def bad_file(g: Ground) -> str:
    g.loaded()
    bad = g.rng.choice([*files.BAD, None])
    if bad is None:
        g.file.unlink(missing_ok=True)
    else:
        g.file.write_bytes(bad)
    g.file_bad = True
    return str(bad)


@harm(1)
def the_good_file_again(g: Ground) -> None:
    g.loaded()
    g.want(g.networks)
    g.file.write_bytes(g.loading.encode())


@harm(1)
def reload_asked_for(g: Ground) -> None:
    if g.service is not None and "READY=1" in g.service.heard():
        g.service.send(signal.SIGHUP)


# --- the service


@harm(1.5)
def service_killed(g: Ground) -> None:
    g.kill()


@harm(1)
def service_killed_and_started(g: Ground) -> None:
    g.kill()
    g.start()


@harm(0.5)
def service_stopped(g: Ground) -> None:
    if g.service is not None and "READY=1" in g.service.heard():
        g.certain = False
        g.end(signal.SIGTERM)


@harm(1.5)
def service_slow(g: Ground) -> None:
    """It does not get the CPU for a while: what happens meanwhile comes to it at once."""
    g.stop()


@harm(0.3)
def flood_of_events(g: Ground) -> str:
    """More events than its socket takes: some are lost."""
    g.stop()
    g.certain = False
    name = g.name()
    g.index(name)
    message = additions.alias(name, "x" * 200)
    other = additions.alias(name, "y" * 200)
    errors: list[Any] = []
    for _ in range(60):
        errors += g.route.batch([message, other] * 50)
    return f"{name}: {sum(e is not None for e in errors)} refused of {len(errors)}"


@harm(0.5)
def fight(g: Ground) -> str:
    """Somebody undoes the same thing again and again."""
    do = g.rng.choice([table_deleted, bridge_down, element_deleted, address_deleted, forwarding_off])
    state, refused = g.rng.getstate(), 0
    for _ in range(15):
        g.rng.setstate(state)
        try:
            do(g)
        except Refused:
            refused += 1
    return f"{do.__name__}, {refused} of 15 refused"
