"""A refresh killed again and again at random moments must end in the truth: no duplicate, nothing missing."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import pytest

from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.crash import killed_refreshes
from referral_pipeline_tests.pipeline.conftest import installed


def run(quick: bool) -> Result:
    """Kill 20 refreshes (5 when quick) over several programmes, let each finish, and compare with the truth."""
    kills_wanted, per_programme = (5, 5) if quick else (20, 5)
    kills, programmes, differences, slowest = 0, 0, 0, 0.0
    while kills < kills_wanted and programmes < kills_wanted:
        with (
            tempfile.TemporaryDirectory() as folder,
            pytest.MonkeyPatch.context() as patch,
            Sandbox(size=ProgrammeSize.small(), seed=100 + programmes) as sandbox,
        ):
            installation = installed(Path(folder) / "home", sandbox, patch)
            kills += killed_refreshes(
                installation, kills=min(per_programme, kills_wanted - kills), rng=random.Random(time.time_ns())
            )
            started = time.perf_counter()
            finished = installation.command("refresh", "--json")
            _, errors = finished.communicate(timeout=600)
            slowest = max(slowest, time.perf_counter() - started)
            if finished.returncode != 0:
                raise RuntimeError(f"the refresh after the kills failed: {errors[-1000:]}")
            differences += len(installation.verify().differences)
            programmes += 1
    return Result(
        name="crash",
        figures={
            "kills": kills,
            "programmes": programmes,
            "differences": differences,
            "slowest_recovery_seconds": round(slowest, 1),
        },
        holds=differences == 0 and kills == kills_wanted,
    )
