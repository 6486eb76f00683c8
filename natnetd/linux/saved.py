"""The rules of iptables that are in force, by its own programs: both backends, where they are installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator

from natnetd.moving.saved import Saved, read

BACKENDS = ("iptables-legacy", "iptables-nft")
TIMEOUT = 10.0  # seconds
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def in_force(path: str = PATH) -> tuple[Saved, ...] | None:
    """Return every rule of every table there is; None without root, or without iptables.

    The programs are called without a table's name: naming one would make it.
    """
    if os.geteuid() != 0:
        return None
    tools = [tool for tool in BACKENDS if shutil.which(f"{tool}-save", path=path)]
    if not tools and shutil.which("iptables-save", path=path):
        tools = ["iptables"]
    listings = [*listed(tools, path)]
    if not listings:
        return None
    return tuple(saved for tool, text in listings for saved in read(text, tool))


def listed(tools: list[str], path: str) -> Iterator[tuple[str, str]]:
    """Yield what each program prints; one that fails has nothing to say."""
    for tool in tools:
        program = shutil.which(f"{tool}-save", path=path)
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program], capture_output=True, check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError):
            continue
        yield tool, done.stdout.decode("utf-8", "replace")
