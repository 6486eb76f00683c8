"""What this kernel cannot do for clients of DHCP; pure."""

from collections.abc import Iterator

from natnetd.host import Finding, Snapshot, State
from natnetd.model import Config

UNABLE = (
    "this kernel cannot complete checksums (it has no CONFIG_NET_ACT_CSUM, module act_csum, or lends it to "
    "no container), so a guest whose DHCP client believes those of a virtual card may get no address"
)


def notes(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """Say once that some clients may take answers for damaged, if somebody is answered at all."""
    if seen.checksums is None and any(network.dhcp for network in config.networks.values()):
        yield Finding(None, State.IN_SYNC, UNABLE)


def is_note(finding: Finding) -> bool:
    """Whether a finding is this one."""
    return finding.text == UNABLE
