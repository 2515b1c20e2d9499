"""The whole flow with Ashby as the ATS, held against the truth of the programme."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from referral_pipeline.sandbox.faults import KINDS
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.pipeline.conftest import Installation, installed

_QUICK = [kind for kind in KINDS if not kind.startswith("timeout")]
"""A timeout costs three seconds, and is to a client what a reset is: no answer."""


@pytest.fixture(params=[0.0, 0.1], ids=["calm", "with faults"])
def ashby(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    switches = {"visibility_lag_seconds": 0.5}
    with Sandbox(
        size=ProgrammeSize.small(), ats="ashby", faults=request.param, fault_kinds=_QUICK, ats_switches=switches
    ) as sandbox:
        yield installed(tmp_path / "home", sandbox, monkeypatch)


def test_both_systems_hold_what_the_programme_says_and_a_second_pass_changes_nothing(ashby: Installation) -> None:
    ashby.level()
    assert ashby.verify().differences == []
    before = ashby.dump("ashby")
    again = ashby.level()
    assert ashby.verify().differences == []
    assert ashby.dump("ashby") == before
    assert again.candidates.counts["candidates_created"] == 0
