"""Sensors: what is looked at every few seconds.

Belongs here: the inbox sensor, the safety net under the lane. Does not belong here: what happens to an event (the job
`process_events`), alerts about runs and checks (`alerting`). Concept page:
https://docs.dagster.io/guides/automate/sensors

The lane holds one open run and takes events within milliseconds; a run that a sensor starts takes seconds. So the
sensor does nothing while the lane beats. Leases keep the two from doing an event twice, should the lane be alive after
all.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.instance import close_orphaned_runs

if TYPE_CHECKING:
    from referral_pipeline.contract.models import Contract
    from referral_pipeline.ledger.records import Heartbeat
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.monitoring.alerts import AlertDesk
    from referral_pipeline.settings import Settings

MODE_TAG = "referral-pipeline/mode"
DRAIN = "drain"
_STOPPED = "lane_stopped"
_EVERY_SECONDS = 4
"""The daemon looks every five seconds whether a sensor is due; one of five seconds would miss every other look."""
_LOOKED_AT = 200
"""Up to so many waiting events are looked at one by one; of more, some can be taken."""
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_sensors(process_events: Any) -> list[dg.SensorDefinition]:
    """The sensors of this module; `process_events` is the job that works off the inbox."""

    @dg.sensor(
        name="inbox",
        job=process_events,
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Works off the inbox in runs of their own when the lane is silent, and tells its owner; sends "
        "alerts that could not be sent before. Does nothing else while the lane beats.",
    )
    def inbox(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        (op,) = process_events.nodes
        return _evaluate(context, process_events.name, op.name)

    return [inbox]


def _evaluate(context: dg.SensorEvaluationContext, job_name: str, op_name: str) -> dg.RunRequest | dg.SkipReason:
    from referral_pipeline.contract.problems import ContractError
    from referral_pipeline.orchestration.liveness import LANE, RECEIVER, is_alive, last_beat, open_ledger
    from referral_pipeline.quality.go_live import is_approved
    from referral_pipeline.settings import load_settings

    settings = load_settings()
    try:
        with open_ledger(settings) as (contract, ledger), _desk(contract, settings, ledger) as desk:
            now = datetime.now(UTC)
            beat = last_beat(ledger, LANE)
            if not is_approved(contract, ledger):
                desk.deliver_pending()
                return dg.SkipReason("go-live is not approved for this contract: events wait")
            if is_alive(ledger, LANE, now=now):
                if _is_told(ledger):
                    desk.resolve(_STOPPED, LANE, "The lane beats again: events are handled as they come.")
                desk.deliver_pending()
                return dg.SkipReason("the lane beats")
            waiting = _waiting(ledger, now)
            # Without a receiver nobody expects a lane: an installation may live by its schedules alone.
            expected = beat is not None or (waiting and is_alive(ledger, RECEIVER, now=now))
            if expected and not _is_told(ledger):
                _tell_silent(desk, beat, waiting, now)
            desk.deliver_pending()
    except ContractError as error:
        return dg.SkipReason(f"the contract does not hold: {error.problems[0]}")
    if not waiting:
        return dg.SkipReason("nothing waits in the inbox")
    drains = _drains(context.instance, job_name)
    if any(run.status in _UNFINISHED for run in drains):
        # One whose process was killed would stand in the way of the next for ever.
        close_orphaned_runs(context.instance)
        return dg.SkipReason("a run works off the inbox already")
    # Named after the one before it: asked for again after a crash of the daemon, it is still the same one.
    run_key = f"after-{drains[0].run_id}" if drains else "first"
    return dg.RunRequest(
        run_key=run_key,
        run_config={"ops": {op_name: {"config": {"mode": DRAIN}}}},
        tags={MODE_TAG: DRAIN},
    )


def _desk(contract: "Contract", settings: "Settings", ledger: "Ledger") -> "AlertDesk":
    from referral_pipeline.monitoring.alerts import AlertDesk

    return AlertDesk(contract, settings, ledger, background=False)


def _waiting(ledger: "Ledger", now: datetime) -> int:
    """Events that a run could take now: not what is held under a live lease, nor what waits for its next attempt."""
    backlog = ledger.inbox_backlog()
    waiting = backlog.waiting + backlog.waiting_bulk
    if waiting <= _LOOKED_AT:
        waiting = sum(e.available_at <= now for e in ledger.inbox_events(state="received", limit=_LOOKED_AT))
    return waiting + (backlog.claimed if backlog.claimed and _are_left_behind(ledger) else 0)


def _are_left_behind(ledger: "Ledger") -> bool:
    """Whether all that is claimed was claimed by processes that are gone: nobody need wait for their leases to end."""
    from referral_pipeline.orchestration.lane import is_dead

    return all(is_dead(owner) for owner in ledger.claim_owners())


def _drains(instance: dg.DagsterInstance, job_name: str) -> Sequence[dg.DagsterRun]:
    """The newest run that a sensor asked for, and any that has not ended."""
    of_sensor = {MODE_TAG: DRAIN}
    newest = instance.get_runs(filters=dg.RunsFilter(job_name=job_name, tags=of_sensor), limit=1)
    open_ones = instance.get_runs(
        filters=dg.RunsFilter(job_name=job_name, tags=of_sensor, statuses=_UNFINISHED), limit=1
    )
    return [*newest, *open_ones]


def _is_told(ledger: "Ledger") -> bool:
    return any(alert.name == _STOPPED for alert in ledger.alerts(open_only=True))


def _tell_silent(desk: "AlertDesk", beat: "Heartbeat | None", waiting: int, now: datetime) -> None:
    from referral_pipeline.monitoring.alerts import Alert
    from referral_pipeline.orchestration.liveness import LANE

    since = f"has been silent since {beat.at:%Y-%m-%d %H:%M:%S} UTC" if beat is not None else "has not started"
    desk.fire(
        Alert(
            name=_STOPPED,
            subject=LANE,
            severity="error",
            what=f"The lane {since}, and {waiting} events wait. Runs of the inbox sensor work them off, seconds later "
            "each.",
            todo="Look at the output of `referral-pipeline up`, or start `referral-pipeline lane`; nothing is lost.",
            count=waiting,
            since=beat.at if beat is not None else now,
            link=None,
        )
    )
