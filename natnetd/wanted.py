"""What the file and its drop-ins say now, or said last: one typo must not take every guest offline."""

import logging
from dataclasses import dataclass
from pathlib import Path

from natnetd import config
from natnetd.errors import ConfigError
from natnetd.file.sources import Texts, gather
from natnetd.model import Config
from natnetd.state import State

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Wanted:
    """The configuration in force; `error` says what is wrong with the files if that is not what they say."""

    path: Path
    state: State
    config: Config | None = None
    texts: Texts = ()
    error: str = ""

    def load(self) -> bool:
        """Read the files. If they are bad, what was in force stays so, or the last good one comes into force.

        Returns whether they are good.
        """
        self.texts = gather(self.path)
        try:
            read = config.understand(self.texts)
        except ConfigError as error:
            self.error = str(error)
            complain(error)
            self.fall_back(error.complaints[0].file)
            return False
        self.config, self.error = read.config, ""
        self.state.keep(read.in_one)
        return True

    def fall_back(self, bad: str) -> None:
        """Go on with the last good configuration; `bad` is the file to mend first."""
        if self.config is not None:
            log.error("the last good configuration stays in force")
            return
        kept = self.state.last_good
        try:
            self.config = config.parse(kept.read_bytes(), str(kept))
        except FileNotFoundError:
            log.error("there is no last good configuration: nothing is changed until %s is good", bad)
        except OSError as error:
            log.error("the last good configuration %s cannot be read: %s", kept, error.strerror)
            log.error("nothing is changed until %s is good", bad)
        except ConfigError as error:
            complain(error)
            log.error("the last good configuration is no good any more: nothing is changed until %s is", bad)
        else:
            log.error("the last good configuration is in force: %s", kept)

    def changed(self) -> bool:
        """Whether the files say something else than when they were last read."""
        return gather(self.path) != self.texts


def complain(error: ConfigError) -> None:
    """Write every complaint into the log."""
    for complaint in error.complaints:
        log.error("%s", complaint)
