"""`register`: natnetd's networks in Proxmox VE's list of bridges, by stanzas in /etc/network/interfaces."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from natnetd.deputy import files
from natnetd.deputy.asks import read_json
from natnetd.deputy.editing import edited
from natnetd.deputy.places import Places
from natnetd.deputy.stanzas import Entry, Page
from natnetd.errors import HostError

PATIENCE = 10.0  # seconds for the lock
TRIES = 5


def register(entries: Sequence[Entry], places: Places, patience: float = PATIENCE) -> dict[str, str]:
    """Make these entries, and no others of ours, stand in the file and in the pending one.

    Returns what is wrong with single networks, by their names. Raises HostError: nothing could be done.
    """
    with files.locked(places.lock, patience):
        for _ in range(TRIES):
            with suppress(files.ChangedError):
                return once(entries, places)
    raise HostError(f"{places.interfaces}: somebody keeps changing it")


def once(entries: Sequence[Entry], places: Places) -> dict[str, str]:
    """Try once. Raises HostError, ChangedError."""
    main, pending = files.read(places.interfaces), files.read(places.pending)
    if main is None and not entries:
        keep_record(places, {})
        return {}
    if main is None:
        raise HostError(f"{places.interfaces}: there is no such file")
    texts = [main, pending] if pending else [main]
    last = recorded(places)
    claims = claimed(entries, last, texts)
    wanted = {entry.name: entry for entry in entries if entry.name not in claims}
    raw, now = edited(main.raw, wanted, last)
    fresh = [raw, *(edited(text.raw, wanted, last)[0] for text in texts[1:])]
    changed = [(text, raw) for text, raw in zip(texts, fresh, strict=True) if raw != text.raw]
    if changed:
        keep_record(places, {**last, **now})  # whoever dies in between leaves nothing that is nobody's
        back_up(places, main)
    for text, raw in changed:
        files.replace(text, raw)
    keep_record(places, now)
    return claims


def claimed(
    entries: Sequence[Entry], last: Mapping[str, bytes], texts: Sequence[files.Text]
) -> dict[str, str]:
    """Say of which names there are stanzas that are not ours, and where.

    Ours is what was recorded; if the record was lost, what is exactly as we would write it.
    """
    pages = [(text, Page.of(text.raw)) for text in texts]
    around = [text for path in files.sourced(texts[0].path, pages[0][1]) if (text := readable(path))]
    others = [(text, Page.of(text.raw)) for text in around]
    found: dict[str, str] = {}
    for entry in entries:
        if entry.name in last:
            continue
        strange = [(text, page) for text, page in pages if page.lines(entry.name) != entry.lines]
        for text, page in (*strange, *others):
            line = page.claim(entry.name)
            if line is not None:
                found[entry.name] = f"{text.path}:{line} speaks of {entry.name}, and is not natnetd's"
                break
    return found


def readable(path: Path) -> files.Text | None:
    """Read a sourced file, if it can be read: whose stanzas it has is all that is asked."""
    with suppress(HostError):
        return files.read(path)
    return None


def recorded(places: Places) -> dict[str, bytes]:
    """Recall what was written of which network; nothing if that cannot be understood."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {
            name: text.encode("utf-8", "surrogateescape") for name, text in read_json(places.record).items()
        }
    return {}


def keep_record(places: Places, texts: Mapping[str, bytes]) -> None:
    """Remember it, for the service to read; what is kept already is not written again. Raises HostError."""
    if texts != recorded(places):
        told = {name: text.decode("utf-8", "surrogateescape") for name, text in sorted(texts.items())}
        files.keep(places.record, json.dumps(told, indent=1).encode() + b"\n")


def back_up(places: Places, text: files.Text) -> None:
    """Keep the file as it was before our first change; later ones would only keep what we did."""
    if not places.backup.exists():
        files.keep(places.backup, text.raw, text.state.st_mode & 0o777)
