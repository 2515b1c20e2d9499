"""Marts as a programme of two years has them, for tests and looks at the leadership report. All made up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import duckdb

from referral_pipeline.kpis.statistics import wilson

KPI_TABLE = """
CREATE TABLE mart.kpi (kpi VARCHAR, period_kind VARCHAR, period_start DATE, segment_kind VARCHAR, segment VARCHAR,
  value DOUBLE, unit VARCHAR, numerator BIGINT, denominator BIGINT, ci_low DOUBLE, ci_high DOUBLE, maturity VARCHAR,
  target DOUBLE)"""
OTHER_TABLES = """
CREATE TABLE mart.funnel (channel VARCHAR, place INTEGER, stage VARCHAR, units BIGINT);
CREATE TABLE mart.time_to_hire_curve (channel VARCHAR, day INTEGER, at_risk BIGINT, hires BIGINT, probability DOUBLE,
  ci_low DOUBLE, ci_high DOUBLE);
CREATE TABLE mart.cost (month DATE, channel VARCHAR, source VARCHAR, kind VARCHAR, amount_cents BIGINT,
  currency VARCHAR);
CREATE TABLE mart.data_quality (kind VARCHAR, entity VARCHAR, reason VARCHAR, level VARCHAR, records BIGINT);
"""
QUARTERS = [date(year, month, 1) for year in (2025, 2026) for month in (1, 4, 7, 10)][:7]
"""Q1 2025 to Q3 2026. At the end of September 2026 the cohorts of Q3 are young."""

Row = tuple[Any, ...]


def ratio(
    kpi: str, hits: int, units: int, *, start: date | None = None, segment: Sequence[str] = ("all", "all"), **other: Any
) -> Row:
    """A row of a ratio; `maturity` other than mature takes its value away."""
    maturity = other.get("maturity", "mature" if units else "insufficient")
    known = maturity == "mature"
    low, high = wilson(hits, units) if known else (None, None)
    period = "quarter" if start else "all"
    value = hits / units if known else None
    return (kpi, period, start, *segment, value, "ratio", hits, units, low, high, maturity, other.get("target"))


def days(
    kpi: str,
    value: float | None,
    hires: int,
    *,
    start: date | None = None,
    segment: Sequence[str] = ("all", "all"),
    half: float = 4.0,
    target: float | None = None,
) -> Row:
    """A row of a quantile of days, with an interval of `half` days on either side."""
    ends = (None, None) if value is None else (value - half, value + half * 1.2)
    maturity = "insufficient" if value is None else "mature"
    return (kpi, "quarter" if start else "all", start, *segment, value, "days", None, hires, *ends, maturity, target)


def money(
    cents: int | None, hires: int, *, start: date | None = None, segment: str = "all", maturity: str = "mature"
) -> Row:
    """A row of cost per hire, without an interval: the value in whole units, the numerator in cents."""
    kind = "all" if segment == "all" else "channel"
    value = cents / hires / 100 if maturity == "mature" and cents is not None and hires else None
    period = "quarter" if start else "all"
    return ("cost_per_hire", period, start, kind, segment, value, "currency", cents, hires, None, None, maturity, None)


def kpi_rows() -> Iterator[Row]:
    """Rows of mart.kpi as far as the report reads them, and some of kinds that it must not read."""
    conversion = "referral_conversion_rate"
    yield ratio(conversion, 41, 620, target=0.06)
    yield ratio(conversion, 41, 620, segment=("channel", "advocacy"), target=0.06)
    yield ratio(conversion, 88, 2400, segment=("channel", "other"), target=0.06)
    for start, (hits, units) in zip(
        QUARTERS, [(4, 88), (5, 96), (6, 101), (7, 104), (8, 110), (11, 121), (2, 96)], strict=True
    ):
        young = start == QUARTERS[-1]
        yield ratio(conversion, hits, units, start=start, target=0.06, maturity="immature" if young else "mature")
    campaigns = [("spring", 14, 120), ("referral-week", 9, 61), ("engineering", 7, 140), ("night-shift", 4, 18)]
    campaigns += [("autumn", 3, 90), ("open-day", 2, 41), ("graduates", 1, 77), ("returners", 1, 12)]
    for name, hits, units in campaigns:
        yield ratio(conversion, hits, units, segment=("campaign", name), target=0.06)
    yield ratio(conversion, 2, 44, segment=("campaign", "autumn-2026"), maturity="immature")
    yield ratio(conversion, 0, 5, segment=("campaign", "one-more"))
    yield ratio(conversion, 0, 4, segment=("campaign", "the-eleventh"))
    yield ratio(conversion, 9, 10, segment=("advocate", "A1"))
    yield ratio("attribution_coverage", 37, 41, target=0.95)
    yield ratio("attribution_coverage", 585, 620, segment=("scope", "applications"), target=0.95)
    for kpi, rates, other in (
        ("share_to_click_rate", (1277, 4120), None),
        ("click_to_apply_rate", (588, 9800), None),
        ("apply_to_interview_rate", (210, 620), (520, 2400)),
        ("interview_to_offer_rate", (60, 210), (130, 520)),
        ("offer_to_hire_rate", (41, 60), (88, 130)),
    ):
        yield ratio(kpi, *rates)
        if other:
            yield ratio(kpi, *other, segment=("channel", "other"))
        for number, start in enumerate(QUARTERS[:6]):
            yield ratio(kpi, max(rates[0] // 7 + number - 3, 0), rates[1] // 7, start=start)
        yield ratio(kpi, 1, rates[1] // 7, start=QUARTERS[6], maturity="immature")
    yield from time_rows()
    yield from cost_rows()
    yield ratio("advocate_participation_rate", 212, 540)
    for number, start in enumerate(QUARTERS[:6]):
        yield ratio("advocate_participation_rate", 70 + 9 * number, 480 + 10 * number, start=start)
    yield ratio("advocate_participation_rate", 121, 540, start=QUARTERS[6], maturity="immature")
    yield ratio("source_of_hire_share", 41, 129)
    yield ratio("source_of_hire_share", 7, 30, start=QUARTERS[4])
    yield ratio("source_of_hire_share", 21, 31, start=QUARTERS[5])
    yield ratio("duplicate_rate", 62, 3100)
    yield ratio("duplicate_rate", 0, 590, segment=("scope", "created_by_integration"))
    for segment, value in (("forward", 4.2), ("return", 6.75)):
        yield (
            *("sync_latency_seconds", "all", None, "scope", segment),
            *(value, "s", None, 900, value - 0.4, value + 0.6, "mature", 60.0),
        )


def time_rows() -> Iterator[Row]:
    """Medians and quartiles by channel, the difference, and the chance of a hire."""
    yield days("time_to_hire_days", 39.5, 129, target=45)
    for channel, quantiles in {"advocacy": (34.2, 22.5, 48.1, 71.3), "other": (42.6, 27.0, 60.4, 88.2)}.items():
        for suffix, value in zip(("", "_p25", "_p75", "_p90"), quantiles, strict=True):
            hires = 41 if channel == "advocacy" else 88
            yield days(f"time_to_hire_days{suffix}", value, hires, segment=("channel", channel))
    yield days("time_to_hire_difference_days", -8.4, 129, half=5.2)
    for number, start in enumerate(QUARTERS[:6]):
        yield days("time_to_hire_days", 46.0 - 1.4 * number, 17 + number, start=start, half=6.0, target=45)
    yield days("time_to_hire_days", None, 0, start=QUARTERS[6], target=45)
    yield ratio("hire_probability_by_day", 41, 620)


def cost_rows() -> Iterator[Row]:
    """Cost per hire and the return."""
    yield money(91_400_000, 129)
    yield money(12_300_050, 41, segment="advocacy")
    yield money(79_099_950, 88, segment="other")
    for number, start in enumerate(QUARTERS):
        own = (1_700_000 + 55_000 * number, 5 + number // 2)
        others = (10_900_000 + 410_000 * number, 12 + number // 3)
        for segment, counted in (("advocacy", own), ("other", others)):
            yield money(*counted, start=start, segment=segment, maturity="mature" if number < 6 else "immature")
    other, own_cost = 790_999.50 / 88, 123_000.50 / 41
    saved = (other - own_cost) * 41
    inputs = (saved / 123_000.50, "ratio", round(100 * saved), 12_300_050)
    yield ("roi", "all", None, "all", "all", *inputs, None, None, "mature", None)
    for name, found, unit, counts in (
        ("advocacy_cost_per_hire", own_cost, "currency", (12_300_050, 41)),
        ("other_cost_per_hire", other, "currency", (79_099_950, 88)),
        ("advocacy_hires", 41, "count", (41, None)),
        ("programme_cost", 123_000.50, "currency", (12_300_050, None)),
    ):
        yield ("roi", "all", None, "scope", name, found, unit, *counts, None, None, "mature", None)


def curve_rows() -> Iterator[Row]:
    """A step on most days, as real hires make it."""
    for channel, units, final, pace in (("advocacy", 620, 0.082, 34.0), ("other", 2400, 0.046, 46.0)):
        for day in range(181):
            hires = math.floor(units * final * (1 - math.exp(-((day / pace) ** 1.6))))
            low, high = wilson(hires, units)
            yield (channel, day, units - hires, hires, hires / units, low, high)


FUNNEL = [
    ("shares", 4120),
    ("clicks", 20000),
    ("applications", 716),
    ("interviews", 231),
    ("offers", 66),
    ("hires", 43),
]
QUALITY = [
    ("set_aside", "referrals", "email", "record", 1),
    ("set_aside", "referrals", "phone", "field", 2),
    ("held_back", "referral", "no_consent", None, 2),
    ("held_back", "referral", "country", None, 1),
    ("by_record", "application", "hired_at", None, 3),
]


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    """Make and fill the marts of the report."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS mart")
    connection.execute(KPI_TABLE)
    connection.execute(OTHER_TABLES)
    connection.executemany(f"INSERT INTO mart.kpi VALUES ({', '.join('?' * 13)})", list(kpi_rows()))
    connection.executemany(
        "INSERT INTO mart.funnel VALUES (?, ?, ?, ?)",
        [("advocacy", place, *stage) for place, stage in enumerate(FUNNEL, 1)] + [("other", 3, "applications", 99)],
    )
    connection.executemany("INSERT INTO mart.time_to_hire_curve VALUES (?, ?, ?, ?, ?, ?, ?)", list(curve_rows()))
    connection.executemany("INSERT INTO mart.data_quality VALUES (?, ?, ?, ?, ?)", QUALITY)
    connection.execute("INSERT INTO mart.cost VALUES ('2026-01-01', 'advocacy', 'advocacy', 'external', 1, 'EUR')")
