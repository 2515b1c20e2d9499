"""One programme through three ATSs: each is verified under faults, and all come to the same attribution but for ids."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.orchestration.bridge import Bridge
from referral_pipeline.sandbox.ashby.ids import id_of
from referral_pipeline.sandbox.faults import KINDS
from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.lever.ids import decode
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.pipeline.conftest import Installation, Levelled, installed

SIZE = ProgrammeSize(
    advocates=16, jobs=7, content=10, shares=50, clicks=30, referrals=70, fresh=3, other_applications=8, per_case=1
)
"""Every case once, and little else."""
_QUICK = [kind for kind in KINDS if not kind.startswith("timeout")]
"""A timeout costs three seconds, and is to a client what a reset is: no answer."""
_NUMBERS: dict[str, Callable[[str, str], int | None]] = {
    "greenhouse": lambda entity, text: int(text),
    "lever": decode,
    "ashby": id_of,
}
"""By ATS: from an id as it writes them to the number that the sandbox keeps the record under."""
_IDS = {"application_key", "person_id", "ats", "ats_candidate_id", "ats_application_id", "job_id"}
_OF_THIS_RUN = {"applied_at", "interviewed_at", "rejected_at", "status_at", "time_to_hire_days"}
"""What depends on when the run was made, of applications that it opened; and `status_at` of those it wrote to."""

_FAULTS = 0.05
Held = dict[str, dict[str, Any]]


def held(of: Levelled, number: Callable[[str, str], int | None]) -> Held:
    """The attribution of every application, by what names it whichever ATS holds it."""
    found: Held = {}
    for row in of.attribution:
        values = {name: None if value != value else value for name, value in row.items()}
        application = number("applications", values["ats_application_id"])
        assert application is not None
        is_new = values["applied_at"] > datetime.now(UTC) - timedelta(hours=1)
        kept = {n: v for n, v in values.items() if n not in _IDS | {"status_at"} | (_OF_THIS_RUN if is_new else set())}
        key = values["referral_id"] if is_new else str(application)
        found[key] = {**kept, "job": number("jobs", values["job_id"])}
    return found


def apart(home: Path, sandbox: Sandbox) -> Installation:
    """An installation whose environment is in its own folder, so that several can be in one process.

    It passes through the environment of the process on the way: nobody else may be at work meanwhile.
    """
    with pytest.MonkeyPatch.context() as patch:
        installation = installed(home, sandbox, patch)
    stronger = sorted(name for name in installation.environment if name.endswith("_URL") and name in os.environ)
    assert not stronger, f"the process would win over the folder's .env: unset {', '.join(stronger)}"
    lines = [f"{name}={value}" for name, value in installation.environment.items()]
    (home / ".env").write_text("\n".join(lines), encoding="utf-8")
    with Bridge.open(installation.settings):
        pass  # migrations cannot run side by side in one process
    return installation


def played(ats: str) -> Sandbox:
    """The programme through this ATS; with faults, but for the one that the others are compared with."""
    if ats == "greenhouse":
        return Sandbox(size=SIZE, ats=ats)
    return Sandbox(size=SIZE, ats=ats, faults=_FAULTS, fault_kinds=_QUICK, ats_switches={"visibility_lag_seconds": 0.5})


def brought_through(ats: str, installation: Installation) -> Held:
    """The programme brought level; where calls fail, a second time too, and then nothing is left to do."""
    levelled = installation.level()
    assert installation.verify().differences == []
    if ats != "greenhouse":
        before = installation.dump(ats)
        again = installation.level()
        assert not again.candidates.counts.keys() - {"applications_unchanged"}
        assert again.statuses.counts.keys() == {"statuses_unchanged"}
        assert installation.dump(ats) == before
    return held(levelled, _NUMBERS[ats])


def test_a_programme_comes_to_the_same_attribution_through_each_ats_but_for_ids(tmp_path: Path):
    # Most of the time is waiting: for what was created to be shown, and before what failed is sent again.
    with ExitStack() as stack:
        sandboxes = {ats: stack.enter_context(played(ats)) for ats in _NUMBERS}
        installations = {ats: apart(tmp_path / ats, sandbox) for ats, sandbox in sandboxes.items()}
        pool = stack.enter_context(ThreadPoolExecutor(len(_NUMBERS)))
        parts = {ats: pool.submit(brought_through, ats, one) for ats, one in installations.items()}
        made = {ats: part.result() for ats, part in parts.items()}
    expected = made.pop("greenhouse")
    assert len(expected) > 40
    for ats, rows in made.items():
        assert rows.keys() == expected.keys()
        # Which of two referrals opened the application of one person is chance, where both are matched to it.
        for key, row in rows.items():
            assert row == {**expected[key], "match_method": row["match_method"]}, (ats, key)
