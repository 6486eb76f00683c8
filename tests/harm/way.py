"""How a harm is noted: a small function with a weight."""

from collections.abc import Callable
from dataclasses import dataclass

from ground import Ground

Do = Callable[[Ground], str | None]


@dataclass(frozen=True)
class Harm:
    """One way to do it."""

    name: str
    weight: float
    do: Do


HARMS: list[Harm] = []


def harm(weight: float) -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        HARMS.append(Harm(do.__name__.replace("_", " "), weight, do))
        return do

    return note
