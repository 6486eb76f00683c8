"""What tells that the host may ask other name servers: resolv.conf(5) or a link on the way to it changed."""

from collections.abc import Iterator
from pathlib import Path

from natnetd.host import Layer, Scope
from natnetd.linux.told import PathWatch, on_files
from natnetd.wake import Notice, Source

SERVICE_ONLY = Scope(None, frozenset({Layer.SERVICE}), host=False)


def sources(path: Path) -> list[Source]:
    """Have the file wake the loop. Raises OSError: no more watches to be had; then only verify looks."""
    watch = PathWatch(path)
    watch.follow()

    def say() -> Iterator[Notice]:
        watch.follow()  # it may be a link to another file by now
        yield Notice(SERVICE_ONLY)

    return [on_files(watch, say)]
