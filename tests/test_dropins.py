"""A file and its drop-ins are one document; golden/drop_ins.txt holds what is said where they clash.

A block is a title, files (each after "--- " and its name) and the complaints (each after "=> ").
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from good_files import GOOD
from hypothesis import given
from hypothesis import strategies as st
from running import ONE
from test_config_laws import configs, written

from natnetd.config import load, parse, understand
from natnetd.errors import ConfigError
from natnetd.file import schema
from natnetd.file.sources import Text, Texts, directory_of, gather, settled
from natnetd.model import Config, Network

GOLDEN = (Path(__file__).parent / "golden/drop_ins.txt").read_text("utf-8")
BLOCK = re.compile(
    r"^## (?P<title>.*)\n(?P<files>(?:(?!=> ).*\n)*)(?P<complaints>(?:=> .*\n)+)", re.MULTILINE
)
ROWS = {row["title"]: (row["files"], row["complaints"]) for row in BLOCK.finditer(GOLDEN)}
FLOOR = "networks: {}\n"


def texts(files: str) -> Texts:
    """Return the files of a block."""
    _, *parts = re.split(r"^--- (.*)\n", files, flags=re.MULTILINE)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return tuple(Text(name, text.encode()) for name, text in pairs)


def said(path: Path) -> list[str]:
    """Return the complaints about a file on disk, and its drop-ins; names are relative to it."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [str(complaint).removeprefix(f"{path.parent}/") for complaint in caught.value.complaints]


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """Make a main file, and a directory of drop-ins."""
    (tmp_path / "natnetd.d").mkdir()
    (tmp_path / "natnetd.yaml").write_text(FLOOR, "utf-8")
    return tmp_path / "natnetd.yaml"


def put(main: Path, name: str, text: str = "") -> Path:
    path = main.with_suffix(".d") / name
    path.write_text(text, "utf-8")
    return path


def test_the_table_is_read_whole() -> None:
    assert "".join(match[0] + "\n" for match in BLOCK.finditer(GOLDEN)) == GOLDEN + "\n"
    assert len(ROWS) == GOLDEN.count("## ") >= 18


@pytest.mark.parametrize("title", ROWS)
def test_complaints(title: str) -> None:
    files, complaints = ROWS[title]
    with pytest.raises(ConfigError) as caught:
        understand(texts(files))
    assert "".join(f"=> {complaint}\n" for complaint in caught.value.complaints) == complaints


# --- which files


@pytest.mark.parametrize(
    ("path", "directory"),
    [
        ("/etc/natnetd.yaml", "/etc/natnetd.d"),
        ("lab.yml", "lab.d"),
        ("./a.b.yaml", "a.b.d"),
        ("/dev/fd/63", None),
        ("/dev/stdin", None),
        ("/etc/natnetd.yaml.new", None),
        ("/etc/natnetd.conf", None),
        ("/etc.yaml/natnetd", None),
        ("/etc/.yaml", None),
        (".yaml", None),
        ("yaml", None),
    ],
)
def test_the_directory_belongs_to_the_main_file(path: str, directory: str | None) -> None:
    assert directory_of(path) == (None if directory is None else Path(directory))


def test_drop_ins_are_read_in_the_order_of_the_bytes_of_their_names(main: Path) -> None:
    names = ["10-b.yaml", "9-a.yaml", "B.yaml", "a.yaml", "z.yaml", "\uffee.yaml", "\U0001f4a5.yaml"]
    for name in reversed(names):
        put(main, name, f"networks: {{n{names.index(name)}: {{}}}}")
    assert [Path(text.file).name for text in gather(main)] == ["natnetd.yaml", *names]
    assert list(load(main).networks) == [f"n{i}" for i in range(len(names))]


@pytest.mark.parametrize(
    "name",
    [
        ".a.yaml",
        ".yaml",
        "a.yaml~",
        "#a.yaml#",
        ".#a.yaml",
        ".a.yaml.swp",
        "a.yaml.dpkg-old",
        "a.yml",
        "yaml",
        "a.YAML",
    ],
)
def test_what_editors_and_packages_leave_behind_is_not_read(main: Path, name: str) -> None:
    put(main, name, "[")
    assert load(main) == Config()


