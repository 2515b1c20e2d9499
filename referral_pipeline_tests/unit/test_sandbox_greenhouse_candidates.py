"""Writes on candidates: create, change, merge, anonymize, delete, tags, custom fields."""

from __future__ import annotations

from typing import Any

import pytest

from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import Greenhouse, errors_of, greenhouse_with

greenhouse = greenhouse_server.greenhouse

ADA: dict[str, Any] = {"first_name": "Ada", "last_name": "Lovelace"}


def mail(*addresses: str) -> list[dict[str, str]]:
    return [{"value": address, "type": "personal"} for address in addresses]


def phone(*numbers: str) -> list[dict[str, str]]:
    return [{"value": number, "type": "mobile"} for number in numbers]


def values_of(row: dict[str, Any], column: str) -> list[str]:
    return [item["value"] for item in row[column]]


# ---------------------------------------------------------------- create


def test_a_candidate_comes_back_in_a_wrapper_with_201(greenhouse: Greenhouse):
    answer = greenhouse.post("candidates", {**ADA, "email_addresses": mail("ada@example.org")})
    assert answer.status_code == 201
    assert set(answer.json()) == {"candidate", "application"}
    assert answer.json()["application"] is None
    assert greenhouse.rows("candidates?email=ada@example.org") == [answer.json()["candidate"]]


def test_a_candidate_can_be_created_with_an_application(greenhouse: Greenhouse):
    job = greenhouse.job()
    source = greenhouse.rows("sources")[0]["id"]
    greenhouse.acts.add_custom_field("Advocate ID")
    fields = [{"name_key": "advocate_id", "value": "adv-1"}]
    body = {**ADA, "application": {"job_id": job["id"], "source_id": source, "custom_fields": fields}}
    answer = greenhouse.post("candidates", body).json()
    application = greenhouse.one("applications", answer["application"]["id"])
    assert application == answer["application"]
    assert application["candidate_id"] == answer["candidate"]["id"]
    assert (application["status"], application["stage_name"]) == ("in_process", "Application Review")
    assert application["source_id"] == source
    assert application["custom_fields"]["advocate_id"] == {
        "name": "Advocate ID",
        "type": "short_text",
        "value": "adv-1",
    }


def test_a_candidate_can_be_created_as_a_prospect(greenhouse: Greenhouse):
    job = greenhouse.job()
    body = {**ADA, "application": {"prospect": True, "job_ids": [job["id"]]}}
    application = greenhouse.post("candidates", body).json()["application"]
    assert application["prospect"] is True
    assert (application["job_id"], application["stage_id"]) == (None, None)
    assert application["prospective_job_ids"] == [job["id"]]


def test_privacy_is_written_as_is_private_and_read_as_private(greenhouse: Greenhouse):
    assert greenhouse.candidate(is_private=True)["private"] is True
    assert errors_of(greenhouse.post("candidates", {**ADA, "private": True}))


