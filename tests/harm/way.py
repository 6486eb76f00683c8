"""How a harm is noted: a small function with a weight."""

from collections.abc import Callable
from dataclasses import dataclass

from ground import Ground

Do = Callable[[Ground], str | None]


@dataclass(frozen=True)
class Harm:
    """One way to do it; `needs`: what the kernel must be able to have."""

    name: str
    weight: float
    do: Do
    needs: str = ""


HARMS: list[Harm] = []


def harm(weight: float, *, needs: str = "") -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        HARMS.append(Harm(do.__name__.replace("_", " "), weight, do, needs))
        return do

    return note
