"""Small text files that are looked at often, and read again only if they are others."""

import os
from dataclasses import dataclass, field

from natnetd.dnsmasq import digest

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Text:
    """The lines of a file, and what tells them from others; none if there is no such file."""

    lines: tuple[str, ...] = ()
    digest: str = digest(())


NOTHING = Text()


@dataclass(slots=True)
class Texts:
    """What was read last, and of which version of each file."""

    read: dict[str, tuple[Version, Text]] = field(default_factory=dict)

    def of(self, path: str) -> Text:
        """Read a file, or recall it."""
        try:
            state = os.stat(path)  # noqa: PTH116  # 2 us, not 8: a thousand networks have four files each
            version = (state.st_ino, state.st_size, state.st_mtime_ns)
            last = self.read.get(path)
            if last is None or last[0] != version:
                with open(path, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
                    lines = tuple(stream.read().splitlines())
                last = self.read[path] = version, Text(lines, digest(lines))
        except OSError:
            self.read.pop(path, None)
            return NOTHING
        return last[1]

    def forget(self) -> None:
        """Read everything again."""
        self.read.clear()
