"""Ingest: incremental pulls from both systems into raw, and staging rebuilt from raw.

Belongs here: the two pulls, each one op that yields the assets of its system, because a system's records are only
consistent with each other within one pull. Does not belong here: writing to a system (`sync`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from referral_pipeline.orchestration.periods import PullConfig
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec, table_result

if TYPE_CHECKING:
    from referral_pipeline.warehouse.ingest import IngestReport
    from referral_pipeline.warehouse.staging import StagingReport

ADVOCACY_ASSETS = ("advocates", "content", "shares", "clicks", "referrals")
EVERY_STAGE_IS_MAPPED = "every_stage_is_mapped"
NOTHING_VANISHED = "nothing_vanished_at_once"
ATS_ASSETS = ("ats_jobs", "ats_candidates", "ats_applications", "ats_offers")


def _nothing_vanished_spec(asset: str, entities: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=NOTHING_VANISHED,
        asset=asset,
        description=f"The last full pull of {entities} can be believed about what is gone. If it fails: most of what "
        "was held was not in the list, or rows came without an id. Nothing was taken for deleted; look at what the "
        "integration may see in that system, and at api_schema_drift.",
    )


@dg.multi_asset(
    name="pull_advocacy",
    specs=[spec(name) for name in ADVOCACY_ASSETS],
    check_specs=[_nothing_vanished_spec("referrals", "the advocacy platform's lists")],
    pool=WAREHOUSE_POOL,
    can_subset=False,
)
def pull_advocacy(
    config: PullConfig, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Pull what changed on the advocacy platform since the cursor, with look-back, and rebuild staging."""
    reports, staging = bridge.bridge.pull_advocacy(
        full=config.full, since=config.since_moment, believe_absent=config.believe_absent
    )
    for name in ADVOCACY_ASSETS:
        extra = _pulled(reports, staging, name)
        if name == "referrals":
            extra["email_flags"] = _email_flags(bridge)
        yield table_result(bridge.bridge.warehouse, name, extra)
    yield _nothing_vanished(bridge.bridge.still_missing(bridge.bridge.advocacy), reports, "referrals")


def _email_flags(bridge: BridgeResource) -> dg.MetadataValue[Any]:
    """How many referrals have an address of a function, or of a throw-away provider."""
    found = bridge.bridge.warehouse.frame(
        "SELECT email_flag, count(*) AS referrals FROM staging.referral WHERE email_flag IS NOT NULL GROUP BY ALL"
    )
    counts = {str(row["email_flag"]): int(row["referrals"]) for row in found.to_dict("records")}
    return counts_table(counts, header=("e-mail address", "referrals"))


@dg.multi_asset(
    name="pull_ats",
    specs=[spec(name) for name in ATS_ASSETS],
    check_specs=[
        dg.AssetCheckSpec(
            name=EVERY_STAGE_IS_MAPPED,
            asset="ats_applications",
            description="The contract's stage_map knows every custom stage in use. If it fails: applications in the "
            "stages named count as in_review; add them to stage_map in integration.yaml.",
        ),
        _nothing_vanished_spec("ats_applications", "the ATS's lists"),
    ],
    pool=WAREHOUSE_POOL,
    can_subset=False,
)
def pull_ats(config: PullConfig, bridge: BridgeResource) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Pull what changed in the ATS since the cursor, with look-back, and rebuild staging."""
    reports, staging = bridge.bridge.pull_ats(
        full=config.full, since=config.since_moment, believe_absent=config.believe_absent
    )
    for name in ATS_ASSETS:
        yield table_result(bridge.bridge.warehouse, name, _pulled(reports, staging, name))
    yield _stages_mapped(bridge)
    yield _nothing_vanished(bridge.bridge.still_missing(bridge.bridge.ats), reports, "ats_applications")


def _nothing_vanished(missing: dict[str, int], reports: "list[IngestReport]", asset: str) -> dg.AssetCheckResult:
    """Whether the last full pulls could be believed."""
    why = {report.entity: f", and {report.doubt}" for report in reports if report.doubt is not None}
    words = "; ".join(
        f"{entity}: {count} of the rows held were missing from the last full pull{why.get(entity, '')}"
        for entity, count in missing.items()
    )
    return dg.AssetCheckResult(
        check_name=NOTHING_VANISHED,
        asset_key=asset,
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{words}. None was taken for deleted." if missing else "what was missing is gone",
        metadata={
            "failed_rows": sum(missing.values()),
            "missing": counts_table(missing, header=("list", "rows missing")),
            "what_to_do": "See in that system whether they are gone. If they are: `referral-pipeline refresh "
            "--believe-absent`. If not: give the integration back what it may see, or look at `referral-pipeline "
            "drift`; the next full pull (`refresh --full`) then passes.",
        },
    )


def _stages_mapped(bridge: BridgeResource) -> dg.AssetCheckResult:
    unmapped = bridge.bridge.warehouse.frame(
        "SELECT unmapped_stage AS stage, count(*) AS applications FROM staging.ats_application "
        "WHERE unmapped_stage IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    counts = {str(row["stage"]): int(row["applications"]) for row in unmapped.to_dict("records")}
    return dg.AssetCheckResult(
        check_name=EVERY_STAGE_IS_MAPPED,
        asset_key="ats_applications",
        passed=not counts,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{sum(counts.values())} applications stand in stages that stage_map does not know: "
        f"{', '.join(counts)}. They count as in_review. Mend: add the stages to stage_map in integration.yaml."
        if counts
        else "every stage in use is mapped",
        metadata={
            "applications": sum(counts.values()),
            "stages": counts_table(counts, header=("stage", "applications")),
            "what_to_do": "Add the stages to stage_map in integration.yaml, each with its canonical status, then run "
            "`referral-pipeline refresh`.",
        },
    )


def _pulled(reports: "list[IngestReport]", staging: "StagingReport", name: str) -> dict[str, Any]:
    entity = name.removeprefix("ats_")
    own = [r for r in reports if r.entity == entity]
    metadata: dict[str, Any] = {
        "rows_pulled": sum(r.rows for r in own),
        "rows_changed": sum(r.new_or_changed for r in own),
        "full_pull": any(r.full for r in own),
        "rows_absent": sum(r.absent for r in own),
        "rows_missing_and_kept": sum(r.missing for r in own),
    }
    quarantined = staging.quarantined_records_by_reason(entity)
    ignored = staging.quarantined_fields_by_reason(entity)
    metadata["quarantined"] = sum(quarantined.values())
    if quarantined or ignored:
        metadata["quarantine_reasons"] = counts_table(
            {**quarantined, **{f"{k} (field)": v for k, v in ignored.items()}}
        )
        metadata["which_rows"] = f"referral-pipeline quarantine --entity {entity}"
    return metadata
