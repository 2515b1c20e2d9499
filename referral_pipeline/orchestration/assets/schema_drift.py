"""Schema drift: what has changed in the APIs of both systems, learned from the answers that came anyway.

Belongs here: the asset, its checks and what they tell. Does not belong here: judging (monitoring.drift), alerts
(monitoring.drift_alerts).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import TOLD_BY, WAREHOUSE_POOL, counts_table, spec, table_result

if TYPE_CHECKING:
    from referral_pipeline.monitoring.drift import Drift

ASSET = "api_schema_drift"
_ERRORS, _WORDS, _NOTICES = "answers_can_be_read", "every_word_is_known", "nothing_is_being_withdrawn"
CHECKS: Mapping[str, tuple[dg.AssetCheckSeverity, str]] = {
    _ERRORS: (
        dg.AssetCheckSeverity.ERROR,
        "No answer lacks a field that is needed, or has another type than it had. If it fails: the vendor has changed "
        "its API; the table names operation and field. Rows that cannot be read are kept and counted.",
    ),
    _WORDS: (
        dg.AssetCheckSeverity.WARN,
        "No status and no stage is new. If it fails: give the word a meaning in stage_map, or accept it by "
        "`referral-pipeline drift accept`.",
    ),
    _NOTICES: (
        dg.AssetCheckSeverity.WARN,
        "No operation in use is deprecated or about to be withdrawn (headers Deprecation and Sunset). If it fails: the "
        "day is named; a connector that uses what takes its place must run before.",
    ),
}
_LINES = 20


@dg.multi_asset(
    name="judge_schema_drift",
    specs=[spec(ASSET)],
    check_specs=[dg.AssetCheckSpec(name=name, asset=ASSET, description=words) for name, (_, words) in CHECKS.items()],
    pool=WAREHOUSE_POOL,
    can_subset=False,
    # It depends on nothing, because a pull that fails is when it is wanted most; so of all that can run it runs last.
    op_tags={"dagster/priority": "-10"},
)
def api_schema_drift(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Judge what was learned of the answers of both systems."""
    from referral_pipeline.orchestration.steps_schema_drift import keep_drift

    drifts = keep_drift(bridge.bridge)
    standing = [drift for drift in drifts if drift.is_open]
    yield table_result(
        bridge.bridge.warehouse,
        ASSET,
        {
            "open_errors": sum(drift.severity == "error" for drift in standing),
            "open_warnings": sum(drift.severity == "warning" for drift in standing),
            "open_by_kind": counts_table(Counter(drift.kind.value for drift in standing), header=("kind", "open")),
        },
    )
    for name in CHECKS:
        result = _result(name, [drift for drift in standing if _check_of(drift) == name])
        if not result.passed:
            context.log.warning(f"{name}: {result.description}")
        yield result


def _check_of(drift: "Drift") -> str | None:
    """The check that fails of a change; None where none does."""
    from referral_pipeline.monitoring.drift import Kind

    if drift.severity == "info":
        return None
    if drift.kind in (Kind.DEPRECATION, Kind.SUNSET):
        return _NOTICES
    return _WORDS if drift.kind is Kind.NEW_WORD else _ERRORS


def _result(name: str, drifts: "Sequence[Drift]") -> dg.AssetCheckResult:
    from referral_pipeline.monitoring.drift_alerts import NAME
    from referral_pipeline.monitoring.drift_words import what, what_to_do

    lines = [f"- `{drift.id}` {what(drift)} {what_to_do(drift)}" for drift in drifts[:_LINES]]
    metadata: dict[str, Any] = {"failed_rows": len(drifts)}
    if drifts:
        # The owner is told of each change by an alert of its own.
        metadata |= {
            TOLD_BY: NAME,
            "what_to_do": what_to_do(drifts[0]),
            "changes": dg.MetadataValue.md("\n".join(lines)),
        }
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=ASSET,
        passed=not drifts,
        severity=CHECKS[name][0],
        description=" ".join(what(drift) for drift in drifts[:3]) if drifts else "nothing has changed",
        metadata=metadata,
    )


ASSETS = (api_schema_drift,)