def test_a_path_without_the_ending_has_no_drop_ins(main: Path) -> None:
    put(main, "a.yaml", "[")
    other = main.rename(main.with_name("natnetd"))
    assert load(other) == Config()


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null\n", "{}\n", "networks: {}\n"])
def test_a_drop_in_may_say_nothing(main: Path, text: str) -> None:
    main.write_text(ONE, "utf-8")
    put(main, "a.yaml", text)
    assert load(main) == parse(ONE, "f")


def test_the_networks_may_all_stand_in_drop_ins(main: Path) -> None:
    main.write_text("metrics: false\n", "utf-8")
    put(main, "a.yaml", "networks: {a: {}}")
    put(main, "b.yaml", "networks: {b: {reach: a}}")
    assert load(main) == Config({"a": Network("a"), "b": Network("b", reach=("a",))}, None)


# --- what cannot be read


def test_a_missing_directory_is_fine(main: Path) -> None:
    main.with_suffix(".d").rmdir()
    assert load(main) == Config()


def test_a_missing_main_file_is_missed_whatever_the_drop_ins_say(main: Path) -> None:
    main.unlink()
    put(main, "a.yaml", "networks: {a: {mtu: 1}}")
    assert said(main) == [
        "natnetd.yaml:1:1: there is no such file; write it, or name another with --config FILE",
        "natnetd.d/a.yaml:1:21: networks.a.mtu: 1 is not a whole number from 576 to 65535, or auto",
    ]


def test_a_file_in_place_of_the_directory(main: Path) -> None:
    main.with_suffix(".d").rmdir()
    main.with_suffix(".d").touch()
    text = "is no directory; the drop-ins of a configuration stand in one, remove this file"
    assert said(main) == [f"natnetd.d:1:1: {text}"]


def test_a_directory_that_cannot_be_listed(main: Path) -> None:
    main.with_suffix(".d").rmdir()
    main.with_suffix(".d").symlink_to("natnetd.d")
    assert said(main) == ["natnetd.d:1:1: cannot be listed: Too many levels of symbolic links"]


def test_a_link_to_a_directory_is_followed_and_one_to_nowhere_says_nothing(main: Path) -> None:
    main.with_suffix(".d").rename(main.with_name("elsewhere"))
    main.with_suffix(".d").symlink_to("elsewhere")
    put(main, "a.yaml", "networks: {a: {}}")
    assert list(load(main).networks) == ["a"]
    main.with_name("elsewhere").rename(main.with_name("gone"))
    assert load(main) == Config()


def test_a_drop_in_that_is_no_file(main: Path) -> None:
    directory = main.with_suffix(".d")
    (directory / "a.yaml").mkdir()
    (directory / "b.yaml").symlink_to("nowhere")
    (directory / "c.yaml").symlink_to("c.yaml")
    os.mkfifo(directory / "d.yaml")
    (directory / "e.yaml").symlink_to("/dev/null")
    put(main, "f\ng.yaml", "[]")
    assert said(main) == [
        "natnetd.d/a.yaml:1:1: is a directory; a drop-in is a file",
        "natnetd.d/b.yaml:1:1: is a link that leads nowhere; remove it, or write the file it names",
        "natnetd.d/c.yaml:1:1: cannot be read: Too many levels of symbolic links",
        "natnetd.d/d.yaml:1:1: is a pipe; a drop-in is a file",
        f'"{directory}/f\\ng.yaml":1:1: is a list; '
        "write keys like networks: {vmbr1: {addresses: 10.0.0.1/24}}",
    ]


def test_what_is_moved_while_it_is_read_is_not_missed() -> None:
    """The network is in neither file of the second reading."""
    there, nowhere = Text("f", b"networks: {a: {}}"), Text("f", b"networks: {}")
    readings = iter([(nowhere, there), (nowhere, nowhere), (there, nowhere), (there, nowhere)])
    assert settled(lambda: next(readings)) == (there, nowhere)
    assert next(readings, None) is None


