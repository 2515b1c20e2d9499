"""What the APIs can do: every configured system asked for each capability that the contract could use.

Belongs here: the asset, its check and what they tell. Does not belong here: the audit (monitoring.api_audit).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec, table_result

ASSET = "api_capability"
NOTHING_NEEDED_IS_MISSING = "the_apis_can_do_what_the_contract_needs"


class ApiAuditConfig(dg.Config):
    """Who asked for it."""

    made_by: str = "api_audit"


@dg.multi_asset(
    name="audit_apis",
    specs=[spec(ASSET)],
    check_specs=[
        dg.AssetCheckSpec(
            name=NOTHING_NEEDED_IS_MISSING,
            asset=ASSET,
            description="No capability that a phase in use needs is missing in its system, and each was answered. If "
            "it fails: the lines are named, with what follows from each; data/published/api_capability.md has all.",
        )
    ],
    pool=WAREHOUSE_POOL,
)
def api_capability(
    context: dg.AssetExecutionContext, config: ApiAuditConfig, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Audit what the APIs can do."""
    from referral_pipeline.monitoring.api_audit.words import MARKDOWN, outcome_words, what_to_do
    from referral_pipeline.orchestration.steps_api_audit import audit_apis

    own = bridge.bridge
    kept = audit_apis(own, made_by=config.made_by)
    outcome, lacking = outcome_words(kept.facts), len({*kept.facts["missing"], *kept.facts["unanswered"]})
    context.log.info(outcome)
    result = table_result(
        own.warehouse,
        ASSET,
        {
            "audit_id": kept.id,
            "outcome": outcome,
            "needed_and_lacking": lacking,
            "by_standing": counts_table(kept.facts["counts"], header=("standing", "lines")),
            "in_writing": dg.MetadataValue.path(str(own.settings.published_dir / MARKDOWN)),
        },
    )
    yield dg.MaterializeResult(
        asset_key=ASSET,
        metadata=result.metadata,
        check_results=[
            dg.AssetCheckResult(
                asset_key=ASSET,
                check_name=NOTHING_NEEDED_IS_MISSING,
                passed=kept.passed,
                severity=dg.AssetCheckSeverity.ERROR,
                description=outcome,
                metadata={
                    "failed_rows": lacking,
                    **({} if kept.passed else {"what_to_do": what_to_do(kept.facts)}),
                },
            )
        ],
    )


ASSETS = (api_capability,)
