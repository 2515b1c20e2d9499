"""Receiver, lane and daemon killed over and over while events come and both APIs fail: nothing lost or twice."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import click
import pytest

from referral_pipeline.sandbox.launch import Sandbox
from referral_pipeline.sandbox.programme.size import ProgrammeSize
from referral_pipeline_tests.benchmarks.live import Live
from referral_pipeline_tests.benchmarks.result import Result
from referral_pipeline_tests.chaos import SWITCHES, disturbed
from referral_pipeline_tests.pipeline.conftest import installed

_TAKEOVER_EVENTS = 20


def run(quick: bool) -> Result:
    """2,000 events and 100 kills (200 and 10 when quick), 10 % faults; then the daemon takes over for good."""
    events, kills = (200, 10) if quick else (2_000, 100)
    seed = time.time_ns()
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Sandbox(size=ProgrammeSize.small(), greenhouse=SWITCHES) as sandbox,
    ):
        installation = installed(Path(folder) / "home", sandbox, patch)
        with Live(installation) as live:
            live.start("receiver", "lane", "daemon")
            found = disturbed(
                live,
                sandbox,
                events=events,
                kills=kills,
                names=("lane", "receiver", "daemon"),
                rng=random.Random(seed),
                patience=600.0,
            )
            for line in found.details[:50]:
                click.echo(line, err=True)
            try:
                takeover = _takeover(live, sandbox)
            except RuntimeError as error:
                click.echo(str(error), err=True)
                takeover = -1.0
    return Result(
        name="chaos",
        figures={
            "seed": seed,
            "kills": sum(found.kills.values()),
            **{f"kills_of_{name}": count for name, count in sorted(found.kills.items())},
            "acts": found.acts,
            "events": found.acknowledged,
            "done": found.done,
            "lost": found.lost,
            "dead": found.dead,
            "faults": found.faults,
            "duplicates": found.duplicate_candidates + found.duplicate_applications + found.duplicate_recognitions,
            "people_missing": found.missing_people,
            "statuses": found.statuses,
            "statuses_missing": found.missing_statuses,
            "hires": found.hires,
            "recognitions_missing": found.missing_recognitions,
            "slowest_recovery_seconds": found.slowest_recovery_seconds,
            "slowest_event_seconds": found.slowest_event_seconds,
            "takeover_seconds": takeover,
        },
        holds=found.holds and sum(found.kills.values()) == kills and takeover >= 0,
    )


def _takeover(live: Live, sandbox: Sandbox) -> float:
    """The lane is killed in the middle of events and stays away: seconds until the first that the daemon's run does."""
    sandbox.control("advocacy").act("submit_referrals", count=_TAKEOVER_EVENTS)
    time.sleep(0.1)
    live.kill("lane")
    killed = time.time()
    live.idle(seconds=120)
    ended = [row.done_at.timestamp() for row in live.ledger.inbox_events(limit=200) if row.done_at is not None]
    return round(min((one for one in ended if one > killed), default=float("nan")) - killed, 1)
