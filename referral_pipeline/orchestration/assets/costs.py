"""Costs: the files of costs into staging, and divided over months and channels.

Belongs here: the two assets and what they tell. Does not belong here: reading (connectors.costs), dividing
(warehouse.costs), cost per hire and ROI (kpis).
"""

from typing import Any

import dagster as dg

from referral_pipeline.orchestration.resources import BridgeResource
from referral_pipeline.orchestration.specs import WAREHOUSE_POOL, counts_table, spec, table_result

NOT_CONFIGURED = "no costs are configured: add the section costs to integration.yaml"
_MOST_TOLD = 20


@dg.multi_asset(name="read_costs", specs=[spec("costs")], pool=WAREHOUSE_POOL)
def costs(context: dg.AssetExecutionContext, bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Read every file of costs."""
    from referral_pipeline.connectors.costs import money_by_channel, other_channels, problem_lines

    own = bridge.bridge
    read = own.stage_costs()
    if own.contract.costs is None:
        return table_result(own.warehouse, "costs", {"note": NOT_CONFIGURED})
    told: dict[str, Any] = {
        "files": len(read.files),
        "quarantined": len({problem.record_id for problem in read.problems}),
        "repeated_lines": len(read.repeated),
        "bonuses": "bonuses that were paid belong in the files (advocacy, external); none is added to them",
        "counted_as_other_channels": other_channels(read.lines) or "none",
        "sums": counts_table(
            money_by_channel(read.lines), header=("channel", f"smallest units of {own.contract.costs.currency}")
        ),
    }
    aside = [f"{where}: {field} {reason}" for field, reason, where in problem_lines(read.problems)]
    for name, lines in (("set_aside", aside), ("same_cost_twice", read.repeated), ("notes", read.notes)):
        if lines:
            shown = [*lines[:_MOST_TOLD], *([f"and {len(lines) - _MOST_TOLD} more"] if len(lines) > _MOST_TOLD else [])]
            told[name] = dg.MetadataValue.md("\n".join(f"- {line}" for line in shown))
            context.log.warning(f"costs, {name.replace('_', ' ')}: {'; '.join(shown)}")
    return table_result(own.warehouse, "costs", told)


@dg.multi_asset(name="allocate_costs", specs=[spec("allocated_costs")], pool=WAREHOUSE_POOL)
def allocated_costs(bridge: BridgeResource) -> dg.MaterializeResult[Any]:
    """Divide costs over months and channels."""
    report = bridge.bridge.allocate_costs()
    told: dict[str, Any] = {"hires_in_the_month_of_their_record": report.hires_by_record}
    if report.even:
        told["divided_evenly_for_want_of_a_basis"] = ", ".join(report.even)
    return table_result(bridge.bridge.warehouse, "allocated_costs", told)


ASSETS = (costs, allocated_costs)
