"""Files that are wrong, and exactly what is said about them.

golden/complaints.txt holds a title, a file, and the complaints about it (each after "=> ", without the file's
name), in blocks.
"""

import re
from pathlib import Path

import pytest
import yaml

from natnetd.config import compose, parse
from natnetd.errors import Complaint, ConfigError
from natnetd.file.assembly import assemble

GOLDEN = (Path(__file__).parent / "golden/complaints.txt").read_text()
BLOCK = re.compile(r"^## (?P<title>.*)\n(?P<text>(?:(?!=> ).*\n)*)(?P<complaints>(?:=> .*\n)+)", re.MULTILINE)
ROWS = {
    row["title"]: (row["text"], row["complaints"].removeprefix("=> ").rstrip("\n"))
    for row in BLOCK.finditer(GOLDEN)
}
EMPTY = "f:1:1: the file is empty; to remove the last network, write networks: {}"
BYTES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", EMPTY),
    "blank lines": (b"\n \n\n", EMPTY),
    "only comments": (b"# networks: {}\n", EMPTY),
    "only a document's start": (b"---\n", EMPTY),
    "null": (b"null\n", EMPTY),
    "only a BOM": (b"\xef\xbb\xbf", EMPTY),
    "UTF-16": ("networks: {}".encode("utf-16"), "f:1:1: is UTF-16; save the file as UTF-8"),
    "UTF-16, big end first": (b"\xfe\xff\0n", "f:1:1: is UTF-16; save the file as UTF-8"),
    "UTF-16 without a BOM": (b"n\0e\0t\0", "f:1:2: holds the control character U+0000; remove it"),
    "Latin-1": (
        b"networks:\n  b\xe4r: {}\n",
        "f:2:4: the byte 0xe4 is not UTF-8; save the file as UTF-8",
    ),
    "a control character in a comment": (
        b"networks: {} # \x1b[31m\n",
        "f:1:16: holds the control character U+001B; remove it",
    ),
    "a line break of YAML 1.1": (
        "networks: {a: {description: x\u2028y}}".encode(),
        "f:1:30: holds the control character U+2028; remove it",
    ),
    "a control character and a tab": (
        b"\tnetworks: {}\r\na: \x7f\r\n",
        "f:1:1: a tab indents this line; write spaces\nf:2:4: holds the control character U+007F; remove it",
    ),
    "an impossible escape": (
        b'networks: {a: {description: "\\UFFFFFFFF"}}',
        "f:1:32: not YAML: found invalid Unicode character escape code",
    ),
    "larger than a file can be": (
        b"#" * (8 * 1024 * 1024 + 1),
        "f:1:1: is larger than 8 MiB; is it the right file?",
    ),
}


def said(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    return str(caught.value)


def test_the_table_is_read_whole() -> None:
    assert "".join(match[0] + "\n" for match in BLOCK.finditer(GOLDEN)) == GOLDEN + "\n"
    assert len(ROWS) == GOLDEN.count("## ") >= 110


@pytest.mark.parametrize("title", ROWS)
def test_complaints(title: str) -> None:
    text, complaints = ROWS[title]
    assert said(text).replace("\nf:", "\n=> ").removeprefix("f:") == complaints


@pytest.mark.parametrize("title", BYTES)
def test_complaints_about_bytes(title: str) -> None:
    raw, complaints = BYTES[title]
    assert said(raw) == complaints


def test_half_a_character_in_text_is_refused() -> None:
    assert said("networks: {} # \ud800") == "f:1:16: the byte 0xed is not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize("title", ROWS)
def test_pure_python_yaml_complains_of_the_same(title: str) -> None:
    """Only the words about bad grammar, and the columns of nothing, differ."""
    text, complaints = ROWS[title]
    found: list[Complaint] = []
    root = compose(text.encode(), "f", found, yaml.SafeLoader)
    if root is not None:
        assemble(root, found)
    ours = [f"{c.line}:{c.column}: {c.key}: {c.text}" for c in sorted(set(found))]
    theirs = [
        line.removeprefix("=> ").replace(": not YAML", ": : not YAML") for line in complaints.split("\n")
    ]
    assert sorted(map(gist, ours)) == sorted(map(gist, theirs))


def gist(line: str) -> str:
    """Return what both parsers agree on."""
    line = re.sub(r"(not YAML: ).*", r"\1", line)
    line = re.sub(r"^(\d+:\d+: )(: )", r"\1", line)
    return re.sub(r"^(\d+):\d+(?=.*is empty)", r"\1", line)


def test_many_mistakes_are_told_at_once() -> None:
    """A thousand wrong networks give a thousand complaints, in the order of the file."""
    text = "networks:\n" + "".join(f"  net{i}: {{reach: net{i}x}}\n" for i in range(1000))
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert [complaint.line for complaint in caught.value.complaints] == list(range(2, 1002))
