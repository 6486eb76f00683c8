"""Sources of the loop that are told of by files or by the clock: a descriptor, and what to say."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from natnetd.linux.alarm import Alarm
from natnetd.linux.files import FileWatch
from natnetd.wake import Notice


class PathWatch(FileWatch):
    """Tells when one of some files may have changed; watches nothing before it is told to follow."""

    def __init__(self, *paths: Path) -> None:
        self.paths: tuple[Path, ...] = ()
        super().__init__(paths[0])
        self.paths = paths

    def follow(self) -> None:
        """Watch where the ways lead now."""
        self.names = {}
        for path in self.paths:
            self.go(path)


class Open(Protocol):
    """What has a descriptor."""

    def fileno(self) -> int:
        """Readable when something happened."""


@dataclass(slots=True)
class Told:
    """A source: `happened` says whether it is about us, `say` what there is to tell."""

    what: Open
    happened: Callable[[], bool]
    say: Callable[[], Iterable[Notice]]

    def fileno(self) -> int:
        """Readable when something happened."""
        return self.what.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell it."""
        if self.happened():
            yield from self.say()


def on_files(watch: FileWatch, say: Callable[[], Iterable[Notice]]) -> Told:
    """Tell when files may have changed."""
    return Told(watch, lambda: any(list(watch.read())), say)


def on_time(alarm: Alarm, rang: Callable[[], bool], say: Callable[[], Iterable[Notice]]) -> Told:
    """Tell when a clock rang and that is a reason."""

    def happened() -> bool:
        alarm.hush()
        return rang()

    return Told(alarm, happened, say)
