"""The seeded programme: the same for the same seed, consistent in itself, and its truth holds by its own rules."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import phonenumbers
import pytest

from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.programme import Programme, ProgrammeSize, generate, names
from referral_pipeline.sandbox.programme.ats_setup import TAGS
from referral_pipeline.sandbox.programme.cases import CASES
from referral_pipeline.sandbox.programme.refusals import REFUSALS
from referral_pipeline.sandbox.programme.story import mailbox
from referral_pipeline.vocabulary import Block, CandidateStatus
from referral_pipeline_tests.openapi import needs_greenhouse_document, row_problems

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
SMALL = ProgrammeSize.small()
SEEDS = (1, 2, 3, 7, 23)
COMPONENT_OF = {
    "candidates": "candidate",
    "applications": "application",
    "application_stages": "application_stage",
    "jobs": "job",
    "job_interview_stages": "job_interview_stage",
    "openings": "opening",
    "offers": "offer",
    "users": "user",
    "sources": "source",
    "referrers": "referrer",
    "custom_fields": "custom_field",
    "rejection_reasons": "rejection_reason",
    "rejection_details": "rejection_detail",
    "close_reasons": "close_reason",
    "departments": "department",
    "offices": "office",
    "job_posts": "job_post",
}


@cache
def small(seed: int) -> Programme:
    return generate(seed, AS_OF, SMALL)


@cache
def whole() -> Programme:
    return generate(7, AS_OF)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def application_of(truth: dict[str, Any], referral_id: str) -> dict[str, Any]:
    key = truth["referrals"][referral_id]["application"]
    return next(row for row in truth["applications"] if row["key"] == key)


def referral_rows(programme: Programme) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in programme.advocacy["referrals"]}


# ---------------------------------------------------------------- the whole


def test_the_same_seed_gives_the_same_programme_and_another_seed_another_one() -> None:
    first, again = generate(5, AS_OF, SMALL), generate(5, AS_OF, SMALL)
    as_text = [json.dumps([p.advocacy, p.ats, p.truth]) for p in (first, again, generate(6, AS_OF, SMALL))]
    assert as_text[0] == as_text[1]
    assert as_text[0] != as_text[2]


def test_the_default_programme_is_as_large_as_promised() -> None:
    totals = whole().truth["totals"]["advocacy"]
    assert totals["advocates"] >= 300
    assert totals["clicks"] >= 20_000
    assert totals["referrals"] >= 1_000
    assert whole().truth["totals"]["ats"]["jobs"] == 30
    assert 180 <= whole().truth["expected"]["applications_created"] <= 260


def test_every_kind_of_dirt_occurs_at_least_five_times() -> None:
    cases = whole().truth["cases"]
    for case in (*CASES, *REFUSALS):
        assert len(cases[case.__name__]) >= 5, case.__name__
    assert {case.__name__ for case in (*CASES, *REFUSALS)} <= set(small(3).truth["cases"])


def test_other_channels_have_applications_and_hires_of_their_own() -> None:
    truth = whole().truth
    assert len(truth["untouched"]["applications"]) >= 400
    hired = [row for row in whole().ats["applications"] if row["status"] == "hired"]
    assert sum(str(row["id"]) in truth["untouched"]["applications"] for row in hired) >= 20


def test_a_moment_without_a_zone_and_a_size_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        generate(1, datetime(2026, 11, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="referrals asked for"):
        generate(1, AS_OF, ProgrammeSize(referrals=20))


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("seed", SEEDS)
def test_every_id_that_a_row_names_exists(seed: int) -> None:
    programme = small(seed)
    have = {entity: {row["id"] for row in rows} for entity, rows in programme.advocacy.items()}
    for share in programme.advocacy["shares"]:
        assert share["advocate_id"] in have["advocates"]
        assert share["content_id"] in have["content"]
    assert {click["share_id"] for click in programme.advocacy["clicks"]} <= have["shares"]
    shares = {row["id"]: row for row in programme.advocacy["shares"]}
    for row in programme.advocacy["referrals"]:
        assert row["advocate_id"] in have["advocates"]
        if row["share_id"]:
            assert shares[row["share_id"]]["advocate_id"] == row["advocate_id"]
            assert shares[row["share_id"]]["job_id"] == row["job_id"]
            assert shares[row["share_id"]]["shared_at"] < (row["applied_at"] or row["submitted_at"])
    ats = {entity: {row["id"] for row in rows} for entity, rows in programme.ats.items()}
    stages = {row["id"]: row for row in programme.ats["application_stages"]}
    for row in programme.ats["applications"]:
        assert row["candidate_id"] in ats["candidates"]
        assert row["job_id"] in ats["jobs"]
        assert stages[row["stage_id"]]["application_id"] == row["id"]
        assert stages[row["stage_id"]]["current"] is True
        assert row["source_id"] is None or row["source_id"] in ats["sources"]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_happens_after_the_programme_s_end_and_nothing_ends_before_it_begins(seed: int) -> None:
    programme = small(seed)
    for rows in (*programme.advocacy.values(), *programme.ats.values()):
        for row in rows:
            assert moment(row["updated_at"]) <= AS_OF
            assert row.get("created_at", row["updated_at"]) <= row["updated_at"]
    for row in programme.ats["application_stages"]:
        assert row["exited_at"] is None or row["entered_at"] <= row["exited_at"]
    candidates = {row["id"]: row for row in programme.ats["candidates"]}
    for row in programme.ats["applications"]:
        assert candidates[row["candidate_id"]]["created_at"] <= row["created_at"]


@pytest.mark.parametrize("seed", SEEDS)
def test_stages_follow_each_other_without_a_gap(seed: int) -> None:
    programme = small(seed)
    order = {row["id"]: row["sort_order"] for row in programme.ats["job_interview_stages"]}
    visited: dict[int, list[dict[str, Any]]] = {}
    for row in programme.ats["application_stages"]:
        if row["entered_at"]:
            visited.setdefault(row["application_id"], []).append(row)
    for application in programme.ats["applications"]:
        course = sorted(visited[application["id"]], key=lambda row: order[row["job_interview_stage_id"]])
        assert course[0]["entered_at"] == application["created_at"]
        assert course[-1]["id"] == application["stage_id"]
        for before, after in itertools.pairwise(course):
            assert before["exited_at"] == after["entered_at"]
        assert (course[-1]["exited_at"] is None) == (application["status"] == "in_process")


@needs_greenhouse_document
def test_every_ats_row_is_valid_by_the_vendor_s_own_document() -> None:
    store = GreenhouseStore()
    for entity, rows in small(3).ats.items():
        store.load(entity, rows)
    problems = {
        f"{entity}: {problem}"
        for entity, component in COMPONENT_OF.items()
        for row in store.rows(entity)
        for problem in row_problems(component, row)
    }
    assert problems == set()


def test_telephone_numbers_are_valid_ones_that_all_forms_agree_on() -> None:
    for country in ("US", "DE", "FR"):
        for number in (0, 1, 99, 100, 999, 1_000, 3_999):
            e164 = names.phone(number, country)
            forms = (e164, names.spaced(e164), names.national(e164))
            parsed = [phonenumbers.parse(form, country) for form in forms]
            assert all(phonenumbers.is_valid_number(one) for one in parsed)
            assert {phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.E164) for one in parsed} == {e164}
    with pytest.raises(ValueError, match="fiction"):
        names.phone(50_000, "US")


# ---------------------------------------------------------------- truth


@pytest.mark.parametrize("seed", SEEDS)
def test_the_truth_covers_every_referral_with_a_word_of_the_vocabulary(seed: int) -> None:
    programme = small(seed)
    truth = programme.truth
    assert set(truth["referrals"]) == set(referral_rows(programme))
    assert sorted(one for ids in truth["cases"].values() for one in ids) == sorted(truth["referrals"])
    outcomes = {"written", "quarantined", *(f"blocked:{block.value}" for block in Block)}
    for row in truth["referrals"].values():
        assert row["outcome"] in outcomes
        assert (row["outcome"] == "written") == (row["application"] is not None)
        assert row["expected_status"] is None or CandidateStatus(row["expected_status"])


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_expected_of_the_first_pass_adds_up(seed: int) -> None:
    truth = small(seed).truth
    expected = truth["expected"]
    blocked = sum(expected["blocked"].values())
    assert expected["statuses_sent"] + blocked + expected["quarantined"] == len(truth["referrals"])
    new = [row for row in truth["applications"] if row["ats_application_id"] is None]
    assert len(new) == expected["applications_created"] == len(truth["stories"])
    assert expected["candidates_created"] <= expected["applications_created"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_person_has_one_application_a_job_at_most_to_be_taken(seed: int) -> None:
    counts = Counter((row["person"], row["job_id"]) for row in small(seed).truth["applications"])
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_credited_touch_lies_within_the_look_back_and_no_counted_touch_is_later(seed: int) -> None:
    programme = small(seed)
    truth, referrals = programme.truth, referral_rows(programme)
    shares = {row["id"]: row for row in programme.advocacy["shares"]}
    for application in truth["applications"]:
        ids = [key for key, row in truth["referrals"].items() if row["application"] == application["key"]]
        at = moment(application["applied_at"]) if application["applied_at"] else AS_OF + timedelta(days=1)
        touches = [moment(referrals[key]["applied_at"] or referrals[key]["submitted_at"]) for key in ids]
        advocates = {referrals[key]["advocate_id"] for key in ids}
        touches += [
            moment(row["shared_at"])
            for row in shares.values()
            if row["advocate_id"] in advocates and row["job_id"] == application["job_id"]
        ]
        counted = [touch for touch in touches if at - timedelta(days=90) <= touch <= at]
        assert (application["advocate_id"] is None) == (not counted)
        if not counted:
            assert all(application[tag] is None for tag in TAGS)
            continue
        assert application["advocate_id"] in advocates
        referral = referrals[application["referral_id"]]
        own = [moment(referral["applied_at"] or referral["submitted_at"])]
        if application["share_id"]:
            own.append(moment(shares[application["share_id"]]["shared_at"]))
            assert shares[application["share_id"]]["content_id"] == application["content_id"]
        assert max(counted) in own


@pytest.mark.parametrize("seed", SEEDS)
def test_no_application_is_near_the_horizon_so_that_the_hour_of_a_look_does_not_matter(seed: int) -> None:
    for row in small(seed).truth["applications"]:
        if row["applied_at"]:
            age = (AS_OF - moment(row["applied_at"])) / timedelta(days=1)
            assert not 87 < age < 92


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hire_is_dated_by_its_accepted_offer_else_by_its_opening(seed: int) -> None:
    programme = small(seed)
    for row in programme.truth["applications"]:
        if row["expected_status"] != "hired":
            assert (row["hired_at"], row["starts_on"]) == (None, None)
            continue
        ats_id = int(row["ats_application_id"])
        offers = [o for o in programme.ats["offers"] if o["application_id"] == ats_id and o["status"] == "Accepted"]
        openings = [o for o in programme.ats["openings"] if o.get("application_id") == ats_id]
        dates = [offer["resolved_at"] for offer in offers] or [opening["closed_at"] for opening in openings]
        assert dates == ([row["hired_at"]] if row["hired_at"] else [])
        if row["hired_at"]:
            assert row["hired_at"] > row["applied_at"]


def test_kpis_are_of_the_credited_applications_only() -> None:
    truth = whole().truth
    kpis = truth["kpis"]
    conversion, coverage = kpis["referral_conversion_rate"], kpis["attribution_coverage"]
    assert 0 < conversion["numerator"] < conversion["denominator"]
    assert 0.5 < coverage["value"] < 1
    hires = [r for r in truth["applications"] if r["channel"] == "advocacy" and r["expected_status"] == "hired"]
    assert coverage["denominator"] == len(hires)
    assert kpis["time_to_hire_days"]["hires"] >= conversion["numerator"]
    assert kpis["time_to_hire_days"]["hires"] < len(hires)
    assert kpis["time_to_hire_days"]["all_channels"]["hires"] > kpis["time_to_hire_days"]["hires"]


# ---------------------------------------------------------------- cases


def test_three_advocates_share_one_application_and_the_last_one_is_credited() -> None:
    truth, rows = whole().truth, referral_rows(whole())
    ids = truth["cases"]["three_advocates"]
    for group in (ids[at : at + 3] for at in range(0, len(ids), 3)):
        applications = {truth["referrals"][one]["application"] for one in group}
        assert len(applications) == 1
        last = max(group, key=lambda one: rows[one]["applied_at"])
        assert application_of(truth, last)["advocate_id"] == rows[last]["advocate_id"]
        addresses = [rows[one]["candidate"]["email"] for one in group]
        assert len(set(addresses)) == 3
        assert len({mailbox(address) for address in addresses}) == 1


def test_a_later_share_of_the_first_advocate_takes_the_credit() -> None:
    truth, rows = whole().truth, referral_rows(whole())
    ids = truth["cases"]["later_share"]
    for first, second in zip(ids[::2], ids[1::2], strict=True):
        application = application_of(truth, second)
        assert application["advocate_id"] == rows[first]["advocate_id"]
        assert application["share_id"] not in {rows[first]["share_id"], rows[second]["share_id"]}
        assert application["referral_id"] == first


def test_a_share_after_the_application_takes_no_credit() -> None:
    truth, rows = whole().truth, referral_rows(whole())
    for second in truth["cases"]["share_after_application"][1::2]:
        assert application_of(truth, second)["share_id"] == rows[second]["share_id"]


def test_of_two_touches_at_the_same_moment_the_older_share_is_credited() -> None:
    truth, rows = whole().truth, referral_rows(whole())
    shares = {row["id"]: row for row in whole().advocacy["shares"]}
    ids = truth["cases"]["tie"]
    for pair in zip(ids[::2], ids[1::2], strict=True):
        assert len({rows[one]["applied_at"] for one in pair}) == 1
        older = min(pair, key=lambda one: shares[rows[one]["share_id"]]["shared_at"])
        assert application_of(truth, older)["advocate_id"] == rows[older]["advocate_id"]
        assert application_of(truth, older)["share_id"] == rows[older]["share_id"]


@pytest.mark.parametrize("case", ["application_before_touch", "touch_outside_lookback"])
def test_without_a_touch_in_time_the_status_is_returned_and_nobody_is_credited(case: str) -> None:
    truth = whole().truth
    for one in truth["cases"][case]:
        assert truth["referrals"][one]["outcome"] == "written"
        assert truth["referrals"][one]["ats_application_id"]
        assert application_of(truth, one)["advocate_id"] is None


def test_a_referral_after_an_old_rejection_opens_another_application_of_the_same_candidate() -> None:
    truth = whole().truth
    for one in truth["cases"]["old_rejected_application"]:
        row = truth["referrals"][one]
        assert row["ats_candidate_id"]
        assert row["ats_application_id"] is None


def test_an_earlier_referral_is_credited_when_the_later_one_was_taken_back() -> None:
    truth, rows = whole().truth, referral_rows(whole())
    ids = truth["cases"]["withdrawn_beside_valid"]
    for kept, taken_back in zip(ids[::2], ids[1::2], strict=True):
        assert truth["referrals"][taken_back]["outcome"] == "blocked:withdrawn"
        assert rows[taken_back]["applied_at"] > rows[kept]["applied_at"]
        assert application_of(truth, kept)["advocate_id"] == rows[kept]["advocate_id"]


@pytest.mark.parametrize("case", ["shared_mailbox", "couple_mailbox", "subaddress_elsewhere"])
def test_people_of_one_mailbox_or_of_two_stay_as_many_people(case: str) -> None:
    truth = whole().truth
    ids = truth["cases"][case]
    assert len({truth["referrals"][one]["person"] for one in ids}) == len(ids)


def test_a_person_merged_in_the_ats_is_known_by_both_addresses() -> None:
    truth = whole().truth
    for one in truth["cases"]["merged_before"]:
        candidate = truth["existing"]["candidates"][truth["referrals"][one]["ats_candidate_id"]]
        assert len(candidate["emails"]) == 2


def test_hires_that_were_undone_count_by_where_they_stand_now() -> None:
    truth = whole().truth
    statuses = Counter(truth["referrals"][one]["expected_status"] for one in truth["cases"]["hired_and_unhired"])
    assert statuses == {"offered": 2, "rejected": 2, "hired": 2}
    for one in truth["cases"]["hired_undated"]:
        assert truth["referrals"][one]["expected_status"] == "hired"
        assert truth["referrals"][one]["hired_at"] is None
    for one in truth["cases"]["hired_no_offer"]:
        assert truth["referrals"][one]["hired_at"]
        assert truth["referrals"][one]["starts_on"] is None
    for one in truth["cases"]["custom_stage"]:
        assert truth["referrals"][one]["expected_status"] == "in_review"
