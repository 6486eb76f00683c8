"""Flows that slipped out through a hole, or that new rules do not let live, are forgotten slice by slice."""

import logging
from collections.abc import Callable
from typing import Protocol

from natnetd.doors import Row
from natnetd.errors import HostError
from natnetd.flows import Suspects, gap, suspects
from natnetd.model import Config
from natnetd.report import Reason, Report
from natnetd.stale import shut

log = logging.getLogger("natnetd")


class Walk(Protocol):
    """A walk through conntrack, in slices."""

    purged: int

    def step(self) -> bool:
        """Do one slice; say whether more is to come. Raises OSError."""


class Purging(Protocol):
    """A host whose flows can be forgotten."""

    def purge(self, suspects: Suspects, *, translated: bool = False) -> Walk:
        """Begin to forget flows that are against the rules, untranslated ones or all. Raises HostError."""


class Forgetting:
    """One walk at a time; `forgot` is told how many flows each has found."""

    def __init__(self, host: Purging, forgot: Callable[[int], None]) -> None:
        self.host = host
        self.forgot = forgot
        self.walk: Walk | None = None
        self.suspects: tuple[Config, Suspects] | None = None
        self.shut: frozenset[Row] = frozenset()  # forwards whose flows are to be forgotten

    def after(self, config: Config, report: Report) -> None:
        """Begin to look for flows if a pass has closed a hole, or brought other rules."""
        self.shut |= shut(report)
        if not gap(report):
            return
        try:
            if self.suspects is None or self.suspects[0] is not config:
                self.suspects = config, suspects(config)
            them, anew = self.suspects[1], report.reason is Reason.RELOAD
            if self.shut:
                them, anew = suspects(config, self.shut), True
            self.walk = self.host.purge(them, translated=anew)
        except (HostError, OSError) as error:
            log.warning("cannot look for leaked flows: %s", error)

    def step(self) -> None:
        """Forget one slice of them, if there is a walk."""
        if self.walk is None:
            return
        try:
            more = self.walk.step()
        except OSError as error:
            log.warning("cannot look for leaked flows: %s", error)
            more = False
        if not more:
            self.forgot(self.walk.purged)
            if self.walk.purged:
                log.warning("forgot %d flows that were against the rules", self.walk.purged)
            self.walk, self.shut = None, frozenset()
