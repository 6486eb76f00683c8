"""What natnetd-deputy.service runs: answers the asks, and those that come meanwhile."""

import sys
import time

from natnetd.deputy import asks, work
from natnetd.deputy.places import Places
from natnetd.errors import HostError

LINGER = 0.5
"""Seconds: a path unit is deaf while its service runs. It also bounds what asking all the time can cost."""


def main(places: Places, linger: float = LINGER) -> int:
    """Answer until there is nothing new. Returns the exit code."""
    last, good = b"", True
    try:
        while True:
            raw = asks.fetch(places)
            if raw == last:
                return 0 if good else 1
            good = work.answer(raw, places)
            last = raw
            time.sleep(linger)
    except FileNotFoundError:
        return 0
    except HostError as error:
        work.say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main(Places.of()))
