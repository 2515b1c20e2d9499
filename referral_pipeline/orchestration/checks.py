"""Asset checks: one per quality rule, made from the table of rules.

Belongs here: turning rules into check specs and rule results into check results. Does not belong here: what a rule says
(quality.rules), how it is judged (quality.adapter). Concept page: https://docs.dagster.io/guides/test/asset-checks

Rules that guard attribution are blocking with severity ERROR: when one fails, nothing downstream of its asset runs,
so the published numbers stay the last good ones.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL
from referral_pipeline.quality.rules import RULES, Rule, rules_for_asset


def build_checks() -> list[dg.AssetChecksDefinition]:
    """One multi-check per asset, so that each table is read and validated once."""
    assets = list(dict.fromkeys(rule.asset for rule in RULES))
    return [_checks_of(asset, rules_for_asset(asset)) for asset in assets]


def _checks_of(asset: str, rules: Sequence[Rule]) -> dg.AssetChecksDefinition:
    by_name = {rule.name: rule for rule in rules}
    tables = list(dict.fromkeys(rule.table for rule in rules))

    @dg.multi_asset_check(
        name=f"check_{asset}",
        specs=[
            dg.AssetCheckSpec(
                name=rule.name,
                asset=asset,
                description=f"{rule.description} If it fails: {rule.mend}",
                blocking=rule.blocking,
                metadata={"table": rule.table},
            )
            for rule in rules
        ],
        pool=WAREHOUSE_POOL,
        can_subset=True,
    )
    def checks(context: dg.AssetCheckExecutionContext, bridge: BridgeResource) -> Iterator[dg.AssetCheckResult]:
        from referral_pipeline.quality.adapter import run_rules
        from referral_pipeline.quality.frames import frame_for

        wanted = {key.name for key in context.selected_asset_check_keys}
        warehouse = bridge.bridge.warehouse
        with warehouse.connect():  # held, so that the file is opened once for all frames
            results = [r for table in tables for r in run_rules(lambda name: frame_for(warehouse, name), table)]
        for result in results:
            if result.rule.name not in wanted or result.rule.name not in by_name:
                continue
            if not result.passed:
                context.log.warning(result.message)
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=result.rule.name,
                passed=result.passed,
                severity=dg.AssetCheckSeverity(result.rule.severity.value),
                description=result.message,
                metadata=_metadata(result.rule, result.failed_rows, result.total_rows),
            )

    return checks


def _metadata(rule: Rule, failed: int, total: int) -> dict[str, Any]:
    return {"failed_rows": failed, "total_rows": total, "table": rule.table, "what_to_do": rule.mend}
