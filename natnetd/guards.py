"""What of a guard this kernel cannot do; pure."""

from collections.abc import Iterator

from natnetd.host import Finding, Snapshot, State
from natnetd.model import Config

UNABLE = (
    "this kernel cannot tell bridges apart (it has no CONFIG_NFT_BRIDGE_META, module nft_meta_bridge), so "
    "guests of one network are not guarded from each other; what passes the host is"
)


def notes(config: Config, seen: Snapshot) -> Iterator[Finding]:
    """Say once that neighbours are not guarded, if some should be."""
    if config.all.guarded and not seen.guardable:
        yield Finding(None, State.IN_SYNC, UNABLE)


def is_note(finding: Finding) -> bool:
    """Whether a finding is this one."""
    return finding.text == UNABLE
