"""The whole terminal for one program: keys at once, a page drawn over the last one, all put back at the end.

Plain ANSI (ECMA-48) instead of curses: no terminfo is needed, and what is printed is text that can be tested.
"""

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType
from typing import Any, Self

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
RESIZED = "resized"


def able() -> bool:
    """Whether there is a terminal that can do more than print lines."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Screen:
    """While it is open the terminal is ours; a signal that ends the program puts it back first."""

    def __enter__(self) -> Self:
        self.keys = sys.stdin.fileno()
        self.before = termios.tcgetattr(self.keys)
        self.bell, ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.ring = ring
        self.old: dict[signal.Signals, Any] = {}
        for number, answer in (
            (signal.SIGWINCH, self.heard),
            (signal.SIGTSTP, self.stopped),
            (signal.SIGTERM, self.ended),
            (signal.SIGHUP, self.ended),
        ):
            self.old[number] = signal.signal(number, answer)
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        for number, answer in self.old.items():
            signal.signal(number, answer)
        self.give_back()
        os.close(self.bell)
        os.close(self.ring)

    def take(self) -> None:
        """Have keys come one by one, without an echo, and turn to the page that is thrown away at the end."""
        tty.setcbreak(self.keys, termios.TCSADRAIN)
        sys.stdout.write(ENTER)

    def give_back(self) -> None:
        """Leave the terminal as it was."""
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(self.keys, termios.TCSADRAIN, self.before)

    def heard(self, _number: int, _frame: FrameType | None) -> None:
        """Wake whoever waits: the size is another one."""
        os.write(self.ring, b"!")

    def stopped(self, number: int, frame: FrameType | None) -> None:
        """Stop as everybody does, but not with the terminal in our hands; go on where we were."""
        self.give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self.stopped)
        self.take()
        self.heard(number, frame)

    def ended(self, number: int, _frame: FrameType | None) -> None:
        """End in order."""
        sys.exit(128 + number)

    def draw(self, lines: Sequence[str]) -> None:
        """Show as many lines as fit, over what was there; nothing flickers."""
        columns, rows = shutil.get_terminal_size()
        fit = [f"{cut(line, columns)}{REST_OF_LINE}" for line in lines[:rows]]
        sys.stdout.write(HOME + "\n".join(fit) + REST)
        sys.stdout.flush()

    def wait(self, seconds: float) -> str:
        """Wait for a key and return it; RESIZED if the size is another one, empty if the time is over."""
        ready, _, _ = select.select([self.keys, self.bell], [], [], max(0.0, seconds))
        if self.bell in ready:
            os.read(self.bell, 4096)
            return RESIZED
        if self.keys not in ready:
            return ""
        return (
            os.read(self.keys, 64).decode("utf-8", "replace") or "q"
        )  # nothing to read: the terminal is gone


def cut(line: str, columns: int) -> str:
    """Shorten a line to the width of the terminal; what is not shown takes no room."""
    plain, shown, offset = 0, "", 0
    while offset < len(line):
        if line[offset] == "\x1b":
            end = line.index("m", offset) + 1
            shown, offset = shown + line[offset:end], end
            continue
        if plain < columns:
            shown, plain = shown + line[offset], plain + 1
        offset += 1
    return shown
