"""Random damage to a real host under the real service, step by step, and what must be true after each.

`make chaos SEED=n STEPS=n` runs it for long, tests/test_chaos.py for a short while. What a step draws
depends on the seed and its number only.
"""

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import chaos_files as files
from chaos_traffic import GUESTS, address6, gateway, gateway6, traffic
from ground import BOUND, OURS, Ground, Plugged, Refused, carried
from harm import HARMS, Harm
from portraits import difference
from running import at_home

from natnetd import status
from natnetd.errors import HostError
from natnetd.host import Snapshot
from natnetd.lab.echo import Echo
from natnetd.lab.netns import Namespace
from natnetd.lab.sandbox import private
from natnetd.lab.wait import wait_until
from natnetd.lab.world import FIRST, SECOND, World
from natnetd.linux.nfnl import generation
from natnetd.report import states

STEPS = 2000
QUIET = 0.1


class BrokenError(AssertionError):
    """Something did not hold; says all that is needed to see it again."""


@dataclass
class Chaos:
    """One run."""

    ground: Ground
    seed: int
    step: int = 0
    done: deque[str] = field(default_factory=lambda: deque(maxlen=30))
    counts: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, 0)
    told: int = 0

    def __post_init__(self) -> None:
        eyes = self.ground.eyes
        able = {"": True, "frames": eyes.guardable, "checksums": eyes.traffic.able}
        self.harms = [harm for harm in HARMS if able[harm.needs]]

    def run(self, steps: int, progress: int = 0) -> None:
        """Set up, do so many steps, and demand rest at the end."""
        try:
            self.set_up()
            for self.step in range(1, steps + 1):
                self.one()
                if progress and self.step % progress == 0:
                    print(f"step {self.step}: {self.summary()}", flush=True)  # noqa: T201
            self.rest()
        except (AssertionError, TimeoutError, HostError, OSError) as error:
            raise BrokenError(self.report(error)) from error

    def report(self, error: BaseException) -> str:
        """Tell what is needed to see it again."""
        log = "\n".join(self.ground.lines()[-int(os.environ.get("CHAOS_LOG", "40")) :])
        done = "\n".join(self.done)
        return (
            f"seed {self.seed}, step {self.step}: {type(error).__name__}: {error}\n"
            f"--- the last harms\n{done}\n--- the log\n{log}\n"
            f"--- again: make chaos SEED={self.seed} STEPS={self.step}"
        )

    def summary(self) -> str:
        """Say in a line what was done."""
        slow, at = self.slowest
        return f"{sum(self.counts.values())} harms, slowest convergence {slow:.2f} s (step {at})"

    # --- the world

    def set_up(self) -> None:
        """Make strangers, start the service, plug guests in."""
        g = self.ground
        g.ip(f"addr add {carried(FIRST)[-1]} dev vmbr0")
        g.world.add_uplink(SECOND)
        g.ip("link add docker0 up type bridge", "addr add 172.17.0.1/16 dev docker0")
        g.commit(
            "table ip other { chain c { type filter hook forward priority 7; policy accept; counter; }; }"
        )
        g.remember_table("ip", "other")
        for name in ("vmbr0", "vmbr9", "docker0"):
            g.remember_link(name)
        g.want(files.START)
        g.file.write_text(g.loading, "utf-8")
        g.alive()
        g.echoes["internet"] = Echo(g.world.outside)
        for number, (name, bridge) in enumerate(GUESTS):
            n = files.subnet(bridge)
            addresses = [f"10.{n}.0.{10 + number}/24", f"{address6(n, number)}/64"]
            guest = g.world.guest(name, bridge, addresses, [gateway(bridge), gateway6(bridge)])
            # It keeps what it was given: a router that has another MAC address by another file stays in its
            # memory for half an hour.
            guest.ns.check(["sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=0"])
            g.guests.append(guest)
            g.where[guest.port] = Plugged(g.index(bridge), bridge)
            g.echoes[name] = Echo(guest.ns)
        self.converge()
        self.rest()

    # --- one step

    def one(self) -> None:
        """Do one to many harms at once, and demand what must be true then."""
        g = self.ground
        g.rng = random.Random(f"{self.seed} {self.step}")  # noqa: S311
        burst = g.rng.choice((1, 1, 1, 1, 2, 3, 5, 12))
        for harm in g.rng.choices(self.harms, [harm.weight for harm in self.harms], k=burst):
            self.do(harm)
        self.converge()
        self.strangers()
        if g.rng.random() < 0.3:
            self.as_on_a_fresh_host()
        if g.rng.random() < 0.3:
            traffic(g)
        if g.rng.random() < 0.1:
            self.rest()

    def do(self, harm: Harm) -> None:
        """Do one harm; that it fails is part of the game."""
        g = self.ground
        state = g.rng.getstate()
        try:
            said = harm.do(g)
        except Refused as error:
            said = f"refused: {error}"
            self.counts["refused"] += 1
        g.rng.setstate(state)  # what it drew may have hung on who was quicker
        g.rng.random()
        self.counts[harm.name] += 1
        self.done.append(f"{self.step}: {harm.name}: {said or 'done'}")

    # --- demands

    def converge(self) -> None:
        """Within the bound nothing is left to do, and guests are where they were."""
        g = self.ground
        begun = time.monotonic()
        g.alive()
        g.loaded()
        left: list[Any] = []

        def settled() -> bool:
            seen, judged, plan = g.look()
            left[:] = [*map(str, plan), *self.astray(seen, judged.conflicted)]
            return not left

        try:
            wait_until(settled, BOUND, what="convergence")
        except TimeoutError as error:
            raise AssertionError(f"not converged after {BOUND} s: {left}") from error
        took = time.monotonic() - begun
        self.slowest = max(self.slowest, (took, self.step))
        seen, _, _ = g.look()
        by_index = {link.index: link.name for link in seen.links.values()}
        g.loose.clear()
        for port, place in g.where.items():
            master = seen.links[port].master
            if place and master is None:  # no plan shows who is only remembered: he may be on his way still
                g.loose.add(port)
            g.where[port] = None if master is None else Plugged(master, by_index[master])
        g.certain = True

    def astray(self, seen: Snapshot, conflicted: frozenset[str]) -> Iterator[str]:
        """Tell which guests are not where they should be."""
        g = self.ground
        by_index = {link.index: link for link in seen.links.values()}
        for port, place in g.where.items():
            there = seen.links[port].master
            if place is None:
                # In one burst it looks as if it had left with its bridge, or it had, and is plugged in again.
                if there is not None and g.certain and port not in g.loose:
                    yield f"{port} was unplugged, and is in {by_index[there].name}"
            elif place.index in by_index:
                if there != place.index:
                    yield f"{port} should be in {by_index[place.index].name} still"
            elif g.certain and place.bridge in g.networks and place.bridge not in conflicted:
                if there is None or (by_index[there].name != place.bridge and port not in g.loose):
                    yield f"{port} should be in the new {place.bridge}"
            elif there is not None and by_index[there].name != place.bridge and port not in g.loose:
                yield f"{port} was in {place.bridge}, and is in {by_index[there].name}"

    def strangers(self) -> None:
        """What is not ours is as its owners left it."""
        g = self.ground
        for (family, name), want in g.tables.items():
            have = g.listing(f"table {family} {name}")
            have = have if have == want else g.portrait_of_table(family, name)
            assert have == want, f"table {family} {name} of somebody was\n{want}\nand is\n{have}"
        there = set(g.table_names()) - OURS
        assert there == set(g.tables), f"tables of others: {there}, not {set(g.tables)}"
        if g.rng.random() < 0.3:
            for name in g.portraits:
                altered = g.altered(name)
                assert not altered, f"{name} of somebody: {altered}"
            carried_ = {
                (row["ifindex"], f"{a['local']}/{a['prefixlen']}")
                for row in g.ip_json("address")
                for a in row["addr_info"]
            }
            alive = {row["ifindex"] for row in g.ip_json("link")}
            lost = {(i, a) for i, a in g.visitors - carried_ if i in alive}
            assert not lost, f"addresses of others are gone: {lost}"
            g.visitors &= carried_

    def as_on_a_fresh_host(self) -> None:
        """Our table and our bridges look as if they had just been made."""
        g = self.ground
        seen, judged, _ = g.look()
        if judged.conflicted:
            return
        mine = [name for name in g.networks if seen.links[name].ours]
        if any(n.nat and n.nat.auto for n in g.wanted.networks.values()) and not seen.auto | seen.auto6:
            return  # there is no way out on the fresh host either, but it waits for another one
        want, have = g.reference(seen), g.described(g.nft, g.networks)
        for table, blocks in want["nft"].items():
            assert have["nft"][table] == blocks, f"{table}: {difference(have['nft'][table], blocks)}"
        for name in mine:
            wanted = want[name]["addresses"]
            have[name]["addresses"] = [a for a in have[name]["addresses"] if a in wanted]
            assert have[name] == want[name], f"{name}: {difference(have[name], want[name])}"

    def rest(self) -> None:
        """With nothing to do nothing is written, and the status says so."""
        g = self.ground
        service = g.alive()
        for attempt in range(3):
            self.quiet()
            before, lines = generation(g.filter), len(g.lines())
            ready = service.heard().count("READY=1")
            service.send(signal.SIGHUP)  # it looks at everything
            wait_until(
                lambda n=ready: service.heard().count("READY=1") > n, BOUND, what="the end of the reload"
            )
            news = g.heard()
            assert generation(g.filter) == before, "the ruleset was written to at rest"
            wrote = [line for line in g.lines()[lines:] if "natnetd: reload: " in line]
            assert not wrote, f"at rest it did {wrote}"
            if not news:
                break
            assert attempt < 2, f"events at rest: {news}"
        self.published()

    def quiet(self) -> None:
        """Wait until the kernel has nothing to tell for a moment."""
        last = time.monotonic()

        def silent() -> bool:
            nonlocal last
            if self.ground.heard():
                last = time.monotonic()
            return time.monotonic() - last > QUIET

        wait_until(silent, BOUND, what="silence")

    def published(self) -> None:
        """The status tells each network's state as a fresh look does."""
        g = self.ground
        _, judged, _ = g.look()
        want = states(g.wanted.networks, judged.findings, ())

        def right() -> bool:
            told = status.read(g.directory / "run" / "status.json")
            return {n.name: n.state for n in told.networks} == want and bool(told.file_error) == g.file_bad

        wait_until(right, BOUND, what=f"the status to say {want}, file bad: {g.file_bad}")


@contextmanager
def chaos(host: Namespace, directory: Path, seed: int) -> Iterator[Chaos]:
    """Lay the ground for one run, and clear it."""
    with World(host) as world, at_home(directory):
        ground = Ground(world, directory, random.Random(seed))  # noqa: S311
        try:
            yield Chaos(ground, seed)
        finally:
            ground.close()


def main() -> int:
    """Run it for long."""
    parser = argparse.ArgumentParser("chaos")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--steps", type=int)
    asked = parser.parse_args()
    seed = int(time.time()) if asked.seed is None else asked.seed
    steps = STEPS if asked.steps is None else asked.steps
    print(f"seed {seed}, {steps} steps", flush=True)  # noqa: T201
    sandbox = private()
    with (
        sandbox.fresh_host() as host,
        TemporaryDirectory(dir="/run", prefix="chaos.") as path,
        chaos(host, Path(path), seed) as run,
    ):
        try:
            run.run(steps, progress=100)
        except BrokenError as broken:
            print(broken, flush=True)  # noqa: T201
            return 1
        print(f"all held: {run.summary()}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
