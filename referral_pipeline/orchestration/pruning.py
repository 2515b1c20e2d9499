"""Pruning: what was kept long enough goes, once a day.

Belongs here: the job `prune` and its schedule: old runs of `process_events`, inbox rows, measured calls. Does not
belong here: retention of personal data in raw (privacy), deliveries and links, which are kept.

A run of the lane goes when it is old, or when there are too many, but never before the ledger knows the outcome of all
its events: until then the run page may be all that tells what happened.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from referral_pipeline.ledger.store import Ledger

KEEP_RUNS_DAYS = 7
MOST_RUNS = 2_000
KEEP_BODIES_DAYS = 7
KEEP_ROWS_DAYS = 30
KEEP_CALLS_DAYS = 90
_EVENTS_JOB = "process_events"
_SLACK = timedelta(seconds=5)
"""The stores of Dagster keep some times in whole seconds."""
_PAGE = 500
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def prune_runs(
    instance: dg.DagsterInstance, ledger: "Ledger", *, now: datetime, most: int = MOST_RUNS, job: str = _EVENTS_JOB
) -> int:
    """Delete finished runs of the lane that are too old or too many; answers how many went."""
    open_since = ledger.inbox_backlog().oldest_received_at
    before = now - timedelta(days=KEEP_RUNS_DAYS)
    filters = dg.RunsFilter(job_name=job, statuses=_FINISHED)
    gone = [
        record.dagster_run.run_id
        for number, record in enumerate(_newest_first(instance, filters), start=1)
        if (number > most or _aware(record.create_timestamp) < before)
        # A run that ended before the oldest open event came cannot have held it; any later one may have.
        and (open_since is None or _aware(record.update_timestamp) < open_since - _SLACK)
    ]
    for run_id in gone:
        instance.delete_run(run_id)
    return len(gone)


def _newest_first(instance: dg.DagsterInstance, filters: dg.RunsFilter) -> Iterator[dg.RunRecord]:
    cursor = None
    while records := instance.get_run_records(filters=filters, limit=_PAGE, cursor=cursor):
        yield from records
        cursor = records[-1].dagster_run.run_id


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@dg.op(name="delete_old", description="Delete old runs of the lane, inbox rows that are done, and measured calls.")
def delete_old(context: dg.OpExecutionContext) -> None:
    """Prune, and tell how much went."""
    from referral_pipeline.orchestration.liveness import open_ledger
    from referral_pipeline.settings import load_settings

    now = datetime.now(UTC)
    with open_ledger(load_settings()) as (_, ledger):
        runs = prune_runs(context.instance, ledger, now=now)
        bodies, rows = ledger.purge_inbox(
            bodies_before=now - timedelta(days=KEEP_BODIES_DAYS), rows_before=now - timedelta(days=KEEP_ROWS_DAYS)
        )
        calls = ledger.prune_calls(now - timedelta(days=KEEP_CALLS_DAYS))
    gone = {"runs": runs, "inbox_bodies": bodies, "inbox_rows": rows, "api_calls": calls}
    context.add_output_metadata(gone)
    context.log.info("gone: %s", ", ".join(f"{count} {name}" for name, count in gone.items()))


@dg.job(
    name="prune",
    description="Once a day: runs of process_events older than a week or beyond 2,000, bodies of done events after 7 "
    "days and their rows after 30, measured calls after 90.",
    config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
    tags={"owner": "talent-operations"},
)
def prune() -> None:
    """The job."""
    delete_old()


PRUNE_DAILY = dg.ScheduleDefinition(
    name="prune_daily",
    job=prune,
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="What was kept long enough goes, when few events come.",
)
