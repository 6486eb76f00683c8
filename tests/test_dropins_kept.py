"""What was good last holds all files, and a bad drop-in at a start is no end of the world."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from running import ONE

from natnetd.config import parse
from natnetd.state import State
from natnetd.wanted import Wanted

FLOOR = "networks: {}\n"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """Make a main file, and a directory for its drop-ins."""
    (tmp_path / "natnetd.d").mkdir()
    (tmp_path / "natnetd.yaml").write_text(FLOOR, "utf-8")
    return tmp_path / "natnetd.yaml"


def put(main: Path, name: str, text: str) -> Path:
    path = main.with_suffix(".d") / name
    path.write_text(text, "utf-8")
    return path


def wanted(main: Path) -> Wanted:
    return Wanted(main, State(main.parent / "state"))


def test_after_a_restart_with_a_bad_drop_in_all_that_was_good_is_in_force(
    main: Path, caplog: pytest.LogCaptureFixture
) -> None:
    main.write_text(ONE, "utf-8")
    put(main, "web.yaml", "networks: {web: {addresses: 10.9.0.1/24}}")
    first = wanted(main)
    assert first.load()
    put(main, "web.yaml", "networks: {web: {addresses: 10.9.0.300/24}}")
    second = wanted(main)
    assert not second.load()
    assert second.config == first.config
    assert list(second.config.networks if second.config else ()) == ["vmbr1", "web"]
    assert "natnetd.d/web.yaml:1:29: networks.web.addresses: 10.9.0.300/24" in caplog.text
    assert f"the last good configuration is in force: {main.parent}/state/last-good.yaml" in caplog.text
    assert not second.changed()


def test_the_last_good_file_of_a_version_without_drop_ins_is_used(main: Path) -> None:
    state = main.parent / "state"
    (state / "last-good.d").mkdir(parents=True)
    (state / "last-good.d" / "a.yaml").write_text("[", "utf-8")  # not ours, so nobody looks at it
    (state / "last-good.yaml").write_text(ONE, "utf-8")
    put(main, "web.yaml", "[")
    now = wanted(main)
    assert not now.load()
    assert now.config == parse(ONE, "f")


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (None, "there is no last good configuration: nothing is changed until {} is good"),
        ("networks: []", "the last good configuration is no good any more: nothing is changed until {} is"),
        ("", "last-good.yaml:1:1: the file is empty"),
    ],
)
def test_without_a_good_file_the_bad_one_is_named(
    main: Path, caplog: pytest.LogCaptureFixture, kept: str | None, told: str
) -> None:
    if kept is not None:
        (main.parent / "state").mkdir()
        (main.parent / "state" / "last-good.yaml").write_text(kept, "utf-8")
    bad = put(main, "web.yaml", "[")
    now = wanted(main)
    assert not now.load()
    assert now.config is None
    assert told.format(bad) in caplog.text


def test_what_is_kept_already_is_not_written_again(main: Path) -> None:
    now = wanted(main)
    assert now.load()
    before = now.state.last_good.stat()
    assert now.load()
    assert now.state.last_good.stat() == before
    put(main, "a.yaml", "networks: {a: {}}")
    assert now.load()
    assert now.state.last_good.stat().st_ino != before.st_ino


def test_what_cannot_be_written_whole_leaves_the_old(main: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = wanted(main)
    assert now.load()
    aside = now.state.directory / f".last-good.yaml.{os.getpid()}"
    aside.mkdir()
    put(main, "a.yaml", "networks: {a: {}}")
    assert now.load()
    assert now.state.last_good.read_text("utf-8") == FLOOR
    assert "cannot write" in caplog.text
    aside.rmdir()
    assert now.load()
    assert list(parse(now.state.last_good.read_bytes(), "f").networks) == ["a"]


def test_every_change_of_the_set_of_files_is_a_change(main: Path) -> None:
    now, directory = wanted(main), main.with_suffix(".d")
    now.load()
    one, other, third = (directory / name for name in ("a.yaml", "b.yaml", "c.yaml"))
    acts: list[Callable[[], object]] = [
        lambda: put(main, "a.yaml", "networks: {a: {}}"),
        lambda: put(main, "a.yaml", "networks: {a: {mtu: 1}}"),
        lambda: one.rename(other),
        other.unlink,
        third.mkdir,
        third.rmdir,
    ]
    for act in acts:
        assert not now.changed()
        act()
        assert now.changed()
        now.load()
    directory.rmdir()
    assert not now.changed()  # an empty directory says as much as none
    directory.touch()
    assert now.changed()
