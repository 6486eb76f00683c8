"""Drop-ins come into force by themselves, and a bad one takes nobody offline."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from running import ONE, converged, kernel, natnetd, reloaded, run, start, written
from test_daemon_place import UNIT, nobodys
from test_wake import heard

from natnetd.lab.netns import Namespace
from natnetd.lab.service import Service
from natnetd.lab.wait import wait_until
from natnetd.lab.world import World
from natnetd.linux.files import FileWatch

WEB = "networks: {web: {addresses: 10.40.0.1/24, reach: vmbr1}}\n"
TYPO = WEB.replace("10.40.0.1", "10.40.0.300")


def dropped(directory: Path, text: str = WEB, name: str = "web.yaml") -> Path:
    """Write a drop-in aside and put it in place, as editors and package tools do."""
    place = directory / "natnetd.d"
    place.mkdir(exist_ok=True)
    aside = place / f"{name}.new"
    aside.write_text(text, "utf-8")
    return aside.rename(place / name)


# --- watching


@pytest.fixture
def watch(tmp_path: Path) -> FileWatch:
    """Watch /…/natnetd.yaml, which has no drop-ins yet."""
    (tmp_path / "natnetd.yaml").write_text("networks: {}\n", "utf-8")
    return FileWatch(tmp_path / "natnetd.yaml")


def followed(watch: FileWatch) -> bool:
    """Say whether anything was told, and see where the ways lead now, as the loop does."""
    told = heard(watch)
    watch.follow()
    return told


def test_a_directory_that_appears_later_is_watched(watch: FileWatch, tmp_path: Path) -> None:
    place = tmp_path / "natnetd.d"
    assert not followed(watch)
    place.mkdir()
    assert followed(watch)
    (place / "a.yaml").write_text("x", "utf-8")
    assert followed(watch)
    (place / "a.yaml").write_text("y", "utf-8")
    assert followed(watch)
    (place / "a.yaml").chmod(0o600)
    assert followed(watch)
    (place / "a.yaml").rename(place / "b.yaml")
    assert followed(watch)
    (place / "b.yaml").unlink()
    assert followed(watch)
    place.rmdir()
    assert followed(watch)


def test_what_is_no_drop_in_wakes_nobody(watch: FileWatch, tmp_path: Path) -> None:
    place = tmp_path / "natnetd.d"
    place.mkdir()
    assert followed(watch)
    for name in (".a.yaml.swp", ".#a.yaml", "a.yaml~", "a.yml", "4913"):
        (place / name).write_text("x", "utf-8")
    (tmp_path / "a.yaml").write_text("x", "utf-8")
    assert not followed(watch)


def test_a_directory_that_is_exchanged_is_followed(watch: FileWatch, tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "natnetd.d").symlink_to("old")
    assert followed(watch)
    (tmp_path / "old" / "a.yaml").write_text("x", "utf-8")
    assert followed(watch)
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").rename(tmp_path / "natnetd.d")
    assert followed(watch)
    (tmp_path / "old" / "a.yaml").write_text("y", "utf-8")
    assert not followed(watch)
    (tmp_path / "new" / "a.yaml").write_text("x", "utf-8")
    assert followed(watch)
    (tmp_path / "new").rename(tmp_path / "away")
    assert followed(watch)


def test_a_drop_in_that_is_a_link_is_followed(watch: FileWatch, tmp_path: Path) -> None:
    (tmp_path / "natnetd.d").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "natnetd.d" / "a.yaml").symlink_to("../data/text")
    assert followed(watch)
    (tmp_path / "data" / "text").write_text("x", "utf-8")
    assert followed(watch)
    (tmp_path / "natnetd.d" / "a.yaml").unlink()
    assert followed(watch)
    (tmp_path / "data" / "text").write_text("y", "utf-8")
    assert not followed(watch)


# --- the service


def test_drop_ins_come_and_go_by_themselves(world: World, directory: Path) -> None:
    """The directory is not there at first, and is gone in the end."""
    with start(world.host, directory) as service:
        path = dropped(directory)
        service.wait_line("natnetd: reload: + bridge web")
        assert converged(directory)
        lines = len(service.lines())
        path.write_text(WEB.replace("10.40", "10.41"), "utf-8")
        service.wait_line("reload: + address 10.41.0.1/24 on web", after=lines)
        dropped(directory, "networks: {lab: {}}", "lab.yaml")
        service.wait_line("reload: + bridge lab", after=lines)
        assert "READY=1" in service.heard()  # read what it says, as systemd does: a full socket stops it
        path.unlink()
        service.wait_line("reload: - bridge web", after=lines)
        (directory / "natnetd.d").rename(directory / "away")
        service.wait_line("reload: - bridge lab", after=lines)
        assert converged(directory)
        wait_until(lambda: service.heard()[-1] == "STATUS=1 network in sync", what="the rest")


def test_a_link_in_place_of_the_directory_is_swapped(world: World, directory: Path) -> None:
    for name, text in (("old", WEB), ("new", WEB.replace("web", "lab"))):
        (directory / name).mkdir()
        (directory / name / "a.yaml").write_text(text, "utf-8")
    (directory / "natnetd.d").symlink_to("old")
    with start(world.host, directory) as service:
        (directory / "next").symlink_to("new")
        (directory / "next").rename(directory / "natnetd.d")
        service.wait_line("reload: + bridge lab")
        service.wait_line("reload: - bridge web")
        (directory / "new" / "a.yaml").unlink()
        service.wait_line("reload: - bridge lab")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("web.yaml", TYPO, "natnetd.d/web.yaml:1:29: networks.web.addresses: 10.40.0.300/24 is not"),
        (
            "typo.yaml",
            "networks: {vmbr1: {mtu: 1}}",
            "natnetd.d/typo.yaml:1:25: networks.vmbr1.mtu: 1 is not",
        ),
        (
            "clash.yaml",
            "networks: {vmbr1: {addresses: 10.7.0.1/24}}",
            "natnetd.d/clash.yaml:1:20: networks.vmbr1.addresses: is set in {}/natnetd.yaml:5:5 already",
        ),
    ],
)
def test_a_bad_drop_in_changes_nothing_also_over_a_restart(
    world: World, directory: Path, name: str, text: str, complaint: str
) -> None:
    dropped(directory)
    with start(world.host, directory) as service:
        before = kernel(world.host)
        bad = dropped(directory, text, name)
        line = service.wait_line(complaint.format(directory))
        assert line.startswith(f"natnetd: {bad}:")
        service.wait_line("the last good configuration stays in force")
        told = f"STATUS=2 networks in sync; {bad} is bad, the last good one is in force"
        wait_until(lambda: service.heard()[-1] == told, what=told)
        assert f"! {bad}:" in natnetd(directory, "status", code=1)
        world.host.ip("address del 10.40.0.1/24 dev web")
        service.wait_line("drift: + address 10.40.0.1/24 on web")
        service.stop(signal.SIGKILL)
    with Service(world.host, directory / "natnetd.yaml", directory).wait_ready() as service:
        kept = f"the last good configuration is in force: {service.state}/last-good.yaml"
        assert service.lines()[-2] == f"natnetd: {kept}"
        assert kernel(world.host) == before
        world.host.ip("link del web")
        service.wait_line("drift: + bridge web")
        dropped(directory)
        if name != "web.yaml":
            bad.unlink()
        wait_until(lambda: service.heard()[-1] == "STATUS=2 networks in sync", what="the good news")


def test_a_first_start_with_a_bad_drop_in_waits_for_it(world: World, directory: Path) -> None:
    before, bad = kernel(world.host), dropped(directory, TYPO)
    with start(world.host, directory) as service:
        assert f"STATUS=no good configuration: waiting for {bad}" in service.heard()
        assert f"nothing is changed until {bad} is good" in service.log.read_text("utf-8")
        assert kernel(world.host) == before
        bad.unlink()
        service.wait_line("reload: + bridge vmbr1")


def test_what_may_not_be_read_is_taken_once_it_may(world: World, directory: Path) -> None:
    path, place = dropped(directory), directory / "natnetd.d"
    place.chmod(0o700)
    with start(world.host, nobodys(directory), ONE, command=UNIT) as service:
        line = service.lines()[0]
        assert line.startswith(f"natnetd: {place}:1:1: may not be read by this user")
        assert line.endswith("let the user natnetd read the directory")
        path.chmod(0o600)
        place.chmod(0o755)
        service.wait_line(f"{path}:1:1: may not be read by this user")
        path.chmod(0o644)
        service.wait_line("reload: + bridge web")


def test_a_reload_reads_the_drop_ins_too(world: World, directory: Path) -> None:
    dropped(directory)
    with start(world.host, directory) as service:
        assert service.lines()[-1] == "natnetd: ready: 2 networks in sync"
        assert reloaded(service) == []
        lines = len(service.lines())
        dropped(directory, WEB.replace("10.40", "10.41"))
        service.send(signal.SIGHUP)
        service.wait_line("reload: + address 10.41.0.1/24 on web", after=lines)


# --- the command line


def test_every_verb_reads_the_drop_ins(host: Namespace, directory: Path) -> None:
    written(directory)
    dropped(directory)
    path = directory / "natnetd.yaml"
    assert natnetd(directory, "check") == f"{path}: good, 2 networks, read from 2 files\n"
    assert "+ bridge web\n" in natnetd(directory, "plan", code=2)
    assert "web " in natnetd(directory, "status", code=2)
    natnetd(directory, "apply")
    assert "10.40.0.1/24" in host.check(["ip", "-o", "address"])
    assert natnetd(directory, "plan").endswith("nothing to do\n")
    piped = run(directory, "check", "/dev/stdin", stdin=ONE)
    assert piped.stdout == "/dev/stdin: good, 1 network\n"
    (directory / "natnetd.d" / "web.yaml").unlink()
    assert natnetd(directory, "check") == f"{path}: good, 1 network\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(TYPO, "utf-8"),
        lambda path: path.unlink() or path.mkdir(),
        lambda path: path.unlink() or path.symlink_to("nowhere"),
    ],
    ids=["typo", "directory", "link to nowhere"],
)
def test_every_verb_names_the_drop_in_that_is_bad(
    host: Namespace, directory: Path, spoil: Callable[[Path], object]
) -> None:
    written(directory)
    bad = dropped(directory)
    spoil(bad)
    before = kernel(host)
    for verb in ("check", "plan", "apply"):
        done = run(directory, verb)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"natnetd: {bad}:1:")
    told = natnetd(directory, "status", code=1)
    assert told.startswith(f"no daemon is running: this is a look at the host: {bad} is bad\n! {bad}:1:")
    assert kernel(host) == before
