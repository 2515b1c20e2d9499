"""Every switch in every setting: each point on which public sources disagree behaves both ways."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import Greenhouse, errors_of, greenhouse_with
from referral_pipeline_tests.unit.test_sandbox_greenhouse_switches_reads import CHECKS, reject, setting

greenhouse = greenhouse_server.greenhouse


# ---------------------------------------------------------------- what a plan and a credential allow


@setting("operations_forbidden", (), ("GET /v3/sources",))
def _(greenhouse: Greenhouse):
    is_on = not greenhouse.store.switches.operations_forbidden
    assert greenhouse.get("sources").status_code == (200 if is_on else 403)
    assert greenhouse.get("jobs").status_code == 200


@setting("operations_absent", (), ("GET /v3/sources",))
def _(greenhouse: Greenhouse):
    is_on = not greenhouse.store.switches.operations_absent
    assert greenhouse.get("sources").status_code == (200 if is_on else 404)
    assert greenhouse.control("switches", {"operations_absent": ["GET /v3/source"]}).status_code == 422


# ---------------------------------------------------------------- candidate writes


@setting("candidate_create_answer", "wrapped", "flat")
def _(greenhouse: Greenhouse):
    body = {"first_name": "Ada", "last_name": "Lovelace", "application": {"job_id": greenhouse.job()["id"]}}
    answer = greenhouse.post("candidates", body).json()
    wrapped = greenhouse.store.switches.candidate_create_answer == "wrapped"
    assert ("candidate" in answer, "id" in answer) == (wrapped, not wrapped)
    assert len(greenhouse.rows("applications")) == 1


@setting("missing_application", "null", "absent")
def _(greenhouse: Greenhouse):
    answer = greenhouse.post("candidates", {"first_name": "Ada", "last_name": "Lovelace"}).json()
    assert ("application" in answer) is (greenhouse.store.switches.missing_application == "null")


@setting("candidate_patch_answer", "flat", "wrapped")
def _(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()
    answer = greenhouse.patch(f"candidates/{candidate['id']}", {}).json()
    flat = greenhouse.store.switches.candidate_patch_answer == "flat"
    assert (answer if flat else answer["candidate"]) == candidate


@setting("nested_application_custom_fields", "accepted", "refused")
def _(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Reach", value_type="number")
    application = {"job_id": greenhouse.job()["id"], "custom_fields": [{"name_key": "reach", "value": 1}]}
    answer = greenhouse.post("candidates", {"first_name": "A", "last_name": "L", "application": application})
    accepted = greenhouse.store.switches.nested_application_custom_fields == "accepted"
    assert (answer.status_code, len(greenhouse.rows("candidates"))) == ((201, 1) if accepted else (422, 0))


@setting("unknown_tag", "created", "refused")
def _(greenhouse: Greenhouse):
    answer = greenhouse.post("candidates", {"first_name": "Ada", "last_name": "Lovelace", "tags": ["New"]})
    created = greenhouse.store.switches.unknown_tag == "created"
    assert (answer.status_code, len(greenhouse.rows("candidate_tags"))) == ((201, 1) if created else (422, 0))


@setting("custom_fields_patch", "replace", "merge")
def _(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("One")
    greenhouse.acts.add_custom_field("Two")
    application = greenhouse.application(custom_fields=[{"name_key": "one", "value": "1"}])
    body = {"custom_fields": [{"name_key": "two", "value": "2"}]}
    after = greenhouse.patch(f"applications/{application['id']}", body).json()
    replaced = greenhouse.store.switches.custom_fields_patch == "replace"
    assert set(after["custom_fields"]) == ({"two"} if replaced else {"one", "two"})


@setting("select_write", "id", "id_or_name")
def _(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Band", value_type="single_select", options=["Junior", "Senior"])
    option = greenhouse.rows("custom_field_options")[0]
    application = greenhouse.application()
    path = f"applications/{application['id']}"
    by_name = greenhouse.patch(path, {"custom_fields": [{"name_key": "band", "value": option["name"]}]})
    by_id = greenhouse.patch(path, {"custom_fields": [{"name_key": "band", "value": option["id"]}]})
    assert by_name.status_code == (200 if greenhouse.store.switches.select_write == "id_or_name" else 422)
    assert by_id.json()["custom_fields"]["band"]["value"] == option["name"]


@setting("merge_answer", "200", "201")
def _(greenhouse: Greenhouse):
    primary, secondary = greenhouse.candidate()["id"], greenhouse.candidate()["id"]
    answer = greenhouse.post(f"candidates/{primary}/merge", {"secondary_candidate_id": secondary})
    assert answer.status_code == int(greenhouse.store.switches.merge_answer)
    assert answer.json()["id"] == primary


@setting("anonymize_answer", "200", "202", "204")
def _(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()["id"]
    answer = greenhouse.patch(f"candidates/{candidate}/anonymize", {"fields": ["full_name"]})
    assert answer.status_code == int(greenhouse.store.switches.anonymize_answer)
    assert (answer.content == b"") is (answer.status_code == 204)
    assert greenhouse.one("candidates", candidate)["first_name"] == "Anonymized"


@setting("tag_and_offer_create_answer", "201", "200")
def _(greenhouse: Greenhouse):
    application = greenhouse.application()
    tag = greenhouse.post("candidate_tags", {"name": "New"})
    pair = {"candidate_id": application["candidate_id"], "candidate_tag_id": tag.json()["id"]}
    applied = greenhouse.post("applied_candidate_tags", pair)
    offer = greenhouse.post("offers", {"application_id": application["id"]})
    status = int(greenhouse.store.switches.tag_and_offer_create_answer)
    assert [answer.status_code for answer in (tag, applied, offer)] == [status] * 3


@setting("delete_answer", "200", "204")
def _(greenhouse: Greenhouse):
    application = greenhouse.application()
    candidate = greenhouse.candidate(tags=["New"])
    paths = (
        f"applications/{application['id']}",
        f"applied_candidate_tags/{greenhouse.rows('applied_candidate_tags')[0]['id']}",
        f"candidate_tags/{greenhouse.rows('candidate_tags')[0]['id']}",
        f"candidates/{candidate['id']}",
    )
    for path in paths:
        answer = greenhouse.delete(path)
        assert answer.status_code == int(greenhouse.store.switches.delete_answer)
        assert (answer.content == b"") is (answer.status_code == 204)


# ---------------------------------------------------------------- application and offer writes


@setting("from_stage_id", "job_interview_stage_id", "application_stage_id")
def _(greenhouse: Greenhouse):
    application = greenhouse.application()
    readings = {
        "job_interview_stage_id": application["job_interview_stage_id"],
        "application_stage_id": application["stage_id"],
    }
    right = readings.pop(greenhouse.store.switches.from_stage_id)
    (wrong,) = readings.values()
    path = f"applications/{application['id']}/move"
    assert errors_of(greenhouse.post(path, {"from_stage_id": wrong}))
    assert greenhouse.post(path, {"from_stage_id": right}).status_code == 204


@setting("move_with_both_targets", "accepted", "refused")
def _(greenhouse: Greenhouse):
    application, other = greenhouse.application(), greenhouse.job("Other")
    second = greenhouse.stages(other["id"])[1]
    body = {"from_stage_id": application["job_interview_stage_id"], "to_job_id": other["id"], "to_stage_id": second}
    answer = greenhouse.post(f"applications/{application['id']}/move", body)
    if greenhouse.store.switches.move_with_both_targets == "accepted":
        assert answer.status_code == 204
        assert greenhouse.one("applications", application["id"])["job_interview_stage_id"] == second
    else:
        assert errors_of(answer)


@setting("duplicate_application", "refused", "refused_any", "allowed")
def _(greenhouse: Greenhouse):
    reading = greenhouse.store.switches.duplicate_application
    first = greenhouse.application()
    body = {"candidate_id": first["candidate_id"], "job_id": first["job_id"]}
    while_open = greenhouse.post("applications", body)
    assert while_open.status_code == (201 if reading == "allowed" else 422)
    reject(greenhouse, first)
    assert greenhouse.post("applications", body).status_code == (422 if reading == "refused_any" else 201)


@setting("closed_job_application", "refused", "allowed")
def _(greenhouse: Greenhouse):
    candidate = greenhouse.candidate()["id"]
    expected = 422 if greenhouse.store.switches.closed_job_application == "refused" else 201
    for status in ("closed", "draft"):
        body = {"candidate_id": candidate, "job_id": greenhouse.job(status, status=status)["id"]}
        assert greenhouse.post("applications", body).status_code == expected


@setting("hire_without_opening", "refused", "allowed")
def _(greenhouse: Greenhouse):
    application = greenhouse.application(greenhouse.job(openings=0))
    answer = greenhouse.post(f"applications/{application['id']}/hire", {})
    assert answer.status_code == (422 if greenhouse.store.switches.hire_without_opening == "refused" else 204)


@setting("hire_with_many_openings", "refused", "first_open")
def _(greenhouse: Greenhouse):
    application = greenhouse.application(greenhouse.job(openings=2))
    answer = greenhouse.post(f"applications/{application['id']}/hire", {})
    refused = greenhouse.store.switches.hire_with_many_openings == "refused"
    assert answer.status_code == (422 if refused else 204)
    assert len(greenhouse.rows("openings?open=true")) == (2 if refused else 1)


@setting("offer_on_hire", "unchanged", "accepted")
def _(greenhouse: Greenhouse):
    application = greenhouse.application()
    greenhouse.post("offers", {"application_id": application["id"]})
    greenhouse.post(f"applications/{application['id']}/hire", {})
    (offer,) = greenhouse.rows("offers?current_only=true")
    accepted = greenhouse.store.switches.offer_on_hire == "accepted"
    assert offer["status"] == ("Accepted" if accepted else "Created")
    assert (offer["resolved_at"] is not None) is accepted


@setting("offer_status_patch", "refused", "accepted")
def _(greenhouse: Greenhouse):
    offer = greenhouse.post("offers", {"application_id": greenhouse.application()["id"]}).json()
    answer = greenhouse.patch(f"offers/{offer['id']}", {"status": "Accepted"})
    accepted = greenhouse.store.switches.offer_status_patch == "accepted"
    assert answer.status_code == (200 if accepted else 422)
    assert errors_of(greenhouse.patch(f"offers/{offer['id']}", {"status": "accepted"}))


@setting("rejection_email", "pair_required", "free")
def _(greenhouse: Greenhouse):
    reason = greenhouse.rows("rejection_reasons")[0]["id"]
    half = {"rejection_reason_id": reason, "rejection_email": {"email_template_id": 1}}
    full = {**half, "rejection_email": {"email_template_id": 1, "send_email_at": "2026-11-03T09:00:00Z"}}
    path = f"applications/{greenhouse.application()['id']}/reject"
    required = greenhouse.store.switches.rejection_email == "pair_required"
    assert greenhouse.post(path, half).status_code == (422 if required else 204)
    assert greenhouse.post(path, full).status_code == (204 if required else 422)


@setting("tag_applied_twice", "refused", "same_row")
def _(greenhouse: Greenhouse):
    candidate = greenhouse.candidate(tags=["New"])["id"]
    tag = greenhouse.rows("candidate_tags")[0]["id"]
    answer = greenhouse.post("applied_candidate_tags", {"candidate_id": candidate, "candidate_tag_id": tag})
    same = greenhouse.store.switches.tag_applied_twice == "same_row"
    assert answer.status_code == (200 if same else 422)
    assert len(greenhouse.rows("applied_candidate_tags")) == 1


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize(("name", "value"), CHECKS, ids=lambda part: str(part))
def test_a_switch_does_what_it_says(name: str, value: Any):
    with greenhouse_with(**{name: value}) as greenhouse:
        CHECKS[name, value](greenhouse)


def test_every_setting_of_every_switch_is_checked():
    checked: dict[str, set[Any]] = {}
    for name, value in CHECKS:
        checked.setdefault(name, set()).add(value)
    assert set(checked) == set(Switches.model_fields)
    for name, declared in Switches.model_fields.items():
        kind = declared.annotation
        if kind is bool:
            assert checked[name] == {True, False}
        elif get_origin(kind) is Literal:
            assert checked[name] == set(get_args(kind))
        else:
            assert len(checked[name]) >= 2
        assert declared.default in checked[name]
        assert declared.description


def test_switches_change_while_the_server_runs(greenhouse: Greenhouse):
    assert greenhouse.control("switches").json() == greenhouse.store.switches.model_dump(mode="json")
    greenhouse.switch(candidate_create_answer="flat")
    assert "id" in greenhouse.post("candidates", {"first_name": "Ada", "last_name": "Lovelace"}).json()
    greenhouse.switch(candidate_create_answer="wrapped")
    assert "candidate" in greenhouse.post("candidates", {"first_name": "Ada", "last_name": "Lovelace"}).json()


@pytest.mark.parametrize("changes", [{"nope": 1}, {"unknown_id": "500"}, {"rate_limit": 0}])
def test_an_unknown_switch_or_setting_is_refused_and_changes_nothing(greenhouse: Greenhouse, changes: dict[str, Any]):
    before = greenhouse.store.switches
    assert greenhouse.control("switches", changes).status_code == 422
    assert greenhouse.store.switches == before
    with pytest.raises(ValidationError):
        before.changed(changes)
