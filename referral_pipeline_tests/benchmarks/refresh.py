"""What a refresh costs: the first one, a repeated one, and the share of the bare API calls in it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
import requests

from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.pipeline.conftest import installed


def run(quick: bool) -> Result:
    """Refresh twice and send as many bare calls, one after another, as the first refresh made."""
    size = ProgrammeSize.small() if quick else ProgrammeSize()
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Sandbox(size=size, greenhouse={"rate_limit": 20_000}) as sandbox,
    ):
        installation = installed(Path(folder) / "home", sandbox, patch)
        first, second = installation.refresh(), installation.refresh()
        calls = sum(
            count
            for system in ("advocacy", "greenhouse")
            for answers in sandbox.control(system).calls().values()
            for count in answers.values()
        )
        session = requests.Session()
        started = time.perf_counter()
        for _ in range(calls):
            session.get(f"{sandbox.advocacy_url}/openapi.json", timeout=10)
        bare = time.perf_counter() - started
        differences = len(installation.verify().differences)
    return Result(
        name="refresh",
        figures={
            "api_calls": calls,
            "first_seconds": round(first.seconds, 1),
            "second_seconds": round(second.seconds, 1),
            "bare_calls_seconds": round(bare, 1),
            "differences": differences,
        },
        ratios={"first_to_bare_calls": round(first.seconds / bare, 2)},
        holds=differences == 0,
    )
