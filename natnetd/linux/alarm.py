"""A clock that can be waited for like a socket (timerfd_create(2)); Python has one from 3.13 on."""

import ctypes
import os
from contextlib import suppress
from time import CLOCK_MONOTONIC

TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME = os.O_NONBLOCK, os.O_CLOEXEC, 1
NANO = 1_000_000_000


class Alarm:
    """Rings once, at a time in monotonic seconds."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self.libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def set(self, at: float | None) -> None:
        """Ring then; None: not at all. A time that has passed rings at once."""
        seconds, nano = (0, 0) if at is None else divmod(max(1, int(at * NANO)), NANO)
        when = (ctypes.c_long * 4)(0, 0, seconds, nano)
        self.libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME, when, None)

    def fileno(self) -> int:
        """Readable when it rang."""
        return self.fd

    def hush(self) -> None:
        """Forget that it rang."""
        with suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        """Give the clock back."""
        os.close(self.fd)
