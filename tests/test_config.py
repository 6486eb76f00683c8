"""Files that are right give exactly what they say; files that cannot be read say what to do."""

from pathlib import Path

import pytest
import yaml
from good_files import GOOD

from natnetd.config import compose, load, parse
from natnetd.errors import Complaint, ConfigError
from natnetd.file.assembly import assemble
from natnetd.model import Config, Metrics, Network

FLOOR = "networks: {}\n"


def refusals(path: Path | str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [complaint.text for complaint in caught.value.complaints]


@pytest.mark.parametrize("title", GOOD)
def test_a_good_file_means_exactly_this(title: str) -> None:
    text, config = GOOD[title]
    assert parse(text, "f") == config


@pytest.mark.parametrize("title", GOOD)
def test_text_and_bytes_and_a_bom_are_the_same(title: str) -> None:
    text, config = GOOD[title]
    assert parse(text.encode(), "f") == parse(b"\xef\xbb\xbf" + text.encode(), "f") == config


@pytest.mark.parametrize("title", GOOD)
def test_pure_python_yaml_reads_the_same(title: str) -> None:
    """PyYAML may have been built without libyaml."""
    text, config = GOOD[title]
    complaints: list[Complaint] = []
    root = compose(text.encode(), "f", complaints, yaml.SafeLoader)
    assert root is not None
    assert (assemble(root, complaints), complaints) == (config, [])


def test_the_order_of_networks_is_that_of_the_file() -> None:
    assert list(parse("networks: {b: {}, a: {}, c: {}}", "f").networks) == ["b", "a", "c"]


def test_metrics_are_on_by_default() -> None:
    assert parse(FLOOR, "f").metrics == Metrics("127.0.0.1", 9787)


def test_load_takes_text_and_path(tmp_path: Path) -> None:
    file = tmp_path / "natnetd.yaml"
    file.write_text("networks: {vmbr1: {}}\n")
    assert load(file) == load(str(file)) == Config({"vmbr1": Network("vmbr1")})


def test_complaints_name_the_file_that_was_loaded(tmp_path: Path) -> None:
    file = tmp_path / "natnetd.yaml"
    file.write_text("networks: []\n")
    with pytest.raises(ConfigError, match=f"^{file}:1:11: networks: is a list; "):
        load(file)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    text = "there is no such file; write it, or name another with --config FILE"
    assert refusals(tmp_path / "natnetd.yaml") == [text]


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert refusals(tmp_path) == ["is a directory; name a file in it with --config FILE"]


def test_a_path_through_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusals(tmp_path / "file" / "natnetd.yaml") == ["cannot be read: Not a directory"]


def test_a_path_with_a_nul_cannot_be_read() -> None:
    assert refusals("a\0b") == ["cannot be read: embedded null byte"]


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "natnetd.yaml"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    assert refusals(file) == ["is larger than 8 MiB; is it the right file?"]


def test_a_thousand_networks() -> None:
    """Every network is there, and reaches the next."""
    following = [f"net{(i + 1) % 1000}" for i in range(1000)]
    rows = [
        f"  net{i}: {{addresses: [10.{i // 250}.{i % 250}.1/24, 'fd00:{i:x}::1/64'], reach: {name}}}\n"
        for i, name in enumerate(following)
    ]
    networks = parse("networks:\n" + "".join(rows), "f").networks
    assert [network.reach for network in networks.values()] == [(name,) for name in following]
