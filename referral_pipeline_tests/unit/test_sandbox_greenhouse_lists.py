"""List endpoints: order, pages, cursors, filters and their refusals, for every table."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.sandbox.greenhouse.schema import ENTITIES
from referral_pipeline.sandbox.greenhouse.times import stamp
from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import START, Greenhouse, errors_of

greenhouse = greenhouse_server.greenhouse


def ids_of(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def add_candidates(greenhouse: Greenhouse, count: int) -> list[int]:
    """Candidates, one created a minute."""
    made: list[int] = []
    for number in range(count):
        at = START + timedelta(minutes=number)
        row = greenhouse.acts.create_candidate(
            first_name="Ada", last_name=f"Number {number}", emails=[f"Ada{number}@Example.org"], at=at
        )
        made.append(row["id"])
    return made


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_every_table_is_a_bare_array_in_falling_order_of_ids(greenhouse: Greenhouse, entity: str):
    rows = greenhouse.rows(entity)
    assert isinstance(rows, list)
    assert ids_of(rows) == sorted(ids_of(rows), reverse=True)
    assert all(row_id > 2**31 for row_id in ids_of(rows))


def test_pages_follow_the_link_header_until_it_is_missing(greenhouse: Greenhouse):
    made = add_candidates(greenhouse, 7)
    answer = greenhouse.get("candidates?per_page=3")
    assert set(answer.links) == {"next"}
    assert answer.links["next"]["url"].startswith(f"{greenhouse.root}/v3/candidates?cursor=")
    pages = greenhouse.all_pages("candidates?per_page=3")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row["id"] for page in pages for row in page] == made[::-1]


def test_a_last_page_that_is_full_has_no_link(greenhouse: Greenhouse):
    add_candidates(greenhouse, 4)
    assert [len(page) for page in greenhouse.all_pages("candidates?per_page=2")] == [2, 2]


def test_a_page_holds_a_hundred_rows_unless_told_otherwise(greenhouse: Greenhouse):
    add_candidates(greenhouse, 101)
    assert [len(page) for page in greenhouse.all_pages("candidates")] == [100, 1]
    assert len(greenhouse.rows("candidates?per_page=500")) == 101


@pytest.mark.parametrize("size", ["0", "-1", "501", "600", "many", ""])
def test_a_page_size_out_of_range_is_refused_and_not_clamped(greenhouse: Greenhouse, size: str):
    (entry,) = errors_of(greenhouse.get(f"candidates?per_page={size}"))
    assert list(entry) == ["per_page"]


def test_the_refusal_of_a_page_size_reads_as_documented(greenhouse: Greenhouse):
    answer = greenhouse.get("candidates?per_page=600")
    assert answer.json() == {
        "message": "Unprocessable Content",
        "errors": [{"per_page": "`600` number is greater than: 500"}],
    }


def test_a_cursor_sent_with_other_parameters_is_refused(greenhouse: Greenhouse):
    add_candidates(greenhouse, 3)
    url = greenhouse.get("candidates?per_page=1").links["next"]["url"]
    for more in ("per_page=1", "fields=id", "email=a@b.c"):
        answer = greenhouse.get(f"candidates?{url.partition('?')[2]}&{more}")
        assert errors_of(answer) == ["When passing a cursor, do not include other query params."]


def test_a_cursor_remembers_filters_size_and_fields(greenhouse: Greenhouse):
    made = add_candidates(greenhouse, 6)
    until = stamp(START + timedelta(minutes=3))
    pages = greenhouse.all_pages(f"candidates?per_page=2&fields=id&created_at=lte|{until}")
    assert pages == [[{"id": made[3]}, {"id": made[2]}], [{"id": made[1]}, {"id": made[0]}]]


@pytest.mark.parametrize("cursor", ["", "abc", "eyJtYWRlIjoidXAifQ", "*", "A" * 200])
def test_a_cursor_that_was_not_made_here_is_refused(greenhouse: Greenhouse, cursor: str):
    assert errors_of(greenhouse.get(f"candidates?cursor={cursor}"))


def test_a_cursor_of_another_resource_is_refused(greenhouse: Greenhouse):
    add_candidates(greenhouse, 2)
    query = greenhouse.get("candidates?per_page=1").links["next"]["url"].partition("?")[2]
    assert errors_of(greenhouse.get(f"applications?{query}"))


def test_rows_created_or_deleted_between_pages_neither_repeat_nor_skip_others(greenhouse: Greenhouse):
    made = add_candidates(greenhouse, 6)
    first = greenhouse.get("candidates?per_page=2")
    greenhouse.acts.create_candidate(first_name="New", last_name="Comer")
    greenhouse.acts.delete_candidate(made[4])
    rest = greenhouse.session.get(
        first.links["next"]["url"], headers={"Authorization": f"Bearer {greenhouse.token}"}, timeout=5
    )
    assert ids_of(first.json()) == [made[5], made[4]]
    assert ids_of(rest.json()) == [made[3], made[2]]


@pytest.mark.parametrize("name", ["job_ids", "foo", "created_at[gte]", "name", "phone"])
def test_a_filter_that_the_resource_does_not_define_is_refused(greenhouse: Greenhouse, name: str):
    (entry,) = errors_of(greenhouse.get(f"candidates?{name}=1"))
    assert list(entry) == [name]


def test_rejection_details_know_no_job_filter(greenhouse: Greenhouse):
    assert errors_of(greenhouse.get("rejection_details?job_ids=1"))


def test_everything_wrong_is_told_at_once(greenhouse: Greenhouse):
    entries = errors_of(greenhouse.get("candidates?per_page=600&foo=1&ids=x"))
    assert {name for entry in entries for name in entry} == {"per_page", "foo", "ids"}


def test_ids_are_a_comma_list_of_at_most_fifty(greenhouse: Greenhouse):
    made = add_candidates(greenhouse, 3)
    assert ids_of(greenhouse.rows(f"candidates?ids={made[0]},{made[2]},99999999999")) == [made[2], made[0]]
    assert greenhouse.rows("candidates?ids=1") == []
    fifty = ",".join(str(number) for number in range(50))
    assert greenhouse.rows(f"candidates?ids={fifty}") == []
    assert errors_of(greenhouse.get(f"candidates?ids={fifty},50")) == [{"ids": "array size is greater than: 50"}]
    assert errors_of(greenhouse.get("candidates?ids=1,a"))
    assert errors_of(greenhouse.get("candidates?ids=1&ids=2"))


def test_id_lists_of_parents_are_capped_too(greenhouse: Greenhouse):
    many = ",".join(str(number) for number in range(51))
    for name in ("candidate_ids", "job_ids", "source_ids", "referrer_ids", "stage_ids", "job_interview_stage_ids"):
        assert errors_of(greenhouse.get(f"applications?{name}={many}"))


def test_fields_leave_everything_else_out(greenhouse: Greenhouse):
    add_candidates(greenhouse, 1)
    (row,) = greenhouse.rows("candidates?fields=first_name,updated_at")
    assert set(row) == {"first_name", "updated_at"}


@pytest.mark.parametrize("fields", ["nope", "first_name,,tags", "First_Name", ",".join(["id"] * 51)])
def test_fields_that_do_not_exist_are_refused(greenhouse: Greenhouse, fields: str):
    assert errors_of(greenhouse.get(f"candidates?fields={fields}"))


# ---------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("gte|{2}", [3, 2]),
        ("gt|{2}", [3]),
        ("lte|{1}", [1, 0]),
        ("lt|{1}", [0]),
        ("gte|{1}|lte|{2}", [2, 1]),
        ("lt|{3}|gt|{0}", [2, 1]),
        ("gte|{3}|lte|{0}", []),
    ],
)
def test_dates_compare_with_pipes_on_one_or_two_sides(greenhouse: Greenhouse, comparison: str, expected: list[int]):
    made = add_candidates(greenhouse, 4)
    text = comparison.format(*(stamp(START + timedelta(minutes=number)) for number in range(4)))
    for name in ("created_at", "updated_at"):
        assert ids_of(greenhouse.rows(f"candidates?{name}={quote(text)}")) == [made[i] for i in expected]


@pytest.mark.parametrize(
    "moment",
    ["2026-11-02T09:02:00Z", "2026-11-02T09:02:00.000Z", "2026-11-02T10:02:00%2B01:00", "2026-11-02T09:02:00.000000Z"],
)
def test_a_moment_may_be_written_in_any_rfc_3339_form(greenhouse: Greenhouse, moment: str):
    made = add_candidates(greenhouse, 4)
    assert ids_of(greenhouse.rows(f"candidates?updated_at=gte|{moment}")) == [made[3], made[2]]


def test_a_finer_moment_than_milliseconds_is_not_rounded(greenhouse: Greenhouse):
    made = add_candidates(greenhouse, 2)
    assert ids_of(greenhouse.rows("candidates?updated_at=gt|2026-11-02T09:00:00.000001Z")) == [made[1]]
    assert ids_of(greenhouse.rows("candidates?updated_at=lte|2026-11-02T09:00:59.999999Z")) == [made[0]]


@pytest.mark.parametrize(
    "text",
    ["2026-11-02T09:00:00Z", "gte", "gte|", "gte|2026-11-02", "gte|now", "ge|2026-11-02T09:00:00Z", "gte|1|lte", ""],
)
def test_a_date_filter_of_another_form_is_refused(greenhouse: Greenhouse, text: str):
    (entry,) = errors_of(greenhouse.get(f"candidates?updated_at={text}"))
    assert list(entry) == ["updated_at"]


def test_created_and_updated_cannot_be_combined(greenhouse: Greenhouse):
    moment = "gte|2026-11-02T09:00:00Z"
    answer = greenhouse.get(f"candidates?created_at={moment}&updated_at={moment}")
    assert errors_of(answer) == ["created_at and updated_at cannot be combined"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 12), min_size=1, max_size=4), size=st.integers(1, 5))
def test_windows_that_touch_cover_every_row_once(greenhouse: Greenhouse, cuts: list[int], size: int):
    """Pulling gt-to-lte windows side by side, page by page, sees each row exactly once."""
    if not greenhouse.store.rows("candidates"):
        add_candidates(greenhouse, 12)
    edges = sorted({-1, *cuts, 12})
    seen: list[int] = []
    for low, high in itertools.pairwise(edges):
        since, until = stamp(START + timedelta(minutes=low)), stamp(START + timedelta(minutes=high))
        for page in greenhouse.all_pages(f"candidates?per_page={size}&updated_at=gt|{since}|lte|{until}"):
            seen += ids_of(page)
    assert sorted(seen) == ids_of(greenhouse.store.rows("candidates"))


# ---------------------------------------------------------------- filters of each resource


def test_email_is_exact_and_ignores_case(greenhouse: Greenhouse):
    made = add_candidates(greenhouse, 2)
    assert ids_of(greenhouse.rows("candidates?email=aDA1@example.ORG")) == [made[1]]
    assert greenhouse.rows("candidates?email=ada1@example.or") == []
    assert greenhouse.rows("candidates?email=da1@example.org") == []


def test_every_address_of_a_candidate_is_found_and_a_former_one_is_not(greenhouse: Greenhouse):
    (made,) = add_candidates(greenhouse, 1)
    greenhouse.acts.edit_candidate(made, emails=["one@example.org", "two@example.org"])
    assert ids_of(greenhouse.rows("candidates?email=two@example.org")) == [made]
    assert greenhouse.rows("candidates?email=ada0@example.org") == []


def test_candidates_filter_by_tag_privacy_and_activity(greenhouse: Greenhouse):
    one, two = add_candidates(greenhouse, 2)
    greenhouse.acts.edit_candidate(one, tags=["Data"], is_private=True)
    assert ids_of(greenhouse.rows("candidates?tag=Data")) == [one]
    assert greenhouse.rows("candidates?tag=data") == []
    assert ids_of(greenhouse.rows("candidates?private=true")) == [one]
    assert ids_of(greenhouse.rows("candidates?private=false")) == [two]
    assert errors_of(greenhouse.get("candidates?private=yes"))
    greenhouse.acts.create_application(candidate_id=two, job_id=greenhouse.job()["id"])
    assert ids_of(greenhouse.rows("candidates?last_activity_at=gte|2026-01-01T00:00:00Z")) == [two]


def test_the_status_filter_says_active_where_rows_say_in_process(greenhouse: Greenhouse):
    job = greenhouse.job(openings=1)
    going, rejected, hired = (greenhouse.application(job)["id"] for _ in range(3))
    greenhouse.acts.reject(rejected)
    greenhouse.acts.hire(hired)
    (row,) = greenhouse.rows("applications?status=active")
    assert (row["id"], row["status"]) == (going, "in_process")
    assert ids_of(greenhouse.rows("applications?status=rejected")) == [rejected]
    assert ids_of(greenhouse.rows("applications?status=hired")) == [hired]
    assert greenhouse.rows("applications?status=converted") == []
    assert errors_of(greenhouse.get("applications?status=open"))


def test_applications_filter_by_their_parents(greenhouse: Greenhouse):
    source = greenhouse.rows("sources")[0]["id"]
    referrer = greenhouse.acts.add_referrer(name="Alumni")["id"]
    job, other = greenhouse.job(), greenhouse.job("Other")
    one = greenhouse.application(job, source_id=source, referrer_id=referrer)
    two = greenhouse.application(other)
    for query in (
        f"candidate_ids={one['candidate_id']}",
        f"job_ids={job['id']}",
        f"source_ids={source}",
        f"referrer_ids={referrer}",
        f"stage_ids={one['stage_id']}",
        f"job_interview_stage_ids={one['job_interview_stage_id']}",
        f"job_ids={job['id']},{other['id']}&candidate_ids={one['candidate_id']}",
    ):
        assert ids_of(greenhouse.rows(f"applications?{query}")) == [one["id"]], query
    assert ids_of(greenhouse.rows("applications?stage_name=Application%20Review")) == [two["id"], one["id"]]
    assert greenhouse.rows("applications?stage_name=application%20review") == []
    assert greenhouse.rows("applications?prospect=true") == []


def test_a_job_stage_id_in_stage_ids_silently_finds_nothing(greenhouse: Greenhouse):
    application = greenhouse.application()
    assert greenhouse.rows(f"applications?stage_ids={application['job_interview_stage_id']}") == []


def test_only_the_newest_living_version_of_an_offer_is_current(greenhouse: Greenhouse):
    application = greenhouse.application()
    first = greenhouse.acts.offer_create(application["id"], starts_on="2026-12-01")
    second = greenhouse.acts.offer_change(application["id"], starts_on="2027-01-04")
    both = f"offers?application_ids={application['id']}"
    assert ids_of(greenhouse.rows(both)) == [second["id"], first["id"]]
    assert ids_of(greenhouse.rows(f"{both}&current_only=true")) == [second["id"]]
    assert ids_of(greenhouse.rows(f"{both}&current_only=false")) == [second["id"], first["id"]]
    assert ids_of(greenhouse.rows("offers?status=Deprecated")) == [first["id"]]
    assert errors_of(greenhouse.get("offers?status=created"))
    assert ids_of(greenhouse.rows("offers?starts_on=gte|2027-01-01T00:00:00Z")) == [second["id"]]


def test_built_in_rejection_reasons_are_hidden_unless_asked_for(greenhouse: Greenhouse):
    shown = {row["name"] for row in greenhouse.rows("rejection_reasons")}
    everything = {row["name"] for row in greenhouse.rows("rejection_reasons?include_defaults=true")}
    assert everything - shown == {"Other", "Flagged"}
    assert {row["name"] for row in greenhouse.rows("rejection_reasons?include_defaults=false")} == shown


def test_service_accounts_are_hidden_unless_asked_for(greenhouse: Greenhouse):
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter", employee_id="E-1")
    assert ids_of(greenhouse.rows("users")) == [user["id"]]
    assert set(ids_of(greenhouse.rows("users?show_service_accounts=true"))) == {user["id"], greenhouse.service_user}
    assert ids_of(greenhouse.rows("users?primary_email=ida@example.com")) == [user["id"]]
    assert greenhouse.rows("users?primary_email=ida@example") == []
    assert ids_of(greenhouse.rows("users?employee_ids=E-1,E-2")) == [user["id"]]
    assert greenhouse.rows("users?deactivated=true") == []


def test_users_filter_by_outside_ids_of_offices(greenhouse: Greenhouse):
    office = greenhouse.acts.add_row("offices", {"name": "Berlin", "external_id": "BER"})
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter", office_ids=[office["id"]])
    greenhouse.acts.add_user("ole@example.com", "Ole", "Recruiter")
    assert ids_of(greenhouse.rows("users?external_office_id=BER")) == [user["id"]]
    assert ids_of(greenhouse.rows(f"users?office_ids={office['id']}")) == [user["id"]]
    assert greenhouse.rows("users?external_department_id=BER") == []


def test_referrers_are_looked_up_by_user(greenhouse: Greenhouse):
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter")
    referrer = greenhouse.acts.add_referrer(user_id=user["id"])
    greenhouse.acts.add_referrer(name="Alumni network")
    assert greenhouse.rows(f"referrers?user_ids={user['id']}") == [greenhouse.one("referrers", referrer["id"])]
    assert referrer["id"] != user["id"]


def test_jobs_filter_by_status_department_and_office(greenhouse: Greenhouse):
    department = greenhouse.acts.add_row("departments", {"name": "Data"})["id"]
    office = greenhouse.acts.add_row("offices", {"name": "Berlin"})["id"]
    job = greenhouse.job(department_id=department, office_ids=[office], requisition_id="REQ-1")
    draft = greenhouse.job("Draft", status="draft")
    assert ids_of(greenhouse.rows("jobs?status=draft")) == [draft["id"]]
    for query in (f"department_id={department}", f"office_id={office}", "requisition_id=REQ-1", "status=open"):
        assert ids_of(greenhouse.rows(f"jobs?{query}")) == [job["id"]]
    assert errors_of(greenhouse.get("jobs?status=Open"))
    assert errors_of(greenhouse.get(f"jobs?department_id={department},{department}"))


def test_openings_filter_by_job_state_and_label(greenhouse: Greenhouse):
    job = greenhouse.job(openings=2, requisition_id="REQ-1")
    application = greenhouse.application(job)
    first, second = (row["id"] for row in reversed(greenhouse.rows(f"openings?job_ids={job['id']}")))
    greenhouse.acts.hire(application["id"], opening_id=second)
    assert ids_of(greenhouse.rows("openings?open=true")) == [first]
    assert ids_of(greenhouse.rows(f"openings?application_ids={application['id']}")) == [second]
    assert ids_of(greenhouse.rows("openings?opening_id=REQ-1-2")) == [second]


def test_stage_rows_filter_by_application_and_currency(greenhouse: Greenhouse):
    application = greenhouse.application()
    rows = greenhouse.rows(f"application_stages?application_ids={application['id']}&current=true")
    assert ids_of(rows) == [application["stage_id"]]


def test_custom_fields_filter_by_key_and_activity(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Advocate ID")
    greenhouse.acts.add_custom_field("Old field")
    greenhouse.acts.archive_custom_field("old_field")
    assert [row["name"] for row in greenhouse.rows("custom_fields?name_key=advocate_id")] == ["Advocate ID"]
    assert len(greenhouse.rows("custom_fields?field_type=application")) == 2
    assert [row["name"] for row in greenhouse.rows("custom_fields?active=true")] == ["Advocate ID"]


def test_rows_filter_by_the_option_of_a_select(greenhouse: Greenhouse):
    field = greenhouse.acts.add_custom_field("Campaign", value_type="single_select", options=["Spring", "Autumn"])
    autumn, spring = greenhouse.rows(f"custom_field_options?custom_field_ids={field['id']}")
    chosen = [{"custom_field_id": field["id"], "value": spring["id"]}]
    application = greenhouse.application(custom_fields=chosen)
    assert ids_of(greenhouse.rows(f"applications?custom_field_option_id={spring['id']}")) == [application["id"]]
    assert greenhouse.rows(f"applications?custom_field_option_id={autumn['id']}") == []
    assert greenhouse.rows(f"candidates?custom_field_option_id={spring['id']}") == []
    assert len(greenhouse.rows("custom_field_options?custom_field_key=campaign")) == 2
    assert errors_of(greenhouse.get("applications?custom_field_option_id=x"))
