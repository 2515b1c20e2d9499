"""Events: the run in which the lane shows what it does, and the run that works off the inbox when no lane does.

Belongs here: the job `process_events`, its op, and what the run page tells. Does not belong here: doing events
(sync.lane), holding the process (lane).
"""

import queue
import threading
from collections import Counter
from collections.abc import Sequence
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from referral_pipeline.orchestration.instance import process_tags
from referral_pipeline.orchestration.specs import spec

if TYPE_CHECKING:
    from referral_pipeline.sync.lane.engine import Done, Engine

EVENTS_ASSET = "processed_events"
_QUIET_SECONDS = 0.1
"""A batch is logged when nothing has come for so long: logging takes the processor from the next event."""
_LONGEST_BATCH_SECONDS = 2.0
_MOST_IN_BATCH = 500


ASSETS = (spec(EVENTS_ASSET),)


class ProcessEventsConfig(dg.Config):
    """How the run works: `lane` shows what the lane of this process does, `drain` works off the inbox and ends."""

    mode: Literal["lane", "drain"] = "drain"
    window_seconds: float = 600.0
    window_events: int = 5_000


def lane_config(window_seconds: float, window_events: int) -> dict[str, Any]:
    """The run config of a lane's window."""
    config = {"mode": "lane", "window_seconds": window_seconds, "window_events": window_events}
    return {
        "ops": {"process_events": {"config": config}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


@dg.op(
    name="process_events",
    description="Does the events of the inbox: candidates into the ATS, statuses back to the advocacy platform. Each "
    f"batch is an entry of the asset {EVENTS_ASSET}, with what became of each event.",
)
def _process_events(context: dg.OpExecutionContext, config: ProcessEventsConfig) -> None:
    from referral_pipeline.orchestration.lane import current_lane

    context.instance.add_run_tags(context.run_id, process_tags())
    lane = current_lane()
    if config.mode == "lane" and lane is not None:
        _show(context, lane.engine, lane.stop, seconds=config.window_seconds, events=config.window_events)
    else:
        _drain(context)


def _show(
    context: dg.OpExecutionContext, engine: "Engine", stop: threading.Event, *, seconds: float, events: int
) -> None:
    engine.run_id = context.run_id
    until, shown = monotonic() + seconds, 0
    while shown < events:
        batch = _batch(engine.reports, until)
        if batch:
            _log(context, batch)
            shown += len(batch)
        if monotonic() >= until or (stop.is_set() and engine.is_finished):
            break
    rest = _batch(engine.reports, 0.0)
    if rest:
        _log(context, rest)


def _batch(reports: "queue.SimpleQueue[Done]", until: float) -> "list[Done]":
    """What was done since: until a short quiet, or so many, or so long. Waits up to a second for the first."""
    batch: list[Done] = []
    latest = monotonic() + _LONGEST_BATCH_SECONDS
    wait = max(0.0, min(1.0, until - monotonic()))
    while len(batch) < _MOST_IN_BATCH and monotonic() < latest:
        try:
            batch.append(reports.get(timeout=wait) if wait else reports.get_nowait())
        except queue.Empty:
            break
        wait = _QUIET_SECONDS if until else 0.0
    return batch


def _drain(context: dg.OpExecutionContext) -> None:
    from referral_pipeline.orchestration.lane import free_dead_claims, open_lane
    from referral_pipeline.settings import load_settings

    stop = threading.Event()
    with open_lane(load_settings(), stop=stop) as lane:
        free_dead_claims(lane.systems.ledger)
        lane.engine.run_id = context.run_id
        failures: list[Exception] = []

        def work() -> None:
            try:
                lane.engine.run(stop, until_empty=True, is_patient=True)
            except Exception as failure:  # noqa: BLE001 - raised below: the run must not look as if all was done
                failures.append(failure)

        working = threading.Thread(target=work, name="drain")
        working.start()
        try:
            while working.is_alive():
                batch = _batch(lane.engine.reports, monotonic() + 1.0)
                if batch:
                    _log(context, batch)
        finally:
            stop.set()
            working.join()
            rest = _batch(lane.engine.reports, 0.0)
            if rest:
                _log(context, rest)
        if failures:
            raise failures[0]
        lane.tick()


def _log(context: dg.OpExecutionContext, batch: "Sequence[Done]") -> None:
    """One materialization for a batch: counts by type and outcome, and each event by its number. No personal data."""
    outcomes = Counter(done.outcome for done in batch)
    types = Counter((done.system, done.event_type, done.outcome) for done in batch)
    delays = [done.seconds for done in batch]
    context.log_event(
        dg.AssetMaterialization(
            asset_key=EVENTS_ASSET,
            description=f"{len(batch)} events: " + ", ".join(f"{n} {word}" for word, n in outcomes.most_common()),
            metadata={
                "events": len(batch),
                "dead": outcomes.get("dead", 0),
                "again": sum(n for word, n in outcomes.items() if word.startswith("again:")),
                "median_seconds": round(median(delays), 4),
                "longest_seconds": round(max(delays), 4),
                "by_type": dg.MetadataValue.table(
                    records=[
                        dg.TableRecord({"system": system, "type": kind, "outcome": outcome, "events": n})
                        for (system, kind, outcome), n in sorted(types.items())
                    ]
                ),
                "each_event": dg.MetadataValue.table(
                    records=[
                        dg.TableRecord(
                            {
                                "event": done.event_id,
                                "type": done.event_type,
                                "subject": done.subject or "",
                                "outcome": done.outcome,
                                "attempts": done.attempts,
                                "seconds": round(done.seconds, 3),
                            }
                        )
                        for done in batch
                    ]
                ),
            },
        )
    )


@dg.graph(name="inbox_events")  # a graph's name must differ from its op's, a job's need not
def _inbox_events() -> None:
    """One op: everything is in the inbox."""
    _process_events()


process_events = _inbox_events.to_job(
    name="process_events",
    description="The events of the inbox. The lane holds one run of it open and shows in it what it does; the inbox "
    "sensor starts one when the lane is silent.",
    executor_def=dg.in_process_executor,
    tags={"owner": "talent-operations"},
)
