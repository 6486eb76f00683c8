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
    look_again(g)
    return path.name


@harm(1)
def file_of_dnsmasq_changed(g: Ground) -> str:
    ends = (".conf", ".hosts", ".names", ".read")
    path = g.pick(sorted(p for p in (g.directory / "run/dnsmasq").glob("*.*") if p.suffix in ends))
    path.write_text("# somebody's\n", "ascii")
    look_again(g)
    return path.name


def look_again(g: Ground) -> None:
    """Have everything looked at, as it is once a minute."""
    if g.service is not None:
        g.service.send(signal.SIGHUP)
