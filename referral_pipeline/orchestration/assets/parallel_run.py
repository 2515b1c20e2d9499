"""The parallel run: manual intake into staging, and held against the integration.

Belongs here: the two assets, their checks and what they tell. Does not belong here: reading (connectors), comparing
(quality.parallel_run), the sign-off (cli_parallel_run).

Each check watches causes of its own, so that one fault is told once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec, table_result

if TYPE_CHECKING:
    from referral_pipeline.quality.parallel_run.numbers import Numbers
    from referral_pipeline.quality.parallel_run.records import Line

NOT_MAPPED_WRONGLY = "no_field_is_mapped_wrongly"
NO_MISSED_DUPLICATE = "no_duplicate_was_missed"
NOTHING_MISSING = "nothing_is_missing_without_a_cause"
RECORDS_AGREE = "records_agree"
CHECKS = (NOT_MAPPED_WRONGLY, NO_MISSED_DUPLICATE, NOTHING_MISSING, RECORDS_AGREE)

_MOST_TOLD = 20
_ASSET = "parallel_run"
_SEE = "See them with `referral-pipeline parallel-run`."
_MEANING = {
    NOT_MAPPED_WRONGLY: "No field differs from manual intake in most rows. If it fails: the mapping, custom field or "
    "stage_map that the finding names is wrong; mend it in integration.yaml.",
    NO_MISSED_DUPLICATE: "Whom manual intake has as one person, the integration has as one candidate, and the other "
    "way round. If it fails: decide the pair with `referral-pipeline review`.",
    NOTHING_MISSING: "What manual intake has and the integration has not is missing for a known cause. If it fails: "
    "look whether the platform has the referral, and why nothing was written for it.",
    RECORDS_AGREE: "Records agree with manual intake at the rate that verification.field_audit.minimum_accuracy asks "
    "for; differences of a known cause do not count here. If it fails: look at both records and mend the wrong one.",
}


@dg.multi_asset(name="read_manual_intake", specs=[spec("manual_intake")], pool=WAREHOUSE_POOL)
def manual_intake(context: dg.AssetExecutionContext, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Read every file of manual intake."""
    from referral_pipeline.connectors.costs import problem_lines
    from referral_pipeline.orchestration.steps_parallel_run import stage_manual_intake
    from referral_pipeline.quality.parallel_run.run import NOT_CONFIGURED

    own = bridge.bridge
    staged = stage_manual_intake(own)
    if own.contract.verification.parallel_run is None:
        return table_result(own.warehouse, "manual_intake", {"note": NOT_CONFIGURED})
    told: dict[str, Any] = {
        "files": len(staged.read.files),
        "quarantined": sum(staged.report.quarantined_records.values()),
    }
    aside = [f"{where}: {field} {reason}" for field, reason, where in problem_lines(staged.problems)]
    for name, lines in (("set_aside", aside), ("notes", staged.read.notes)):
        if lines:
            shown = [*lines[:_MOST_TOLD], *([f"and {len(lines) - _MOST_TOLD} more"] if len(lines) > _MOST_TOLD else [])]
            told[name] = dg.MetadataValue.md("\n".join(f"- {line}" for line in shown))
            context.log.warning(f"manual intake, {name.replace('_', ' ')}: {'; '.join(shown)}")
    return table_result(own.warehouse, "manual_intake", told)


