"""The few system calls of namespaces(7) that Python 3.11 does not offer; each raises OSError on failure."""

import ctypes
import os
import signal

CLONE_NEWNS = 0x0002_0000
CLONE_NEWNET = 0x4000_0000

MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x4_0000

_MNT_DETACH = 0x2
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
# unsigned long does not fit the C int that ctypes would guess.
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces (unshare(2)); other threads keep theirs."""
    _checked(_libc.unshare(flags), f"cannot unshare {flags:#x}")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind `fd` (setns(2))."""
    _checked(_libc.setns(fd, kind), f"cannot enter the namespace of file {fd}")


def mount(source: str, target: str, fstype: str, flags: int) -> None:
    """Mount `source` on `target` (mount(2)); with MS_PRIVATE only the propagation changes."""
    result = _libc.mount(source.encode(), target.encode(), fstype.encode(), flags, None)
    _checked(result, f"cannot mount {fstype or source} on {target}")


def unmount(target: str) -> None:
    """Take the topmost mount off `target` at once, also if files in it are open (umount2(2))."""
    _checked(_libc.umount2(target.encode(), _MNT_DETACH), f"cannot unmount {target}")


def die_with(parent: int) -> None:
    """Have the calling process killed when the thread that forked it ends; exits if `parent` already died.

    PR_SET_PDEATHSIG (prctl(2)) means the forking thread, not its process. It outlives execve, but for a
    program with set-user-ID or file capabilities, and a change of the process's own user.
    """
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "cannot ask for death with the parent")
    if os.getppid() != parent:
        os._exit(1)
