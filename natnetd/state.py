"""What is kept in $STATE_DIRECTORY: the last good configuration file, and the counters."""

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from natnetd.codec import pack, unpack
from natnetd.tally import Tally

log = logging.getLogger(__name__)

STATE_DIRECTORY = "/var/lib/natnetd"
RUNTIME_DIRECTORY = "/run/natnetd"


def state_directory() -> Path:
    """Where state is kept (systemd.exec(5), StateDirectory=)."""
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or STATE_DIRECTORY)


def runtime_directory() -> Path:
    """Where the status is published (systemd.exec(5), RuntimeDirectory=)."""
    return Path(os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or RUNTIME_DIRECTORY)


def replace_file(path: Path, content: bytes, *, lasting: bool = False) -> None:
    """Write a file as a whole or not at all, making its directory if need be. Raises OSError.

    A `lasting` one is on the disk before it takes the old one's place: a power cut leaves either of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as stream:
            stream.write(content)
            if lasting:
                stream.flush()
                os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


@dataclass(slots=True)
class State:
    """The state directory. A disk that is full or read-only is said once, and stops nothing."""

    directory: Path
    complained: set[Path] = field(default_factory=set)

    @property
    def last_good(self) -> Path:
        """What was in force last, as one file, also if it came from several."""
        return self.directory / "last-good.yaml"

    def keep(self, text: bytes) -> None:
        """Remember a good configuration; what is kept already is not written again."""
        with suppress(OSError):
            if self.last_good.read_bytes() == text:
                return
        self.write(self.last_good, text, lasting=True)

    def keep_tally(self, tally: Tally) -> None:
        """Remember the counters."""
        self.write(self.directory / "counters.json", json.dumps(pack(tally)).encode())

    def tally(self) -> Tally:
        """Recall the counters; none if they were never kept, or cannot be understood."""
        try:
            found: Tally = unpack(Tally, json.loads((self.directory / "counters.json").read_text("utf-8")))
        except FileNotFoundError:
            return Tally()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("the counters in %s cannot be read, they start from zero: %s", self.directory, error)
            return Tally()
        return found

    def write(self, path: Path, content: bytes, *, lasting: bool = False) -> None:
        """Write, or say once why not."""
        try:
            replace_file(path, content, lasting=lasting)
        except OSError as error:
            if path not in self.complained:
                log.warning("cannot write %s: %s", path, error.strerror)
            self.complained.add(path)
        else:
            self.complained.discard(path)
