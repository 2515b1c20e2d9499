"""Canonical records from Greenhouse's flat tables, without any call: statuses, dates, history, jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.greenhouse_assemble import Assembler
from referral_pipeline.connectors.greenhouse_fields import FieldCatalog, changed_tags, merged, read_tags
from referral_pipeline.connectors.greenhouse_models import DEFAULT_FIELDS, GreenhouseOptions
from referral_pipeline.connectors.records import AtsApplication, AtsStaged, Row
from referral_pipeline.vocabulary import CandidateStatus

T = "2026-11-{:02d}T09:00:00.000Z".format
STAGE_MAP = {"Phone Screen": CandidateStatus.INTERVIEWED, "Offer": CandidateStatus.OFFERED}


def moment(day: int) -> datetime:
    return datetime(2026, 11, day, 9, tzinfo=UTC)


def tables(application: Row, **more: list[Row]) -> dict[str, list[Row]]:
    stamps = {"created_at": T(1), "updated_at": T(1)}
    stages = [
        {"id": 10 + n, "job_id": 1, "sort_order": n, "name": name, "active": True, **stamps}
        for n, name in enumerate(("Application Review", "Phone Screen", "Team Chat", "Offer"))
    ]
    base = {"id": 100, "candidate_id": 7, "job_id": 1, "status": "in_process", "prospect": False, **stamps}
    return {
        "applications": [{**base, **application}],
        "job_interview_stages": stages,
        "rejection_reasons": [
            {"id": 5, "type": {"id": 1, "key": "THEY_REJECTED_US", "name": "They rejected us"}},
            {"id": 6, "type": {"id": 2, "key": "WE_REJECTED_THEM", "name": "We rejected them"}},
        ],
        **more,
    }


def staged(rows: dict[str, list[Row]], stage_map: dict[str, CandidateStatus] | None = None) -> AtsStaged:
    assembler = Assembler(stage_map=STAGE_MAP if stage_map is None else stage_map, field_keys=DEFAULT_FIELDS)
    return assembler.stage(lambda entity: rows.get(entity, []))


def one(application: Row, stage_map: dict[str, CandidateStatus] | None = None, **more: list[Row]) -> AtsApplication:
    result = staged(tables(application, **more), stage_map)
    assert result.problems == []
    (found,) = result.applications
    return found


def offer(number: int = 1, **values: Any) -> Row:
    base = {"id": 900 + number, "application_id": 100, "version": number, "status": "Created", "created_at": T(5)}
    return {**base, "updated_at": T(6), "sent_on": None, "resolved_at": None, "starts_on": None, **values}


def stage_row(stage: int, entered: int | None = None, exited: int | None = None, *, current: bool = False) -> Row:
    return {
        "id": 500 + stage,
        "application_id": 100,
        "job_interview_stage_id": stage,
        "entered_at": T(entered) if entered else None,
        "exited_at": T(exited) if exited else None,
        "current": current,
        "updated_at": T(exited or entered or 1),
    }


def test_the_first_stage_of_a_job_is_applied_and_its_name_may_be_mapped_to_something_else() -> None:
    first = {"job_interview_stage_id": 10, "stage_name": "Application Review"}
    assert one(first).status is CandidateStatus.APPLIED
    assert one(first, {"application  REVIEW ": CandidateStatus.IN_REVIEW}).status is CandidateStatus.IN_REVIEW


def test_a_stage_that_nobody_mapped_is_in_review_and_named() -> None:
    found = one({"job_interview_stage_id": 12})
    assert (found.status, found.unmapped_stage, found.stage_name) == ("in_review", "Team Chat", "Team Chat")


def test_the_first_stage_is_the_lowest_active_one() -> None:
    rows = tables({"job_interview_stage_id": 11})
    rows["job_interview_stages"][0]["active"] = False
    assert staged(rows, {}).applications[0].status is CandidateStatus.APPLIED


@pytest.mark.parametrize(
    ("offers", "status"),
    [
        ([offer()], "in_review"),
        ([offer(sent_on="2026-11-05")], "offered"),
        ([offer(status="Accepted", resolved_at=T(6))], "offered"),
        ([offer(sent_on="2026-11-05", status="Rejected")], "in_review"),
        ([offer(sent_on="2026-11-05", status="Deprecated")], "in_review"),
        ([offer(1, sent_on="2026-11-05", status="Deprecated"), offer(2)], "in_review"),
        ([offer(1, status="Deprecated"), offer(2, sent_on="2026-11-06T00:00:00.000Z")], "offered"),
    ],
)
def test_an_offer_counts_from_the_moment_the_candidate_has_it(offers: list[Row], status: str) -> None:
    assert one({"job_interview_stage_id": 12}, offers=offers).status == status


def test_an_offer_is_dated_by_its_sending_but_not_before_it_existed() -> None:
    assert one({}, offers=[offer(sent_on="2026-11-05")]).offered_at == moment(5)
    assert one({}, offers=[offer(sent_on="2026-11-08")]).offered_at == datetime(2026, 11, 8, tzinfo=UTC)
    assert one({}, offers=[offer()]).offered_at is None


def test_the_first_entry_to_an_offered_stage_counts_before_a_later_sending() -> None:
    found = one({}, application_stages=[stage_row(13, 4, current=True)], offers=[offer(sent_on="2026-11-07")])
    assert found.offered_at == moment(4)
    assert [entry.status for entry in found.history] == ["offered"]


def test_a_stage_that_was_entered_twice_is_dated_by_the_first_time() -> None:
    entries = [stage_row(11, 3, 4), {**stage_row(11, 6, current=True), "id": 999}]
    assert one({}, application_stages=entries).interviewed_at == moment(3)


def test_the_newest_accepted_offer_dates_the_hire_and_an_old_version_does_not() -> None:
    found = one(
        {"status": "hired"},
        offers=[
            offer(1, status="Deprecated", resolved_at=T(3), starts_on="2026-12-01"),
            offer(2, status="Accepted", resolved_at=T(8), starts_on="2027-01-11T00:00:00Z"),
        ],
        openings=[{"id": 1, "application_id": 100, "closed_at": T(9)}],
    )
    assert found.hired_at == moment(8)
    assert str(found.starts_on) == "2027-01-11"
    assert found.history[-1].status is CandidateStatus.HIRED
    assert found.history[-1].entered_at == moment(8)


def test_an_accepted_offer_that_was_never_resolved_leaves_the_date_to_the_opening() -> None:
    found = one(
        {"status": "hired", "last_activity_at": T(20)},
        offers=[offer(status="Accepted")],
        openings=[{"id": 1, "application_id": 100, "closed_at": T(9)}, {"id": 2, "application_id": None}],
    )
    assert found.hired_at == moment(9)


@pytest.mark.parametrize(
    ("application", "details", "status"),
    [
        ({"rejection_reason_id": 5}, [], "withdrawn"),
        ({"rejection_reason_id": 6}, [], "rejected"),
        ({}, [{"id": 1, "application_id": 100, "rejection_reason_id": 5}], "withdrawn"),
        ({}, [], "rejected"),
        ({"rejection_reason_id": 4711}, [], "rejected"),
    ],
)
def test_a_rejection_by_the_candidate_is_a_withdrawal(application: Row, details: list[Row], status: str) -> None:
    found = one({"status": "rejected", "rejected_at": T(9), **application}, rejection_details=details)
    assert (found.status, found.rejected_at, found.is_open) == (status, moment(9), False)
    assert found.history[-1].status == status


def test_an_undone_rejection_has_no_date_although_its_details_may_lag() -> None:
    late = [{"id": 1, "application_id": 100, "rejection_reason_id": 5, "rejected_at": T(9), "updated_at": T(9)}]
    found = one({"job_interview_stage_id": 10}, rejection_details=late)
    assert (found.status, found.rejected_at) == ("applied", None)


def test_the_status_is_as_old_as_the_youngest_record_that_carries_it() -> None:
    found = one(
        {"updated_at": T(3)},
        application_stages=[stage_row(11, 4, current=True)],
        offers=[offer(sent_on="2026-11-05", updated_at=T(7))],
    )
    assert (found.status_at, found.updated_at) == (moment(7), moment(3))


def test_a_job_carries_department_and_its_public_posting_and_templates_are_no_jobs() -> None:
    job = {"id": 1, "name": "Data Engineer", "status": "open", "department_id": 3, "updated_at": T(2)}
    posts = [
        {"id": 30, "job_id": 1, "internal": True, "public_url": "https://inside.example.com"},
        {"id": 31, "job_id": 1, "live": False, "public_url": "https://old.example.com"},
        {"id": 32, "job_id": 1, "public_url": "https://jobs.example.com/1", "location": {"name": "Berlin"}},
    ]
    rows = tables({}, jobs=[job, {**job, "id": 2, "is_template": True}], job_posts=posts)
    rows["departments"] = [{"id": 3, "name": "Engineering"}]
    (found,) = staged(rows).jobs
    assert (found.id, found.title, found.status, found.department) == ("1", "Data Engineer", "open", "Engineering")
    assert (found.location, found.url) == ("Berlin", "https://jobs.example.com/1")


def test_ids_beyond_32_bits_and_ids_as_text_are_the_same_text() -> None:
    assert one({"id": 6230002007, "candidate_id": "5120001007"}).candidate_id == "5120001007"


@pytest.mark.parametrize("fields", [None, {}, [], "odd", {"referral_id": None}, {"referral_id": {"value": None}}])
def test_any_form_of_empty_custom_fields_reads_as_no_tags(fields: object) -> None:
    found = one({"custom_fields": fields})
    assert set(found.tags.values()) == {None}
    assert set(found.tags) == set(DEFAULT_FIELDS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(12, "12"), (12.0, "12"), ("12.0", "12"), (" a ", "a"), ("", None), (True, "true"), (["a"], "a")],
)
def test_a_tag_is_text_however_the_field_is_defined(value: object, text: str | None) -> None:
    assert read_tags({"advocacy_clicks": {"value": value}}, DEFAULT_FIELDS)["clicks"] == text


def catalog(*definitions: Row, options: tuple[Row, ...] = ()) -> FieldCatalog:
    return FieldCatalog(lambda: definitions, lambda _: options)


LEVEL = {"id": 1, "name_key": "level", "value_type": "single_select"}
SKILLS = {"id": 2, "name_key": "skills", "value_type": "multi_select"}
OPTIONS = tuple(
    {"id": 100 + n, "custom_field_id": field, "name": name, "active": name != "Old"}
    for n, (field, name) in enumerate(((1, "Senior"), (1, "Old"), (2, "SQL"), (2, "Go")))
)


def test_foreign_values_are_written_in_their_own_form_and_none_is_dropped() -> None:
    there = {
        "level": {"name": "Level", "type": "single_select", "value": "Old"},
        "skills": {"name": "Skills", "type": "multi_select", "value": ["SQL", "Go"]},
        "nothing": {"name": "Nothing", "type": "short_text", "value": None},
        "pay": {"name": "Pay", "type": "currency", "value": {"amount": "5.5", "currency_code": "EUR", "x": 1}},
        "range": {"name": "Range", "type": "number_range", "value": {"min_value": 1, "max_value": 2}},
        "count": {"name": "Count", "type": "number", "value": "7"},
    }
    written = merged(there, {"referral_id": "r"}, catalog(LEVEL, SKILLS, options=OPTIONS))
    assert {entry["name_key"]: entry["value"] for entry in written} == {
        "level": 101,
        "skills": [102, 103],
        "pay": {"amount": 5.5, "currency_code": "EUR"},
        "range": {"min_value": 1, "max_value": 2},
        "count": 7,
        "referral_id": "r",
    }


def test_an_option_that_cannot_be_found_is_sent_by_name_and_looked_up_again_only_once() -> None:
    looked: list[int] = []

    def definitions() -> list[Row]:
        looked.append(1)
        return [LEVEL]

    fields = FieldCatalog(definitions, lambda _: OPTIONS)
    there = {"level": {"name": "Level", "type": "single_select", "value": "Gone"}}
    for _ in range(3):
        assert merged(there, {}, fields) == [{"name_key": "level", "value": "Gone"}]
    assert len(looked) == 2


def test_a_tag_that_is_a_select_is_written_by_option_and_refused_without_one() -> None:
    campaign = {"id": 1, "name_key": "campaign_tag", "value_type": "single_select"}
    fields = catalog(campaign, options=({"id": 100, "custom_field_id": 1, "name": "Spring"},))
    assert merged({}, {"campaign_tag": "spring"}, fields) == [{"name_key": "campaign_tag", "value": 100}]
    with pytest.raises(Invalid, match="campaign_tag is a select without such an option"):
        merged({}, {"campaign_tag": "autumn"}, fields)


@given(
    there=st.dictionaries(st.sampled_from(["referral_id", "campaign_tag", "foreign"]), st.text(min_size=1), max_size=3),
    wanted=st.dictionaries(st.sampled_from(["referral_id", "campaign_tag", "share_id"]), st.none() | st.text()),
)
def test_after_a_merge_ours_are_as_wanted_and_foreign_ones_as_before(
    there: dict[str, str], wanted: dict[str, str | None]
) -> None:
    read = {key: {"name": key, "type": "short_text", "value": value} for key, value in there.items()}
    changes = changed_tags(read, wanted, DEFAULT_FIELDS)
    written = {entry["name_key"]: entry["value"] for entry in merged(read, changes, catalog())}
    after = {key: {"value": value} for key, value in written.items()}
    assert written.get("foreign") == there.get("foreign")
    assert changed_tags(after, wanted, DEFAULT_FIELDS) == {}


def test_options_that_are_unknown_or_name_a_field_twice_are_refused() -> None:
    assert GreenhouseOptions(custom_fields={"clicks": "warmth"}).custom_fields["referral_id"] == "referral_id"
    for wrong in ({"custom_fields": {"mood": "m"}}, {"custom_fields": {"clicks": "referral_id"}}, {"unknown": 1}):
        with pytest.raises(ValueError):
            GreenhouseOptions.model_validate(wrong)
