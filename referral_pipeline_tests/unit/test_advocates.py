"""What an advocate's dashboard shows: counts, conversion when it can be told, bonuses by state."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.records import BonusSum, Conversion
from referral_pipeline.kpis.advocates import build_advocates, read_results
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.kpis.statistics import wilson
from referral_pipeline.vocabulary import ReferralStage
from referral_pipeline_tests.unit.core_world import DAY0, World, attribution_rules, day

BONUS = 200_000


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for advocate in ("A1", "A2"):
        made.advocate(advocate)
    made.share("S1", "A1", -10)
    made.job("J1")
    return made


def referred(world: World, number: int, at: float, **outcome: Any) -> None:
    name = f"G{chr(97 + number)} F{chr(97 + number)}"
    world.referral(f"R{number}", "A1", at - 0.5, person=name, share="S1")
    world.application(f"P{number}", at, person=name, **outcome)


def bonus(world: World, number: int, state: str, cents: int | None, **fields: Any) -> None:
    row = {
        "bonus_id": f"B{number}", "key": f"K{number}", "system": "greenhouse", "application_id": f"P{number}",
        "referral_id": f"R{number}", "advocate_id": "A1", "cycle": 1, "state": state, "reason": None,
        "amount_cents": cents, "currency": "USD", "recognised_at": day(10), "eligible_at": None, "reversed_at": None,
        "paid_on": None, "export_id": None,
    }  # fmt: skip
    world.bonuses.append({**row, **fields})


def built(world: World, *, as_of: float = 365) -> dict[str, dict[str, Any]]:
    moment = DAY0 + timedelta(days=as_of)
    world.build(as_of=moment)
    build_advocates(world.warehouse, world.contract, as_of=moment, horizon_days=90)
    return {row["advocate_id"]: row for row in world.rows_of("SELECT * FROM mart.advocate")}


def conversion(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("mature_hires", "mature_applications", "conversion", "maturity"))


def test_each_stage_that_was_ever_reached_counts(world: World):
    world.click("K1", "S1", -9)
    referred(world, 1, 0, status="hired", hired=10, interviewed=3, offered=8)
    referred(world, 2, 0, status="rejected", rejected=9, history=(("interviewed", 2, 5), ("in_review", 5, None)))
    referred(world, 3, 0)
    row = built(world)["A1"]
    names = ("shares", "clicks", "referrals", "applications", "interviews", "offers", "hires")
    assert tuple(row[name] for name in names) == (1, 1, 3, 3, 2, 1, 1)
    assert (float(row["credit"]), row["bonus_cents"]) == (3.0, BONUS)


def test_an_advocate_of_whom_nothing_came_has_zeros_and_no_conversion(world: World):
    row = built(world)["A2"]
    assert (row["shares"], row["applications"], row["hires"], row["credit"], row["bonus_cents"]) == (0, 0, 0, 0, 0)
    assert conversion(row) == (0, 0, None, "insufficient")
    assert row["next_eligible_on"] is None


def test_a_referral_that_was_only_clicked_on_is_nobodys_act(world: World):
    referred(world, 1, 0)
    referred(world, 2, 0)
    world.referrals[1] = replace(world.referrals[1], stage=ReferralStage.CLICKED, applied_at=None)
    assert built(world)["A1"]["referrals"] == 1


def test_under_five_applications_there_is_no_conversion(world: World):
    for number in range(4):
        referred(world, number, 0, status="hired", hired=10)
    assert conversion(built(world)["A1"]) == (4, 4, None, "insufficient")


def test_a_conversion_has_the_wilson_interval_of_hires_within_the_horizon_over_mature_applications(world: World):
    for number in range(6):
        late = {"status": "hired", "hired": 91} if number == 0 else {}
        referred(world, number, 0, **(late or ({"status": "hired", "hired": 90} if number == 1 else {})))
    referred(world, 6, 300)  # young: it may still become a hire
    row = built(world)["A1"]
    assert conversion(row) == (1, 6, 1 / 6, "mature")
    assert (row["conversion_low"], row["conversion_high"]) == pytest.approx(wilson(1, 6), abs=1e-12)
    assert (row["applications"], row["hires"]) == (7, 2)


def test_young_applications_are_never_shown_as_a_low_conversion(world: World):
    for number in range(5):
        referred(world, number, number)
    assert conversion(built(world, as_of=91)["A1"]) == (0, 2, None, "immature")
    assert conversion(built(world, as_of=94)["A1"]) == (0, 5, 0.0, "mature")


def test_the_conversion_of_a_dashboard_is_that_of_the_kpi_also_where_advocates_share_credit(world: World):
    world.contract = attribution_rules(world.contract, model="linear")
    for number in range(7):
        referred(world, number, 0, **({"status": "hired", "hired": 20} if number % 3 == 0 else {}))
    for number in range(6):
        name = f"G{chr(97 + number)} F{chr(97 + number)}"
        world.referral(f"Q{number}", "A2", -1, person=name)
    found = built(world)
    compute_kpis(world.warehouse, world.contract, as_of=DAY0 + timedelta(days=365))
    kpis = world.rows_of(
        "SELECT segment, value, numerator, denominator, ci_low, ci_high, maturity FROM mart.kpi"
        " WHERE kpi = 'advocate_conversion_rate' AND segment_kind = 'advocate' AND period_kind = 'all' ORDER BY segment"
    )
    assert [(row["segment"], row["numerator"], row["denominator"]) for row in kpis] == [("A1", 3, 7), ("A2", 2, 6)]
    for row in kpis:
        own = found[row["segment"]]
        names = ("conversion", "mature_hires", "mature_applications", "conversion_low", "conversion_high", "maturity")
        assert [own[name] for name in names] == list(row.values())[1:]


def test_bonuses_are_summed_by_state_and_the_next_day_is_that_of_the_first_that_waits(world: World):
    for number in range(5):
        referred(world, number, 0, status="hired", hired=10 + number)
        world.edit(f"P{number}", starts_on=date(2026, 2, 1) + timedelta(days=number))
    bonus(world, 0, "paid", BONUS, eligible_at=day(130), paid_on=date(2026, 6, 1), export_id=1)
    bonus(world, 1, "eligible", BONUS, eligible_at=day(131))
    bonus(world, 2, "reversed", BONUS, eligible_at=day(132), reversed_at=day(140))
    bonus(world, 3, "pending", None)
    bonus(world, 4, "pending", None)
    row = built(world)["A1"]
    states = ("pending_cents", "eligible_cents", "paid_cents", "reversed_cents")
    assert tuple(row[name] for name in states) == (2 * BONUS, BONUS, BONUS, BONUS)
    assert (row["currency"], row["next_eligible_on"]) == ("USD", date(2026, 2, 4) + timedelta(days=90))


def test_amounts_of_another_currency_are_in_no_sum(world: World):
    referred(world, 0, 0, status="hired", hired=10)
    bonus(world, 0, "eligible", 5_000, currency="EUR", eligible_at=day(131))
    row = built(world)["A1"]
    assert (row["currency"], row["eligible_cents"]) == ("USD", 0)
    (results,) = [one for one in read_results(world.warehouse) if one.advocate_id == "A1"]
    assert results.bonuses == (BonusSum("eligible", 5_000, "EUR", 1),)


def test_the_results_that_are_returned_are_those_of_the_table(world: World):
    for number in range(5):
        referred(world, number, 0, status="hired" if number else "applied", hired=10 if number else None)
    bonus(world, 1, "pending", None)
    built(world)
    first, second = read_results(world.warehouse)
    low, high = wilson(4, 5)
    assert first.conversion == Conversion(0.8, pytest.approx(low), pytest.approx(high), "mature")
    assert (first.advocate_id, first.as_of, first.applications, first.hires) == ("A1", DAY0 + timedelta(365), 5, 4)
    assert (first.credit, first.bonuses) == (Decimal(5), (BonusSum("pending", BONUS, "USD", 1),))
    assert (second.advocate_id, second.conversion.maturity, second.bonuses) == ("A2", "insufficient", ())
