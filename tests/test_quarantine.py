"""`natnetd quarantine` and `natnetd release`: the drop-in they keep, and what holds when they are done."""

from contextlib import suppress
from pathlib import Path

import pytest
from networks import INTERNET
from running import natnetd, reloaded, run, start, undone, written

from natnetd.lab.echo import Echo
from natnetd.lab.traffic import ABSENCE, Connection, tcp
from natnetd.lab.world import World

FILE = """\
metrics: false
networks:
  vmbr1:
    addresses: 10.0.0.1/16
    nat: {uplink: vmbr0}
    guard: {rogue_dhcp: false, rogue_ra: false}
  vmbr2: {addresses: 10.20.0.1/24, nat: true}
"""
MAC = "52:54:00:12:34:56"
NAMED = FILE.replace(
    "10.20.0.1/24,", f"10.20.0.1/24, dhcp: {{reservations: {{mac: {MAC}, address: 10.20.0.9, name: db}}}},"
)
GUEST = "10.0.0.2"


@pytest.fixture
def drop_in(directory: Path) -> Path:
    return directory / "natnetd.d" / "quarantine.yaml"


def reaches(world: World) -> bool:
    with suppress(OSError):
        return tcp(world.guests["web"].ns, INTERNET, deadline=ABSENCE) is not None
    return False


def said(directory: Path, *words: str) -> str:
    """Return what a verb complains of."""
    done = run(directory, *words)
    assert done.returncode == 1
    return done.stderr.removeprefix("natnetd: ").rstrip("\n")


def test_the_service_cuts_off_and_lets_in(world: World, directory: Path, drop_in: Path) -> None:
    with start(world.host, directory, FILE) as service, Echo(world.outside):
        web = world.guest("web", "vmbr1", f"{GUEST}/16", "10.0.0.1")
        with Connection(web.ns, INTERNET) as flow:
            assert flow.ask()
            told = natnetd(directory, "quarantine", GUEST)
            assert told == f"{GUEST} of vmbr1 is cut off, as {drop_in} says\n"
            flow.send()
            assert flow.receive(ABSENCE) is None
        assert not reaches(world)
        assert f'- "vmbr1/{GUEST}"' in drop_in.read_text("utf-8")
        service.wait_line("forgot 1 flows")
        assert undone(directory) == ()
        assert natnetd(directory, "quarantine", GUEST) == told  # again: nothing is changed
        natnetd(directory, "quarantine", MAC, "--network", "vmbr2")
        reloaded(service)
        assert natnetd(directory, "release", GUEST) == f"{GUEST} of vmbr1 is let in again\n"
        assert reaches(world)
        natnetd(directory, "release", MAC)
        assert not drop_in.exists()
        assert undone(directory) == ()


def test_without_the_service_one_part_of_the_table_is_changed(
    world: World, directory: Path, drop_in: Path
) -> None:
    written(directory, FILE)
    told = natnetd(directory, "quarantine", GUEST)
    assert "nothing of it is in force: see `natnetd apply`" in told
    natnetd(directory, "release", GUEST)
    natnetd(directory, "apply")
    world.guest("web", "vmbr1", f"{GUEST}/16", "10.0.0.1")
    world.host.ip("link set vmbr2 mtu 1400")
    with Echo(world.outside):
        assert reaches(world)
        assert "natnetd does not run here; in force" in natnetd(directory, "quarantine", GUEST)
        assert not reaches(world)
        assert [change.name for change in undone(directory)] == ["bridge vmbr2"]
        assert drop_in.exists()
        natnetd(directory, "release", GUEST)
        assert reaches(world)


def test_a_guest_is_found_by_its_reservation(world: World, directory: Path, drop_in: Path) -> None:  # noqa: ARG001
    written(directory, NAMED)
    natnetd(directory, "quarantine", "db")
    assert '"vmbr2/db"' in drop_in.read_text("utf-8")
    assert natnetd(directory, "release", "10.20.0.9").startswith("10.20.0.9 of vmbr2 is let in again")
    natnetd(directory, "quarantine", MAC)
    assert f'"vmbr2/{MAC}"' in drop_in.read_text("utf-8")
    natnetd(directory, "release", "db")
    assert not drop_in.exists()


def test_a_guest_that_another_file_cuts_off_too_is_not_said_to_be_let_in(
    world: World,  # noqa: ARG001
    directory: Path,
    drop_in: Path,
) -> None:
    written(directory, NAMED.replace(" dhcp:", " guard: {quarantine: db}, dhcp:"))
    natnetd(directory, "quarantine", MAC)
    told = said(directory, "release", "10.20.0.9")
    assert told == f"{drop_in} cuts 10.20.0.9 off no more; quarantine of vmbr2 in another file does"
    assert not drop_in.exists()
    assert said(directory, "release", "db").endswith("quarantine of vmbr2 in another file does")


def test_what_would_make_the_file_bad_is_not_left_behind(directory: Path, drop_in: Path) -> None:
    path = written(directory, NAMED)
    assert said(directory, "quarantine", "10.0.0.1").endswith(
        "10.0.0.1 is the gateway; write the address of a guest"
    )
    assert said(directory, "quarantine", "10.9.0.1", "--network", "vmbr2").startswith(
        f"{drop_in}:3:5: quarantine[0]: "
    )
    other = drop_in.parent / "mine.yaml"
    other.parent.mkdir()
    other.write_text("quarantine: vmbr1/10.0.0.9\n", "utf-8")
    assert "quarantine: is set in" in said(directory, "quarantine", GUEST)
    assert not drop_in.exists()
    assert said(directory, "release", "10.0.0.9").endswith("quarantine of vmbr1 in another file does")
    other.unlink()
    path.write_text("networks: {", "utf-8")
    assert "not YAML" in said(directory, "quarantine", GUEST)
    assert list(drop_in.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["10.9.0.1"],
            "10.9.0.1 is known in no network; say which by --network NETWORK (known: vmbr1, vmbr2)",
        ),
        ([MAC.replace("56", "57")], "52:54:00:12:34:57 is known in no network; say which"),
        (["db", "--network", "vmbr3"], "there is no network vmbr3 (known: vmbr1, vmbr2)"),
        (["1"], "1 is not a guest: an address like 10.0.0.20"),
        (["db", "--network", "vmbr1"], "vmbr1 has no reservation named db"),
    ],
)
def test_who_is_meant_must_be_clear(directory: Path, words: list[str], complaint: str) -> None:
    written(directory, NAMED)
    assert complaint in said(directory, "quarantine", *words)
    assert complaint in said(directory, "release", words[0]) or "does not cut" in said(
        directory, "release", words[0]
    )


def test_a_network_that_went_makes_the_file_bad_until_its_guest_is_released(
    directory: Path, drop_in: Path
) -> None:
    path = written(directory, FILE)
    natnetd(directory, "quarantine", "10.20.0.7")
    path.write_text(FILE.partition("  vmbr2")[0], "utf-8")
    assert "vmbr2 is not a network of ours" in said(directory, "check")
    natnetd(directory, "release", "10.20.0.7")
    assert not drop_in.exists()


def test_a_drop_in_that_says_more_is_left_alone(directory: Path, drop_in: Path) -> None:
    written(directory, FILE)
    drop_in.parent.mkdir()
    drop_in.write_text("quarantine: []\nproxmox: false\n", "utf-8")
    assert (
        said(directory, "quarantine", GUEST)
        == f"{drop_in} says more than quarantine; move that to another file"
    )
