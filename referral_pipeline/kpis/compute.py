"""From counted facts to `mart.kpi`: value, interval, maturity, target; and the two plain marts beside it.

Belongs here: which KPIs there are, the shape of their rows, when a cohort is mature. Does not belong here: what each
KPI counts (sql/<kpi>.sql), statistics (statistics), rendering (reports).

A value is there exactly when its maturity is mature
- mature: every application of the cohort is at least as old as the horizon. The period `all` takes the mature cohorts
  only (time to hire: every hire to date); a quarter or month counts when all of it is mature.
- immature: some application may still become a hire within the horizon. Counts are shown, a rate is not.
- insufficient: nothing to count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from referral_pipeline.contract.models import Contract
from referral_pipeline.kpis.statistics import quantile, quantile_interval, wilson
from referral_pipeline.warehouse.store import Warehouse

__all__ = ["HORIZON_DAYS", "KPIS", "KpiRow", "compute_kpis"]

HORIZON_DAYS = 90
"""Age from which a cohort is mature, and within which a hire counts for it."""

Maturity = Literal["mature", "immature", "insufficient"]

_SQL = Path(__file__).with_name("sql")
_QUANTILES = {"": 0.5, "_p25": 0.25, "_p75": 0.75, "_p90": 0.9}


@dataclass(frozen=True)
class Kpi:
    """A KPI with one file `sql/<name>.sql`.

    `series`: all, and further ones of segment kind scope. `all_needs_maturity`: see the module.
    """

    name: str
    unit: Literal["ratio", "days"]
    series: tuple[str, ...] = ("all",)
    all_needs_maturity: bool = True


KPIS = (
    Kpi("referral_conversion_rate", "ratio"),
    Kpi("time_to_hire_days", "days", all_needs_maturity=False),
    Kpi("attribution_coverage", "ratio", series=("all", "applications")),
)


@dataclass(frozen=True)
class KpiRow:
    """One row of `mart.kpi`."""

    kpi: str
    period_kind: str
    period_start: date | None
    segment_kind: str
    segment: str
    value: float | None
    unit: str
    numerator: int | None
    denominator: int
    ci_low: float | None
    ci_high: float | None
    maturity: Maturity
    target: float | None


def compute_kpis(warehouse: Warehouse, contract: Contract, *, as_of: datetime) -> dict[str, int]:
    """Rebuild mart.kpi, mart.funnel and mart.advocate from core; rows by table.

    Args:
        warehouse: with core built.
        contract: for the targets.
        as_of: the moment at which cohorts are judged, aware.

    Raises:
        ModelFailed: a table could not be built; all of them stay as they were.
    """
    targets = {kpi.name: kpi.target for kpi in contract.objectives.kpis}
    with warehouse.transaction():
        rows = [row for kpi in KPIS for row in _rows(kpi, _counted(warehouse, kpi, as_of), targets.get(kpi.name))]
        return {
            "mart.kpi": warehouse.replace("mart.kpi", _frame(rows)),
            "mart.funnel": warehouse.build("mart.funnel"),
            "mart.advocate": warehouse.build("mart.advocate"),
            "mart.data_quality": warehouse.build("mart.data_quality"),
        }


# ---------------------------------------------------------------- counting


@dataclass(frozen=True)
class _Counted:
    """What `by_period_and_segment.sql` answers for one period and segment; `measures` ascending."""

    series: str
    period_kind: str
    period_start: date | None
    segment_kind: str
    segment: str
    units: int
    hits: int
    mature_units: int
    mature_hits: int
    measures: list[float] | None


def _counted(warehouse: Warehouse, kpi: Kpi, as_of: datetime) -> list[_Counted]:
    variables: Mapping[str, Any] = {"horizon_days": HORIZON_DAYS, "as_of": as_of.astimezone(UTC)}
    with warehouse.connect() as connection:
        for name, value in variables.items():
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        connection.execute(f"CREATE OR REPLACE TEMP TABLE kpi_fact AS {_sql(kpi.name)}")
        rows = connection.execute(_sql("by_period_and_segment")).fetchall()
        connection.execute("DROP TABLE kpi_fact")
        for name in variables:
            connection.execute(f"RESET VARIABLE {name}")
    counted = [_Counted(*row) for row in rows]
    headlines = {row.series for row in counted if row.period_kind == "all" and row.segment_kind in {"all", "scope"}}
    # A cohort with no applications has a row too: nothing was counted, which is not the same as not having looked.
    empty = [series for series in kpi.series if series not in headlines]
    return [
        *(
            _Counted(series, "all", None, "all" if series == "all" else "scope", series, 0, 0, 0, 0, None)
            for series in empty
        ),
        *counted,
    ]


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


# ---------------------------------------------------------------- rows


def _rows(kpi: Kpi, counted: list[_Counted], target: float | None) -> list[KpiRow]:
    if kpi.unit == "ratio":
        return [_ratio(kpi, row, target) for row in counted]
    return [
        _quantile(kpi, row, suffix, q, target if not suffix else None)
        for row in counted
        for suffix, q in _QUANTILES.items()
    ]


def _ratio(kpi: Kpi, row: _Counted, target: float | None) -> KpiRow:
    maturity = _maturity(kpi, row)
    takes_mature = row.period_kind == "all" and maturity == "mature"
    hits, units = (row.mature_hits, row.mature_units) if takes_mature else (row.hits, row.units)
    is_shown = maturity == "mature"
    low, high = wilson(hits, units) if is_shown else (None, None)
    return KpiRow(
        kpi=kpi.name,
        period_kind=row.period_kind,
        period_start=row.period_start,
        segment_kind=row.segment_kind,
        segment=row.segment,
        value=hits / units if is_shown else None,
        unit=kpi.unit,
        numerator=hits,
        denominator=units,
        ci_low=low,
        ci_high=high,
        maturity=maturity,
        target=target,
    )


def _quantile(kpi: Kpi, row: _Counted, suffix: str, q: float, target: float | None) -> KpiRow:
    maturity = _maturity(kpi, row)
    measures = row.measures or []
    is_shown = maturity == "mature"
    low, high = quantile_interval(measures, q) if is_shown else (None, None)
    return KpiRow(
        kpi=f"{kpi.name}{suffix}",
        period_kind=row.period_kind,
        period_start=row.period_start,
        segment_kind=row.segment_kind,
        segment=row.segment,
        value=quantile(measures, q) if is_shown else None,
        unit=kpi.unit,
        numerator=None,
        denominator=len(measures),
        ci_low=low,
        ci_high=high,
        maturity=maturity,
        target=target,
    )


def _maturity(kpi: Kpi, row: _Counted) -> Maturity:
    if row.units == 0:
        return "insufficient"
    if row.period_kind == "all":
        return "mature" if row.mature_units or not kpi.all_needs_maturity else "immature"
    return "mature" if row.mature_units == row.units else "immature"


def _frame(rows: list[KpiRow]) -> pd.DataFrame:
    frame = pd.DataFrame([vars(row) for row in rows])
    return frame.astype({"numerator": "Int64", "denominator": "Int64"})
