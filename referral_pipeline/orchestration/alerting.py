"""Alerts about what Dagster sees: failed runs, failed checks, and the daily proof that alerting works.

Belongs here: looking at the instance, and saying what is wrong in the words of `monitoring.alerts`. Does not belong
here: channels and rows (`monitoring`, `ledger`), what the lane finds by itself. Concept page:
https://docs.dagster.io/guides/automate/sensors

Runs are looked for by a plain sensor instead of Dagster's run status sensor: that one skips runs which a process of
ours executes itself (the lane, the commands), and starts with what happens after its first tick.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from referral_pipeline.orchestration.health import HEALTH_ASSET

if TYPE_CHECKING:
    from referral_pipeline.monitoring.alerts import AlertDesk

RUN_FAILED = "run_failed"
CHECK_FAILED = "check_failed"

_TICK_SECONDS = 30
_FIRST_LOOK_BACK = timedelta(days=1)
_OVERLAP = timedelta(seconds=5)
"""Two processes may commit in another order than their times; what was seen already is told apart by its end."""

_RUNS_A_TICK = 200
_HISTORY = 5
_LONGEST_WORDS = 300


# ---------------------------------------------------------------- runs


@dg.sensor(
    minimum_interval_seconds=_TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts when a run fails, tells when the same job succeeds again, and sends what no channel took.",
)
def alert_on_failed_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Every run that ended since the last tick, oldest first: a failure fires, a success resolves."""
    seen: dict[str, Any] = json.loads(context.cursor) if context.cursor else {}
    ended_before: dict[str, float] = seen.get("ended", {})
    updated = datetime.fromisoformat(seen["updated"]) if seen else datetime.now(UTC) - _FIRST_LOOK_BACK
    records = context.instance.get_run_records(
        filters=dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS],
            updated_after=updated - _OVERLAP,
        ),
        order_by="update_timestamp",
        ascending=True,
        limit=_RUNS_A_TICK,
    )
    told = 0
    ended = dict(ended_before)
    with alert_desk() as desk:
        # A run whose tags change after its end comes again; its end tells that it was seen.
        for record in sorted(records, key=lambda record: record.end_time or 0.0):
            job, end = record.dagster_run.job_name, record.end_time or 0.0
            if end <= ended.get(job, 0.0):
                continue
            ended[job] = end
            told += _tell_run(context.instance, desk, record.dagster_run, end)
        sent = desk.deliver_pending()
    newest = max((record.update_timestamp for record in records), default=updated)
    cursor = json.dumps({"updated": max(newest, updated).isoformat(), "ended": ended})
    words = f"failed runs: {told}" if told else "no run has failed"
    return dg.SensorResult(skip_reason=f"{words}; messages sent later than at once: {sent}", cursor=cursor)


def _tell_run(instance: dg.DagsterInstance, desk: "AlertDesk", run: dg.DagsterRun, end: float) -> bool:
    subject = f"job:{run.job_name}"
    if run.status is dg.DagsterRunStatus.SUCCESS:
        desk.resolve(RUN_FAILED, subject, f"The job {run.job_name} has succeeded again.")
        return False
    from referral_pipeline.monitoring.alerts import Alert

    desk.fire(
        Alert(
            RUN_FAILED,
            subject,
            "error",
            f"A run of the job {run.job_name} has failed: {_why(instance, run)}",
            "Open the run, mend what its first red step says, and run the job again: nothing is done twice.",
            since=datetime.fromtimestamp(end, UTC),
            link=desk.link_to_run(run.run_id),
        )
    )
    return True


