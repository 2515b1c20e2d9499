"""Health: what the ledger shows of the integration, kept as a table with a trend.

Belongs here: the asset, its checks and what it tells. Does not belong here: measuring and judging (monitoring), looking
every minute and alerts (the sensor in orchestration.health).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from referral_pipeline.orchestration.health import HEALTH_ASSET, check_specs, verdicts
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, spec, table_result


@dg.multi_asset(
    name="measure_health",
    specs=[spec(HEALTH_ASSET)],
    check_specs=check_specs(),
    pool=WAREHOUSE_POOL,
    can_subset=False,
)
def integration_health(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Measure the health of the integration and keep it."""
    from referral_pipeline.monitoring.health import Severity
    from referral_pipeline.orchestration.steps_health import keep_health

    health = keep_health(bridge.bridge)
    numbers = {
        f"{row.measure}_{row.system}": row.value for row in health.rows if row.value is not None and not row.operation
    }
    counts = {f"{each.value}_rows": sum(row.severity is each for row in health.rows) for each in Severity}
    bad = [row for row in health.rows if row.severity in (Severity.ERROR, Severity.WARNING)]
    lines = [f"- **{row.severity.value}** {row.measure} {row.subject}: {row.evidence} {row.what_to_do}" for row in bad]
    told: dict[str, Any] = {
        "health": health.severity.value,
        **counts,
        "evidence": dg.MetadataValue.md("\n".join(lines) or "Nothing is wrong."),
        **numbers,
    }
    yield table_result(bridge.bridge.warehouse, HEALTH_ASSET, told)
    for measure, (passed, words, metadata) in verdicts(health).items():
        if not passed:
            context.log.warning(f"{measure}: {words}")
        yield dg.AssetCheckResult(
            asset_key=HEALTH_ASSET,
            check_name=measure,
            passed=passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=words,
            metadata=metadata,
        )


ASSETS = (integration_health,)
