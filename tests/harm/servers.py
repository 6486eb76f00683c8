"""What may happen to who serves guests: dnsmasq dies, its files go or are others."""

import os
import signal

from ground import Ground, Refused

from harm.way import harm


@harm(2)
def dnsmasq_killed(g: Ground) -> str:
    path = g.pick(sorted((g.directory / "run/dnsmasq").glob("*.pid")))
    number = g.rng.choice([signal.SIGKILL, signal.SIGTERM])
    try:
        os.kill(int(path.read_text("ascii")), number)
    except (OSError, ValueError) as error:
        raise Refused(str(error)) from error
    return f"{path.stem} {number.name}"


@harm(1)
def files_of_dnsmasq_gone(g: Ground) -> str:
    """No event tells of these: a look at everything finds them."""
    path = g.pick(sorted(p for p in (g.directory / "run/dnsmasq").glob("*.*") if p.suffix != ".new"))
    path.unlink(missing_ok=True)
    g.look_again()
    return path.name


@harm(1)
def file_of_dnsmasq_changed(g: Ground) -> str:
    ends = (".conf", ".hosts", ".names", ".read")
    path = g.pick(sorted(p for p in (g.directory / "run/dnsmasq").glob("*.*") if p.suffix in ends))
    path.write_text("# somebody's\n", "ascii")
    g.look_again()
    return path.name
