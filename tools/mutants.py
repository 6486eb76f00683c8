"""Break the code on purpose, one line at a time, and demand a red test for each: tests/mutants.txt."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = ROOT / "tests/mutants.txt"
TREE = ("natnetd", "tests", "config", "docs", "packaging", "README.md", "pyproject.toml")


@dataclass(frozen=True)
class Mutant:
    """One line of one file, what it becomes, and the test that must notice."""

    file: str
    old: str
    new: str
    test: str


def mutants() -> Iterator[Mutant]:
    """Read the list: blocks of four lines, `file`, `-old`, `+new`, `test`."""
    lines = [line for line in LIST.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    for file, old, new, test in zip(*[iter(lines)] * 4, strict=True):
        yield Mutant(file, old.removeprefix("-"), new.removeprefix("+"), test)


def survives(mutant: Mutant) -> str | None:
    """Try one in a copy of the tree; say what is wrong if no test turned red."""
    with tempfile.TemporaryDirectory(prefix="natnetd-mutant-") as name:
        copy = Path(name)
        for part in TREE:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, copy / part)
        path = copy / mutant.file
        text = path.read_text("utf-8")
        if text.count(mutant.old) != 1:
            return f"stands {text.count(mutant.old)} times in the file"
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.test.split()],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    return None if run.returncode == 1 else f"pytest ended with {run.returncode}: {run.stdout[-400:]}"


def main() -> int:
    """Try all of them, two at a time; or those whose file or test has one of some words in its name."""
    words = sys.argv[1:] or [""]
    everyone = [m for m in mutants() if any(word in f"{m.file} {m.test}" for word in words)]
    bad = 0
    with ThreadPoolExecutor(2) as pool:
        for mutant, problem in zip(everyone, pool.map(survives, everyone), strict=True):
            if problem:
                bad += 1
                print(f"SURVIVES {mutant.file}: {mutant.old.strip()!r} -> {mutant.new.strip()!r}: {problem}")
    print(f"{len(everyone) - bad} of {len(everyone)} mutants were noticed")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
