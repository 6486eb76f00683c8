"""The door to /proc/sys: of the network namespace of the calling thread.

Files are opened by number: in a repair that writes two of them and reads five, open() was a third of it.
"""

import os
from collections.abc import Sequence

from natnetd.errors import HostError
from natnetd.plan import Change
from natnetd.rows import Setting

ROOT = "/proc/sys"


def place(path: Sequence[str]) -> str:
    """Where a setting is; by hand, since pathlib takes longer than the kernel."""
    return "/".join((ROOT, *path))


def read(*path: str) -> str | None:
    """Read a setting, None if there is none. Raises HostError."""
    try:
        fd = os.open(place(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096).decode("ascii", "replace").strip()
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"cannot read sysctl {'.'.join(path)}: {error.strerror}") from error


class SysctlDoor:
    """Writes settings, one by one."""

    def apply(self, changes: Sequence[Change[Setting]], /) -> list[HostError | None]:
        """Write each setting and read it back."""
        return [self.write(change.want) if change.want else None for change in changes]

    def write(self, setting: Setting) -> HostError | None:
        """Write one setting; say why not, if not."""
        name = ".".join(setting.path)
        try:
            fd = os.open(place(setting.path), os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, setting.value.encode("ascii"))
            finally:
                os.close(fd)
            found = read(*setting.path)
        except HostError as error:
            return error
        except OSError as error:
            return HostError(f"cannot write sysctl {name}: {error.strerror}")
        return None if found == setting.value else HostError(f"sysctl {name} stays at {found}")
