"""Processes whose end is heard of at once: a pidfd each (pidfd_open(2)), all of them behind one epoll(7)."""

import os
import select
from collections.abc import Iterator
from contextlib import suppress

from natnetd.host import Layer, Scope
from natnetd.wake import Notice

SERVICE_ONLY = frozenset({Layer.SERVICE})


class Deaths:
    """A source of the loop: tells of which networks the server has ended."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.known: dict[str, tuple[int, int]] = {}  # network: pid, its pidfd
        self.names: dict[int, str] = {}

    def follow(self, name: str, pid: int | None) -> int | None:
        """Wait for the end of a process (None: of none more); returns its pidfd, None if it is gone."""
        known = self.known.get(name)
        if known and known[0] == pid and not dead(known[1]):
            return known[1]
        if known:
            self.drop(name)
        if pid is None:
            return None
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return None
        self.known[name], self.names[fd] = (pid, fd), name
        self.epoll.register(fd, select.EPOLLIN)
        return fd

    def drop(self, name: str) -> None:
        """Wait no more."""
        _pid, fd = self.known.pop(name)
        del self.names[fd]
        with suppress(OSError):
            self.epoll.unregister(fd)
        os.close(fd)

    def fileno(self) -> int:
        """Readable when one has ended."""
        return self.epoll.fileno()

    def read(self) -> Iterator[Notice]:
        """Tell whose server ended, once."""
        ended = [self.names[fd] for fd, _ in self.epoll.poll(0) if fd in self.names]
        for name in ended:
            self.drop(name)
        if ended:
            yield Notice(Scope(frozenset(ended), SERVICE_ONLY, host=False))

    def close(self) -> None:
        """Give the descriptors back."""
        for name in tuple(self.known):
            self.drop(name)
        self.epoll.close()


def dead(fd: int) -> bool:
    """Whether the process behind a pidfd has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
