"""Networks in Proxmox VE's list of bridges: a stanza for each in /etc/network/interfaces, without `auto`.

A stanza of ours is kept true in the file and in the pending one, which the next Apply or boot puts in its
place. One of somebody else is left alone: `natnetd.registered` says so.
"""

from collections.abc import Iterable
from typing import Any

from natnetd.host import Layer, Snapshot
from natnetd.model import Config
from natnetd.plan import Change, diff
from natnetd.registered import MAIN, stranger, wanted
from natnetd.rows import Stanza

NAME = "registration"
LAYER = Layer.REGISTER


def plan(config: Config, seen: Snapshot) -> Iterable[Change[Any]]:
    """Want each network's stanza in every file there is, and no other stanza of ours."""
    register = seen.register
    if register is None or register.trouble:
        return
    listed = wanted(config, register)
    for name in sorted(listed.keys() | register.recorded):
        want = listed.get(name)
        if want and stranger(name, want, register):
            continue
        keys = [f"{name} in {file}" for file in register.files or (MAIN,)]
        have = {key: register.stanzas[key] for key in keys if key in register.stanzas}
        if (
            want is None and not have
        ):  # the record is to be forgotten, or it would claim what others write there
            have = {keys[0]: Stanza()}
        yield from diff(LAYER, NAME, name, dict.fromkeys(keys, want) if want else {}, have)
