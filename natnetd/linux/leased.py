"""Reads the files of leases, again only if they are others."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from natnetd.leases import Lease, parse

Version = tuple[int, int, int]


@dataclass(slots=True)
class LeaseFiles:
    """What was read last, and of which version of each file."""

    directory: Path
    read: dict[str, tuple[Version, tuple[Lease, ...]]] = field(default_factory=dict)

    def of(self, network: str) -> tuple[Lease, ...]:
        """The leases of a network; none if there is no file, or we may not read it."""
        path = self.directory / f"{network}.leases"
        with suppress(OSError):
            state = path.stat()
            version = (state.st_ino, state.st_size, state.st_mtime_ns)
            last = self.read.get(network)
            if last is None or last[0] != version:
                last = version, tuple(parse(path.read_text("utf-8", "replace").splitlines()))
                self.read[network] = last
            return last[1]
        self.read.pop(network, None)
        return ()
