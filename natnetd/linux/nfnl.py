"""nfnetlink by hand: the generation of the ruleset, and whether our table is there.

libnftables answers these slowly, above all when the answer is no: a command that fails loads everything
of everybody for its suggestions (20 ms at 1,000 networks, against 0.05 ms here).
"""

import errno
import struct

from natnetd.errors import HostError
from natnetd.linux.netlink import Asker, attribute, attributes

NFT = 10 << 8  # NFNL_SUBSYS_NFTABLES
GETTABLE = NFT | 1
NEWGEN, GETGEN = NFT | 15, NFT | 16
INET, BRIDGE = 1, 7
TABLE_NAME = b"natnetd\0"


def head(family: int = INET, resource: int = 0) -> bytes:
    """Pack struct nfgenmsg."""
    return struct.pack(">BBH", family, 0, resource)


def generation(asker: Asker) -> int:
    """Read the generation of the ruleset: one up for each transaction that changed something.

    Raises HostError: no permission, or no nf_tables in the kernel.
    """
    try:
        for payload in asker.ask(GETGEN, head(0)):
            value: int = struct.unpack(">I", attributes(payload, 4, len(payload))[1])[0]
            return value
    except OSError as error:
        raise refused(error) from error
    raise HostError("the kernel has no nf_tables: load the module nf_tables")


def table_there(asker: Asker, family: int = INET) -> bool:
    """Say whether our table exists. Raises HostError: no permission, or no nf_tables in the kernel."""
    try:
        return any(True for _payload in asker.ask(GETTABLE, head(family) + attribute(1, TABLE_NAME)))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise refused(error) from error


def refused(error: OSError) -> HostError:
    """Say in words why nf_tables does not answer."""
    if error.errno == errno.EPERM:
        return HostError("needs CAP_NET_ADMIN: run it as root or by its systemd unit")
    if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
        return HostError("the kernel has no nf_tables: load the module nf_tables")
    return HostError(f"cannot read nftables: {error.strerror}")
