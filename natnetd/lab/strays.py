"""Processes that went into the background (dnsmasq does) end with the world they were started in."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def strays(kind: str) -> list[int]:
    """Find the processes, but for us, that are in our main thread's namespace of a kind: net or mnt."""
    here, found = Path(f"/proc/self/ns/{kind}").stat().st_ino, []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            with suppress(OSError):
                if (path / "ns" / kind).stat().st_ino == here:
                    found.append(int(path.name))
    return found


def end_strays(kind: str) -> None:
    """Kill them; who is in a namespace of our own was started by us."""
    for pid in strays(kind):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def keep_watch() -> None:
    """Leave a process behind that kills all in our mount namespace when we end, however that comes."""
    ours, theirs = os.pipe()
    if os.fork():
        os.close(ours)
        os.set_inheritable(theirs, False)  # held until we end: nobody else has it
        return
    os.close(theirs)
    os.setsid()  # what is sent to our terminal or our group is not for it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.read(ours, 1)
    end_strays("mnt")
    os._exit(0)
