"""Costs of hiring: what the files say into staging, and from there to each month and channel.

Belongs here: `staging.cost`, `mart.cost`, and what somebody should know of both. Does not belong here: reading files
(connectors.costs), cost per hire and ROI (kpis).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from referral_pipeline.connectors.costs import CostsRead, read_costs
from referral_pipeline.contract.models import Contract
from referral_pipeline.warehouse.frames import columns, frame_of
from referral_pipeline.warehouse.quarantine import Level, Quarantined, save_quarantine
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["CostAllocation", "allocate_costs", "stage_costs"]

_COST = columns(
    text="file period channel kind currency reporting_currency rate allocation_key basis note",
    whole="line months amount_cents reporting_cents advocacy_millionths",
    date="first_month",
)

_EVEN_FOR_WANT = """
WITH wanted AS (
    SELECT DISTINCT basis, (first_month + to_months(number::INTEGER))::DATE AS month
    FROM staging.cost JOIN range(12) AS part(number) ON number < months
    WHERE basis IN ('hires', 'applications')
),
counted AS (
    SELECT DISTINCT 'applications' AS basis, date_trunc('month', applied_at)::DATE AS month FROM core.attribution
    UNION ALL
    SELECT DISTINCT 'hires', date_trunc('month', coalesce(hired_at, status_at))::DATE
    FROM core.attribution
    WHERE status = 'hired'
)
SELECT DISTINCT strftime(month, '%Y-%m') || ' by ' || basis AS told
FROM wanted ANTI JOIN counted USING (basis, month)
WHERE month <= current_date
ORDER BY told
"""


@dataclass(frozen=True)
class CostAllocation:
    """What became of the costs: rows of mart.cost, and what to know of it.

    `even` names the months ("2026-03 by hires") in which a shared cost was divided evenly for want of what its key
    counts. `hires_by_record` have no date of their own and count, here and in cost per hire, in the month in which the
    ATS last changed them.
    """

    rows: int
    even: Sequence[str]
    hires_by_record: int


def stage_costs(warehouse: Warehouse, contract: Contract, home: Path) -> CostsRead:
    """Read the contract's files whole and replace staging.cost and the costs' part of the quarantine, both or none.

    Without a section `costs`, or without a file, the table is empty: what was there before is of no contract any more.

    Raises:
        ModelFailed: the table could not be built; both stay as they were.
    """
    read = CostsRead() if contract.costs is None else read_costs(contract.costs, home)
    with warehouse.transaction():
        warehouse.replace("staging.cost", frame_of(read.lines, _COST))
        save_quarantine(warehouse, [Quarantined(p, Level.RECORD) for p in read.problems], side="costs")
    return read


def allocate_costs(warehouse: Warehouse) -> CostAllocation:
    """Rebuild mart.cost from staging.cost and core.attribution.

    Raises:
        ModelFailed: the table could not be built; it stays as it was.
    """
    with warehouse.transaction():
        rows = warehouse.build("mart.cost")
        even = warehouse.frame(_EVEN_FOR_WANT)["told"]
        undated = warehouse.frame(
            "SELECT count(*) AS hires FROM core.attribution WHERE status = 'hired' AND hired_at IS NULL"
        )
    return CostAllocation(rows, [str(told) for told in even], int(undated["hires"].iloc[0]))
