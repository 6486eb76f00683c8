"""The one place of the lab and the tests that sleeps: until a condition holds, or a deadline passes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02


def wait_until(condition: Callable[[], T], deadline: float = 5.0, *, what: str) -> T:
    """Ask until the answer is true and return it; raises TimeoutError after `deadline` seconds.

    `what` completes the sentence "waited in vain for ...".
    """
    end = time.monotonic() + deadline
    pause = _FIRST_PAUSE
    while not (answer := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline:g} s in vain for {what}; the last answer was {answer!r}")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return answer
