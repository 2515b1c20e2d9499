"""KPIs by hand: counts, interval and maturity of small cohorts, and the edge cases of their definitions."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.contract.kpi_names import KPI_NAMES
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.kpis.statistics import wilson
from referral_pipeline_tests.unit.core_world import DAY0, World

COLUMNS = [
    "kpi", "period_kind", "period_start", "segment_kind", "segment", "value", "unit", "numerator", "denominator",
    "ci_low", "ci_high", "maturity", "target",
]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for number, department in enumerate(("Engineering", "Sales"), start=1):
        made.advocate(f"A{number}", department)
        made.share(f"S{number}", f"A{number}", -10, job=f"J{number}", campaign=f"campaign{number}")
        made.job(f"J{number}", department)
    return made


def referred(world: World, number: int, at: float, *, advocate: int = 1, **outcome: Any) -> None:
    name = f"G{chr(97 + number // 26)}{chr(97 + number % 26)} F{chr(97 + number % 26)}{chr(97 + number // 26)}"
    world.referral(
        f"R{number}", f"A{advocate}", at - 0.5, person=name, share=f"S{advocate}", job=f"J{advocate}",
        campaign=f"campaign{advocate}",
    )  # fmt: skip
    world.application(f"P{number}", at, person=name, job=f"J{advocate}", **outcome)


def kpi(world: World, name: str, *, as_of: float = 365, period: str = "all", kind: str = "all", segment: str = "all",
        start: date | None = None) -> dict[str, Any]:  # fmt: skip
    built = (as_of, len(world.referrals), tuple(map(repr, world.applications)))
    if getattr(world, "built", None) != built:
        moment = DAY0 + timedelta(days=as_of)
        world.build(as_of=moment)
        compute_kpis(world.warehouse, world.contract, as_of=moment)
        world.built = built
    rows = world.rows_of(
        f"SELECT * FROM mart.kpi WHERE kpi = '{name}' AND period_kind = '{period}' AND segment_kind = '{kind}'"
        f" AND segment = '{segment}'" + (f" AND period_start = '{start}'" if start else "")
    )
    assert len(rows) == 1, rows
    assert list(rows[0]) == COLUMNS
    return rows[0]


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["numerator"], row["denominator"], row["value"], row["maturity"]


# ---------------------------------------------------------------- referral_conversion_rate


def test_conversion_is_hires_within_the_horizon_over_the_whole_cohort(world: World):
    referred(world, 1, 0, status="hired", hired=30)
    referred(world, 2, 0, status="hired", hired=90)  # the last moment that counts
    referred(world, 3, 0, status="hired", hired=91)  # too late for the horizon
    referred(world, 4, 0, status="rejected", rejected=10)
    referred(world, 5, 0)
    world.application("P6", 0, person="Walk In", status="hired", hired=5)  # nobody referred this one
    row = kpi(world, "referral_conversion_rate")
    assert shown(row) == (2, 5, 0.4, "mature")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(wilson(2, 5))
    assert (row["unit"], row["target"]) == ("ratio", 0.06)


def test_a_hire_of_march_belongs_to_the_cohort_of_its_application(world: World):
    referred(world, 1, 0, status="hired", hired=65)  # applied on 1 January, hired in March
    referred(world, 2, 65)  # applied in March
    january = kpi(world, "referral_conversion_rate", period="month", start=date(2026, 1, 1))
    march = kpi(world, "referral_conversion_rate", period="month", start=date(2026, 3, 1))
    assert (shown(january), shown(march)) == ((1, 1, 1.0, "mature"), (0, 1, 0.0, "mature"))


def test_a_cohort_younger_than_the_horizon_is_immature_and_has_no_rate(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    row = kpi(world, "referral_conversion_rate", as_of=89, period="month", start=date(2026, 1, 1))
    assert shown(row) == (1, 1, None, "immature")
    assert (row["ci_low"], row["ci_high"]) == (None, None)
    assert kpi(world, "referral_conversion_rate", as_of=89)["maturity"] == "immature"
    assert kpi(world, "referral_conversion_rate", as_of=90)["maturity"] == "mature"


def test_a_quarter_counts_only_when_all_of_it_is_mature_and_all_counts_what_is(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    referred(world, 2, 40)
    at = {"as_of": 100.0}
    assert shown(kpi(world, "referral_conversion_rate", period="quarter", **at)) == (1, 2, None, "immature")
    assert shown(kpi(world, "referral_conversion_rate", **at)) == (1, 1, 1.0, "mature")


def test_a_cohort_with_no_applications_has_a_row_without_a_value(world: World):
    row = kpi(world, "referral_conversion_rate")
    assert shown(row) == (0, 0, None, "insufficient")
    assert (row["ci_low"], row["ci_high"]) == (None, None)


def test_none_hired_is_a_rate_of_zero_and_not_nothing(world: World):
    referred(world, 1, 0)
    assert shown(kpi(world, "referral_conversion_rate")) == (0, 1, 0.0, "mature")


def test_a_hire_that_was_undone_is_no_hire_and_a_rehire_is_one(world: World):
    referred(world, 1, 0, status="in_review", hired=10, status_at=20)
    world.told("P1", "hired", 10)
    world.told("P1", "in_review", 20)
    assert kpi(world, "referral_conversion_rate")["numerator"] == 0
    world.edit("P1", status="hired", status_at=DAY0 + timedelta(days=30), hired_at=DAY0 + timedelta(days=30))
    assert kpi(world, "referral_conversion_rate")["numerator"] == 1


def test_a_withdrawn_referral_leaves_the_cohort(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    world.referral("R1w", "A1", -0.5, person="Walk In", share="S1", stage="withdrawn")
    world.application("P2", 0, person="Walk In", status="hired", hired=10)
    assert shown(kpi(world, "referral_conversion_rate")) == (1, 1, 1.0, "mature")


def test_a_hire_with_no_offer_counts_by_when_the_ats_recorded_it(world: World):
    referred(world, 1, 0, status="hired", status_at=80)
    referred(world, 2, 0, status="hired", status_at=200)
    assert shown(kpi(world, "referral_conversion_rate")) == (1, 2, 0.5, "mature")


def test_segments_count_the_cohort_by_its_own_facts(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    referred(world, 2, 0)
    referred(world, 3, 0, advocate=2)
    for kind, segment, expected in (
        ("channel", "advocacy", (1, 3)),
        ("department", "Engineering", (1, 2)),
        ("department", "Sales", (0, 1)),
        ("campaign", "campaign1", (1, 2)),
        ("advocate", "A2", (0, 1)),
        ("job", "J1", (1, 2)),
    ):
        row = kpi(world, "referral_conversion_rate", kind=kind, segment=segment)
        assert (row["numerator"], row["denominator"]) == expected


# ---------------------------------------------------------------- time_to_hire_days


def test_time_to_hire_shows_median_and_quartiles_among_hires_with_its_interval(world: World):
    for number in range(9):
        referred(world, number, 0, status="hired", hired=10.0 * (number + 1))
    row = kpi(world, "time_to_hire_days")
    assert shown(row) == (None, 9, 50.0, "mature")
    assert (row["ci_low"], row["ci_high"]) == (20.0, 80.0)  # ranks 2 and 8 of 9 cover a median with 96 %
    assert (row["unit"], row["target"]) == ("days", 45)
    quartiles = {q: kpi(world, f"time_to_hire_days_{q}")["value"] for q in ("p25", "p75", "p90")}
    assert quartiles == pytest.approx({"p25": 30.0, "p75": 70.0, "p90": 82.0})


def test_time_to_hire_can_be_compared_with_the_other_channels(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    world.application("P2", 0, person="Walk In", status="hired", hired=40)
    assert kpi(world, "time_to_hire_days", kind="channel", segment="advocacy")["value"] == 10
    assert kpi(world, "time_to_hire_days", kind="channel", segment="other")["value"] == 40
    assert kpi(world, "time_to_hire_days")["value"] == 25


def test_a_negative_duration_is_never_averaged_in(world: World):
    referred(world, 1, 5, status="hired", hired=4)
    referred(world, 2, 5, status="hired", hired=25)
    assert shown(kpi(world, "time_to_hire_days")) == (None, 1, 20.0, "mature")


def test_time_to_hire_without_hires_has_no_value(world: World):
    referred(world, 1, 0)
    referred(world, 2, 0, status="hired", status_at=10)  # hired, but nobody knows when
    assert shown(kpi(world, "time_to_hire_days")) == (None, 0, None, "insufficient")


def test_a_young_month_does_not_show_only_its_fast_hires(world: World):
    referred(world, 1, 0, status="hired", hired=2)
    month = kpi(world, "time_to_hire_days", as_of=30, period="month", start=date(2026, 1, 1))
    assert shown(month) == (None, 1, None, "immature")
    assert shown(kpi(world, "time_to_hire_days", as_of=30)) == (None, 1, None, "immature")
    assert shown(kpi(world, "time_to_hire_days", as_of=91)) == (None, 1, 2.0, "mature")


def test_a_month_is_not_judged_by_its_hires_alone_while_an_application_of_it_is_young(world: World):
    referred(world, 1, 0, status="hired", hired=2)
    referred(world, 2, 25)
    january = {"period": "month", "start": date(2026, 1, 1)}
    assert shown(kpi(world, "time_to_hire_days", as_of=100, **january)) == (None, 1, None, "immature")
    assert shown(kpi(world, "time_to_hire_days", as_of=120, **january)) == (None, 1, 2.0, "mature")


def test_slow_hires_of_decided_cohorts_are_never_hidden(world: World):
    for number, days in enumerate((20, 25, 129, 130, 140)):
        referred(world, number, 0, status="hired", hired=days)
    assert shown(kpi(world, "time_to_hire_days")) == (None, 5, 129.0, "mature")
    month = kpi(world, "time_to_hire_days", period="month", start=date(2026, 1, 1))
    assert shown(month) == (None, 5, 129.0, "mature")


def test_the_difference_compares_what_both_channels_had_time_for(world: World):
    for number in range(5):
        referred(world, number, 0, status="hired", hired=20 + number)
        world.application(f"Q{number}", 0, person=f"Walk I{chr(97 + number)}", status="hired", hired=30 + number)
    for number in range(5, 11):
        referred(world, number, 0, status="hired", hired=120)
    row = kpi(world, "time_to_hire_difference_days")
    assert shown(row) == (None, 10, -10.0, "mature")


# ---------------------------------------------------------------- attribution_coverage


def test_coverage_counts_advocacy_hires_with_complete_attribution_and_applications_as_a_second_series(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    referred(world, 2, 0, status="hired", status_at=10)  # no date of hire
    referred(world, 3, 0)
    world.application("P4", 0, person="Walk In", status="hired", hired=5)
    assert shown(kpi(world, "attribution_coverage")) == (1, 2, 0.5, "mature")
    applications = kpi(world, "attribution_coverage", kind="scope", segment="applications")
    assert shown(applications) == (2, 3, pytest.approx(2 / 3), "mature")


def test_coverage_without_advocacy_hires_has_no_value(world: World):
    for kind, segment in (("all", "all"), ("scope", "applications")):
        row = kpi(world, "attribution_coverage", kind=kind, segment=segment)
        assert shown(row) == (0, 0, None, "insufficient")


# ---------------------------------------------------------------- the marts


def test_every_kpi_has_one_headline_row_and_values_only_where_mature(world: World):
    referred(world, 1, 0, status="hired", hired=10)
    referred(world, 2, 300)
    kpi(world, "referral_conversion_rate")
    doubled = world.rows_of(
        "SELECT kpi, period_kind, period_start, segment_kind, segment FROM mart.kpi GROUP BY ALL HAVING count(*) > 1"
    )
    assert doubled == []
    wrong = world.rows_of("SELECT * FROM mart.kpi WHERE (value IS NOT NULL) <> (maturity = 'mature')")
    assert wrong == []
    headlines = world.rows_of("SELECT kpi FROM mart.kpi WHERE period_kind = 'all' AND segment_kind = 'all' ORDER BY 1")
    further = {
        *(f"time_to_hire_days_{q}" for q in ("p25", "p75", "p90")),
        *(f"sync_latency_seconds_{q}" for q in ("p50", "p99")),
        "time_to_hire_difference_days",
    }
    found = [row["kpi"] for row in headlines]
    assert set(found) == set(KPI_NAMES) | further
    assert len(found) == len(set(found))


def test_the_funnel_counts_each_stage_that_was_ever_reached(world: World):
    world.click("K1", "S1", -9)
    world.click("K2", "S1", -8)
    referred(world, 1, 0, status="hired", hired=10, interviewed=3, offered=8)
    referred(world, 2, 0, status="rejected", rejected=9, history=(("interviewed", 2, 5), ("in_review", 5, None)))
    referred(world, 3, 0, status="hired", status_at=9)
    kpi(world, "referral_conversion_rate")
    funnel = {
        row["stage"]: row["units"]
        for row in world.rows_of("SELECT stage, units FROM mart.funnel WHERE channel = 'advocacy' ORDER BY place")
    }
    assert funnel == {"shares": 2, "clicks": 2, "applications": 3, "interviews": 2, "offers": 1, "hires": 2}