def test_a_file_that_is_never_at_rest_is_read_all_the_same() -> None:
    count = iter(range(100))
    assert settled(lambda: (Text(str(next(count))),)) == (Text("5"),)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "natnetd.yaml"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        pool.submit(pipe.write_text, ONE, "utf-8")
        assert load(pipe) == parse(ONE, "f")


# --- laws


PATHS = list[tuple[str, ...]]


def leaves(value: Any, path: tuple[str, ...] = ()) -> PATHS:
    """Return the path of every key that holds something else than keys."""
    if not isinstance(value, dict) or not value:
        return [path]
    return [leaf for key, below in value.items() for leaf in leaves(below, (*path, key))]


def split(document: dict[str, Any], where: dict[tuple[str, ...], int], count: int) -> list[dict[str, Any]]:
    """Return `count` files that hold what `where` says of a document."""
    files: list[dict[str, Any]] = [{} for _ in range(count)]
    for path, index in where.items():
        value, below = document, files[index]
        for key in path[:-1]:
            value, below = value[key], below.setdefault(key, {})
        below[path[-1]] = value[path[-1]]
    return files


@st.composite
def scattered(draw: st.DrawFn) -> tuple[Config, Texts]:
    """Draw a good configuration, and files that each hold some of its keys."""
    config = draw(configs())
    document = written(config)
    count = draw(st.integers(1, 4))
    where = {path: draw(st.integers(0, count - 1)) for path in leaves(document)}
    where[next(iter(where))] = 0  # the main file may not be empty
    names = ["natnetd.yaml", *(f"natnetd.d/{i}.yaml" for i in range(1, count))]
    files = [schema.flow(file) if file else "" for file in split(document, where, count)]
    return config, tuple(Text(name, text.encode()) for name, text in zip(names, files, strict=True))


@given(scattered())
def test_it_matters_to_no_key_in_which_file_it_stands(drawn: tuple[Config, Texts]) -> None:
    config, files = drawn
    assert understand(files).config == config


@given(scattered(), st.data())
def test_a_key_said_once_more_is_refused_at_the_later_of_its_places(
    drawn: tuple[Config, Texts], data: st.DataObject
) -> None:
    config, files = drawn
    document = written(config)
    path = data.draw(st.sampled_from([path for path in leaves(document) if path != ("networks",)]))
    again = split(document, {path: 0}, 1)[0]
    files = (*files, Text("natnetd.d/last.yaml", schema.flow(again).encode()))
    with pytest.raises(ConfigError, match=r"natnetd\.d/last\.yaml:.*: is set in .* already; remove one"):
        understand(files)


@given(scattered())
def test_all_files_written_as_one_say_the_same(drawn: tuple[Config, Texts]) -> None:
    config, files = drawn
    assert parse(understand(files).in_one, "f") == config


@pytest.mark.parametrize("title", GOOD)
def test_every_good_file_can_be_kept_as_one_with_a_drop_in(title: str) -> None:
    text, config = GOOD[title]
    read = understand((Text("f", text.encode()), Text("g")))
    assert parse(read.in_one, "kept") == read.config == config


def test_a_file_without_drop_ins_is_kept_as_it_is() -> None:
    text = b"\xef\xbb\xbfnetworks: {} # as I wrote it\n"
    assert understand((Text("f", text),)).in_one == text


def test_what_is_kept_is_for_people_too() -> None:
    files = (
        Text("/etc/natnetd.yaml", b"defaults: {nat: {uplink: [vmbr0, wg0]}}\nnetworks: {}\n"),
        Text("/etc/natnetd.d/a.yaml", b"networks: {vmbr1: {description: 'a: b', addresses: 10.0.0.1/24}}"),
    )
    assert understand(files).in_one.decode() == (
        "# What /etc/natnetd.yaml and its drop-ins say, 2 files in one.\n"
        "defaults:\n  nat:\n    uplink: [vmbr0, wg0]\n"
        'networks:\n  vmbr1:\n    description: "a: b"\n    addresses: 10.0.0.1/24\n'
    )
