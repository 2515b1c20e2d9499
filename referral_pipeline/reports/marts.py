"""The rows of the marts that the leadership report is made from, read as they stand.

Belongs here: the queries, filtered in SQL so that a table of a million rows costs a scan, and their rows as frozen
records. Does not belong here: computing a number (marts do), judging one (`headlines`), wording (`words`).

Only `mart.*` is read. A table that is not there reads as one without rows: what is on the page is then not known yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from referral_pipeline.reports.figures import Basis, Figure, Interval, count, interval, measured
from referral_pipeline.reports.periods import Quarter
from referral_pipeline.reports.words import guessed_unit, kpi_words, readable

if TYPE_CHECKING:
    import pandas as pd

QUARTERS = 8
"""How many quarters back the report looks."""

TOP_CAMPAIGNS = 10

_COLUMNS = (
    "kpi, period_kind, period_start, segment_kind, segment, value, unit, numerator, denominator, ci_low, ci_high, "
    "maturity, target"
)


class ReadsTables(Protocol):
    """The part of `warehouse.store.Warehouse` that the report needs."""

    def frame(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """The rows of a SELECT."""
        ...

    def has_table(self, table: str) -> bool:
        """Whether a table exists."""
        ...


@dataclass(frozen=True)
class KpiRow:
    """One row of `mart.kpi`, nulls as None.

    `currency` is what amounts are in; empty where none is known. `is_running` is true of the quarter that is not over.
    """

    kpi: str
    period_kind: str
    period_start: date | None
    segment_kind: str
    segment: str
    value: float | None
    unit: str
    numerator: float | None
    denominator: float | None
    ci_low: float | None
    ci_high: float | None
    maturity: str | None
    target: float | None
    currency: str = ""
    is_running: bool = False

    @property
    def key(self) -> str:
        """The row's name: its first five columns."""
        start = self.period_start.isoformat() if self.period_start else ""
        return "|".join((self.kpi, self.period_kind, start, self.segment_kind, self.segment))

    @property
    def is_known(self) -> bool:
        """Whether it has a value to show: neither a young cohort has one nor a quarter that is not over.

        What was counted of these so far is not a rate: the first hire of a quarter would make it 0 or 100 %.
        """
        return self.maturity == "mature" and self.value is not None and not self.is_running

    @property
    def quarter(self) -> Quarter | None:
        """Its quarter, when it is the row of one."""
        return Quarter.of(self.period_start) if self.period_kind == "quarter" and self.period_start else None

    def figure(self) -> Figure:
        """The value as it is shown."""
        return measured(self.value if self.is_known else None, self.unit, self.currency, f"{self.key}#value")

    def interval(self) -> Interval | None:
        """The interval as it is shown."""
        return interval(self.ci_low, self.ci_high, self.unit, self.currency, self.key) if self.is_known else None

    def basis(self) -> Basis | None:
        """What was counted. Of a cohort that is young only its size is told: its hits are not a rate yet."""
        if self.denominator is None or self.kpi == "roi":  # money over money: its inputs are told one by one
            return None
        counted, units = kpi_words(self.kpi).counted, count(self.denominator, f"{self.key}#denominator")
        if not self.is_known:
            return Basis(None, units, counted, after="so far")
        if self.numerator is None or self.unit != "ratio":
            return Basis(None, units, counted, before="from")
        return Basis(count(self.numerator, f"{self.key}#numerator"), units, counted)

    def counted(self, column: str, unit: str = "count") -> Figure:
        """Its numerator or denominator as a figure of its own."""
        value = self.numerator if column == "numerator" else self.denominator
        key = f"{self.key}#{column}"
        return count(value, key) if unit == "count" else measured(value, unit, self.currency, key)


