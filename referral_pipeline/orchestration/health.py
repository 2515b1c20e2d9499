"""Health in Dagster: the names that the asset and the sensor share, and the sensor that looks every minute.

Belongs here: from rows of health to checks, and the sensor. Does not belong here: judging (monitoring), the asset
(assets.health). Concept page: https://docs.dagster.io/guides/automate/sensors

The sensor tells the owner, by the desk: once when an error begins and once when it is over. So the checks of this asset
are no alerts of their own (`alerting` leaves them out); the sensor sets them as soon as one changes, without a run.
"""

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.monitoring.runbook import RUNBOOK

if TYPE_CHECKING:
    from referral_pipeline.monitoring.health import Health, HealthRow
    from referral_pipeline.orchestration.steps_health import HealthWatch

HEALTH_ASSET = "integration_health"
_EVERY_SECONDS = 60
_MOST_TOLD = 5


def check_specs() -> list[dg.AssetCheckSpec]:
    """One check a measure."""
    return [
        dg.AssetCheckSpec(
            name=measure,
            asset=HEALTH_ASSET,
            description=f"{entry.title}: no error. If it fails: {entry.means} {entry.mend}",
        )
        for measure, entry in RUNBOOK.items()
    ]


def verdicts(health: "Health") -> dict[str, tuple[bool, str, dict[str, Any]]]:
    """(passed, words, metadata) of each check. It fails when a row is an error; a warning is only told in its words."""
    return {measure: _verdict(measure, health.by_measure.get(measure, [])) for measure in RUNBOOK}


def _verdict(measure: str, rows: "list[HealthRow]") -> tuple[bool, str, dict[str, Any]]:
    from referral_pipeline.monitoring.health import Severity

    errors = [row for row in rows if row.severity is Severity.ERROR]
    warnings = [row for row in rows if row.severity is Severity.WARNING]
    shown = errors or warnings
    words = " ".join(f"{row.subject}: {row.evidence}" for row in shown[:_MOST_TOLD])
    if not shown:
        known = [row for row in rows if row.severity is Severity.OK]
        words = f"ok: {', '.join(row.subject for row in known)}" if known else "unknown: too little data"
    metadata = {
        "errors": len(errors),
        "warnings": len(warnings),
        "failed_rows": len(errors),
        "what_to_do": RUNBOOK[measure].mend,
    }
    return not errors, words, metadata


@dg.sensor(
    name="health",
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Measures the health of the integration every minute, from the ledger alone; tells the owner when an "
    "error begins and when it is over, and sets the checks of integration_health.",
)
def watch_health(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look once."""
    from referral_pipeline.contract.problems import ContractError
    from referral_pipeline.settings import load_settings

    try:
        health, told = _watch().look(load_settings())
    except ContractError as error:
        return dg.SensorResult(skip_reason=f"the contract does not hold: {error.problems[0]}")
    before: dict[str, bool] = json.loads(context.cursor) if context.cursor else {}
    found = verdicts(health)
    news = [
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(HEALTH_ASSET),
            check_name=measure,
            passed=passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=words,
            metadata=metadata,
            blocking=False,
        )
        for measure, (passed, words, metadata) in found.items()
        if before.get(measure) != passed
    ]
    words = f"health is {health.severity.value}; alerts that began: {told.fired}, that are over: {told.resolved}"
    return dg.SensorResult(
        skip_reason=words,
        cursor=json.dumps({measure: passed for measure, (passed, _, _) in found.items()}),
        asset_events=news,
    )


@cache
def _watch() -> "HealthWatch":
    from referral_pipeline.orchestration.steps_health import HealthWatch

    return HealthWatch()


SENSORS: tuple[Any, ...] = (watch_health,)
