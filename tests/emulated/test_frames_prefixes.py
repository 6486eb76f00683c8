"""A guarded network's prefix that grows or shrinks, on a kernel that can tell bridges apart.

Linux 6.1 answers "done" to a prefix that is wider than one that is there, and adds nothing.
"""

import pytest
from networks import Networks

from natnetd.lab.netns import Namespace
from natnetd.linux import open_host

NETWORK = "\n  vmbr1: {addresses: %s, guard: {anti_spoof: true}}"


@pytest.mark.parametrize("addresses", [("10.1.0.1/24", "10.1.0.1/23"), ("'fd00::1/64'", "'fd00::1/63'")])
def test_it_is_there_after_one_pass(host: Namespace, addresses: tuple[str, str]) -> None:  # noqa: ARG001  # in it
    net = Networks(None, open_host())  # type: ignore[arg-type]  # without a world
    for address in (*addresses, *addresses):
        done = net.become(NETWORK % address).outcomes
        assert any(o.change.name.startswith("frames own") for o in done)
        assert net.become(NETWORK % address).outcomes == ()
