"""libnftables by its Python binding: its context, its scripts, its complaints.

One context belongs to one thread, and keeps the network namespace it was made in. Text goes in, one statement
on each line: its JSON writer is broken in 1.0.6.
"""

import ctypes
import logging
import os
from typing import Any

import nftables

from natnetd.errors import HostError

log = logging.getLogger(__name__)

ABLE = """
add table bridge natnetd_probe
add chain bridge natnetd_probe c { type filter hook prerouting priority filter; }
add rule bridge natnetd_probe c meta ibrname "lo" accept
"""


def nftables_context() -> Any:
    """Make a libnftables context, bound to this network namespace. Raises HostError."""
    without_name_servers()
    try:
        return nftables.Nftables()
    except OSError as error:
        text = f"cannot load libnftables: {error}: install the package libnftables1"
        raise HostError(text) from error


def without_name_servers() -> None:
    """Have this process ask no name server, only /etc/hosts (nss.h of the GNU C library).

    An element whose set somebody has exchanged for one of addresses meanwhile would be taken for a host's
    name, and each asked of DNS for 10 s. libnftables has a flag against it from 1.0.7 on only.
    """
    configure = getattr(ctypes.CDLL(None), "__nss_configure_lookup", None)
    if configure is not None:
        configure(b"hosts", b"files")


def run(nft: Any, text: str) -> HostError | None:
    """Run a script as one transaction; return why it was refused, if it was.

    It comes from a memory file, since only then do libnftables' complaints carry a line number.
    """
    log.debug("nft:\n%s", text)
    fd = os.memfd_create("natnetd.nft", os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode())
        code, _out, problem = nft.cmd_from_file(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
    return HostError(f"nft: {said(problem)}") if code else None


def able(nft: Any) -> bool:
    """Whether this kernel takes rules of the bridges' page, by a dry run that leaves nothing behind."""
    nft.set_dry_run(True)
    try:
        code, _out, _problem = nft.cmd(ABLE)
    finally:
        nft.set_dry_run(False)
    return bool(code == 0)


def said(problem: str) -> str:
    """Make one line of what libnftables complains of."""
    errors = [line.partition("Error: ")[2] for line in problem.splitlines() if "Error: " in line]
    return "; ".join(dict.fromkeys(errors)) or problem.strip() or "no reason given"
