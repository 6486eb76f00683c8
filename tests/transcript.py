"""Transcripts of the command line, compared with tests/golden/*.txt; NATNETD_GOLDEN=write writes them."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from running import run

GOLDEN = Path(__file__).parent / "golden"
VARIABLE = (
    (r"\b(natnetd|nft)\[\d+\]", r"\1[PID]"),
    (r"\bby nft\)", "by nft[PID] (nft flush ruleset))"),  # what a container can tell: test_repairs.py
    (r'"pid": \d+', '"pid": PID'),
    (r'"at": [\d.]+', '"at": SECONDS'),
    (r'"version": "[^"]*"', '"version": VERSION'),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE TIME"),
    (r"\b(in|after) [\d.]+ m?s\b", r"\1 N ms"),
    (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
)


@dataclass
class Transcript:
    """What a user sees: each verb, its output, complaints after "err: ", and the exit code."""

    name: str
    directory: Path
    lines: list[str] = field(default_factory=list)

    def natnetd(self, *words: str) -> None:
        """Run a verb and write it down."""
        done = run(self.directory, *words)
        self.lines += [f"$ natnetd {' '.join(words)}", *done.stdout.splitlines()]
        self.lines += [f"err: {line}" for line in done.stderr.splitlines()]
        self.lines += [f"(exit {done.returncode})", ""]

    def note(self, text: str) -> None:
        """Say what happens meanwhile."""
        self.lines += [f"# {text}", ""]

    def text(self) -> str:
        """Return it without what differs from run to run."""
        text = "\n".join(self.lines).replace(str(self.directory), "DIR")
        for pattern, word in VARIABLE:
            text = re.sub(pattern, word, text)
        return text

    def matches(self) -> bool:
        """Compare with the golden file, or write it."""
        path = GOLDEN / f"{self.name}.txt"
        if os.environ.get("NATNETD_GOLDEN") == "write":
            path.write_text(self.text(), "utf-8")
        wanted = path.read_text("utf-8")
        assert self.text() == wanted, f"differs from {path}; if that is right, NATNETD_GOLDEN=write"
        return True
