"""What the loop stands on, made by whoever starts it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from natnetd.forgetting import Purging
from natnetd.host import Host
from natnetd.report import Traffic
from natnetd.rows import Link
from natnetd.wake import Wake


class Watched(Host, Purging, Protocol):
    """A host whose counters can be read, and whose leaked flows can be forgotten."""

    def sample(self) -> Traffic:
        """Read the counters. Raises HostError."""

    @property
    def generation(self) -> int:
        """The generation of the ruleset up to which nothing is news any more."""


class Following(Protocol):
    """The source of news about the way to the internet."""

    def follow(self, known: frozenset[str], known6: frozenset[str], /) -> bool:
        """Take it that these ways are known; the first time return whether they are others by now."""

    def strange(self, seen: frozenset[str], seen6: frozenset[str], /) -> bool:
        """Say whether these ways are others than those that are known."""


class Watching(Protocol):
    """The source of link events, told what matters."""

    def watch(
        self, bridges: Iterable[str], ways: Iterable[str], links: Mapping[str, Link], *, out: bool = False
    ) -> None:
        """Say which interfaces matter, and what is known of them."""


@dataclass(slots=True)
class Premises:
    """All of it."""

    host: Watched
    wake: Wake
    events: Watching
    follow: Callable[[], None] = lambda: None
    way: Following | None = None
    clock: Callable[[], float] = time.monotonic
