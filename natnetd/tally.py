"""Counters that never go backwards: differences are added up, whatever becomes of the kernel's own.

A table may be lost, an element re-made, `nft reset` may zero it without any event: a figure lower than
the last one counts from zero.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from natnetd.report import Traffic
from natnetd.rows import Counter


@dataclass(frozen=True, slots=True)
class Tally:
    """The kernel's last figures, and what they have come to in all."""

    last: Traffic = field(default_factory=Traffic)
    total: Traffic = field(default_factory=Traffic)

    def advance(self, now: Traffic) -> "Tally":
        """Take one more sample in; what it does not tell of stands still."""
        return Tally(
            Traffic({**self.last.elements, **now.elements}, {**self.last.drops, **now.drops}),
            Traffic(
                grown(self.total.elements, self.last.elements, now.elements),
                grown(self.total.drops, self.last.drops, now.drops),
            ),
        )

    def only(self, names: Container[str]) -> "Tally":
        """Forget the elements of networks that are no more."""

        def kept(counters: Mapping[str, Counter]) -> dict[str, Counter]:
            return {key: c for key, c in counters.items() if key.partition(" ")[2] in names}

        return Tally(
            Traffic(kept(self.last.elements), self.last.drops),
            Traffic(kept(self.total.elements), self.total.drops),
        )


def grown(
    total: Mapping[str, Counter], last: Mapping[str, Counter], now: Mapping[str, Counter]
) -> dict[str, Counter]:
    """Add to each total what its counter has grown by since the last sample."""
    result = dict(total)
    for key, count in now.items():
        old, sum_ = last.get(key, Counter()), total.get(key, Counter())
        result[key] = Counter(
            sum_.packets + growth(old.packets, count.packets), sum_.bytes + growth(old.bytes, count.bytes)
        )
    return result


def growth(last: int, now: int) -> int:
    """How much a counter has counted, if it may have begun anew."""
    return now - last if now >= last else now
