"""Putting our stanzas into a file, and taking them out again so that the file is what it was before; pure."""

from collections.abc import Collection, Mapping

from natnetd.deputy.stanzas import Entry, Page, os_text

Texts = dict[str, bytes]
"""What was written of each network, exactly, with the line ends before and after."""


def edited(raw: bytes, wanted: Mapping[str, Entry], texts: Mapping[str, bytes]) -> tuple[bytes, Texts]:
    """Return a file with the stanzas that are wanted and without those of other names in `texts`.

    Returns also what is written of each name now. Whose a stanza is has been judged before.
    """
    kept = dict(texts)
    raw = without(raw, kept.keys() - wanted.keys(), kept)
    page, missing = Page.of(raw), []
    for name, entry in wanted.items():
        if not page.of_name(name):
            missing.append(entry)
        elif page.lines(name) == entry.lines:
            kept.setdefault(name, entry.text)
        else:
            raw = over(raw, entry, kept)
    for entry in missing:
        front = b"" if closed(raw) else b"\n" if raw.endswith(b"\n") else b"\n\n"
        kept[entry.name] = front + entry.text + b"\n"
        raw += kept[entry.name]
    return raw, kept


def over(raw: bytes, entry: Entry, kept: Texts) -> bytes:
    """Put an entry in the place of what is there of that name."""
    page = Page.of(raw)
    there = page.of_name(entry.name)
    before = b"".join(page.rows[: there[0].start])
    after = cut(b"".join(page.rows[there[0].end :]), entry.name)
    last = kept.get(entry.name, b"")
    front = fronts(last)
    around = last.endswith(b"\n\n") and before.endswith(front) and after.startswith(b"\n")
    if around and apart(page.rows[: there[0].start], last):
        kept[entry.name] = front + entry.text + b"\n"  # what was put in around it is still there
        return before + entry.text + after
    kept[entry.name] = entry.text
    # A comment right behind ours would be ours.
    return before + entry.text + (b"" if not after or blank(after) else b"\n") + after


def without(raw: bytes, names: Collection[str], kept: Texts) -> bytes:
    """Take entries out: exactly what was put in, where that is still there.

    The last one in the file comes first, so that places in front of it stay as they are.
    """
    page = Page.of(raw)
    for name in sorted(names, key=lambda name: -(page.claim(name) or 0)):
        last = kept.pop(name)
        at = verbatim(raw, page, name, last)
        if at is None:
            raw = cut(raw, name)
            page = Page.of(raw)
        else:
            raw = joined(raw[:at], last, raw[at + len(last) :], kept)
    return raw


def joined(before: bytes, last: bytes, after: bytes, kept: Texts) -> bytes:
    """Join what was in front of a text and what was behind it."""
    if not after or closed(before) or (before.endswith(b"\n") and blank(after)):
        return before + after
    # What follows needs the line ends in front of us; if it is ours too, they are in front of it from now on.
    front = fronts(last)
    words = after.partition(b"\n")[0].split()
    name = os_text(words[1]) if words[:1] == [b"iface"] and len(words) > 1 else ""
    if name in kept and after.startswith(kept[name]):
        kept[name] = front + kept[name]
    return before + front + after


def apart(before: tuple[bytes, ...], text: bytes) -> bool:
    """Whether the blank line that was put in front of a text is there: Autostart's `auto` may be by now."""
    return not fronts(text) or before[-1:] == (b"\n",)


def fronts(text: bytes) -> bytes:
    """The line ends in front of a text."""
    return text[: len(text) - len(text.lstrip(b"\n"))]


def verbatim(raw: bytes, page: Page, name: str, text: bytes) -> int | None:
    """Say at which byte a text stands that was put in for a name, if there is nothing else of that name."""
    there = page.of_name(name)
    if not there or not text.endswith(b"\n\n") or not apart(page.rows[: there[0].start], text):
        return None
    at = sum(map(len, page.rows[: there[0].start])) - len(fronts(text))
    whole = at >= 0 and raw.startswith(text, at) and len(there) == len(Page.of(text).of_name(name))
    return at if whole else None


def cut(raw: bytes, name: str) -> bytes:
    """Cut out all stanzas of a name, each with a blank line behind it where that leaves one."""
    page = Page.of(raw)
    rows = list(page.rows)
    for stanza in reversed(page.of_name(name)):
        del rows[stanza.start : stanza.end]
        behind = stanza.start < len(rows) and not rows[stanza.start].strip()
        if behind and (stanza.start == 0 or not rows[stanza.start - 1].strip()):
            del rows[stanza.start]
    return b"".join(rows)


def closed(raw: bytes) -> bool:
    """Whether a file is empty, or ends with a blank line."""
    return not raw or (raw.endswith(b"\n") and not raw[:-1].rpartition(b"\n")[2].strip())


def blank(raw: bytes) -> bool:
    """Whether a text begins with a blank line."""
    return not raw.partition(b"\n")[0].strip()
