"""The field accuracy audit: a sample of records, read again from both systems.

Belongs here: the asset, its two checks and what they tell. Does not belong here: the audit (quality.field_audit).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec, table_result

ASSET = "field_accuracy_audit"
ACCURACY_IS_SHOWN = "field_accuracy_is_above_the_minimum"
EVERY_FIELD_AGREES = "every_audited_field_agrees"
_MOST_TOLD = 50


class AuditConfig(dg.Config):
    """How many records are drawn (0: as the contract says), by which seed (-1: any), for which claim (0: none)."""

    sample: int = 0
    seed: int = -1
    claim: float = 0.0
    made_by: str = "monthly_audit"


@dg.multi_asset(
    name="audit_fields",
    specs=[spec(ASSET)],
    check_specs=[
        dg.AssetCheckSpec(
            name=ACCURACY_IS_SHOWN,
            asset=ASSET,
            description="The lower bound of the share of records that agree in every field is at least the contract's "
            "verification.field_audit.minimum_accuracy. If it fails: mend what the other check names.",
        ),
        dg.AssetCheckSpec(
            name=EVERY_FIELD_AGREES,
            asset=ASSET,
            description="No record of the sample differs between the systems, and all could be read. If it fails: the "
            "worst field and its kind of difference are named, each record by its ids.",
        ),
    ],
    pool=WAREHOUSE_POOL,
)
def field_accuracy_audit(
    context: dg.AssetExecutionContext, config: AuditConfig, bridge: BridgeResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Audit the fields of a sample of records."""
    from referral_pipeline.orchestration.steps_field_audit import audit_fields
    from referral_pipeline.quality.field_audit.judge import Verdict
    from referral_pipeline.quality.field_audit.words import mismatch_words, outcome_words, record_rate, what_to_do

    kept = audit_fields(
        bridge.bridge,
        sample=config.sample or None,
        seed=None if config.seed < 0 else config.seed,
        claim=config.claim or None,
        made_by=config.made_by,
    )
    facts = dict(kept.verification.facts)
    record, mend = record_rate(facts), what_to_do(facts)
    outcome, wrong = outcome_words(facts), mismatch_words(facts)
    context.log.info(outcome)
    is_clean = not record["wrong"]
    # Too few records is nothing that anybody could mend: the verification does not pass, and nobody is woken.
    is_shown = facts["verdict"] in (Verdict.SHOWN, Verdict.TOO_FEW)
    result = table_result(
        bridge.bridge.warehouse,
        ASSET,
        {
            "audit_id": kept.verification.id,
            "seed": facts["seed"],
            "verdict": facts["verdict"],
            "outcome": outcome,
            "records_wrong": int(record["wrong"]),
            "by_standing": counts_table(
                {name: facts[name] for name in ("agrees", "differs", "unreadable", "under_way", "held_back")}
            ),
            **({} if is_clean else {"mismatches": _listed(facts)}),
        },
    )
    yield dg.MaterializeResult(
        asset_key=ASSET,
        metadata=result.metadata,
        check_results=[
            dg.AssetCheckResult(
                asset_key=ASSET,
                check_name=ACCURACY_IS_SHOWN,
                passed=is_shown,
                severity=dg.AssetCheckSeverity.ERROR,
                description=outcome,
                metadata={"failed_rows": int(record["wrong"]), **({} if is_shown else {"what_to_do": mend})},
            ),
            dg.AssetCheckResult(
                asset_key=ASSET,
                check_name=EVERY_FIELD_AGREES,
                passed=is_clean,
                severity=dg.AssetCheckSeverity.WARN,
                description=wrong,
                metadata={"failed_rows": int(record["wrong"]), **({} if is_clean else {"what_to_do": mend})},
            ),
        ],
    )


def _listed(facts: dict[str, Any]) -> dg.MetadataValue[Any]:
    """The mismatches by id and shape."""
    lines = ["| referral | application | side | field | difference | expected | found |", "|---" * 7 + "|"]
    names = ("referral_id", "application_id", "side", "field", "difference", "expected", "found")
    lines += ["| " + " | ".join(str(one[name]) for name in names) + " |" for one in facts["mismatches"][:_MOST_TOLD]]
    lines += [f"| {referral_id} | | | | unreadable | | |" for referral_id in facts["unreadable_ids"][:_MOST_TOLD]]
    return dg.MetadataValue.md("\n".join(lines))


ASSETS = (field_accuracy_audit,)