def _why(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The failed step and the class of its error. Not the error's words: those of a stranger may name a person."""
    failures = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    event = failures[0].event_log_entry.dagster_event if failures else None
    if event is None:
        return "it ended without reaching a step, or without a word."
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"step {event.step_key} ended with {error.cls_name if error else 'an error'}."


# ---------------------------------------------------------------- checks


@dg.sensor(
    minimum_interval_seconds=_TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts when a check fails, as an error when it blocks and else as a warning; tells when it passes.",
)
def alert_on_failed_checks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """The newest result of every check, against what was told of it."""
    told: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
    news = {
        name: record
        for name, record in _newest_results(context).items()
        if record.id != told.get(name) and record.evaluation is not None
    }
    if not news:
        return dg.SensorResult(skip_reason="no check has a new result")
    with alert_desk() as desk:
        failed = sum(_tell_check(desk, name, record) for name, record in news.items())
        desk.deliver_pending()
    cursor = json.dumps({**told, **{name: record.id for name, record in news.items()}})
    return dg.SensorResult(skip_reason=f"checks with a new result: {len(news)}, failed: {failed}", cursor=cursor)


def _newest_results(context: dg.SensorEvaluationContext) -> Mapping[str, Any]:
    """The newest finished evaluation of every check, by `asset:check`."""
    assert context.repository_def is not None
    # Health has a sensor of its own, which tells each fault once by what it is about.
    keys = [k for k in context.repository_def.asset_graph.asset_check_keys if k.asset_key != dg.AssetKey(HEALTH_ASSET)]
    storage = context.instance.event_log_storage
    newest: dict[str, Any] = {}
    for key, record in storage.get_latest_asset_check_execution_by_key(keys).items():
        finished = record if record.evaluation is not None and record.status.value != "PLANNED" else None
        if finished is None:  # running at this moment, or its run died before it: look at those before
            history = storage.get_asset_check_execution_history(key, limit=_HISTORY)
            finished = next((r for r in history if r.status.value != "PLANNED"), None)
        if finished is not None:
            newest[f"{key.asset_key.to_user_string()}:{key.name}"] = finished
    return newest


def _tell_check(desk: "AlertDesk", name: str, record: Any) -> bool:
    evaluation = cast("dg.AssetCheckEvaluation", record.evaluation)
    asset, _, check = name.partition(":")
    if evaluation.passed:
        desk.resolve(CHECK_FAILED, name, f"The check {check} of {asset} passes again.")
        return False
    from referral_pipeline.monitoring.alerts import Alert

    numbers = {key: value.value for key, value in evaluation.metadata.items()}
    failed_rows = numbers.get("failed_rows")
    blocks = "; what comes after it has not run, so that published numbers stay the last good ones"
    desk.fire(
        Alert(
            CHECK_FAILED,
            name,
            "error" if evaluation.blocking else "warning",
            f"The check {check} of {asset} has failed{blocks if evaluation.blocking else ''}.",
            str(numbers.get("what_to_do") or "Open the run and read what the check says.")[:_LONGEST_WORDS],
            count=failed_rows if isinstance(failed_rows, int) and failed_rows > 0 else 1,
            since=datetime.fromtimestamp(record.event.timestamp, UTC),
            link=desk.link_to_run(record.run_id),
        )
    )
    return True


# ---------------------------------------------------------------- the daily proof


@dg.op(description="Sends the daily heartbeat on every channel; fails when a channel does not take it.")
def tell_that_alerting_works(context: dg.OpExecutionContext) -> None:
    """The heartbeat, now."""
    with alert_desk() as desk:
        silent = desk.heartbeat()
        status = desk.status()
    context.log.info(f"open alerts: {status.open_errors} errors, {status.open_warnings} warnings")
    if silent:
        raise dg.Failure(
            f"alerting does not work on: {', '.join(silent)}. Look at monitoring.alerts of the contract and at the "
            "secrets of these channels; what they did not take is kept and tried again.",
            allow_retries=False,
        )


@dg.job(
    description="The daily proof that alerting works: one message on every channel, with what is open and what waits.",
    tags={"owner": "talent-operations"},
)
def alert_heartbeat() -> None:
    """One op."""
    tell_that_alerting_works()


alert_heartbeat_daily = dg.ScheduleDefinition(
    name="alert_heartbeat_daily",
    job=alert_heartbeat,
    cron_schedule="0 7 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at seven, UTC: the day on which this message does not come, alerting is broken.",
)

SENSORS: tuple[Any, ...] = (alert_on_failed_runs, alert_on_failed_checks)
SCHEDULES: tuple[Any, ...] = (alert_heartbeat_daily,)
JOBS: tuple[Any, ...] = (alert_heartbeat,)


@contextmanager
def alert_desk() -> Generator["AlertDesk"]:
    """The desk of this installation. It delivers before each call returns."""
    from referral_pipeline.contract.loader import load_contract
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.monitoring.alerts import AlertDesk
    from referral_pipeline.orchestration.state import state_folder
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    contract = load_contract(settings)
    state_folder(settings)
    with (
        Ledger.open(contract.ledger.url, home=settings.home) as ledger,
        AlertDesk(contract, settings, ledger, background=False) as desk,
    ):
        yield desk