@dataclass(frozen=True)
class Kpis:
    """Rows of `mart.kpi` to look up."""

    rows: tuple[KpiRow, ...]

    @cached_property
    def _by_key(self) -> Mapping[str, KpiRow]:
        return {row.key: row for row in self.rows}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every KPI that has a row."""
        return frozenset(row.kpi for row in self.rows)

    def total(self, kpi: str, segment_kind: str = "all", segment: str = "all") -> KpiRow | None:
        """The row over all time."""
        return self._by_key.get("|".join((kpi, "all", "", segment_kind, segment)))

    def beside(self, row: KpiRow, segment_kind: str, segment: str) -> KpiRow | None:
        """Another segment of a row's KPI in the row's period."""
        return self._by_key.get(replace(row, segment_kind=segment_kind, segment=segment).key)

    def of(self, kpi: str, quarter: Quarter, segment_kind: str = "all", segment: str = "all") -> KpiRow | None:
        """The row of one quarter."""
        return self._by_key.get("|".join((kpi, "quarter", quarter.start.isoformat(), segment_kind, segment)))

    def quarters(self, kpi: str, segment_kind: str = "all", segment: str = "all") -> tuple[KpiRow, ...]:
        """The rows of the quarters, the oldest first."""
        found = (
            (row.period_start, row)
            for row in self.rows
            if row.kpi == kpi
            and row.period_kind == "quarter"
            and row.period_start is not None
            and (row.segment_kind, row.segment) == (segment_kind, segment)
        )
        return tuple(row for _, row in sorted(found, key=lambda pair: pair[0]))


@dataclass(frozen=True)
class CurvePoint:
    """The probability that an application has ended in a hire by a day."""

    channel: str
    day: int
    at_risk: int | None
    hires: int | None
    probability: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class QualityCount:
    """How many records had one problem (`set_aside`), or referrals one reason to be held back (`held_back`)."""

    kind: str
    entity: str
    reason: str
    level: str
    records: int


@dataclass(frozen=True)
class Marts:
    """All that the report reads."""

    kpis: Kpis
    campaigns: tuple[KpiRow, ...]
    funnel: Mapping[str, int | None]
    curve: tuple[CurvePoint, ...]
    quality: tuple[QualityCount, ...] | None
    """None when nobody has counted: that is not the same as none."""
    currency: str


def read_marts(warehouse: ReadsTables, *, as_of: datetime, currency: str) -> Marts:
    """Read the rows of the report.

    Args:
        warehouse: whose marts are read; hold its connection open around this where it has one.
        as_of: an aware moment; quarters after it are not read.
        currency: of amounts, where `mart.cost` does not say it.
    """
    costs = _rows(warehouse, "mart.cost", "SELECT any_value(currency) AS currency FROM mart.cost")
    currency = next((str(row["currency"]) for row in costs if row["currency"]), currency)
    since = Quarter.of(as_of).before(QUARTERS).start
    kpis = _rows(
        warehouse,
        "mart.kpi",
        f"SELECT {_COLUMNS} FROM mart.kpi WHERE segment_kind IN ('all', 'scope', 'channel') "  # noqa: S608
        "AND (period_kind = 'all' OR (period_kind = 'quarter' AND period_start BETWEEN ? AND ?)) "
        "ORDER BY kpi, period_kind, period_start, segment_kind, segment",
        [since, as_of.date()],
    )
    campaigns = _rows(
        warehouse,
        "mart.kpi",
        f"SELECT {_COLUMNS} FROM mart.kpi WHERE kpi = 'referral_conversion_rate' AND period_kind = 'all' "  # noqa: S608
        "AND segment_kind = 'campaign' ORDER BY numerator DESC NULLS LAST, denominator, segment LIMIT ?",
        [TOP_CAMPAIGNS],
    )
    funnel = _rows(
        warehouse, "mart.funnel", "SELECT stage, units FROM mart.funnel WHERE channel = 'advocacy' ORDER BY place"
    )
    curve = _rows(
        warehouse,
        "mart.time_to_hire_curve",
        "SELECT channel, day, at_risk, hires, probability, ci_low, ci_high FROM mart.time_to_hire_curve "
        "WHERE channel IN ('advocacy', 'other') ORDER BY channel, day",
    )
    quality = _rows(
        warehouse,
        "mart.data_quality",
        "SELECT kind, entity, reason, level, records FROM mart.data_quality "
        "ORDER BY kind DESC, records DESC, entity, reason, level",
    )
    return Marts(
        kpis=Kpis(tuple(_kpi_row(row, currency, Quarter.of(as_of).start) for row in kpis)),
        campaigns=tuple(_kpi_row(row, currency) for row in campaigns),
        funnel={str(row["stage"]): _whole(row["units"]) for row in funnel},
        curve=tuple(
            CurvePoint(
                channel=str(row["channel"]),
                day=int(row["day"]),
                at_risk=_whole(row["at_risk"]),
                hires=_whole(row["hires"]),
                probability=row["probability"],
                ci_low=row["ci_low"],
                ci_high=row["ci_high"],
            )
            for row in curve
        ),
        quality=tuple(
            QualityCount(
                kind=str(row["kind"]),
                entity=str(row["entity"] or ""),
                reason=str(row["reason"]),
                level=str(row["level"] or ""),
                records=int(row["records"]),
            )
            for row in quality
        )
        if warehouse.has_table("mart.data_quality")
        else None,
        currency=currency,
    )


def _rows(
    warehouse: ReadsTables, table: str, sql: str, params: Sequence[Any] | None = None
) -> Iterable[dict[str, Any]]:
    if not warehouse.has_table(table):
        return []
    frame = warehouse.frame(sql, params)
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _kpi_row(row: Mapping[str, Any], currency: str, running: date | None = None) -> KpiRow:
    return KpiRow(
        kpi=str(row["kpi"]),
        period_kind=str(row["period_kind"]),
        period_start=row["period_start"],
        segment_kind=str(row["segment_kind"]),
        segment=readable(str(row["segment"])),
        value=row["value"],
        unit=str(row["unit"] or guessed_unit(str(row["kpi"]))),
        numerator=row["numerator"],
        denominator=row["denominator"],
        ci_low=row["ci_low"],
        ci_high=row["ci_high"],
        maturity=row["maturity"],
        target=row["target"],
        currency=currency,
        is_running=running is not None and row["period_start"] == running,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _plain(value: Any) -> Any:
    """NaN, NaT and pandas' NA as None; days as dates, numbers as floats."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, date):  # also a pandas Timestamp, and NaT
        return None if str(value) == "NaT" else value.date() if isinstance(value, datetime) else value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number
