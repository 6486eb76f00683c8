"""What `natnetd quarantine` and `natnetd release` share: the drop-in they keep, and how soon it holds."""

import argparse
import os
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from natnetd import config
from natnetd.errors import Complaint, ConfigError, HostError
from natnetd.file.assembly import read_quarantine
from natnetd.file.guard_keys import GUEST, CutOff, Known, read_guest
from natnetd.file.nodes import Mapping, Mark, Scalar
from natnetd.file.shapes import Unfit
from natnetd.file.sources import Text, Texts, directory_of, gather, read_drop_in
from natnetd.flows import suspects
from natnetd.host import Layer, Scope
from natnetd.kinds import guard
from natnetd.leases import known
from natnetd.linux import open_host
from natnetd.linux.elements import get_element
from natnetd.linux.leased import LeaseFiles
from natnetd.linux.lock import Lock, holder
from natnetd.linux.netlink import NETFILTER, Asker
from natnetd.linux.nfnl import table_there
from natnetd.linux.starting import places
from natnetd.model import Config, Network
from natnetd.reconcile import Pass, reconcile
from natnetd.systemd import start_logging

NAME = "quarantine.yaml"
HEAD = "# Kept by natnetd quarantine and natnetd release. Each line is a guest that is cut off.\n"
PATIENCE = 5.0  # seconds in which a service that runs follows the file: it takes a tenth of one
PAUSE = 0.02  # seconds between two looks


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take the guest, and its network."""
    parser.add_argument(
        "guest", metavar="NAME_OR_ADDRESS", help="a guest's name, address or MAC address, as in leases"
    )
    parser.add_argument("--network", metavar="NETWORK", help="its network, where that is not clear")


def place(path: str) -> Path:
    """Say where the drop-in of a file stands. Raises HostError: the file has none."""
    directory = directory_of(path)
    if directory is None:
        raise HostError(f"{path} has no drop-ins, since its name does not end in .yaml")
    return directory / NAME


def guest_of(words: str) -> Known:
    """Read a guest from the command line. Raises HostError: it is none."""
    try:
        return read_guest(Scalar(Mark(0, "", 1, 1), "", words, plain=False))
    except Unfit as reason:
        raise HostError(str(reason) or f"{words} is not {GUEST.words}") from reason


def entries(drop_in: Path) -> list[CutOff]:
    """Read who stands in the drop-in; raises ConfigError for a bad one, HostError if it says more."""
    text = read_drop_in(drop_in)
    if text is None:
        return []
    complaints: list[Complaint] = []
    if text.trouble:
        raise HostError(f"{text.file} {text.trouble}")
    root = config.compose(text.raw, text.file, complaints, order=1)
    if isinstance(root, Mapping) and root.values.keys() - {"quarantine"}:
        raise HostError(f"{text.file} says more than quarantine; move that to another file")
    node = root.values.get("quarantine") if isinstance(root, Mapping) else root
    found = read_quarantine(node, complaints) if node is not None else []
    if complaints:
        raise ConfigError(tuple(complaints))
    return [one.value for one in found]


def written(guests: Iterable[CutOff]) -> bytes:
    """Write the drop-in."""
    lines = "".join(f'  - "{one.network}/{one.guest}"\n' for one in guests)
    return f"{HEAD}quarantine:\n{lines}".encode()


def together(texts: Texts, drop_in: Path, raw: bytes) -> Texts:
    """All files as they would be with another text of the drop-in."""
    main, *others = texts
    others = [Text(str(drop_in), raw), *(text for text in others if text.file != str(drop_in))]
    return (main, *sorted(others, key=lambda text: os.fsencode(text.file)))


def put(drop_in: Path, raw: bytes | None) -> None:
    """Write a drop-in aside and move it into place, or remove it. Raises HostError."""
    aside = drop_in.with_name(f".{NAME}.new")
    try:
        if raw is None:
            drop_in.unlink(missing_ok=True)
            return
        drop_in.parent.mkdir(mode=0o755, exist_ok=True)
        with aside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(drop_in)
    except OSError as error:
        raise HostError(f"cannot write {drop_in}: {error.strerror}") from error


def one_of(guest: Known, wanted: Config, network: str | None) -> CutOff:
    """Tell which guest is meant. Raises HostError: nobody can be, or several could."""
    names = ", ".join(wanted.networks) or "none"
    if network is not None and network not in wanted.networks:
        raise HostError(f"there is no network {network} (known: {names})")
    found = [one for one in places_of(guest, wanted) if network in (None, one.network)]
    if not found and network is not None:
        return CutOff(network, guest)
    if not found and len(wanted.networks) == 1:
        return CutOff(next(iter(wanted.networks)), guest)
    if len(set(found)) != 1:
        which = " or ".join(f"{one.network}/{one.guest}" for one in found)
        text = f"{guest} may be {which}" if found else f"{guest} is known in no network"
        raise HostError(f"{text}; say which by --network NETWORK (known: {names}), or by an address")
    return found[0]


def places_of(guest: Known, wanted: Config) -> Iterator[CutOff]:
    """Find the networks a guest may be of, and what it is called there.

    A name that a guest gave itself may be another's tomorrow, so its MAC address is what counts.
    """
    files, now = LeaseFiles(places().leases), time.time()
    for network in wanted.networks.values():
        if isinstance(guest, IPv4Address | IPv6Address):
            if any(guest in a.network for a in network.addresses):
                yield CutOff(network.name, guest)
            continue
        rows = list(known(network, files.of(network.name), now)) if network.dhcp else []
        names = [r.name for r in network.dhcp.reservations] if network.dhcp else []
        if guest in names or guest in (row.mac for row in rows):
            yield CutOff(network.name, guest)
        else:
            yield from (CutOff(network.name, row.mac) for row in rows if row.name.lower() == guest)


def settled(network: Network, wanted: Config, *, there: bool) -> str:
    """Have a change of who is cut off take hold, and say in words how. Raises HostError: it did not."""
    rows = [(e.set, e.key) for e in guard.elements(network) if e.set.startswith("cut")]
    asker = Asker(NETFILTER)
    try:
        pid = holder()
        if pid is None:
            if not table_there(asker):
                return "natnetd does not run here, and nothing of it is in force: see `natnetd apply`"
            passed(network.name, wanted, frozenset(rows))
            return "natnetd does not run here; in force until somebody changes it"
        end = time.monotonic() + PATIENCE
        while any((get_element(asker, *row) is not None) is not there for row in rows):
            if time.monotonic() > end:
                raise HostError(f"natnetd[{pid}] has not followed in {PATIENCE:g} s: see `natnetd status`")
            time.sleep(PAUSE)
    finally:
        asker.close()
    return ""


def passed(name: str, wanted: Config, touched: frozenset[tuple[str, tuple[str, ...]]]) -> None:
    """Make a pass at one network's part of the table, and forget the flows of whom is cut off."""
    start_logging("error")
    lock, host = Lock(), open_host()
    near = Scope(frozenset({name}), frozenset({Layer.NFT}), host=False, touched=touched)
    try:
        report = reconcile(wanted, host, Pass(scope=near, clock=time.monotonic))
        failed = [report.blind or ""] if report.blind else [str(o.error) for o in report.outcomes if o.error]
        if failed:
            raise HostError("\n".join(failed))
        walk = host.purge(suspects(wanted), translated=True)
        while walk.step():
            pass
    finally:
        host.close()
        lock.release()


def in_force(path: str) -> tuple[Config, Texts]:
    """Read the files. Raises ConfigError."""
    texts = gather(path)
    return config.understand(texts).config, texts
