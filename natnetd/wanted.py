"""What the file says now, or said last: one typo must not take every guest offline."""

import logging
from dataclasses import dataclass
from pathlib import Path

from natnetd import config
from natnetd.errors import ConfigError
from natnetd.model import Config
from natnetd.state import State

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Wanted:
    """The configuration in force; `error` says what is wrong with the file if that is not what it says."""

    path: Path
    state: State
    config: Config | None = None
    text: bytes | None = None
    error: str = ""

    def load(self) -> bool:
        """Read the file. If it is bad, what was in force stays so, or the last good one comes into force.

        Returns whether the file is good.
        """
        self.text = None
        try:
            self.text = config.read(self.path)
            self.config = config.parse(self.text, str(self.path))
        except ConfigError as error:
            self.error = str(error)
            for line in self.error.splitlines():
                log.error("%s", line)
            self.fall_back()
            return False
        self.error = ""
        self.state.keep(self.text)
        return True

    def fall_back(self) -> None:
        """Go on with the last good file."""
        if self.config is not None:
            log.error("the last good configuration stays in force")
            return
        try:
            self.config = config.load(self.state.last_good)
        except ConfigError:
            log.error("there is no last good configuration: nothing is changed until %s is good", self.path)
        else:
            log.error("the last good configuration is in force: %s", self.state.last_good)

    def changed(self) -> bool:
        """Whether the file says something else than when it was last read."""
        try:
            return config.read(self.path) != self.text
        except ConfigError as error:
            return str(error) != self.error
