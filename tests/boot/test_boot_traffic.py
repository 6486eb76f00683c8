"""Nothing that happens to the service, or to its package, is noticed by those who use the networks."""

from pathlib import Path
from typing import Any

import places
import pytest
from host import HOST, Surroundings, has_network, main_pid, says

from natnetd.lab.wait import wait_until

SWAP = ("iifname @anyup accept", "iifname . oifname @exits accept")
"""Two rules whose order does not matter: exchanged, the page differs, and means the same."""


@pytest.fixture(scope="session")
def higher(deb: Path) -> Path:
    """Make a package to upgrade to."""
    return places.upgrade(deb, SWAP)


def rules(around: Surroundings) -> list[str]:
    """List the chain in which the versions differ."""
    listed = around.machine.run("nft", "list", "chain", "inet", "natnetd", "leave").splitlines()
    return [rule.partition(" comment")[0].strip() for rule in listed if any(part in rule for part in SWAP)]


def test_nothing_is_lost(around: Surroundings, deb: Path, higher: Path, note: Any) -> None:
    """Restart, reload, upgrade, downgrade: no packet is lost, no connection broken; rules are exchanged."""
    machine = around.machine
    old, new = machine.copy(deb), machine.copy(higher)
    install = ["apt-get", "install", "-qy", "--allow-downgrades"]

    def during(what: str, *words: str) -> None:
        pid = main_pid(machine)
        with around.stream() as stream:
            machine.run(*words)
        note(f"{what}: {stream.figures}")
        assert stream.figures.whole, (what, stream.figures)
        assert stream.figures.seen_as == {HOST}
        says(machine, "1 network in sync")
        assert (main_pid(machine) == pid) == (what == "reload")

    first = rules(around)
    during("restart", "systemctl", "restart", "natnetd")
    during("reload", "systemctl", "reload", "natnetd")
    assert rules(around) == first
    during("upgrade", *install, new)
    assert rules(around) == first[::-1]
    assert machine.run("dpkg-query", "--show", "--showformat=${Version}", "natnetd") == places.HIGHER
    during("downgrade", *install, old)
    assert rules(around) == first
    assert not [text for text in machine.journal("--unit=natnetd") if "drift" in text]


def test_stop_leaves_all(around: Surroundings, note: Any) -> None:
    machine = around.machine
    with around.stream() as stream:
        machine.run("systemctl", "stop", "natnetd")
        assert machine.look("systemctl", "is-active", "natnetd").out.strip() == "inactive"
        assert has_network(machine)
    note(f"stop: {stream.figures}")
    assert stream.figures.whole, stream.figures
    with around.stream() as stream:
        machine.run("systemctl", "start", "natnetd")
    note(f"start: {stream.figures}")
    assert stream.figures.whole, stream.figures


def test_nftables_restarted(around: Surroundings, note: Any) -> None:
    """Its file flushes the ruleset: the table is back at once.

    What arrives from outside in between is nobody's: the host resets that connection, which nobody can help.
    """
    machine = around.machine
    machine.shell("printf 'flush ruleset\\n' >/etc/nftables.conf")
    machine.run("systemctl", "start", "nftables")
    wait_until(lambda: has_network(machine), what="the table")

    def repaired() -> list[str]:
        return [text for text in machine.journal("--unit=natnetd") if "drift: + nft table" in text]

    before = len(repaired())
    with around.stream() as stream:
        machine.run("systemctl", "restart", "nftables")
        wait_until(lambda: len(repaired()) > before, what="the repair")
        wait_until(lambda: has_network(machine), what="the table")
        stream.goes_on()
    note(f"restart of nftables: {stream.figures}")
    note(repaired()[-1])
    around.passes()
