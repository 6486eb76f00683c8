"""Where everything lies; tests and the lab put all of it under a directory of their own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

ROOT_VARIABLE = "NATNETD_ROOT"
"""Environment variable: a directory in place of /, for a private world."""


@dataclass(frozen=True, slots=True)
class Places:
    """The files of the registration; `owner` is the user who may ask, besides root."""

    interfaces: Path = Path("/etc/network/interfaces")
    asks: Path = Path("/run/natnetd/asks.json")
    answer: Path = Path("/run/natnetd-deputy/answer.json")
    record: Path = Path("/var/lib/natnetd-deputy/stanzas.json")
    mounts: Path = Path("/proc/self/mountinfo")
    owner: str = "natnetd"

    @classmethod
    def under(cls, root: Path, owner: str = "natnetd") -> Self:
        """Put every file under a directory."""
        usual = cls()
        names = ("interfaces", "asks", "answer", "record", "mounts")
        return cls(**{name: root / str(getattr(usual, name))[1:] for name in names}, owner=owner)

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Take the usual places, or those under $NATNETD_ROOT."""
        root = environment.get(ROOT_VARIABLE, "")
        return cls.under(Path(root)) if root else cls()

    def of_verb(self, verb: str) -> Self:
        """Take the asks and answers of another verb: each has its own, so that none waits for another."""
        if verb == "register":
            return self
        return replace(
            self,
            asks=self.asks.with_name(f"{verb}.asks.json"),
            answer=self.answer.with_name(f"{verb}.answer.json"),
        )

    @property
    def pending(self) -> Path:
        """What Proxmox VE puts in place of the file with Apply, or at boot."""
        return self.interfaces.with_name(f"{self.interfaces.name}.new")

    @property
    def backup(self) -> Path:
        """The file as it was before our first change."""
        return self.interfaces.with_name(f"{self.interfaces.name}.natnetd-backup")

    @property
    def lock(self) -> Path:
        """The file whose flock Proxmox VE takes to change its network configuration (PVE/API2/Network.pm)."""
        return self.interfaces.with_name(".pve-interfaces.lock")
