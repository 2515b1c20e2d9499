"""The edge cases of the KPI definitions: each with its attribution and the numbers that it could distort, by hand.

Belongs here: one story a case, through the real models from staging to the marts. Does not belong here: the arithmetic
of a KPI (test_kpis_compute) and single rules of attribution (test_core_attribution).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from referral_pipeline.kpis.advocates import build_advocates
from referral_pipeline.kpis.compute import compute_kpis
from referral_pipeline.quality.adapter import run_rules
from referral_pipeline.quality.frames import frame_for
from referral_pipeline_tests.unit.core_world import DAY0, World, attribution_rules, day

BONUS = 200_000
NOBODY = (0, 0, None, "insufficient")


class Story:
    """A world, the marts made of it, and short ways to read a number."""

    def __init__(self, path: Path) -> None:
        self.world = World(path)
        for number in range(1, 4):
            self.world.advocate(f"A{number}")
            self.world.share(f"S{number}", f"A{number}", -20 + number, job="J1", campaign=f"campaign{number}")
        for job in ("J1", "J2"):
            self.world.job(job, f"Department {job}")

    def tell(self, *, as_of: float = 365) -> Story:
        moment = DAY0 + timedelta(days=as_of)
        self.world.build(as_of=moment)
        compute_kpis(self.world.warehouse, self.world.contract, as_of=moment)
        build_advocates(self.world.warehouse, self.world.contract, as_of=moment, horizon_days=90)
        return self

    def kpi(self, name: str, kind: str = "all", segment: str = "all", *, month: date | None = None) -> tuple[Any, ...]:
        """Numerator, denominator, value and maturity; `NOBODY` when a segment has no row."""
        period = f"= 'month' AND period_start = '{month}'" if month else "= 'all'"
        rows = self.world.rows_of(
            f"SELECT numerator, denominator, value, maturity FROM mart.kpi WHERE kpi = '{name}' AND segment_kind = "
            f"'{kind}' AND segment = '{segment}' AND period_kind {period}"
        )
        assert len(rows) <= 1
        return tuple(rows[0].values()) if rows else NOBODY

    def conversion(self, kind: str = "all", segment: str = "all", **more: Any) -> tuple[Any, ...]:
        return self.kpi("referral_conversion_rate", kind, segment, **more)

    def days(self, kind: str = "all", segment: str = "all") -> tuple[int, float | None]:
        """How many hires have a time to hire, and the median."""
        _, count, value, _ = self.kpi("time_to_hire_days", kind, segment)
        return count, value

    def coverage(self) -> tuple[Any, ...]:
        return self.kpi("attribution_coverage")[:3]

    def funnel(self, channel: str = "advocacy") -> dict[str, int]:
        rows = self.world.rows_of(f"SELECT stage, units FROM mart.funnel WHERE channel = '{channel}'")
        return {row["stage"]: row["units"] for row in rows}

    def advocate(self, advocate_id: str) -> tuple[int, int, float, int]:
        """Applications, hires, credit and bonus."""
        (row,) = self.world.rows_of(f"SELECT * FROM mart.advocate WHERE advocate_id = '{advocate_id}'")
        return row["applications"], row["hires"], float(row["credit"]), row["bonus_cents"]

    def attributed(self, application_id: str = "P1") -> tuple[str, str | None]:
        row = self.world.attribution(application_id)
        return row["channel"], row["advocate_id"]


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


# ---------------------------------------------------------------- a rehire or unhire


def test_an_unhire_is_no_hire_anywhere_and_the_rehire_is_one_from_its_own_day(story: Story):
    world = story.world
    world.referral("R1", "A1", -1, share="S1", campaign="campaign1")
    world.application("P1", 0, status="offered", hired=10, offered=8, status_at=20)
    world.told("P1", "hired", 10)
    world.told("P1", "offered", 20)
    story.tell()
    assert story.attributed() == ("advocacy", "A1")
    row = world.attribution()
    assert (row["hired_at"], row["starts_on"], row["time_to_hire_days"]) == (None, None, None)
    assert (story.conversion(), story.days()) == ((0, 1, 0.0, "mature"), (0, None))
    assert story.coverage() == (0, 0, None)
    assert story.kpi("offer_to_hire_rate") == (0, 1, 0.0, "mature")
    assert story.kpi("source_of_hire_share") == NOBODY
    assert story.kpi("hire_probability_by_day") == (0, 1, 0.0, "mature")  # open again, for 365 days by now
    assert story.funnel()["hires"] == 0
    assert story.advocate("A1") == (1, 0, 1.0, 0)

    world.edit("P1", status="hired", status_at=day(30), hired_at=day(30))
    story.tell()
    assert world.attribution()["time_to_hire_days"] == 30
    assert (story.conversion(), story.days()) == ((1, 1, 1.0, "mature"), (1, 30.0))
    assert story.coverage() == (1, 1, 1.0)
    assert story.kpi("offer_to_hire_rate") == (1, 1, 1.0, "mature")
    assert story.kpi("hire_probability_by_day") == (1, 1, 1.0, "mature")
    assert story.kpi("time_in_stage_days", "scope", "offered")[:2] == (2, 2)  # twice, each ended by a hire
    assert story.funnel()["hires"] == 1
    assert story.advocate("A1") == (1, 1, 1.0, BONUS)
    assert [status for status, _, _ in world.history()].count("hired") == 2


def test_a_person_hired_again_by_another_application_is_two_hires_and_one_bonus(story: Story):
    world = story.world
    world.referral("R1", "A1", -1)
    world.referral("R2", "A2", 99, job="J2")
    world.application("P1", 0, status="hired", hired=10)
    world.application("P2", 100, job="J2", status="hired", hired=140)
    story.tell()
    assert (story.attributed("P1"), story.attributed("P2")) == (("advocacy", "A1"), ("advocacy", "A2"))
    assert world.attribution("P1")["person_id"] == world.attribution("P2")["person_id"]
    assert (story.conversion(), story.days()) == ((2, 2, 1.0, "mature"), (2, 25.0))
    assert (story.advocate("A1"), story.advocate("A2")) == ((1, 1, 1.0, BONUS), (1, 1, 1.0, 0))


# ---------------------------------------------------------------- a withdrawn referral


def test_a_withdrawn_referral_takes_its_application_out_of_the_advocacy_cohort(story: Story):
    world = story.world
    world.referral("R1", "A1", -1, stage="withdrawn")
    world.application("P1", 0, status="hired", hired=10)
    world.referral("R2", "A2", -1, person="Max Stone")
    world.application("P2", 0, person="Max Stone", status="rejected", rejected=5)
    story.tell()
    assert story.attributed() == ("other", None)
    assert world.credit() == [("A1", 0.0, 0, "withdrawn")]
    # With the withdrawn one the rate would be 1 of 2.
    assert story.conversion() == (0, 1, 0.0, "mature")
    assert story.kpi("source_of_hire_share") == (0, 1, 0.0, "mature")
    assert story.kpi("advocate_conversion_rate")[:2] == (0, 1)
    assert story.kpi("advocate_participation_rate")[:2] == (3, 3)  # the advocate did refer
    assert (story.days("channel", "advocacy"), story.days("channel", "other")) == ((0, None), (1, 10.0))
    assert story.coverage() == (0, 0, None)
    assert story.advocate("A1") == (0, 0, 0.0, 0)
    assert (story.funnel()["hires"], story.funnel("other")["hires"]) == (0, 1)


# ---------------------------------------------------------------- an application with two jobs


def test_an_application_with_two_jobs_is_counted_once_under_its_own(story: Story):
    world = story.world
    world.referral("R1", "A1", -2, job="J1")
    world.referral("R2", "A2", -1, job="J2")
    world.application("P1", 0, job="J2", status="hired", hired=10)  # opened for J1, and moved to J2 by a recruiter
    world.link("R1", "P1", created_application=True)
    story.tell()
    assert story.attributed() == ("advocacy", "A2")
    assert world.credit() == [("A2", 1.0, BONUS, "credited"), ("A1", 0.0, 0, "other_touch_credited")]
    assert (story.conversion(), story.days()) == ((1, 1, 1.0, "mature"), (1, 10.0))
    assert story.conversion("job", "J2") == (1, 1, 1.0, "mature")
    assert story.conversion("job", "J1") == NOBODY
    assert story.conversion("department", "Department J2")[:2] == (1, 1)
    assert (story.funnel()["applications"], story.funnel("all")["applications"]) == (1, 1)


def test_two_applications_of_one_person_for_two_jobs_are_two_of_the_cohort(story: Story):
    world = story.world
    world.referral("R1", "A1", -1, job="J1")
    world.application("P1", 0, job="J1", status="hired", hired=10)
    world.application("P2", 0, job="J2")
    story.tell()
    assert (story.attributed("P1"), story.attributed("P2")) == (("advocacy", "A1"), ("other", None))
    assert (story.conversion(), story.conversion("job", "J2")) == ((1, 1, 1.0, "mature"), NOBODY)
    assert story.funnel("all")["applications"] == 2


# ---------------------------------------------------------------- one candidate referred by three advocates


@pytest.mark.parametrize("model", ["last_touch", "linear"])
def test_one_candidate_of_three_advocates_is_one_application_one_hire_and_one_bonus(story: Story, model: str):
    world = story.world
    world.shares.clear()
    world.contract = attribution_rules(world.contract, model=model)
    for number in (1, 2, 3):
        world.referral(f"R{number}", f"A{number}", number - 5.0)
    world.application("P1", 0, status="hired", hired=10)
    story.tell()
    assert story.attributed() == ("advocacy", "A3")
    assert (story.conversion(), story.days()) == ((1, 1, 1.0, "mature"), (1, 10.0))
    pooled = story.kpi("advocate_conversion_rate")
    assert pooled == ((3, 3) if model == "linear" else (1, 1)) + (None, "insufficient")
    by_advocate = [story.conversion("advocate", f"A{number}")[:2] for number in (1, 2, 3)]
    assert by_advocate == [(0, 0), (0, 0), (1, 1)]
    advocates = [story.advocate(f"A{number}") for number in (1, 2, 3)]
    assert [bonus for *_, bonus in advocates] == [0, 0, BONUS]
    # On a dashboard it counts for each advocate who holds part of its credit; in the programme's numbers it is one.
    assert sum(applications for applications, *_ in advocates) == (3 if model == "linear" else 1)
    credits = world.rows_of("SELECT weight FROM core.attribution_credit WHERE weight > 0")
    assert (len(credits), sum(row["weight"] for row in credits)) == (3 if model == "linear" else 1, 1)
    assert story.funnel()["hires"] == 1


# ---------------------------------------------------------------- an application before the share


def test_an_application_before_the_share_is_not_of_the_programme(story: Story):
    world = story.world
    world.share("S9", "A1", 2)
    world.referral("R1", "A1", 3, share="S9")
    world.application("P1", 0, status="hired", hired=10)
    story.tell()
    assert story.attributed() == ("other", None)
    assert world.credit() == [("A1", 0.0, 0, "after_application")]
    assert story.conversion() == NOBODY
    assert (story.days("channel", "advocacy"), story.days("channel", "other")) == ((0, None), (1, 10.0))
    assert story.advocate("A1") == (0, 0, 0.0, 0)


# ---------------------------------------------------------------- a candidate already in the ATS


def test_a_candidate_who_was_in_the_ats_before_the_referral_counts_from_the_new_application(story: Story):
    world = story.world
    world.application("P0", -60, status="rejected", rejected=-50)
    world.referral("R1", "A1", -1)
    world.application("P1", 0, status="hired", hired=20)
    story.tell()
    assert (story.attributed("P0"), story.attributed("P1")) == (("other", None), ("advocacy", "A1"))
    assert world.attribution("P0")["person_id"] == world.attribution("P1")["person_id"]
    # With the old rejection in the cohort it would be 1 of 2; measured from the first contact the hire took 80 days.
    assert (story.conversion(), story.days()) == ((1, 1, 1.0, "mature"), (1, 20.0))
    assert story.funnel()["applications"] == 1
    assert story.advocate("A1") == (1, 1, 1.0, BONUS)


# ---------------------------------------------------------------- a merged candidate


def test_a_merged_candidate_is_one_person_whose_applications_each_count_once(story: Story):
    world = story.world
    world.referral("R1", "A1", -1)
    world.application("P1", 0, status="hired", hired=10, candidate="C1")
    world.application("P2", 50, person="J Doe", job="J2", candidate="C3")
    world.aliases += [("C1", "C2"), ("C2", "C3")]
    world.link("R1", "P1", created_application=True)
    story.tell()
    first, second = world.attribution("P1"), world.attribution("P2")
    assert (story.attributed("P1"), story.attributed("P2")) == (("advocacy", "A1"), ("other", None))
    assert first["advocate_id"] == "A1"
    assert (story.conversion(), story.days()) == ((1, 1, 1.0, "mature"), (1, 10.0))
    assert story.funnel("all")["applications"] == 2
    assert story.advocate("A1") == (1, 1, 1.0, BONUS)
    assert second["person_id"] is not None
    doubled = world.rows_of("SELECT application_key FROM core.attribution GROUP BY ALL HAVING count(*) > 1")
    assert doubled == []


# ---------------------------------------------------------------- time zones and daylight saving


def test_cohort_horizon_and_days_are_of_instants_whatever_the_zone_and_the_clocks(story: Story):
    world = story.world
    berlin, new_york = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
    world.referral("R1", "A1", -1)
    world.application("P1", 0, status="hired", hired=10)
    # The last evening of January in New York is February in UTC. Both clocks change on the way to the hire.
    applied = datetime(2026, 1, 31, 23, 30, tzinfo=new_york)
    hired = datetime(2026, 5, 2, 6, 30, tzinfo=berlin)
    world.edit("P1", applied_at=applied, hired_at=hired, status_at=hired)
    story.tell()
    assert world.attribution()["time_to_hire_days"] == 90.0
    assert story.days() == (1, 90.0)
    assert story.kpi("hire_probability_by_day") == (1, 1, 1.0, "mature")
    # Exactly 90 times 24 hours, though the wall clocks say 90 days and one hour more: the last moment that counts.
    assert story.conversion() == (1, 1, 1.0, "mature")
    assert story.conversion(month=date(2026, 2, 1)) == (1, 1, 1.0, "mature")
    assert story.conversion(month=date(2026, 1, 1)) == NOBODY
    world.edit("P1", hired_at=hired + timedelta(microseconds=1))
    story.tell()
    assert story.conversion() == (0, 1, 0.0, "mature")


def test_the_night_in_which_the_clocks_go_back_is_one_hour_longer(story: Story):
    world = story.world
    world.referral("R1", "A1", -1)
    world.application("P1", 0, status="hired", hired=10)
    berlin = ZoneInfo("Europe/Berlin")
    applied = datetime(2025, 10, 25, 12, 0, tzinfo=berlin)
    hired = datetime(2025, 10, 26, 12, 0, tzinfo=berlin)
    world.edit("P1", applied_at=applied, hired_at=hired, status_at=hired)
    world.referrals = []
    world.referral("R1", "A1", (applied.astimezone(UTC) - DAY0) / timedelta(days=1) - 1)
    story.tell()
    assert story.attributed() == ("advocacy", "A1")
    assert world.attribution()["time_to_hire_days"] == pytest.approx(25 / 24, abs=1e-12)
    assert story.days() == (1, pytest.approx(25 / 24, abs=1e-12))


# ---------------------------------------------------------------- a hire with no offer


def test_a_hire_with_no_offer_is_a_hire_without_a_duration_and_says_what_is_missing(story: Story):
    world = story.world
    for number, person in ((1, "Jane Doe"), (2, "Max Stone")):
        world.referral(f"R{number}", "A1", -1, person=person, share="S1", campaign="campaign1")
    world.application("P1", 0, status="hired", status_at=40)
    world.application("P2", 0, person="Max Stone", status="hired", hired=10)
    story.tell()
    assert story.attributed("P1") == ("advocacy", "A1")
    row = world.attribution("P1")
    assert (row["hired_at"], row["time_to_hire_days"], row["missing"]) == (None, None, "hired_at")
    assert story.conversion() == (2, 2, 1.0, "mature")
    assert story.kpi("offer_to_hire_rate") == NOBODY  # neither had an offer
    assert story.kpi("hire_probability_by_day") == (2, 2, 1.0, "mature")  # placed by when it was recorded
    # When we heard of it is no date of hire: the median is that of the other one.
    assert story.days() == (1, 10.0)
    assert story.coverage() == (1, 2, 0.5)
    assert story.funnel() == {
        "shares": 3,
        "clicks": 0,
        "applications": 2,
        "interviews": 0,
        "offers": 0,
        "hires": 2,
    }
    assert story.advocate("A1") == (2, 2, 2.0, 2 * BONUS)


# ---------------------------------------------------------------- a cohort with no applications


def test_a_cohort_with_no_applications_has_no_rate_and_none_hired_has_one_of_zero(story: Story):
    world = story.world
    story.tell()
    assert story.conversion() == NOBODY
    assert (story.days(), story.coverage()) == ((0, None), (0, 0, None))
    assert story.advocate("A1") == (0, 0, 0.0, 0)
    assert world.rows_of("SELECT * FROM core.attribution") == []
    world.referral("R1", "A1", -1)
    world.application("P1", 0, status="rejected", rejected=5)
    story.tell()
    assert story.conversion() == (0, 1, 0.0, "mature")
    assert story.conversion(month=date(2026, 2, 1)) == NOBODY
    assert story.coverage() == (0, 0, None)


# ---------------------------------------------------------------- a negative duration


def test_a_negative_duration_is_reported_and_never_averaged_in(story: Story):
    world = story.world
    for number, person in ((1, "Jane Doe"), (2, "Max Stone")):
        world.referral(f"R{number}", "A1", 4, person=person, share="S1", campaign="campaign1")
    world.application("P1", 5, status="hired", hired=-5)
    world.application("P2", 5, person="Max Stone", status="hired", hired=25)
    story.tell()
    row = world.attribution("P1")
    assert story.attributed("P1") == ("advocacy", "A1")
    assert (row["hired_at"], row["time_to_hire_days"], row["missing"]) == (None, None, "negative_time_to_hire")
    assert story.kpi("hire_probability_by_day") == (1, 1, 1.0, "mature")  # nobody knows when: left out
    # Averaged in, the median would be 5.
    assert (story.days(), story.days("channel", "advocacy")) == ((1, 20.0), (1, 20.0))
    assert story.conversion() == (2, 2, 1.0, "mature")
    assert story.coverage() == (1, 2, 0.5)
    results = run_rules(partial(frame_for, world.warehouse), "staging.ats_application")
    (told,) = [result for result in results if result.rule.name == "ats_hire_is_not_before_application"]
    assert (told.passed, told.failed_rows) == (False, 1)
