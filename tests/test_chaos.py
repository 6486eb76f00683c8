"""A short run of the chaos; `make chaos SEED=n STEPS=n` runs it for long."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from chaos import chaos

from natnetd.lab.netns import Namespace

TODAY = int(datetime.now(UTC).strftime("%Y%m%d"))


@pytest.mark.parametrize(("seed", "steps"), [(1, 60), (TODAY, 30)])
def test_whatever_is_done_to_a_host_it_becomes_true_again(
    host: Namespace, directory: Path, seed: int, steps: int
) -> None:
    """A failure prints how to see it again."""
    with chaos(host, directory, seed) as run:
        run.run(steps)
    assert run.step == steps
