"""Every KPI of one small programme, each number by hand.

The programme, in days since DAY0, looked at on day 200 with a horizon of 90 days: five mature applications through two
advocates and one young one, three of other people. Tests only look at it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.connectors.records import Click
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.kpis.statistics import wilson
from referral_pipeline_tests.unit.core_world import DAY0, World, day

AS_OF = DAY0 + timedelta(days=200)


def made(path: Path) -> World:
    world = World(path)
    for number, department in ((1, "Engineering"), (2, "Sales"), (3, "Engineering"), (4, "Sales"), (5, "Sales")):
        world.advocate(f"A{number}", department)
    world.advocates[2] = replace(world.advocates[2], joined_at=day(120))  # 1 May
    world.advocates[3] = replace(world.advocates[3], eligible=False)
    world.advocates[4] = replace(world.advocates[4], joined_at=day(-100), left_at=day(-5))
    world.job("J1", "Engineering")
    world.job("J2", "Sales")

    world.share("S1", "A1", 0)
    world.share("S2", "A1", 1)
    world.share("S3", "A2", 2, job="J2", campaign="autumn")
    world.share("S4", "A2", 150, job="J2", campaign="autumn")  # 31 May: younger than the horizon
    world.click("K1", "S1", 1)
    world.click("K2", "S1", 2)
    world.clicks.append(Click("K3", "S1", "V-K1", day(3), DAY0))  # the visitor of K1 again
    world.click("K4", "S3", 1)  # before it was shared
    world.click("K5", "S2", 95)  # after the horizon of the share
    world.click("K6", "S4", 151)

    people = {1: "Jane Doe", 2: "Max Stone", 3: "Ann Lee", 4: "Bob Roe", 5: "Cy Poe", 8: "Flo Ray"}
    for number, advocate, at, job, share in (
        (1, "A1", 5, "J1", "S1"),
        (2, "A1", 100, "J1", "S1"),  # 99 days after the first click of S1
        (3, "A2", 4, "J2", "S3"),
        (4, "A1", 3, "J1", "S2"),  # before anybody clicked on S2
        (5, "A2", 6, "J2", "S3"),  # the second of S3, on which one visitor clicked
        (8, "A2", 160, "J2", "S4"),
    ):
        world.referral(f"R{number}", advocate, at, person=people[number], job=job, share=share, campaign=None)

    world.application("P1", 6, person=people[1], status="hired", interviewed=10, offered=20, hired=30)
    world.application("P0", -50, person=people[2], status="rejected", rejected=-40, candidate="C0")
    world.application("P2", 101, person=people[2], status="interviewed", interviewed=105)
    world.application("P3", 5, person=people[3], job="J2", status="rejected", rejected=15,
                      history=(("interviewed", 8, 12),))  # fmt: skip
    world.application("P4", 4, person=people[4])
    world.application("P5", 7, person=people[5], job="J2", status="hired", interviewed=20, offered=120, hired=130)
    world.application("P6", 10, person="Dee Fox", status="hired", interviewed=20, offered=40, hired=50)
    world.application("P7", 12, person="Ed Gray", status="rejected", rejected=22)
    world.application("P8", 161, person=people[8], job="J2")
    for number in (1, 2):
        world.link(f"R{number}", f"P{number}", candidate_id=f"C-{people[number]}", created_candidate=True)

    for number, (system, origin, seconds, outcome) in enumerate(
        (
            ("advocacy", "webhook", 2, "created"),
            ("advocacy", "reconciliation", 4, "updated"),
            ("greenhouse", "webhook", 10, "status_sent"),
            ("greenhouse", "webhook", 100, "ignored"),
            ("greenhouse", "webhook", 200, "created"),  # wrote, but not in the other system
            ("advocacy", "webhook", 300, "blocked:no_consent"),
            ("advocacy", "replay", 1_000, "created"),
        )
    ):
        world.events.append(
            {
                "id": number,
                "system": system,
                "event_type": "any",
                "origin": origin,
                "received_at": day(10),
                "done_at": DAY0 + timedelta(days=10, seconds=seconds),
                "outcome": outcome,
            }
        )
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = made(tmp_path_factory.mktemp("programme")).build(as_of=AS_OF)
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    return world


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("nothing")).build(as_of=AS_OF)
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    return world


def row(
    world: World, kpi: str, kind: str = "all", segment: str = "all", *, period: str = "all", start: date | None = None
) -> dict[str, Any] | None:
    found = world.rows_of(
        f"SELECT * FROM mart.kpi WHERE kpi = '{kpi}' AND segment_kind = '{kind}' AND segment = '{segment}'"
        f" AND period_kind = '{period}'" + (f" AND period_start = '{start}'" if start else "")
    )
    assert len(found) <= 1
    return found[0] if found else None


def shown(world: World, *where: Any, **more: Any) -> tuple[Any, ...] | None:
    found = row(world, *where, **more)
    return None if found is None else tuple(found[n] for n in ("numerator", "denominator", "value", "maturity"))


# ---------------------------------------------------------------- the funnel


def test_a_share_counts_when_it_was_clicked_on_after_it_and_within_the_horizon(world: World):
    # S1 was; S2 too late, S3 only before it was shared; S4 is too young to be judged.
    rate = row(world, "share_to_click_rate")
    assert rate is not None
    assert (rate["numerator"], rate["denominator"], rate["maturity"]) == (1, 3, "mature")
    assert (rate["ci_low"], rate["ci_high"]) == pytest.approx(wilson(1, 3))
    assert shown(world, "share_to_click_rate", "advocate", "A1") == (1, 2, 0.5, "mature")
    assert shown(world, "share_to_click_rate", "campaign", "autumn") == (0, 1, 0.0, "mature")
    assert shown(world, "share_to_click_rate", "job", "J2") == (0, 1, 0.0, "mature")
    assert shown(world, "share_to_click_rate", "department", "Engineering") == (1, 2, 0.5, "mature")
    assert shown(world, "share_to_click_rate", period="month", start=date(2026, 5, 1)) == (1, 1, None, "immature")


def test_of_the_visitors_of_a_share_as_many_applied_as_people_came_through_it_and_never_more(world: World):
    # S1: two visitors, two persons, of whom one too late. S2: one visitor, nobody after the click. S3: one and two.
    assert shown(world, "click_to_apply_rate") == (2, 4, 0.5, "mature")
    assert shown(world, "click_to_apply_rate", "advocate", "A1") == (1, 3, pytest.approx(1 / 3), "mature")
    assert shown(world, "click_to_apply_rate", "job", "J2") == (1, 1, 1.0, "mature")
    assert shown(world, "click_to_apply_rate", "channel", "advocacy") == (2, 4, 0.5, "mature")


@pytest.mark.parametrize(
    ("kpi", "advocacy", "other"),
    [
        ("referral_conversion_rate", (1, 5), (1, 3)),  # P5 was hired 123 days after its application
        ("apply_to_interview_rate", (4, 5), (1, 3)),  # P3 by its stage history alone
        ("interview_to_offer_rate", (1, 4), (1, 1)),  # the offer of P5 came after the horizon
        ("offer_to_hire_rate", (1, 1), (1, 1)),
    ],
)
def test_each_step_counts_the_advocacy_cohort_and_shows_the_others_beside_it(
    world: World, kpi: str, advocacy: tuple[int, int], other: tuple[int, int]
):
    expected = (*advocacy, pytest.approx(advocacy[0] / advocacy[1]), "mature")
    assert shown(world, kpi) == expected
    assert shown(world, kpi, "channel", "advocacy") == expected
    assert shown(world, kpi, "channel", "other") == (*other, pytest.approx(other[0] / other[1]), "mature")


def test_a_step_is_not_judged_before_its_whole_cohort_is(world: World):
    # Of the applications of June none was interviewed, but P8 still may be: no row says that nobody was.
    assert shown(world, "apply_to_interview_rate", period="month", start=date(2026, 6, 1)) == (0, 1, None, "immature")
    assert shown(world, "interview_to_offer_rate", period="month", start=date(2026, 6, 1)) is None
    assert shown(world, "interview_to_offer_rate", period="month", start=date(2026, 1, 1))[1:] == (
        3,
        pytest.approx(1 / 3),
        "mature",
    )


def test_the_share_of_hires_is_of_all_hires(world: World):
    assert shown(world, "source_of_hire_share") == (1, 2, 0.5, "mature")  # P1 and P6; P5 is after the horizon
    assert shown(world, "source_of_hire_share", "channel", "other") == (1, 2, 0.5, "mature")
    assert shown(world, "source_of_hire_share", "department", "Engineering") == (1, 2, 0.5, "mature")
    assert shown(world, "source_of_hire_share", period="quarter", start=date(2026, 1, 1)) == (1, 2, 0.5, "mature")


# ---------------------------------------------------------------- advocates


def test_under_five_applications_nothing_is_said_of_an_advocate(world: World):
    assert shown(world, "advocate_conversion_rate", "advocate", "A1") == (1, 3, None, "insufficient")
    assert shown(world, "advocate_conversion_rate", "advocate", "A2") == (0, 3, None, "insufficient")
    assert shown(world, "advocate_conversion_rate") == (1, 5, 0.2, "mature")
    by_month = "SELECT * FROM mart.kpi WHERE kpi = 'advocate_conversion_rate' AND segment_kind = 'advocate'"
    assert {found["period_kind"] for found in world.rows_of(by_month)} == {"all"}


def test_participation_is_by_the_period_of_the_act_among_those_eligible_in_it(world: World):
    def month(number: int) -> Any:
        return shown(world, "advocate_participation_rate", period="month", start=date(2026, number, 1))

    assert month(1) == (2, 2, 1.0, "mature")  # A3 had not joined, A4 is not eligible, A5 had left
    assert month(2) == (0, 2, 0.0, "mature")
    assert month(4) == (1, 2, 0.5, "mature")
    assert month(5) == (1, 3, pytest.approx(1 / 3), "mature")
    assert month(7) == (0, 3, None, "immature")  # not over
    assert shown(world, "advocate_participation_rate") == (2, 3, pytest.approx(2 / 3), "mature")
    assert shown(world, "advocate_participation_rate", "department", "Engineering") == (1, 2, 0.5, "mature")


def test_who_left_counts_as_long_as_they_were_there_and_who_came_back_counts_again(tmp_path: Path):
    world = World(tmp_path)
    for number in range(1, 5):
        world.advocate(f"A{number}")
    world.advocates[1] = replace(
        world.advocates[1], eligible=False, joined_at=day(-100), left_at=day(40)
    )  # 10 February
    world.advocates[2] = replace(world.advocates[2], joined_at=day(65), left_at=day(-30))  # back since 7 March
    world.advocates[3] = replace(
        world.advocates[3], eligible=False, left_at=day(30_000)
    )  # not eligible, though to leave
    world.job("J1")
    world.share("S1", "A1", 1)
    world.share("S2", "A2", 35)
    world.build(as_of=AS_OF)
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    rates = [shown(world, "advocate_participation_rate", period="month", start=date(2026, m, 1)) for m in (1, 2, 3, 4)]
    assert rates == [
        (1, 2, 0.5, "mature"), (1, 2, 0.5, "mature"), (0, 2, 0.0, "mature"), (0, 2, 0.0, "mature"),
    ]  # fmt: skip


# ---------------------------------------------------------------- durations


def test_a_rejection_that_was_entered_before_its_application_competes_all_the_same(tmp_path: Path):
    world = World(tmp_path)
    world.job("J1")
    for number in range(4):
        world.application(f"P{number}", 0, person=f"G{chr(97 + number)} Ray", status="hired", hired=10)
    world.application("P8", 5, person="Flo Ray", status="rejected", rejected=1, status_at=7)
    world.application("P9", 5, person="Ann Lee", status="rejected", rejected=1, status_at=2)
    world.build(as_of=AS_OF)
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    assert shown(world, "hire_probability_by_day") == (4, 6, pytest.approx(4 / 6), "mature")


def test_the_probability_of_a_hire_lets_rejection_compete_and_the_open_ones_speak(world: World):
    # Days: rejected 10, 10, 10; hired 24, 40, 123; open 39, 99, 196. F(90) = 6/9 * 1/6 + 5/9 * 1/4.
    probability = row(world, "hire_probability_by_day")
    assert probability is not None
    assert (probability["numerator"], probability["denominator"], probability["maturity"]) == (2, 9, "mature")
    assert probability["value"] == pytest.approx(0.25, abs=1e-12)
    assert 0 < probability["ci_low"] < 0.25 < probability["ci_high"] < 1
    # P1 alone of January's advocacy hires came in time: rejected 10; hired 24, 123; open 196.
    assert shown(world, "hire_probability_by_day", "channel", "advocacy")[1] == 6
    june = shown(world, "hire_probability_by_day", period="month", start=date(2026, 6, 1))
    assert june == (0, 1, None, "immature")


def test_the_curve_has_every_day_of_each_channel_and_says_who_was_still_observed(world: World):
    curve = world.rows_of("SELECT * FROM mart.time_to_hire_curve")
    assert [(r["channel"], r["day"]) for r in curve] == [
        (channel, at) for channel in ("all", "advocacy", "other") for at in range(181)
    ]
    of_all = curve[:181]
    assert [(r["at_risk"], r["hires"]) for r in (of_all[0], of_all[10], of_all[24], of_all[90], of_all[180])] == [
        (9, 0), (9, 0), (6, 1), (3, 2), (1, 3),
    ]  # fmt: skip
    assert [of_all[at]["probability"] for at in (0, 24, 90)] == pytest.approx([0, 1 / 9, 0.25])
    others = curve[362:]
    assert others[180]["probability"] == pytest.approx(1 / 3)  # all have ended: nothing is open


def test_time_in_a_stage_lets_those_who_are_still_there_count_as_longer(world: World):
    # applied: 3, 4, 4, 10, 10, 10, 13, and 39 and 196 still there.
    assert shown(world, "time_in_stage_days", "scope", "applied") == (7, 9, 10.0, "mature")
    assert shown(world, "time_in_stage_days", "scope", "offered") == (3, 3, 10.0, "mature")
    assert shown(world, "time_in_stage_days", "scope", "in_review") == (None, 0, None, "insufficient")
    pooled = row(world, "time_in_stage_days")
    assert pooled is not None
    # interviewed: 7, 10, 20, 100, and 95 still there; together 17 stays, the ninth of which ends after 10 days
    assert (pooled["numerator"], pooled["denominator"], pooled["value"]) == (14, 17, 10.0)


def test_medians_are_compared_only_with_five_hires_on_each_side(world: World):
    compared = shown(world, "time_to_hire_difference_days")
    assert (compared[0], compared[2], compared[3]) == (None, None, "insufficient")


def test_latency_is_of_events_that_reached_the_other_system_by_themselves(world: World):
    assert shown(world, "sync_latency_seconds") == (None, 3, pytest.approx(9.4), "mature")  # of 2, 4, 10
    assert shown(world, "sync_latency_seconds_p50") == (None, 3, 4.0, "mature")
    assert shown(world, "sync_latency_seconds_p50", "scope", "forward") == (None, 2, 3.0, "mature")
    assert shown(world, "sync_latency_seconds_p99", "scope", "return") == (None, 1, 10.0, "mature")


# ---------------------------------------------------------------- duplicates


def test_a_candidate_made_beside_one_that_was_there_is_a_duplicate_of_ours(world: World):
    # 6 referrals and the 7 candidates that were not created by the integration, of 8 persons
    assert shown(world, "duplicate_rate")[:2] == (5, 13)
    assert shown(world, "duplicate_rate", "scope", "created_by_integration") == (1, 2, 0.5, "mature")


# ---------------------------------------------------------------- all of them


def test_of_nothing_every_kpi_has_one_row_that_says_so(nothing: World):
    rows = nothing.rows_of("SELECT * FROM mart.kpi")
    assert {
        (r["period_kind"], r["maturity"], r["value"], r["ci_low"], r["ci_high"], r["denominator"])
        for r in rows
        if r["kpi"] != "roi"
    } == {("all", "insufficient", None, None, None, 0)}
    # Of money nothing is on record, which is not the same as none that was spent.
    assert {(r["maturity"], r["value"], r["denominator"]) for r in rows if r["kpi"] == "roi"} >= {
        ("insufficient", None, None)
    }
    assert {(r["maturity"], r["value"]) for r in rows} == {("insufficient", None)}
    assert len({(r["kpi"], r["segment_kind"], r["segment"]) for r in rows}) == len(rows)
    scopes = sorted((r["kpi"], r["segment"]) for r in rows if r["segment_kind"] == "scope")
    assert [segment for kpi, segment in scopes if kpi == "time_in_stage_days"] == [
        "applied", "in_review", "interviewed", "offered",
    ]  # fmt: skip
    assert nothing.rows_of("SELECT count(*) AS n, count(probability) AS known FROM mart.time_to_hire_curve") == [
        {"n": 543, "known": 0}
    ]


def test_no_kpi_has_two_rows_for_one_place_and_none_a_value_that_is_not_mature(world: World):
    place = "kpi, period_kind, period_start, segment_kind, segment"
    assert world.rows_of(f"SELECT {place} FROM mart.kpi GROUP BY ALL HAVING count(*) > 1") == []
    assert world.rows_of("SELECT * FROM mart.kpi WHERE (value IS NOT NULL) <> (maturity = 'mature')") == []
    outside = "SELECT * FROM mart.kpi WHERE NOT coalesce(value BETWEEN ci_low AND ci_high, true)"
    assert world.rows_of(outside) == []


def test_the_horizon_is_the_contracts(tmp_path: Path):
    world = made(tmp_path).build(as_of=AS_OF)
    objectives = world.contract.objectives.model_copy(update={"horizon_days": 30})
    world.contract = world.contract.model_copy(update={"objectives": objectives})
    compute_kpis(world.warehouse, world.contract, as_of=AS_OF)
    assert shown(world, "referral_conversion_rate") == (1, 6, pytest.approx(1 / 6), "mature")  # P8 is old enough now
    assert shown(world, "hire_probability_by_day")[2] == pytest.approx(1 / 9)  # by day 30