@dg.multi_asset(
    name="compare_manual_intake",
    specs=[spec(_ASSET)],
    check_specs=[dg.AssetCheckSpec(name=name, asset=_ASSET, description=_MEANING[name]) for name in CHECKS],
    pool=WAREHOUSE_POOL,
)
def parallel_run(
    context: dg.AssetExecutionContext, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Compare manual intake with the integration."""
    from referral_pipeline.orchestration.steps_parallel_run import JOB, compare_manual_intake

    own = bridge.bridge
    result = compare_manual_intake(own, made_by=f"{JOB}{context.job_name}", now=datetime.now(UTC))
    numbers = result.numbers
    if numbers is None:
        context.log.info(result.note)
        yield table_result(own.warehouse, _ASSET, {"note": result.note})
        for name in CHECKS:
            yield dg.AssetCheckResult(asset_key=_ASSET, check_name=name, passed=True, description=result.note)
        return
    yield table_result(own.warehouse, _ASSET, _told(numbers))
    minimum = own.contract.verification.field_audit.minimum_accuracy
    yield from _checks(numbers, result.lines, minimum)


def _told(numbers: "Numbers") -> dict[str, Any]:
    """The table by day, and the numbers whose trend the UI draws."""
    from referral_pipeline.quality.parallel_run.run import table_by_day

    rows = table_by_day(numbers)
    told: dict[str, Any] = {
        "by_day": dg.MetadataValue.table(records=[dg.TableRecord(dict(row)) for row in rows]),
        "findings": counts_table(numbers.findings, header=("finding", "count")),
        "causes": counts_table(numbers.causes, header=("cause", "count")),
        "records_in_manual_intake": numbers.rows,
        "records_in_both": numbers.matched,
        "rows_outside_the_window": numbers.outside,
        "open_findings": numbers.open,
        "unexplained_findings": numbers.unexplained,
        "window": f"{numbers.window.starts_on} to {numbers.window.ends_on}, {numbers.window.time_zone}",
    }
    if numbers.rate is not None:
        told |= {"agreement_rate": numbers.rate, "agreement_at_least": numbers.low, "agreement_at_most": numbers.high}
    return told


def _checks(numbers: "Numbers", lines: "tuple[Line, ...]", minimum: float) -> Iterator[dg.AssetCheckResult]:
    from referral_pipeline.quality.parallel_run.records import Cause, Finding
    from referral_pipeline.quality.parallel_run.words import agreement_words, what_to_do

    mapped = [line for line in lines if line.cause == Cause.MAPPING_ERROR]
    details = sorted({f"{line.field}: {line.detail}" for line in mapped})
    yield _check(NOT_MAPPED_WRONGLY, len(mapped), what_to_do(Cause.MAPPING_ERROR), told=details)
    doubles = [line for line in lines if line.cause in {Cause.MISSED_MATCH, Cause.WRONG_MERGE}]
    causes = sorted({line.cause or "" for line in doubles})
    mend = " ".join(what_to_do(cause) for cause in causes) or what_to_do(Cause.MISSED_MATCH)
    yield _check(NO_MISSED_DUPLICATE, len(doubles), mend, told=sorted({line.detail for line in doubles}))
    missing = [x for x in lines if x.finding is Finding.MISSING_IN_INTEGRATION and x.is_unexplained]
    yield _check(NOTHING_MISSING, len(missing), f"{_SEE} {what_to_do(Cause.UNKNOWN)}")
    rate = numbers.unexplained_rate
    is_good = rate is None or rate >= minimum
    failed = 0 if is_good or rate is None else round((1 - rate) * numbers.matched)
    mend = f"{_SEE} {what_to_do(Cause.UNKNOWN)}"
    yield _check(RECORDS_AGREE, failed, mend, told=[agreement_words(numbers)], passed=is_good)


def _check(
    name: str, failed: int, what_to_do: str, *, told: "list[str] | None" = None, passed: bool | None = None
) -> dg.AssetCheckResult:
    is_good = failed == 0 if passed is None else passed
    words = f"{failed} findings" if not is_good else "nothing found"
    shown = "; ".join((told or [])[:5])
    return dg.AssetCheckResult(
        asset_key=_ASSET,
        check_name=name,
        passed=is_good,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{words}{': ' if shown else ''}{shown}",
        metadata={"failed_rows": failed, "table": "ops.parallel_run", "what_to_do": what_to_do},
    )


ASSETS = (manual_intake, parallel_run)