def test_duplicates_are_not_refused(greenhouse: Greenhouse):
    first = greenhouse.candidate(email_addresses=mail("ada@example.org"))
    second = greenhouse.candidate(email_addresses=mail("ADA@example.org"))
    assert first["id"] != second["id"]
    assert len(greenhouse.rows("candidates?email=ada@example.org")) == 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"first_name": None}, "first_name"),
        ({"last_name": ""}, "last_name"),
        ({"first_name": 7}, "first_name"),
        ({"first_name": "x" * 256}, "first_name"),
        ({"email": "ada@example.org"}, "email"),
        ({"email_addresses": "ada@example.org"}, "email_addresses"),
        ({"email_addresses": [{"value": "ada@example.org"}]}, "email_addresses.0.type"),
        ({"email_addresses": [{"value": "ada@example.org", "type": "home"}]}, "email_addresses.0.type"),
        ({"phone_numbers": [{"value": "1", "type": "cell"}]}, "phone_numbers.0.type"),
        ({"phone_numbers": [{"value": 1, "type": "home"}]}, "phone_numbers.0.value"),
        ({"tags": [1]}, "tags.0"),
        ({"can_email": "yes"}, "can_email"),
        ({"custom_fields": {"a": 1}}, "custom_fields"),
        ({"custom_fields": [{"value": 1}]}, "custom_fields.0"),
        ({"application": {"source_id": 1}}, "application.job_id"),
        ({"application": {"job_id": 1, "referral": 1}}, "application.referral"),
        ({"application": {"prospect": True, "job_id": 1}}, "application.job_id"),
        ({"application": [{"job_id": 1}]}, "application"),
        ({"applications": [{"job_id": 1}]}, "applications"),
    ],
)
def test_a_body_of_another_shape_is_refused_by_key(greenhouse: Greenhouse, change: dict[str, Any], place: str):
    entries = errors_of(greenhouse.post("candidates", {**ADA, **change}))
    assert place in {name for entry in entries for name in entry}
    assert greenhouse.store.rows("candidates") == []


def test_names_are_required(greenhouse: Greenhouse):
    entries = errors_of(greenhouse.post("candidates", {}))
    assert {name for entry in entries for name in entry} == {"first_name", "last_name"}


@pytest.mark.parametrize(
    "application",
    [
        {"job_id": 1},
        {"source_id": 1},
        {"referrer_id": 1},
        {"recruiter_id": 1},
        {"initial_stage_id": 1},
        {"custom_fields": [{"name_key": "nope", "value": 1}]},
    ],
)
def test_a_reference_to_nothing_is_refused_in_a_sentence_and_leaves_no_candidate(
    greenhouse: Greenhouse, application: dict[str, Any]
):
    body = {**ADA, "application": {"job_id": greenhouse.job()["id"], **application}}
    (entry,) = errors_of(greenhouse.post("candidates", body))
    assert isinstance(entry, str)
    assert greenhouse.store.rows("candidates") == []


def test_a_users_id_is_no_referrers_id(greenhouse: Greenhouse):
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter")
    referrer = greenhouse.acts.add_referrer(user_id=user["id"])
    job = greenhouse.job()["id"]
    wrong = {**ADA, "application": {"job_id": job, "referrer_id": user["id"]}}
    right = {**ADA, "application": {"job_id": job, "referrer_id": referrer["id"]}}
    assert errors_of(greenhouse.post("candidates", wrong)) == ["Referrer does not exist"]
    assert greenhouse.post("candidates", right).json()["application"]["referrer_id"] == referrer["id"]


@pytest.mark.parametrize("address", ["ada", "ada@example", "ada@@example.org", "a da@example.org", "ada@example.org,b"])
def test_an_address_that_is_none_is_refused(greenhouse: Greenhouse, address: str):
    body = {**ADA, "email_addresses": mail(address)}
    assert errors_of(greenhouse.post("candidates", body)) == ["Email address is invalid"]


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null"])
def test_json_that_is_no_object_is_unprocessable(greenhouse: Greenhouse, raw: bytes):
    answer = greenhouse.call("POST", "candidates", data=raw, headers={"Content-Type": "application/json"})
    assert errors_of(answer) == [{"body": "value is not an object"}]


def test_a_form_is_not_taken_for_json(greenhouse: Greenhouse):
    assert errors_of(greenhouse.call("POST", "candidates", data={"first_name": "Ada", "last_name": "Lovelace"}))


def test_a_query_on_a_write_is_refused(greenhouse: Greenhouse):
    assert errors_of(greenhouse.post("candidates?dry_run=true", ADA))


def test_the_refusal_never_repeats_what_was_sent(greenhouse: Greenhouse):
    answer = greenhouse.post("candidates", {**ADA, "email_addresses": [{"value": "ada@example.org", "type": "x"}]})
    assert "ada@example.org" not in answer.text


