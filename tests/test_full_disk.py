"""A disk without room under the service's own files: the networks stay true, and the files come back."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from running import ONE, TWO, reloaded, start

from natnetd.lab.wait import wait_until
from natnetd.lab.world import World

DHCP = TWO.replace("addresses: 10.20.0.1/24", "addresses: 10.20.0.1/24\n    dhcp: true")


@pytest.fixture
def small(directory: Path) -> Iterator[Path]:
    """Mount small disks where the service writes; the log and the configuration stay outside."""
    for name in ("run", "state"):
        (directory / name).mkdir()
        words = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=755", "tmpfs", str(directory / name)]
        subprocess.run(words, check=True)
    yield directory
    for name in ("run", "state"):
        subprocess.run(["umount", "-l", str(directory / name)], check=True)


def fill(directory: Path) -> list[Path]:
    """Leave not a byte."""
    made = [directory / name / "filler" for name in ("run", "state")]
    for path in made:
        with suppress(OSError), path.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    return made


def published(directory: Path) -> list[str]:
    told = json.loads((directory / "run/status.json").read_text("utf-8"))
    return [network["name"] for network in told["networks"] if network["state"] == "in_sync"]


def test_a_full_disk_stops_no_repair_and_is_told(world: World, small: Path) -> None:
    with start(world.host, small, ONE) as service:
        wait_until(lambda: published(small) == ["vmbr1"], what="the status")
        fillers = fill(small)
        before = len(service.lines())
        world.host.ip("addr del 10.0.0.1/16 dev vmbr1")
        service.wait_line("drift: + address 10.0.0.1/16", "repaired in", after=before)
        (small / "natnetd.yaml").write_text(DHCP, "utf-8")
        told = "\n".join(reloaded(service))
        assert "+ bridge vmbr2; done" in told
        assert "No space left on device" in told
        world.host.check(["nft", "flush ruleset"])
        service.wait_line("drift: + nft table", "repaired in", after=before)
        for path in fillers:
            path.unlink()
        reloaded(service)
        wait_until(lambda: published(small) == ["vmbr1", "vmbr2"], what="the status to be true again")
        assert (small / "state/last-good.yaml").read_text("utf-8") == DHCP
