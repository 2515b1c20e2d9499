"""Killed at random moments, run again: the same truth, nothing doubled, nothing missing."""

from __future__ import annotations

import random
import time

from referral_pipeline_tests.crash import killed_refreshes


def test_a_refresh_killed_at_random_moments_ends_in_the_same_truth(installation):
    kills = killed_refreshes(installation, kills=3, rng=random.Random(time.time_ns()), start=installation.warm_command)
    assert kills == 3, "the refresh ended before it could be killed"
    finished = installation.warm_command("refresh", "--json")
    output, errors = finished.communicate(timeout=240)
    assert finished.returncode == 0, errors[-2000:]
    assert installation.verify().differences == []
    assert '"success": true' in output
