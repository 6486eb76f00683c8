"""What a deputy's unit runs: answers the asks of its one verb, and those that come meanwhile.

natnetd-deputy.service: register; natnetd-dnsmasq.service: dnsmasq. Each is sealed for what it does.
"""

import sys
import time

from natnetd.deputy import asks, work
from natnetd.deputy.places import Places
from natnetd.errors import HostError

LINGER = 0.5
"""Seconds: a path unit is deaf while its service runs. It also bounds what asking all the time can cost."""


def main(places: Places, linger: float = LINGER, verb: str = "register") -> int:
    """Answer until there is nothing new. Returns the exit code."""
    last, good = b"", True
    try:
        while True:
            raw = asks.fetch(places)
            if raw == last:
                return 0 if good else 1
            good = work.answer(raw, places, verb)
            last = raw
            time.sleep(linger)
    except FileNotFoundError:
        return 0
    except HostError as error:
        work.say(str(error))
        return 1


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "register"
    if asked not in work.VERBS:
        sys.exit(f"natnetd.deputy: no such verb: {asked}; known: {', '.join(work.VERBS)}")
    sys.exit(main(Places.of().of_verb(asked), verb=asked))
