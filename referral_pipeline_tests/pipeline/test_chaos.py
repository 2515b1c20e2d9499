"""Receiver and lane as real processes, killed at work, with faults in both APIs: nothing lost, nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.benchmarks.live import Live
from referral_pipeline_tests.chaos import SWITCHES, disturbed
from referral_pipeline_tests.pipeline.conftest import installed


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, shared_patch: pytest.MonkeyPatch) -> Iterator[Live]:
    """Receiver and lane of a fresh installation, running."""
    with Sandbox(size=ProgrammeSize.small(), greenhouse=SWITCHES) as sandbox:
        installation = installed(tmp_path_factory.mktemp("chaos") / "home", sandbox, shared_patch)
        with Live(installation) as made:
            made.start("receiver", "lane")
            yield made


def test_killed_at_random_moments_every_event_is_done_and_nothing_is_done_twice(live):
    seed = time.time_ns()
    found = disturbed(
        live, live.installation.sandbox, events=200, kills=5, names=("lane", "receiver"), rng=random.Random(seed)
    )
    assert sum(found.kills.values()) == 5
    assert found.details == [], seed
    assert found.holds
    assert found.acknowledged == found.done > 200
