"""`natnetd run`: the service."""

import argparse
import logging
import resource
import subprocess
from pathlib import Path

from natnetd import systemd
from natnetd.daemon import Daemon
from natnetd.linux import asking, conntrack, open_host, registering, resolvers
from natnetd.linux.events import NftEvents, RouteEvents
from natnetd.linux.files import FileWatch
from natnetd.linux.guests import read
from natnetd.linux.leased import LeaseFiles
from natnetd.linux.lock import Lock
from natnetd.linux.losses import RouteLoss
from natnetd.linux.ways import WayEvents
from natnetd.premises import Premises
from natnetd.publication import Outlets
from natnetd.state import State, runtime_directory, state_directory
from natnetd.wake import Bell, Signals, Source, Wake

log = logging.getLogger(__name__)
DESCRIPTORS = 65536


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take nothing."""


def run(asked: argparse.Namespace) -> int:
    """Lock, open our own sockets, then look: what happens meanwhile is heard."""
    journal = systemd.start_logging(asked.log_level)
    take_descriptors()
    signals = Signals()
    lock = Lock()
    host = open_host()
    routes, way, bell = RouteEvents(), WayEvents(), Bell()
    losses = RouteLoss(routes)
    nft = NftEvents(lambda: host.generation, lambda: host.guard_generation)
    sources: list[Source] = [signals, nft, routes, losses, way, bell, host.service.deaths]
    sources += [lock.sign] if lock.sign else []
    try:
        files = FileWatch(Path(asked.config))
        sources.append(files)
    except OSError as error:
        log.warning("cannot watch %s, so it is only read now and then: %s", asked.config, error.strerror)
        files = None
    try:
        sources += registering.sources(host.register) + asking.sources(host.service.starter)
        sources += resolvers.sources(Path(host.service.places.resolvers))
    except OSError as error:
        log.warning("cannot watch files of /etc, so they are only looked at now and then: %s", error.strerror)
    premises = Premises(
        host=host,
        wake=Wake(sources),
        events=routes,
        follow=files.follow if files else lambda: None,
        way=way,
    )
    leases = LeaseFiles(host.service.places.leases)
    dropped = (lambda: journal.dropped) if journal else (lambda: 0)
    outlets = Outlets(runtime_directory(), bell.ring, dropped, conntrack.fill, nft_version(), leases.of, read)
    Daemon(Path(asked.config), premises, outlets, State(state_directory())).run()
    lock.release()
    return 0


def take_descriptors() -> None:
    """Allow ourselves more than the usual 1,024 open files: each dnsmasq that is followed takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def nft_version() -> str:
    """Ask nft(8): the library itself does not tell. Empty where there is no nft."""
    try:
        words = subprocess.run(["nft", "--version"], capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return words.stdout.partition(" v")[2].partition(" ")[0]
