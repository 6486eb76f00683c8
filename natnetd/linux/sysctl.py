"""The door to /proc/sys: of the network namespace of the calling thread."""

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
        with open(place(path), encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
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
            with open(place(setting.path), "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(setting.value)
            found = read(*setting.path)
        except HostError as error:
            return error
        except OSError as error:
            return HostError(f"cannot write sysctl {name}: {error.strerror}")
        return None if found == setting.value else HostError(f"sysctl {name} stays at {found}")
