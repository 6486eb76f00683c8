"""`natnetd quarantine NAME_OR_ADDRESS`: cut a guest off. Exit 0, or 1 if that was not to be had."""

import argparse

from natnetd import config
from natnetd.cli import cutting
from natnetd.cli.cutting import arguments

__all__ = ["arguments", "run"]


def run(asked: argparse.Namespace) -> int:
    """Write the guest down, unless the files were bad with it, and wait until it is cut off."""
    drop_in = cutting.place(asked.config)
    guest = cutting.guest_of(asked.guest)
    wanted, texts = cutting.in_force(asked.config)
    one = cutting.one_of(guest, wanted, asked.network)
    there = cutting.entries(drop_in)
    if one not in there:
        raw = cutting.written([*there, one])
        wanted = config.understand(cutting.together(texts, drop_in, raw)).config
        cutting.put(drop_in, raw)
    how = cutting.settled(wanted.networks[one.network], wanted, there=True)
    print(f"{one.guest} of {one.network} is cut off, as {drop_in} says" + (f" ({how})" if how else ""))
    return 0
