"""Cost per hire and ROI as rows of `mart.kpi`.

Belongs here: values from counted money and hires, and which rows show the inputs. Does not belong here: what is counted
and when it is mature (sql/cost_per_hire.sql, sql/roi.sql), dividing costs (mart.cost).

Units: `numerator` counts the smallest unit of the reporting currency. The `value` of unit currency is in whole units of
it, as a target in the contract is (3250.5 are 3,250.50 USD, 480000 are 480,000 JPY): numerator / denominator is that
only after the currency's decimals are taken off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd

from referral_pipeline.contract.models import Contract
from referral_pipeline.money import decimals_of
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["COST_KPIS", "cost_rows"]

COST_KPIS = ("cost_per_hire", "roi")
_SQL = Path(__file__).with_name("sql")
_NO_COSTS = """
CREATE TABLE IF NOT EXISTS mart.cost
    (month DATE, channel VARCHAR, source VARCHAR, kind VARCHAR, amount_cents BIGINT, currency VARCHAR)
"""


def cost_rows(warehouse: Warehouse, contract: Contract, as_of: datetime) -> pd.DataFrame:
    """The rows of cost_per_hire and roi, with the columns of mart.kpi. Without costs each KPI has rows without a value.

    Args:
        warehouse: with core and mart.cost built.
        contract: for the targets.
        as_of: the moment at which periods are judged to be over, aware.
    """
    targets = {kpi.name: kpi.target for kpi in contract.objectives.kpis}
    with warehouse.connect() as connection:
        # A warehouse that was made before there were costs has no such table.
        connection.execute(_NO_COSTS)
        connection.execute("SET VARIABLE as_of = $value", {"value": as_of.astimezone(UTC)})
        connection.execute(f"CREATE OR REPLACE TEMP TABLE cost_per_hire AS {_sql('cost_per_hire')}")
        counted = [_Counted(*row) for row in connection.execute("SELECT * FROM cost_per_hire").fetchall()]
        inputs = [_Inputs(*row) for row in connection.execute(_sql("roi")).fetchall()]
        currencies = connection.execute("SELECT DISTINCT currency FROM mart.cost").fetchall()
        connection.execute("DROP TABLE cost_per_hire")
        connection.execute("RESET VARIABLE as_of")
    whole_unit = 10 ** decimals_of(currencies[0][0]) if currencies else 1
    rows = [_cost_per_hire(row, whole_unit, targets.get("cost_per_hire")) for row in counted]
    rows += [row for each in inputs for row in _roi(each, whole_unit, targets.get("roi"))]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return frame.astype(
        {
            "period_start": "datetime64[s]",
            **dict.fromkeys(("numerator", "denominator"), "Int64"),
            **dict.fromkeys(("value", "ci_low", "ci_high", "target"), float),
            **dict.fromkeys(("kpi", "period_kind", "segment_kind", "unit", "maturity"), "category"),
        }
    )


_COLUMNS = [
    *("kpi", "period_kind", "period_start", "segment_kind", "segment", "value", "unit", "numerator", "denominator"),
    *("ci_low", "ci_high", "maturity", "target"),
]


@dataclass(frozen=True)
class _Counted:
    """A row of `cost_per_hire.sql`. `cents` is None when no cost is on record."""

    period_kind: str
    period_start: date | None
    segment_kind: str
    segment: str
    cents: int | None
    hires: int
    is_complete: bool
    maturity: str


@dataclass(frozen=True)
class _Inputs:
    """A row of `roi.sql`."""

    period_kind: str
    period_start: date | None
    advocacy_cents: int | None
    advocacy_hires: int
    advocacy_is_complete: bool
    advocacy_maturity: str
    other_cents: int | None
    other_hires: int
    other_maturity: str
    is_comparable: bool

    @property
    def maturity(self) -> str:
        """That of the weakest input; insufficient with no programme cost to divide by, or costs of different months."""
        both = {self.advocacy_maturity, self.other_maturity}
        if "insufficient" in both or self.advocacy_cents == 0:
            return "insufficient"
        if both == {"mature"} and not self.is_comparable:
            return "insufficient"
        return "immature" if "immature" in both else "mature"

    @property
    def saved(self) -> Fraction | None:
        """What the hires of advocacy would have cost more elsewhere, in smallest units; None without an input."""
        if self.advocacy_cents is None or self.other_cents is None or not self.advocacy_hires or not self.other_hires:
            return None
        return Fraction(self.other_cents * self.advocacy_hires, self.other_hires) - self.advocacy_cents


def _cost_per_hire(row: _Counted, whole_unit: int, target: float | None) -> dict[str, Any]:
    return _row(
        "cost_per_hire",
        row,
        (row.segment_kind, row.segment),
        value=_per_hire(row.cents, row.hires, whole_unit),
        unit="currency",
        counts=(row.cents, row.hires),
        maturity=row.maturity,
        target=target,
    )


def _per_hire(cents: int | None, hires: int, whole_unit: int) -> float | None:
    return float(Fraction(cents, hires * whole_unit)) if cents is not None and hires else None


def _roi(inputs: _Inputs, whole_unit: int, target: float | None) -> Iterator[dict[str, Any]]:
    """The ROI of a period, and a row of kind scope for each of its inputs."""
    saved, cost = inputs.saved, inputs.advocacy_cents
    yield _row(
        "roi",
        inputs,
        ("all", "all"),
        value=float(saved / cost) if saved is not None and cost else None,
        unit="ratio",
        counts=(None if saved is None else round(saved), cost),  # half to even
        maturity=inputs.maturity,
        target=target,
    )
    for segment, cents, hires, maturity in (
        ("advocacy_cost_per_hire", cost, inputs.advocacy_hires, inputs.advocacy_maturity),
        ("other_cost_per_hire", inputs.other_cents, inputs.other_hires, inputs.other_maturity),
    ):
        value = _per_hire(cents, hires, whole_unit)
        yield _row("roi", inputs, ("scope", segment), value, "currency", (cents, hires), maturity)
    # Money and hires alone are known once the period is over, also when nobody was hired.
    known = "mature" if inputs.advocacy_is_complete else "insufficient" if cost is None else "immature"
    hires = inputs.advocacy_hires
    yield _row("roi", inputs, ("scope", "advocacy_hires"), float(hires), "count", (hires, None), known)
    spent = None if cost is None else float(Fraction(cost, whole_unit))
    yield _row("roi", inputs, ("scope", "programme_cost"), spent, "currency", (cost, None), known)


def _row(
    kpi: str,
    period: _Counted | _Inputs,
    segment: tuple[str, str],
    value: float | None,
    unit: str,
    counts: tuple[int | None, int | None],
    maturity: str,
    target: float | None = None,
) -> dict[str, Any]:
    return {
        "kpi": kpi,
        "period_kind": period.period_kind,
        "period_start": period.period_start,
        "segment_kind": segment[0],
        "segment": segment[1],
        "value": value if maturity == "mature" else None,
        "unit": unit,
        "numerator": counts[0],
        "denominator": counts[1],
        "ci_low": None,
        "ci_high": None,
        "maturity": maturity,
        "target": target,
    }


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")
