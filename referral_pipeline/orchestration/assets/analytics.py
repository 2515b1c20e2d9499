"""Analytics: people, attribution, KPIs, and what is published from them.

Belongs here: running the models in their order. Does not belong here: the models (warehouse, kpis, reports).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from referral_pipeline.identity.review_file import HOW_TO_DECIDE
from referral_pipeline.orchestration.periods import AsOfConfig
from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, frame_table, spec, table_result

ATTRIBUTION_ASSETS = ("touchpoints", "attribution", "attribution_credit", "attribution_comparison", "status_history")


@dg.multi_asset(name="resolve_people", specs=[spec("people")], pool=WAREHOUSE_POOL)
def people(bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Resolve every record to a person."""
    report = bridge.bridge.resolve_people()
    told = {
        "records_merged": report.merged,
        "records_resolved_now": report.touched,
        "records_looked_at_one_by_one": report.contested,
    }
    return table_result(bridge.bridge.warehouse, "people", told)


@dg.multi_asset(name="score_duplicates", specs=[spec("duplicate_review")], pool=WAREHOUSE_POOL)
def duplicate_review(context: dg.AssetExecutionContext, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Score what the rules left apart, and list it for people to decide."""
    report = bridge.bridge.score_duplicates()
    context.log.info("scored anew" if report.is_scored else "nothing changed since the last scoring: its pairs stand")
    path = bridge.bridge.review_path
    told: dict[str, Any] = {
        "open_pairs": report.open_pairs,
        "csv": dg.MetadataValue.path(str(path)),
        "how_to_decide": dg.MetadataValue.md(HOW_TO_DECIDE.format(path=path)),
    }
    if report.is_scored:
        told |= {
            "pairs_scored": report.pairs_scored,
            "probabilities": f"{report.calibration}, {'trained on these data' if report.trained else 'start values'}",
        }
    return table_result(bridge.bridge.warehouse, "duplicate_review", told)


@dg.multi_asset(
    name="build_attribution", specs=[spec(n) for n in ATTRIBUTION_ASSETS], pool=WAREHOUSE_POOL, can_subset=False
)
def attribution(config: AsOfConfig, bridge: BridgeResource) -> Iterator[dg.MaterializeResult[Any]]:
    """Rebuild touches, attribution, credit, the comparison of the models and status history."""
    from referral_pipeline.warehouse.comparison import credit_by_segment

    own = bridge.bridge
    own.build_attribution(as_of=config.moment, is_backdated=config.given is not None)
    for name in ATTRIBUTION_ASSETS:
        extra = {}
        if name == "attribution_comparison":
            extra = {
                f"credit by {segment}": frame_table(rows) for segment, rows in credit_by_segment(own.warehouse).items()
            }
        yield table_result(own.warehouse, name, extra)


@dg.multi_asset(name="build_bonus_ledger", specs=[spec("bonus_ledger")], pool=WAREHOUSE_POOL)
def bonus_ledger(bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Rebuild the bonus ledger."""
    sums = bridge.bridge.build_bonus_ledger()
    return table_result(
        bridge.bridge.warehouse,
        "bonus_ledger",
        {"sums": counts_table(sums, header=("state and currency", "smallest units"))},
    )


@dg.multi_asset(name="build_kpis", specs=[spec("kpis")], pool=WAREHOUSE_POOL)
def kpis(config: AsOfConfig, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Compute every KPI."""
    bridge.bridge.build_kpis(as_of=config.moment, is_backdated=config.given is not None)
    headline = bridge.bridge.warehouse.frame(
        "SELECT kpi, value FROM mart.kpi WHERE period_kind = 'all' AND segment_kind = 'all' AND value IS NOT NULL"
    )
    values = {str(row["kpi"]): float(row["value"]) for row in headline.to_dict("records")}
    return table_result(bridge.bridge.warehouse, "kpis", values)


@dg.multi_asset(name="build_advocates", specs=[spec("advocate_performance")], pool=WAREHOUSE_POOL)
def advocate_performance(config: AsOfConfig, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Rebuild what each advocate's dashboard shows."""
    bridge.bridge.build_advocates(as_of=config.moment, is_backdated=config.given is not None)
    return table_result(bridge.bridge.warehouse, "advocate_performance")


@dg.multi_asset(name="publish", specs=[spec("published_tables")], pool=WAREHOUSE_POOL)
def published_tables(config: AsOfConfig, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Publish what others read."""
    from referral_pipeline.orchestration.steps_api_audit import rebuild_api_capability
    from referral_pipeline.orchestration.steps_field_audit import rebuild_field_accuracy

    rebuild_field_accuracy(bridge.bridge)  # of the ledger's audits: a new warehouse has none of its own
    rebuild_api_capability(bridge.bridge)
    paths = [*bridge.bridge.publish(as_of=config.given), bridge.bridge.write_review()]
    return dg.MaterializeResult(
        asset_key="published_tables",
        metadata={
            "files": len(paths),
            "folder": dg.MetadataValue.path(str(bridge.bridge.warehouse.published_dir)),
            "list": dg.MetadataValue.md("\n".join(f"- `{path.name}`" for path in sorted(paths))),
        },
    )


@dg.multi_asset(name="write_report", specs=[spec("leadership_report")], pool=WAREHOUSE_POOL)
def leadership_report(config: AsOfConfig, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Write the leadership report."""
    written = bridge.bridge.write_report(as_of=config.moment, is_backdated=config.given is not None)
    lines = ["| number | value | target | reading |", "|---|---:|---:|---|"]
    lines += [
        f"| {one.label} | {one.value.text} | {one.target_side} {one.target.text} | {one.verdict.words} |"
        for one in written.headlines
    ]
    return dg.MaterializeResult(
        asset_key="leadership_report",
        metadata={
            "path": dg.MetadataValue.path(str(written.html)),
            "bytes": written.html.stat().st_size,
            "workbook": dg.MetadataValue.path(str(written.xlsx)),
            "headline": dg.MetadataValue.md("\n".join(lines)),
        },
    )


class EditionConfig(dg.Config):
    """`force` writes the edition of the last quarter that is over again, although it is kept already."""

    force: bool = False


@dg.multi_asset(name="keep_edition", specs=[spec("quarterly_edition")], pool=WAREHOUSE_POOL)
def quarterly_edition(
    context: dg.AssetExecutionContext, config: EditionConfig, bridge: BridgeResource
) -> dg.MaterializeResult[Any]:
    """Keep the edition of the last quarter that is over."""
    edition = bridge.bridge.write_edition(force=config.force)
    context.log.info("written" if edition.is_new else "kept since before: an edition is not changed")
    return dg.MaterializeResult(
        asset_key="quarterly_edition",
        metadata={
            "quarter": edition.quarter.code,
            "written_now": edition.is_new,
            "path": dg.MetadataValue.path(str(edition.html)),
            "workbook": dg.MetadataValue.path(str(edition.xlsx)),
        },
    )
