"""Where machines can be made here, of what, and the packages they get."""

import fcntl
import hashlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import CGROUPS, OVERLAY, PRIVATE

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/boot-test"
SOURCES = (
    "natnetd",
    "packaging",
    "tools",
    "config",
    "docs",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
)
HIGHER = "99.0"
"""The version of the package that is upgraded to."""


def place() -> tuple[Path | None, str]:
    """Find a directory below which a machine can keep what it writes, or say why there is none.

    Not every file system can be the upper one of an overlay: a Docker container's /var/tmp cannot be.
    """
    why = ""
    for base in (Path("/var/tmp"), Path("/dev/shm")):  # noqa: S108  # a directory of our own is made below
        with TemporaryDirectory(dir=base, prefix="natnetd-boot-probe.") as home:
            for part in ("lower", "upper", "work", "root"):
                Path(home, part).mkdir()
            probe = subprocess.run(
                [*PRIVATE, "--pid", "--mount-proc", "--fork", "sh", "-ec", CGROUPS + OVERLAY],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "home": home, "lower": f"{home}/lower"},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        if probe.returncode == 0:
            return base, ""
        why = probe.stderr.strip() or f"exit {probe.returncode}"
    return None, f"no mount namespace with cgroups and an overlay: {why}"


def rootfs(suite: str) -> Path:
    """Have a suite's root file system made, if it is not there; takes 40 s then."""
    made = subprocess.run(
        [ROOT / "tools/rootfs", suite], capture_output=True, text=True, check=False, timeout=900
    )
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.splitlines()[-1])


def package() -> Path:
    """Return the .deb, built anew if anything it is made of is newer; one worker of pytest-xdist does it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = built()
        if found is None or found.stat().st_mtime < newest():
            made = subprocess.run(
                [ROOT / "tools/deb"], capture_output=True, text=True, check=False, timeout=900
            )
            assert made.returncode == 0, f"tools/deb: {made.stdout}{made.stderr}"
            found = built()
        assert found
        return found


def built() -> Path | None:
    """Find the package that was built last."""
    found = sorted((ROOT / "dist").glob("natnetd_*_all.deb"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def newest() -> float:
    """Tell when anything that a package is made of was changed last."""
    files = [path for name in SOURCES for path in (ROOT / name, *(ROOT / name).rglob("*"))]
    return max(p.stat().st_mtime for p in files if p.is_file() and "__pycache__" not in p.parts)


def upgrade(deb: Path, swap: tuple[str, str]) -> Path:
    """Make the same package again, with a higher version and two lines of table.nft exchanged."""
    digest = hashlib.sha256(deb.read_bytes() + repr(swap).encode()).hexdigest()[:12]
    made = BUILD / f"natnetd_{HIGHER}_all.{digest}.deb"
    if made.exists():
        return made
    BUILD.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=BUILD) as work:
        tree = Path(work, "tree")
        subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
        control = tree / "DEBIAN/control"
        lines = control.read_text("utf-8").splitlines(keepends=True)
        control.write_text(
            "".join(f"Version: {HIGHER}\n" if x.startswith("Version:") else x for x in lines), "utf-8"
        )
        (page,) = tree.glob("usr/lib/python3/dist-packages/natnetd/table.nft")
        text, (one, other) = page.read_text("utf-8"), swap
        assert text.count(f"{one}\n\t\t{other}\n") == 1, swap
        page.write_text(text.replace(f"{one}\n\t\t{other}\n", f"{other}\n\t\t{one}\n"), "utf-8")
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", tree, f"{work}/made"],
            check=True,
            capture_output=True,
        )
        for old in BUILD.glob("natnetd_*.deb"):
            old.unlink(missing_ok=True)
        Path(work, "made").rename(made)
    return made
