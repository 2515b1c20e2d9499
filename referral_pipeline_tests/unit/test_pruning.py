"""Pruning: old runs of the lane go once the ledger knows what became of their events; the job tells how much went."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from referral_pipeline.connectors.calls import ApiCall
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.orchestration.pruning import prune, prune_runs
from referral_pipeline.sandbox.credentials import SECRETS

NOW = datetime.now(UTC)
OLD = NOW + timedelta(days=8)
"""The time at which a run made now is too old."""


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    for name, value in {**SECRETS, "REFERRAL_PIPELINE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REFERRAL_PIPELINE_CONFIG", raising=False)
    with Ledger.open("sqlite:///data/state/ledger.sqlite", home=tmp_path) as opened:
        yield opened


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def add_run(
    instance: dg.DagsterInstance,
    job: str = "process_events",
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
) -> str:
    run_id = str(uuid4())
    instance.add_run(dg.DagsterRun(job_name=job, run_id=run_id, status=status))
    return run_id


def left(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def receive(ledger: Ledger, delivery_id: str = "d1") -> None:
    ledger.receive_many([InboxDelivery("advocacy", delivery_id, "ping", "webhook", None, None, b"sealed")])


def test_finished_runs_of_the_lane_go_when_they_are_a_week_old(instance, ledger):
    ended, failed = add_run(instance), add_run(instance, status=dg.DagsterRunStatus.FAILURE)
    others = {add_run(instance, "refresh"), add_run(instance, status=dg.DagsterRunStatus.STARTED)}
    assert prune_runs(instance, ledger, now=NOW) == 0
    assert prune_runs(instance, ledger, now=OLD) == 2
    assert left(instance) == others
    assert {ended, failed}.isdisjoint(others)


def test_of_too_many_runs_the_newest_stay(instance, ledger):
    runs = [add_run(instance) for _ in range(5)]
    assert prune_runs(instance, ledger, now=NOW, most=2) == 3
    assert left(instance) == set(runs[-2:])


@pytest.mark.parametrize(("minutes", "gone"), [(-1, 0), (1, 1)], ids=["before its end", "after its end"])
def test_a_run_stays_while_an_event_that_came_before_its_end_is_open(minutes, gone, instance, ledger):
    add_run(instance)
    ledger._clock = lambda: datetime.now(UTC) + timedelta(minutes=minutes)
    receive(ledger)
    (event,) = ledger.claim("lane", limit=1, lease=timedelta(minutes=1), bulk=False)
    assert prune_runs(instance, ledger, now=OLD) == gone
    ledger.finish_many("lane", [(event.id, "ping")], None)
    assert prune_runs(instance, ledger, now=OLD) == 1 - gone


def test_the_job_prunes_inbox_and_calls_too_and_tells_how_much_went(instance, ledger):
    clock = ledger._clock
    for number, days in enumerate((1, 8, 31)):
        ledger._clock = lambda days=days: clock() - timedelta(days=days)
        receive(ledger, f"d{number}")
        (event,) = ledger.claim("lane", limit=1, lease=timedelta(minutes=1), bulk=False)
        ledger.finish_many("lane", [(event.id, "ping")], None)
    ledger.record_calls([call(days) for days in (1, 91)])
    result = prune.execute_in_process(instance=instance)
    (output,) = [e for e in result.all_node_events if e.event_type is dg.DagsterEventType.STEP_OUTPUT]
    told = {name: value.value for name, value in output.event_specific_data.metadata.items()}
    assert told == {"runs": 0, "inbox_bodies": 1, "inbox_rows": 1, "api_calls": 1}
    assert ledger.calls_recorded() == 1


def call(days: float) -> ApiCall:
    return ApiCall(
        system="greenhouse",
        operation="candidates.list",
        method="GET",
        status=200,
        outcome="ok",
        latency_ms=1,
        attempt=1,
        budget_left=None,
        at=datetime.now(UTC) - timedelta(days=days),
    )
