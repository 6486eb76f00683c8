"""The process goes into namespaces of its own: whatever it does to "the host" never reaches the machine."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from natnetd.lab import libc
from natnetd.lab.netns import Namespace
from natnetd.lab.strays import end_strays, keep_watch

_QUIET = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC


@dataclass(frozen=True)
class Sandbox:
    """What `private` made: `host` is the network namespace that plays the host; made by `private` only."""

    host: Namespace

    @contextmanager
    def fresh_host(self) -> Iterator[Namespace]:
        """Give the calling (main) thread one more, empty host; after it the thread is back where it was.

        Threads started meanwhile are in it as well, and keep it alive if they stay; processes are killed.
        """
        _require_main_thread()
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        libc.unshare(libc.CLONE_NEWNET)
        try:
            with _sysfs(), Namespace.current("host") as host:
                yield host
        finally:
            end_strays("net")
            libc.setns(before, libc.CLONE_NEWNET)
            os.close(before)


def private() -> Sandbox:
    """Put the process into a mount and a network namespace of its own, with an empty /run and its own /sys.

    Both end with the last process inside, and what went into the background is killed when we end, so nothing
    needs to be cleaned up, whatever kills us. There is no way back: call it once, early, in the main thread,
    whose namespaces every later thread and child inherits. The rest of the file system is the machine's, but
    for what natnetd writes as root on a Proxmox VE host: /etc/network and its record are empty, and /etc/pve
    is not mounted. Raises OSError (EPERM) without root.
    """
    _require_main_thread()
    libc.unshare(libc.CLONE_NEWNS)
    # Before anything is mounted: mounts under a shared / would appear on the machine (mount_namespaces(7)).
    libc.mount("none", "/", "", libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("tmpfs", "/run", "tmpfs", libc.MS_NOSUID | libc.MS_NODEV)
    Path("/run/netns").mkdir()
    _hide_proxmox()
    keep_watch()
    libc.unshare(libc.CLONE_NEWNET)
    # /sys/class/net is that of the namespace in which sysfs was mounted.
    libc.mount("sysfs", "/sys", "sysfs", _QUIET)
    return Sandbox(Namespace.current("host"))


def _hide_proxmox() -> None:
    # By default natnetd writes into /etc/network/interfaces where /etc/pve is mounted: the lab's must not.
    for path in ("/etc/network", "/var/lib/natnetd-deputy"):
        if Path(path).is_dir():
            libc.mount("tmpfs", path, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV)
    while os.path.ismount("/etc/pve"):  # Path.is_mount raises where FUSE has no daemon
        libc.unmount("/etc/pve")


@contextmanager
def _sysfs() -> Iterator[None]:
    libc.mount("sysfs", "/sys", "sysfs", _QUIET)
    try:
        yield
    finally:
        libc.unmount("/sys")


def _require_main_thread() -> None:
    # /proc/PID/ns names the main thread's namespaces, and children are expected to be born in them.
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread can move the process into a sandbox")
