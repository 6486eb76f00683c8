"""The bytes of a file as text, or what keeps them from being text."""

import re
from collections.abc import Iterator

from natnetd.errors import Complaint

LARGEST = 8 * 1024 * 1024  # bytes; 25 times a file of a thousand networks
BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
LINE_BREAK = re.compile(r"\r\n?|\n")
# What YAML allows, but for the line breaks that only YAML 1.1 knows: they would shift our line numbers.
ODD = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TAB_INDENT = re.compile(r"^ *\t", re.MULTILINE)


def decode(raw: bytes, file: str, complaints: list[Complaint]) -> str | None:
    """Return `raw` as text; without one, a complaint says why."""
    if len(raw) > LARGEST:
        complaints.append(
            Complaint(file, 1, 1, "", f"is larger than {LARGEST // 1024 // 1024} MiB; is it the right file?")
        )
        return None
    if name := BOMS.get(raw[:2]):
        complaints.append(Complaint(file, 1, 1, "", f"is {name}; save the file as UTF-8"))
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        what = f"the byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        complaints.append(Complaint(file, *place(before, len(before)), "", what))
        return None
    odd = list(oddities(text, file))
    complaints.extend(odd)
    return None if odd else text


def oddities(text: str, file: str) -> Iterator[Complaint]:
    """Yield the first control character, and the first line that is indented by a tab."""
    if match := ODD.search(text):
        what = f"holds the control character U+{ord(match[0]):04X}; remove it"
        yield Complaint(file, *place(text, match.start()), "", what)
    if match := TAB_INDENT.search(text):
        where = place(text, text.index("\t", match.start()))
        yield Complaint(file, *where, "", "a tab indents this line; write spaces")


def place(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of the character at `index`."""
    lines = LINE_BREAK.split(text[:index])
    return len(lines), len(lines[-1]) + 1
