"""What forwards cost those who have many: repairs and packets with 1,000 of them beside those with none."""

from collections.abc import Iterator

from bench import place, raw
from bench.disturb import Asking, Element
from bench.figures import Row, Spread
from bench.packets import measured, rate, table
from bench.place import Asked
from bench.repair import by_natnetd
from natnetd.host import Layer, Scope
from natnetd.linux.elements import get_element
from natnetd.linux.netlink import NETFILTER, Asker

MANY = 1000
FIRST = 10000  # port
NFT = Scope(None, frozenset({Layer.NFT}))


class Door(Asking):
    """One forward after the other."""

    def __init__(self, forwards: int) -> None:
        self.spread = forwards
        self.line, self.asker = raw.netfilter(), Asker(NETFILTER)

    def key(self, run: int) -> tuple[str, ...]:
        """Name the element of a run."""
        return "203.0.113.2", "tcp", str(FIRST + run % self.spread)

    def disturb(self, run: int) -> float:
        """Delete it."""
        return self.line.send(raw.delete_element("door4", self.key(run)))

    def right(self, run: int) -> bool:
        """Ask for it."""
        return get_element(self.asker, "door4", self.key(run)) is not None


def text(networks: int, forwards: int) -> str:
    """Write a file with so many forwards, shared out among the networks."""
    shares: dict[int, list[str]] = {}
    for number in range(forwards):
        net = number % networks
        guest = place.gateway(net).replace(".1/24", f".{2 + number // networks % 200}")
        row = f"{{listen: 203.0.113.2:{FIRST + number}/tcp, to: {guest}}}"
        shares.setdefault(net, []).append(row)
    lines = []
    for line in place.text(networks).splitlines():
        name = line.strip().partition(":")[0]
        net = int(name[2:]) if name.startswith("nn") else -1
        more = f", forwards: [{', '.join(shares[net])}]}}" if net in shares else ""
        lines.append(line.removesuffix("}") + more if more else line)
    return "\n".join(lines) + "\n"


def rows(asked: Asked) -> Iterator[Row]:
    """Yield rows for repairs, with all forwards in one network and one in each, and for packets."""
    for networks in asked.sizes:
        yield from repairs(asked, networks)
        if asked.brief:
            return
    for new, what in ((False, "packets/s, established"), (True, "new flows/s")):
        none, many = (rate(measured(asked, table(text(1, number)), new=new)) for number in (0, MANY))
        yield Row("forwards", f"{what}, {MANY:,} forwards", 1, "k/s", many, "no forwards", none)


def repairs(asked: Asked, networks: int) -> Iterator[Row]:
    """Yield rows for a deleted element of a network, and for a deleted forward."""
    found: dict[int, Spread] = {}
    with place.place(asked.sandbox, networks) as there:
        for forwards in (0, MANY):
            there.file.write_text(text(networks, forwards), "utf-8")
            there.start()
            victim = Element(networks)
            found[forwards] = by_natnetd(there, victim, asked.runs)
            victim.close()
            if forwards:
                door = Door(forwards)
                lost = by_natnetd(there, door, asked.runs)
                door.close()
            there.stop()
    what = f"deleted set element, {MANY:,} forwards"
    yield Row("forwards", what, networks, "ms", found[MANY], "no forwards", found[0])
    yield Row("forwards", "deleted forward", networks, "ms", lost, "set element", found[0])
