"""Attribution and credit in the warehouse: the edge cases of the KPI definitions, one application at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from referral_pipeline.attribution.models import Touch, credit
from referral_pipeline.warehouse.comparison import credit_by_segment
from referral_pipeline_tests.unit.core_world import DAY0, World, attribution_rules, contract_with


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for advocate in ("A1", "A2", "A3"):
        made.advocate(advocate)
    made.share("S1", "A1", -10)
    made.job("J1")
    made.job("J2")
    return made


def test_an_application_after_a_referral_belongs_to_its_advocate(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1)
    row = world.build().attribution()
    assert {k: row[k] for k in ("channel", "advocate_id", "referral_id", "share_id", "content_id", "campaign_tag")} == {
        "channel": "advocacy", "advocate_id": "A1", "referral_id": "R1", "share_id": "S1", "content_id": "CO-S1",
        "campaign_tag": "spring",
    }  # fmt: skip
    assert (row["is_complete"], row["missing"], row["match_method"]) == (True, "", "email")
    assert (row["application_key"], row["ats"], row["attribution_model"]) == (
        "greenhouse:P1",
        "greenhouse",
        "last_touch",
    )
    assert world.credit() == [("A1", 1.0, 0, "credited")]


def test_every_application_has_one_row_whether_or_not_somebody_referred_it(world: World):
    world.application("P1", 1)
    row = world.build().attribution()
    assert (row["channel"], row["advocate_id"], row["is_complete"], row["missing"]) == ("other", None, None, "")
    assert row["person_id"].startswith("per_")
    assert world.credit() == []


def test_one_candidate_referred_by_three_advocates_has_one_application_credited_to_the_last(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 2)
    world.referral("R3", "A3", 1)
    world.application("P1", 3, status="hired", hired=20)
    world.build()
    assert world.attribution()["advocate_id"] == "A2"
    assert world.credit()[0] == ("A2", 1.0, 200_000, "credited")
    assert sorted(world.credit()[1:]) == [
        ("A1", 0.0, 0, "other_touch_credited"),
        ("A3", 0.0, 0, "other_touch_credited"),
    ]


def test_an_application_before_the_share_and_the_referral_is_not_the_advocates(world: World):
    world.share("S2", "A2", 5)
    world.referral("R2", "A2", 6, share="S2")
    world.application("P1", 3)
    assert world.build().attribution()["channel"] == "other"
    assert world.credit() == [("A2", 0.0, 0, "after_application")]


def test_sharing_a_job_and_referring_an_applicant_afterwards_earns_nothing(world: World):
    world.referral("R1", "A1", 6, share="S1")
    world.application("P1", 3)
    assert world.build().attribution()["channel"] == "other"


def test_a_candidate_who_was_in_the_ats_before_the_referral_is_credited_for_the_new_application_only(world: World):
    world.application("P0", -200, job="J2", status="rejected", rejected=-190)
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1)
    world.build()
    assert world.attribution("P0")["channel"] == "other"
    assert world.attribution("P1")["advocate_id"] == "A1"
    assert world.attribution("P0")["person_id"] == world.attribution("P1")["person_id"]


def test_a_person_who_applies_for_two_jobs_is_credited_by_job(world: World):
    world.referral("R1", "A1", 0, share="S1", job="J1")
    world.referral("R2", "A2", 1, job="J2")
    world.application("P1", 2, job="J1")
    world.application("P2", 2, job="J2")
    world.application("P3", 2, job=None)
    world.build()
    assert [world.attribution(p)["advocate_id"] for p in ("P1", "P2", "P3")] == ["A1", "A2", None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stage": "withdrawn"}, "withdrawn"),
        ({"granted": False}, "no_consent"),
        ({"expires": 30}, "consent_expired"),
    ],
)
def test_a_referral_that_lost_its_ground_keeps_its_row_with_weight_0_and_the_reason(world: World, change, reason: str):
    world.referral("R1", "A1", 0, share="S1", **change)
    world.link("R1", "P1")
    world.application("P1", 1, status="hired", hired=20)
    assert world.build().attribution()["channel"] == "other"
    assert world.credit() == [("A1", 0.0, 0, reason)]


def test_when_one_referral_is_withdrawn_the_credit_goes_to_the_one_before_it(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 1, stage="withdrawn")
    world.application("P1", 2)
    assert world.build().attribution()["advocate_id"] == "A1"
    assert world.credit() == [("A1", 1.0, 0, "credited"), ("A2", 0.0, 0, "withdrawn")]


def test_a_referral_that_the_gate_blocked_is_no_touch(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.link("R1", None, block="country")
    world.application("P1", 1)
    world.build()
    assert world.credit() == [("A1", 0.0, 0, "country")]


def test_a_stale_block_of_a_passing_kind_does_not_count_against_present_facts(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.link("R1", "P1", block="no_consent")
    world.application("P1", 1)
    world.build()
    assert world.credit() == [("A1", 1.0, 0, "credited")]


def test_consent_is_not_asked_for_when_the_contract_does_not(world: World):
    privacy = world.contract.privacy.model_copy(update={"require_consent": False})
    world.contract = world.contract.model_copy(update={"privacy": privacy})
    world.referral("R1", "A1", 0, share="S1", granted=False)
    world.application("P1", 1)
    assert world.build().attribution()["advocate_id"] == "A1"


def test_a_referral_that_is_only_clicked_is_no_touch(world: World):
    world.referral("R1", "A1", 0, share="S1", stage="clicked")
    world.application("P1", 1)
    world.build()
    assert world.credit() == []


def test_a_touch_outside_the_look_back_keeps_its_reason(world: World):
    world.contract = attribution_rules(contract_with(), lookback_days=5)
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 5)
    world.application("P2", 5.001, person="Bob Roe")
    world.referral("R2", "A1", 0, share="S1", person="Bob Roe")
    world.build()
    assert world.credit("P1") == [("A1", 1.0, 0, "credited")]
    assert world.credit("P2") == [("A1", 0.0, 0, "outside_lookback")]


def test_a_later_share_of_the_same_advocate_carries_the_credit_and_the_referral_stays_named(world: World):
    world.share("S2", "A1", 2, campaign="summer")
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 3, status="hired", hired=9)
    row = world.build().attribution()
    assert (row["referral_id"], row["share_id"], row["campaign_tag"]) == ("R1", "S2", "summer")
    assert world.credit() == [("A1", 1.0, 200_000, "credited"), ("A1", 0.0, 0, "other_touch_credited")]


def test_a_share_of_somebody_who_did_not_refer_the_person_is_no_touch_of_that_person(world: World):
    world.share("S3", "A3", 0.5)
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1)
    world.build()
    assert world.attribution()["advocate_id"] == "A1"
    assert world.rows_of("SELECT person_id FROM core.touchpoint WHERE share_id = 'S3'") == [{"person_id": None}]


def test_a_click_counts_for_its_share_and_names_no_person(world: World):
    world.click("K1", "S1", -9)
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1)
    world.build()
    assert world.rows_of("SELECT person_id, advocate_id, job_id FROM core.touchpoint WHERE kind = 'click'") == [
        {"person_id": None, "advocate_id": "A1", "job_id": "J1"}
    ]


def test_a_hire_with_no_offer_is_a_hire_whose_missing_date_is_named(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1, status="hired", status_at=12)
    row = world.build().attribution()
    assert (row["status"], row["hired_at"], row["time_to_hire_days"]) == ("hired", None, None)
    assert (row["is_complete"], row["missing"]) == (False, "hired_at")
    assert world.credit()[0] == ("A1", 1.0, 200_000, "credited")


def test_an_undone_hire_has_no_hire_date_and_earns_no_bonus_and_a_rehire_earns_it_once(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1, status="in_review", hired=10, status_at=15)
    world.build()
    assert (world.attribution()["hired_at"], world.attribution()["time_to_hire_days"]) == (None, None)
    assert world.credit() == [("A1", 1.0, 0, "credited")]
    world.applications.clear()
    world.application("P1", 1, status="hired", hired=20)
    world.build()
    assert world.attribution()["time_to_hire_days"] == 19.0
    assert world.credit() == [("A1", 1.0, 200_000, "credited")]


def test_a_hire_dated_before_its_application_is_reported_and_has_no_duration(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 5, status="hired", hired=4)
    world.application("P2", 5, person="Bob Roe", status="hired", hired=4)
    world.build()
    row = world.attribution("P1")
    assert (row["time_to_hire_days"], row["is_complete"], row["missing"]) == (None, False, "negative_time_to_hire")
    assert row["hired_at"] is None  # a blocking check would hold everything back until somebody mends the ATS
    assert world.attribution("P2")["missing"] == "negative_time_to_hire"


def test_days_to_hire_are_fractions_across_the_change_of_clocks(world: World):
    world.application("P1", 0)
    berlin = {"applied_at": "2026-03-28T12:00:00+01:00", "hired_at": "2026-03-29T12:00:00+02:00"}
    from datetime import datetime

    times = {name: datetime.fromisoformat(text) for name, text in berlin.items()}
    world.edit("P1", status="hired", **times)
    assert world.build().attribution()["time_to_hire_days"] == pytest.approx(23 / 24)


def test_missing_parts_are_named_in_order(world: World):
    world.referral("R1", "A2", 0, campaign=None)
    world.application("P1", 1, status="hired", status_at=9)
    assert world.build().attribution()["missing"] == "campaign_tag,content_or_share,hired_at"


def test_a_merged_candidate_is_followed_along_its_aliases(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1, candidate="old")
    world.candidates.clear()
    world.application("P2", 2, job="J2", candidate="new")
    world.aliases = [("old", "middle"), ("middle", "new")]
    world.build()
    assert world.attribution("P1")["person_id"] == world.attribution("P2")["person_id"]
    assert world.attribution("P1")["advocate_id"] == "A1"


def test_aliases_in_a_circle_do_not_stop_the_build(world: World):
    world.application("P1", 1, candidate="one")
    world.aliases = [("one", "two"), ("two", "one")]
    assert world.build().attribution()["person_id"] is not None


def test_an_application_of_a_candidate_whom_the_ats_does_not_show_still_has_a_person(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1)
    world.candidates.clear()
    world.link("R1", "P1")
    row = world.build().attribution()
    assert row["advocate_id"] == "A1"
    world.links.clear()
    assert world.build().attribution()["person_id"] is not None


def test_linear_credit_splits_weight_by_touch_and_pays_one_payee_or_all_by_weight(world: World):
    for split, expected in (("payee", [0, 0, 200_000]), ("credit", [66_666, 66_667, 66_667])):
        world.contract = attribution_rules(
            contract_with(bonus=world.contract.rules.bonus.model_copy(update={"split": split})), model="linear"
        )
        world.referrals.clear()
        world.applications.clear()
        for number, advocate in enumerate(("A1", "A2", "A3")):
            world.referral(f"R{number}", advocate, number)
        world.application("P1", 5, status="hired", hired=9)
        # A1 shared before: that touch is outside this small look-back.
        world.contract = attribution_rules(world.contract, lookback_days=10)
        world.build()
        assert sorted(cents for _, _, cents, _ in world.credit()) == expected
        assert sum(cents for _, _, cents, _ in world.credit()) == 200_000
        [total] = world.rows_of("SELECT sum(weight) AS total FROM core.attribution_credit")
        assert total["total"] == 1


def test_nothing_in_core_names_a_person(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 1, candidate="C1")
    world.build()
    for table in (*world.rows, "core.person", "core.person_record", "core.duplicate_review"):
        text = world.warehouse.frame(f"SELECT * FROM {table}").to_csv().lower()
        assert "jane" not in text
        assert "doe" not in text


def test_building_twice_gives_the_same_tables(world: World):
    world.click("K1", "S1", 1)
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 0)
    world.application("P1", 1, status="hired", hired=3)
    tables = [*world.build().rows, "core.person"]
    before = [world.warehouse.frame(f"SELECT * FROM {table}").to_csv() for table in tables]
    world.referrals.reverse()
    world.build()
    assert [world.warehouse.frame(f"SELECT * FROM {table}").to_csv() for table in tables] == before


def test_an_empty_world_builds_empty_tables(world: World):
    world.build()
    assert set(world.rows.values()) == {0, 1}  # the one share is a touch of nobody


def test_an_application_that_a_recruiter_moved_to_another_job_keeps_its_advocate_and_bonus(world: World):
    world.job("J2")
    world.referral("R1", "A1", 1)
    world.link("R1", "P1", job_id="J1")
    world.application("P1", 2, job="J2", status="hired", hired=20)
    world.build()
    assert world.credit() == [("A1", 1.0, 200_000, "credited")]
    row = world.attribution()
    assert (row["channel"], row["referral_id"], row["job_id"]) == ("advocacy", "R1", "J2")


def test_a_referral_whose_job_was_corrected_keeps_the_application_that_it_was_written_to(world: World):
    world.job("J2")
    world.referral("R1", "A1", 1, job="J2")
    world.link("R1", "P1", job_id="J1")
    world.application("P1", 2)
    world.build()
    assert [row[:2] for row in world.credit()] == [("A1", 1.0)]


def test_a_referral_for_another_job_earns_nothing_of_an_application_that_it_was_not_written_to(world: World):
    world.job("J2")
    world.referral("R1", "A1", 1, job="J2")
    world.application("P1", 2)
    world.build()
    assert world.credit() == []


def test_clocks_that_differ_take_no_credit_from_the_referral_that_opened_the_application(world: World):
    world.referral("R1", "A1", 1.01)
    world.link("R1", "P1", job_id="J1", created_application=True)
    world.referral("R2", "A2", 3)
    world.link("R2", "P1", job_id="J1", created_application=False)
    world.application("P1", 1)
    world.build()
    assert world.credit() == [("A1", 1.0, 0, "credited"), ("A2", 0.0, 0, "after_application")]


# ---------------------------------------------------------------- what each touch counts for, and the owner's overrides


def touches(world: World, application_id: str = "P1") -> list[tuple]:
    rows = world.rows_of(
        "SELECT coalesce(referral_id, share_id) AS id, verdict, place, place_from_last FROM core.attribution_touch"
        f" WHERE application_key = 'greenhouse:{application_id}' ORDER BY place NULLS LAST, occurred_at, id"
    )
    return [tuple(row.values()) for row in rows]


def test_every_touch_that_is_considered_has_its_place_or_the_reason_why_it_does_not_count(world: World):
    world.share("S3", "A3", -3)
    world.share("S9", "A1", 9)
    world.referral("R0", "A2", -95)
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 1, stage="withdrawn")
    world.referral("R3", "A3", 8)
    world.application("P1", 3)
    world.build()
    assert touches(world) == [
        ("S1", "counts", 1, 2),
        ("R1", "counts", 2, 1),
        ("R0", "outside_lookback", None, None),
        ("S3", "not_referred", None, None),
        ("R2", "withdrawn", None, None),
        ("R3", "after_application", None, None),
        ("S9", "after_application", None, None),
    ]


def test_of_touches_at_one_time_the_earlier_share_is_first_from_either_end(world: World):
    world.share("S2", "A2", -20)
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 0, share="S2")
    world.application("P1", 3)
    world.build()
    assert touches(world) == [("S2", "counts", 1, 4), ("S1", "counts", 2, 3), ("R2", "counts", 3, 1),
                              ("R1", "counts", 4, 2)]  # fmt: skip


def test_an_override_gives_all_to_its_referral_and_the_others_keep_their_rows(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 1, stage="withdrawn")
    world.referral("R3", "A3", 2)
    world.application("P1", 3, status="hired", hired=20)
    world.override("P1", "R1")
    row = world.build().attribution()
    shown = ("advocate_id", "referral_id", "share_id", "channel", "attribution_model", "override")
    assert {k: row[k] for k in shown} == {
        "advocate_id": "A1", "referral_id": "R1", "share_id": "S1", "channel": "advocacy",
        "attribution_model": "override", "override": 1,
    }  # fmt: skip
    assert world.credit()[0] == ("A1", 1.0, 200_000, "override")
    assert sorted(world.credit()[1:]) == [("A2", 0.0, 0, "withdrawn"), ("A3", 0.0, 0, "overridden")]


def test_an_override_for_nobody_leaves_every_row_with_nothing(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.application("P1", 3, status="hired", hired=20)
    world.override("P1", None)
    row = world.build().attribution()
    assert (row["channel"], row["advocate_id"], row["attribution_model"], row["override"]) == (
        "other", None, "override", 1,
    )  # fmt: skip
    assert world.credit() == [("A1", 0.0, 0, "overridden")]


def test_an_override_may_choose_a_referral_that_no_model_credits(world: World):
    bonus = world.contract.rules.bonus.model_copy(update={"pay_rehires": True})
    world.contract = contract_with(bonus=bonus)
    world.referral("R1", "A1", 9)
    world.referral("R2", "A2", 0, job="J2")
    for application_id, referral_id in (("P1", "R1"), ("P2", "R2")):
        world.application(application_id, 3, status="hired", hired=20)
        world.override(application_id, referral_id)
    world.build()
    assert world.credit("P1") == [("A1", 1.0, 200_000, "override")]
    assert world.credit("P2") == [("A2", 1.0, 200_000, "override"), ("A1", 0.0, 0, "after_application")]
    rows = world.rows_of("SELECT application_key, advocate_id, linear, paid, pays FROM mart.attribution_comparison")
    assert [tuple(row.values()) for row in rows] == [
        ("greenhouse:P1", "A1", 0, 1, "override"),
        ("greenhouse:P2", "A2", 0, 1, "override"),
    ]


@pytest.mark.parametrize("job", ["J1", "J2"])
def test_an_override_never_replaces_consent(world: World, job: str):
    world.referral("R1", "A1", 0, job=job, granted=False)
    world.referral("R2", "A2", 1)
    world.application("P1", 3, status="hired", hired=20)
    world.override("P1", "R1")
    assert world.build().attribution()["channel"] == "other"
    assert sorted(world.credit()) == [("A1", 0.0, 0, "no_consent"), ("A2", 0.0, 0, "overridden")]


def test_an_override_for_another_persons_referral_gives_nobody_anything(world: World):
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R2", "A2", 0, person="Bob Roe")
    world.application("P1", 3)
    world.override("P1", "R2")
    assert world.build().attribution()["channel"] == "other"
    assert {row[0]: row[3] for row in world.credit()} == {"A1": "overridden"}


def test_the_comparison_shows_what_every_model_would_give_beside_what_is_paid(world: World):
    world.referral("R1", "A1", 0)
    world.referral("R2", "A2", 1)
    world.referral("R3", "A3", 2)
    world.application("P1", 3, status="hired", hired=20)
    world.build()
    rows = world.rows_of("SELECT * EXCLUDE (application_key, share_id, time_decay) FROM mart.attribution_comparison")
    assert [tuple(map(str, row.values())) for row in rows if row["advocate_id"] != "A1"] == [
        ("A2", "0E-12", "0E-12", "0.250000000000", "0.100000000000", "0E-12", "last_touch"),
        ("A3", "0E-12", "1.000000000000", "0.250000000000", "0.400000000000", "1.000000000000", "last_touch"),
    ]


def test_credit_is_summed_by_campaign_department_and_channel_under_each_model(world: World):
    world.advocate("A4", "Sales")
    world.share("S4", "A4", 1, campaign="summer")
    world.referral("R1", "A1", 0, share="S1")
    world.referral("R4", "A4", 2, share="S4", campaign="summer")
    world.application("P1", 3)
    world.build()
    found = {
        segment: {row[segment]: tuple(row[m] for m in ("first_touch", "last_touch", "linear")) for row in rows}
        for segment, table in credit_by_segment(world.warehouse).items()
        for rows in [table.to_dict("records")]
    }
    assert found == {
        "campaign": {"spring": (1, 0, 0.5), "summer": (0, 1, 0.5)},
        "department": {"Engineering": (1, 0, 0.5), "Sales": (0, 1, 0.5)},
        "channel": {"linkedin": (1, 1, 1)},
    }


def test_a_share_counts_through_an_unblocked_referral_for_its_own_job_only(world: World):
    world.contract = attribution_rules(contract_with(), model="linear")
    world.share("S8", "A1", -20)
    world.referral("R1", "A1", -10, stage="withdrawn")
    world.referral("R2", "A1", -5, job="J2")
    world.referral("R3", "A2", -4, job="J2")
    world.application("P1", 0)
    for referral_id in ("R1", "R2", "R3"):
        world.link(referral_id, "P1")
    rows = [(advocate, weight) for advocate, weight, _, _ in world.build().credit() if weight]
    assert rows == [("A2", 0.5), ("A1", 0.5)]


def test_a_referral_happened_before_the_application_it_opened_and_before_no_other(world: World):
    world.referral("R1", "A1", 0.5)
    world.application("P1", 0)
    world.application("P2", 0.25)
    world.link("R1", "P1", created_application=True)
    world.build()
    assert world.credit("P1") == [("A1", 1.0, 0, "credited")]
    assert world.credit("P2") == [("A1", 0.0, 0, "after_application")]


def test_half_of_the_smallest_part_of_time_decay_is_rounded_as_in_python(world: World):
    world.contract = attribution_rules(contract_with(), model="time_decay", lookback_days=365)
    world.referral("R1", "A2", -288)  # 41 weeks before the other: exactly half of one part of 2^40
    world.referral("R2", "A3", -1)
    world.application("P1", 0)
    world.build()
    touches = [
        Touch(advocate, None, None, None, referral, "referral", DAY0 + timedelta(days=at))
        for referral, advocate, at in (("R1", "A2", -288), ("R2", "A3", -1))
    ]
    expected = credit(touches, applied_at=DAY0, model="time_decay", lookback_days=365)
    rows = world.rows_of("SELECT advocate_id, weight FROM core.attribution_credit WHERE weight > 0 ORDER BY 1")
    assert {row["advocate_id"]: row["weight"] for row in rows} == {p.touch.advocate_id: p.weight for p in expected}
    assert len(expected) == 2
