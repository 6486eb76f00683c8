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


@harm(1)
def other_name_servers(g: Ground) -> str:
    """The host asks somebody else, or nobody."""
    aside = g.directory / "resolv.conf.new"
    text = "".join(f"nameserver 192.0.2.{n}\n" for n in g.rng.sample(range(1, 5), g.rng.randint(0, 3)))
    aside.write_text(text, "ascii")
    how = g.rng.choice(["moved", "written", "linked"])
    if how == "moved":
        aside.replace(g.resolvers)
    elif how == "written":
        g.resolvers.unlink(missing_ok=True)
        g.resolvers.write_text(text, "ascii")
    else:
        g.resolvers.unlink(missing_ok=True)
        g.resolvers.symlink_to(aside)
    return f"{how}: {text.split()[1::2]}"
