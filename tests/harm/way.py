"""How a harm is noted: a small function with a weight."""

from collections.abc import Callable
from dataclasses import dataclass

from ground import Ground

Do = Callable[[Ground], str | None]


@dataclass(frozen=True)
class Harm:
    """One way to do it; `frames`: it takes a kernel that can have our table of the bridges."""

    name: str
    weight: float
    do: Do
    frames: bool = False


HARMS: list[Harm] = []


def harm(weight: float, *, frames: bool = False) -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        HARMS.append(Harm(do.__name__.replace("_", " "), weight, do, frames))
        return do

    return note