# ---------------------------------------------------------------- change


def test_only_the_keys_that_are_sent_change(greenhouse: Greenhouse):
    before = greenhouse.candidate(email_addresses=mail("ada@example.org"), tags=["Data"], company="Engines")
    greenhouse.clock.advance(60)
    answer = greenhouse.patch(f"candidates/{before['id']}", {"title": "Countess"})
    assert answer.status_code == 200
    after = answer.json()
    assert {key for key in after if after[key] != before[key]} == {"title", "updated_at"}
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("email_addresses", mail("a@example.org", "b@example.org"), mail("c@example.org")),
        ("phone_numbers", phone("+1 212 555 0147"), phone("+1 212 555 0148")),
        ("tags", ["Data", "Remote"], ["Advocacy"]),
        ("tags", ["Data"], []),
        ("social_media_addresses", [{"value": "https://x.example/ada"}], [{"value": "https://y.example/ada"}]),
    ],
)
def test_each_array_replaces_the_whole_list(greenhouse: Greenhouse, column: str, first: Any, second: Any):
    candidate = greenhouse.candidate(**{column: first})
    assert greenhouse.patch(f"candidates/{candidate['id']}", {column: second}).json()[column] == second


def test_a_text_is_cleared_by_an_empty_one_and_not_by_null(greenhouse: Greenhouse):
    candidate = greenhouse.candidate(company="Engines", title="Countess", preferred_name="A.")
    for column in ("company", "title", "preferred_name"):
        assert errors_of(greenhouse.patch(f"candidates/{candidate['id']}", {column: None}))
        assert greenhouse.patch(f"candidates/{candidate['id']}", {column: ""}).json()[column] is None


def test_a_change_that_changes_nothing_leaves_updated_at(greenhouse: Greenhouse):
    candidate = greenhouse.candidate(tags=["Data"])
    greenhouse.clock.advance(60)
    body = {"tags": ["Data"], "first_name": "Ada"}
    assert greenhouse.patch(f"candidates/{candidate['id']}", body).json() == candidate


def test_an_application_cannot_be_slipped_into_a_change(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()
    body = {"application": {"job_id": greenhouse.job()["id"]}}
    assert errors_of(greenhouse.patch(f"candidates/{candidate['id']}", body))


def test_an_id_that_is_no_number_is_refused(greenhouse: Greenhouse):
    assert errors_of(greenhouse.patch("candidates/ada", {"title": "x"}))


# ---------------------------------------------------------------- custom fields


def with_fields(greenhouse: Greenhouse) -> None:
    add = greenhouse.acts.add_custom_field
    add("Referral ID", field_type="candidate")
    add("Consent", field_type="candidate", value_type="yes_no")
    add("Reach", field_type="candidate", value_type="number")
    add("Salary", field_type="candidate", value_type="currency")
    add("Since", field_type="candidate", value_type="date")
    add("Skills", field_type="candidate", value_type="multi_select", options=["Python", "SQL"])
    add("Band", field_type="candidate", value_type="single_select", options=["Junior", "Senior"])
    add("Owner", field_type="candidate", value_type="user")
    add("Campaign", field_type="application")
    add("Old", field_type="candidate")
    greenhouse.acts.archive_custom_field("old")


def test_values_are_written_as_an_array_and_read_as_a_map(greenhouse: Greenhouse):
    with_fields(greenhouse)
    owner = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter")["id"]
    options = {row["name"]: row["id"] for row in greenhouse.rows("custom_field_options")}
    by_id = greenhouse.rows("custom_fields?name_key=reach")[0]["id"]
    written = [
        {"name_key": "referral_id", "value": "R-1"},
        {"name_key": "consent", "value": True},
        {"custom_field_id": by_id, "value": 12.5},
        {"name_key": "salary", "value": {"amount": 100, "currency_code": "USD"}},
        {"name_key": "since", "value": "2026-11-02"},
        {"name_key": "skills", "value": [options["Python"], options["SQL"]]},
        {"name_key": "band", "value": options["Senior"]},
        {"name_key": "owner", "value": owner},
    ]
    read = greenhouse.candidate(custom_fields=written)["custom_fields"]
    assert {key: entry["value"] for key, entry in read.items()} == {
        "referral_id": "R-1",
        "consent": True,
        "reach": 12.5,
        "salary": {"amount": 100, "currency_code": "USD"},
        "since": "2026-11-02",
        "skills": ["Python", "SQL"],
        "band": "Senior",
        "owner": owner,
    }
    assert read["band"] == {"name": "Band", "type": "single_select", "value": "Senior"}


def test_a_change_of_custom_fields_replaces_the_whole_set(greenhouse: Greenhouse):
    with_fields(greenhouse)
    both = [{"name_key": "referral_id", "value": "R-1"}, {"name_key": "consent", "value": True}]
    candidate = greenhouse.candidate(custom_fields=both)
    after = greenhouse.patch(f"candidates/{candidate['id']}", {"custom_fields": both[:1]}).json()
    assert set(after["custom_fields"]) == {"referral_id"}


def test_null_unsets_a_value(greenhouse: Greenhouse):
    with_fields(greenhouse)
    candidate = greenhouse.candidate(custom_fields=[{"name_key": "referral_id", "value": "R-1"}])
    body = {"custom_fields": [{"name_key": "referral_id", "value": None}]}
    after = greenhouse.patch(f"candidates/{candidate['id']}", body).json()
    assert after["custom_fields"]["referral_id"]["value"] is None


@pytest.mark.parametrize(
    "entry",
    [
        {"name_key": "nope", "value": "x"},
        {"custom_field_id": 1, "value": "x"},
        {"name_key": "campaign", "value": "of another record type"},
        {"name_key": "old", "value": "archived"},
        {"name_key": "referral_id", "value": 1},
        {"name_key": "consent", "value": "yes"},
        {"name_key": "reach", "value": "12"},
        {"name_key": "reach", "value": True},
        {"name_key": "salary", "value": 100},
        {"name_key": "since", "value": "yesterday"},
        {"name_key": "since", "value": "2026-11-02T00:00:00Z"},
        {"name_key": "skills", "value": ["Python"]},
        {"name_key": "band", "value": 7},
        {"name_key": "owner", "value": 7},
    ],
)
def test_a_value_that_the_field_does_not_take_is_refused(greenhouse: Greenhouse, entry: dict[str, Any]):
    with_fields(greenhouse)
    (problem,) = errors_of(greenhouse.post("candidates", {**ADA, "custom_fields": [entry]}))
    assert isinstance(problem, str)


def test_a_field_named_twice_is_refused(greenhouse: Greenhouse):
    with_fields(greenhouse)
    entry = {"name_key": "referral_id", "value": "R-1"}
    assert errors_of(greenhouse.post("candidates", {**ADA, "custom_fields": [entry, entry]}))


# ---------------------------------------------------------------- merge, anonymize, delete


def test_a_merge_moves_everything_to_the_primary_and_deletes_the_secondary(greenhouse: Greenhouse):
    job = greenhouse.job()
    primary = greenhouse.candidate(email_addresses=mail("ada@example.org"), tags=["Data"])
    secondary = greenhouse.candidate(
        email_addresses=mail("ADA@example.org", "ada@work.example"),
        phone_numbers=phone("+1 212 555 0147"),
        tags=["SQL"],
    )
    application = greenhouse.post("applications", {"candidate_id": secondary["id"], "job_id": job["id"]}).json()
    offer = greenhouse.post("offers", {"application_id": application["id"]}).json()
    greenhouse.clock.advance(60)
    answer = greenhouse.post(f"candidates/{primary['id']}/merge", {"secondary_candidate_id": secondary["id"]})
    assert answer.status_code == 200
    after = greenhouse.one("candidates", primary["id"])
    assert answer.json() == after
    assert values_of(after, "email_addresses") == ["ada@example.org", "ada@work.example"]
    assert values_of(after, "phone_numbers") == ["+1 212 555 0147"]
    assert after["tags"] == ["Data", "SQL"]
    assert after["updated_at"] > primary["updated_at"]
    assert greenhouse.rows(f"candidates?ids={secondary['id']}") == []
    moved = greenhouse.one("applications", application["id"])
    assert moved["candidate_id"] == primary["id"]
    assert moved["updated_at"] > application["updated_at"]
    assert greenhouse.one("offers", offer["id"])["candidate_id"] == primary["id"]
    assert [row["id"] for row in greenhouse.rows("candidates?email=ada@work.example")] == [primary["id"]]


def test_a_merge_that_brings_nothing_new_moves_updated_at(greenhouse: Greenhouse):
    primary, secondary = greenhouse.candidate(), greenhouse.candidate()
    greenhouse.clock.advance(60)
    greenhouse.post(f"candidates/{primary['id']}/merge", {"secondary_candidate_id": secondary["id"]})
    assert greenhouse.one("candidates", primary["id"])["updated_at"] > primary["updated_at"]


def test_a_merge_with_itself_or_with_nobody_is_refused(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()
    for other in (candidate["id"], 1):
        assert errors_of(greenhouse.post(f"candidates/{candidate['id']}/merge", {"secondary_candidate_id": other}))
    assert errors_of(greenhouse.post(f"candidates/{candidate['id']}/merge", {}))


def test_an_anonymized_candidate_keeps_its_id_and_loses_what_was_named(greenhouse: Greenhouse):
    candidate = greenhouse.candidate(
        email_addresses=mail("ada@example.org"), phone_numbers=phone("+1 212 555 0147"), company="Engines"
    )
    body = {"fields": ["full_name", "emails", "phone_numbers"]}
    answer = greenhouse.patch(f"candidates/{candidate['id']}/anonymize", body)
    assert answer.status_code == 200
    after = greenhouse.one("candidates", candidate["id"])
    assert (after["first_name"], after["last_name"]) == ("Anonymized", str(candidate["id"]))
    assert (after["email_addresses"], after["phone_numbers"], after["company"]) == ([], [], "Engines")
    assert greenhouse.rows("candidates?email=ada@example.org") == []


def test_an_unknown_thing_cannot_be_anonymized(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()
    for body in ({"fields": ["shoe_size"]}, {"fields": []}, {}, {"fields": "full_name"}):
        assert errors_of(greenhouse.patch(f"candidates/{candidate['id']}/anonymize", body))


def test_a_deleted_candidate_takes_applications_stages_and_offers_along(greenhouse: Greenhouse):
    application = greenhouse.application()
    greenhouse.post("offers", {"application_id": application["id"]})
    answer = greenhouse.delete(f"candidates/{application['candidate_id']}")
    assert answer.status_code == 200
    assert answer.json() == {"message": f"Candidate {application['candidate_id']} deleted successfully"}
    for entity in ("candidates", "applications", "application_stages", "offers"):
        assert greenhouse.rows(entity) == []
    assert greenhouse.delete(f"candidates/{application['candidate_id']}").status_code == 404


def test_the_id_of_a_deleted_candidate_is_not_used_again(greenhouse: Greenhouse):
    first = greenhouse.candidate()["id"]
    greenhouse.delete(f"candidates/{first}")
    assert greenhouse.candidate()["id"] > first


# ---------------------------------------------------------------- tags


def test_tags_on_a_candidate_and_applied_tags_are_the_same_facts(greenhouse: Greenhouse):
    candidate = greenhouse.candidate(tags=["Data", "data"])
    tags = {row["name"]: row["id"] for row in greenhouse.rows("candidate_tags")}
    assert set(tags) == {"Data", "data"}
    applied = greenhouse.rows(f"applied_candidate_tags?candidate_ids={candidate['id']}")
    assert {row["candidate_tag_id"] for row in applied} == set(tags.values())
    gone = next(row["id"] for row in applied if row["candidate_tag_id"] == tags["data"])
    assert greenhouse.delete(f"applied_candidate_tags/{gone}").status_code == 200
    assert greenhouse.one("candidates", candidate["id"])["tags"] == ["Data"]
    again = greenhouse.post(
        "applied_candidate_tags", {"candidate_id": candidate["id"], "candidate_tag_id": tags["data"]}
    )
    assert again.status_code == 201
    assert greenhouse.one("candidates", candidate["id"])["tags"] == ["Data", "data"]
    greenhouse.patch(f"candidates/{candidate['id']}", {"tags": ["data"]})
    (left,) = greenhouse.rows("applied_candidate_tags")
    assert left["id"] == again.json()["id"]


def test_a_tag_name_is_unique_and_its_deletion_reaches_everybody(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()
    made = greenhouse.post("candidate_tags", {"name": "Advocacy"})
    assert made.status_code == 201
    assert errors_of(greenhouse.post("candidate_tags", {"name": "Advocacy"})) == ["Name has already been taken"]
    tag = made.json()["id"]
    greenhouse.post("applied_candidate_tags", {"candidate_id": candidate["id"], "candidate_tag_id": tag})
    greenhouse.delete(f"candidate_tags/{tag}")
    assert greenhouse.one("candidates", candidate["id"])["tags"] == []
    assert greenhouse.rows("applied_candidate_tags") == []
    assert greenhouse.rows("candidate_tags") == []


def test_applying_a_tag_needs_both_ids(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()["id"]
    assert errors_of(greenhouse.post("applied_candidate_tags", {"candidate_id": candidate, "candidate_tag_id": 1}))
    assert errors_of(greenhouse.post("applied_candidate_tags", {"candidate_id": candidate}))
    assert greenhouse.delete("applied_candidate_tags/1").status_code == 404


# ---------------------------------------------------------------- visibility


def test_a_fresh_candidate_is_invisible_to_every_list_but_can_be_changed_at_once():
    with greenhouse_with(visibility_lag_seconds=20) as greenhouse:
        job = greenhouse.job()
        body = {**ADA, "email_addresses": mail("ada@example.org"), "application": {"job_id": job["id"]}}
        made = greenhouse.post("candidates", body).json()
        ids = made["candidate"]["id"], made["application"]["id"]
        queries = (
            f"candidates?ids={ids[0]}",
            "candidates?email=ada@example.org",
            "candidates",
            f"applications?ids={ids[1]}",
            f"applications?candidate_ids={ids[0]}",
            f"application_stages?application_ids={ids[1]}",
        )
        assert [greenhouse.rows(query) for query in queries] == [[]] * 6
        assert greenhouse.patch(f"candidates/{ids[0]}", {"title": "Countess"}).status_code == 200
        assert greenhouse.patch(f"applications/{ids[1]}", {}).status_code == 200
        assert greenhouse.rows("candidates") == []
        greenhouse.clock.advance(19.999)
        assert greenhouse.rows("candidates") == []
        greenhouse.clock.advance(0.001)
        assert all(greenhouse.rows(query) for query in queries)
        assert greenhouse.one("candidates", ids[0])["title"] == "Countess"


def test_what_a_recruiter_enters_is_visible_at_once():
    with greenhouse_with(visibility_lag_seconds=20) as greenhouse:
        made = greenhouse.acts.create_candidate(first_name="Ada", last_name="Lovelace", job_id=greenhouse.job()["id"])
        assert [row["id"] for row in greenhouse.rows("candidates")] == [made["id"]]
        assert len(greenhouse.rows("applications")) == 1
