"""Writes on applications and offers: create, change, move, reject, hire and their traces in other tables."""

from __future__ import annotations

from typing import Any

import pytest

from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import Greenhouse, errors_of

greenhouse = greenhouse_server.greenhouse


def reason_of(greenhouse: Greenhouse, key: str = "WE_REJECTED_THEM") -> int:
    return next(row["id"] for row in greenhouse.rows("rejection_reasons") if row["type"]["key"] == key)


def verb(greenhouse: Greenhouse, application: dict[str, Any], name: str, body: Any = None) -> Any:
    return greenhouse.post(f"applications/{application['id']}/{name}", {} if body is None else body)


def stage_rows(greenhouse: Greenhouse, application: dict[str, Any]) -> dict[int, dict[str, Any]]:
    rows = greenhouse.rows(f"application_stages?application_ids={application['id']}")
    return {row["job_interview_stage_id"]: row for row in rows}


# ---------------------------------------------------------------- create and change


def test_an_application_answers_201_flat_and_scaffolds_a_row_for_every_stage(greenhouse: Greenhouse):
    job = greenhouse.job()
    application = greenhouse.application(job)
    first, *later = greenhouse.stages(job["id"])
    rows = stage_rows(greenhouse, application)
    assert set(rows) == {first, *later}
    assert application["job_interview_stage_id"] == first
    assert application["stage_id"] == rows[first]["id"]
    assert rows[first]["current"] is True
    assert rows[first]["entered_at"] == application["created_at"]
    for stage in later:
        assert (rows[stage]["entered_at"], rows[stage]["exited_at"], rows[stage]["current"]) == (None, None, False)


def test_an_application_can_start_in_a_later_stage(greenhouse: Greenhouse):
    job = greenhouse.job()
    second = greenhouse.stages(job["id"])[1]
    application = greenhouse.application(job, initial_stage_id=second)
    assert (application["job_interview_stage_id"], application["stage_name"]) == (second, "Phone Screen")
    other = greenhouse.stages(greenhouse.job("Other")["id"])[0]
    body = {"candidate_id": application["candidate_id"], "job_id": job["id"], "initial_stage_id": other}
    assert errors_of(greenhouse.post("applications", body))


def test_an_application_can_be_dated_back(greenhouse: Greenhouse):
    application = greenhouse.application(created_at="2026-10-01T08:00:00+02:00")
    assert application["created_at"] == "2026-10-01T06:00:00.000Z"
    assert application["updated_at"] == "2026-11-02T09:00:00.000Z"


def test_a_candidate_or_job_that_does_not_exist_is_unprocessable(greenhouse: Greenhouse):
    job, candidate = greenhouse.job()["id"], greenhouse.candidate()["id"]
    for body in ({"candidate_id": 1, "job_id": job}, {"candidate_id": candidate, "job_id": 1}):
        (entry,) = errors_of(greenhouse.post("applications", body))
        assert isinstance(entry, str)


def test_the_candidate_s_last_activity_follows_its_applications(greenhouse: Greenhouse):
    application = greenhouse.application()
    greenhouse.clock.advance(60)
    verb(greenhouse, application, "reject", {"rejection_reason_id": reason_of(greenhouse)})
    candidate = greenhouse.one("candidates", application["candidate_id"])
    assert candidate["last_activity_at"] == "2026-11-02T09:01:00.000Z"
    assert greenhouse.one("applications", application["id"])["last_activity_at"] == "2026-11-02T09:01:00.000Z"


def test_a_change_answers_the_flat_application(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Advocate ID")
    greenhouse.acts.add_custom_field("Campaign tag")
    application = greenhouse.application()
    source = greenhouse.rows("sources")[0]["id"]
    both = [{"name_key": "advocate_id", "value": "A-1"}, {"name_key": "campaign_tag", "value": "spring"}]
    answer = greenhouse.patch(f"applications/{application['id']}", {"source_id": source, "custom_fields": both})
    assert answer.status_code == 200
    assert answer.json() == greenhouse.one("applications", application["id"])
    assert answer.json()["source_id"] == source
    assert set(answer.json()["custom_fields"]) == {"advocate_id", "campaign_tag"}
    body = {"custom_fields": [{"name_key": "advocate_id", "value": "A-2"}]}
    after = greenhouse.patch(f"applications/{application['id']}", body).json()
    assert {key: entry["value"] for key, entry in after["custom_fields"].items()} == {"advocate_id": "A-2"}


def test_dates_sent_to_a_change_become_noon_utc(greenhouse: Greenhouse):
    application = greenhouse.application()
    path = f"applications/{application['id']}"
    assert greenhouse.patch(path, {"created_at": "2026-10-01"}).json()["created_at"] == "2026-10-01T12:00:00.000Z"
    assert errors_of(greenhouse.patch(path, {"created_at": "2026-10-01T00:00:00Z"}))
    assert errors_of(greenhouse.patch(path, {"rejected_at": "2026-10-02"})) == ["Application is not rejected"]
    verb(greenhouse, application, "reject", {"rejection_reason_id": reason_of(greenhouse)})
    assert greenhouse.patch(path, {"rejected_at": "2026-10-02"}).json()["rejected_at"] == "2026-10-02T12:00:00.000Z"


def test_a_prospect_has_no_stage_until_it_is_converted(greenhouse: Greenhouse):
    job = greenhouse.job()
    candidate = greenhouse.candidate()["id"]
    prospect = greenhouse.post("applications", {"candidate_id": candidate, "prospect": True}).json()
    assert (prospect["prospect"], prospect["job_id"], prospect["stage_id"]) == (True, None, None)
    for name, body in (("move", {"from_stage_id": 1}), ("hire", {})):
        assert errors_of(verb(greenhouse, prospect, name, body)) == ["Application is a prospect"]
    assert errors_of(verb(greenhouse, prospect, "convert_to_candidate", {}))
    second = greenhouse.stages(job["id"])[1]
    body = {"job_id": job["id"], "to_job_interview_stage_id": second}
    answer = verb(greenhouse, prospect, "convert_to_candidate", body)
    assert answer.status_code == 200
    assert (answer.json()["prospect"], answer.json()["job_interview_stage_id"]) == (False, second)
    assert len(stage_rows(greenhouse, prospect)) == 3
    assert errors_of(verb(greenhouse, prospect, "convert_to_candidate", body))


def test_a_deleted_application_answers_with_its_id_and_leaves_its_candidate(greenhouse: Greenhouse):
    application = greenhouse.application()
    answer = greenhouse.delete(f"applications/{application['id']}")
    assert answer.json() == {"message": f"Application {application['id']} deleted successfully"}
    assert greenhouse.rows("applications") == []
    assert greenhouse.rows("application_stages") == []
    assert len(greenhouse.rows("candidates")) == 1
    assert greenhouse.delete(f"applications/{application['id']}").status_code == 404


# ---------------------------------------------------------------- move


def test_a_move_without_a_target_goes_to_the_next_stage(greenhouse: Greenhouse):
    job = greenhouse.job()
    first, second, _ = greenhouse.stages(job["id"])
    application = greenhouse.application(job)
    greenhouse.clock.advance(86_400 * 2)
    answer = verb(greenhouse, application, "move", {"from_stage_id": first})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "X-RateLimit-Remaining" in answer.headers
    rows = stage_rows(greenhouse, application)
    assert rows[first]["exited_at"] == rows[second]["entered_at"] == "2026-11-04T09:00:00.000Z"
    assert (rows[first]["current"], rows[second]["current"]) == (False, True)
    assert rows[first]["days_in_stage"] == 2
    after = greenhouse.one("applications", application["id"])
    assert (after["stage_name"], after["stage_id"]) == ("Phone Screen", rows[second]["id"])
    assert after["updated_at"] == "2026-11-04T09:00:00.000Z"


def test_a_blind_repetition_of_a_move_is_refused(greenhouse: Greenhouse):
    job = greenhouse.job()
    first, second, third = greenhouse.stages(job["id"])
    application = greenhouse.application(job)
    body = {"from_stage_id": first, "to_stage_id": third}
    assert verb(greenhouse, application, "move", body).status_code == 204
    assert errors_of(verb(greenhouse, application, "move", body))
    assert errors_of(verb(greenhouse, application, "move", {"from_stage_id": third}))  # no stage after the last
    assert errors_of(verb(greenhouse, application, "move", {"from_stage_id": third, "to_stage_id": third}))
    assert errors_of(verb(greenhouse, application, "move", {"to_stage_id": second}))
    assert errors_of(verb(greenhouse, application, "move", {"from_stage_id": third, "to_stage_id": 1}))
    rows = stage_rows(greenhouse, application)
    assert rows[second]["entered_at"] is None  # skipped


def test_a_move_back_opens_the_earlier_stage_again(greenhouse: Greenhouse):
    job = greenhouse.job()
    first, second, _ = greenhouse.stages(job["id"])
    application = greenhouse.application(job)
    verb(greenhouse, application, "move", {"from_stage_id": first})
    verb(greenhouse, application, "move", {"from_stage_id": second, "to_stage_id": first})
    rows = stage_rows(greenhouse, application)
    assert (rows[first]["current"], rows[first]["exited_at"]) == (True, None)
    assert [row["current"] for row in rows.values()].count(True) == 1


def test_a_move_to_another_job_lands_on_its_first_stage(greenhouse: Greenhouse):
    job, other = greenhouse.job(), greenhouse.job("Other")
    application = greenhouse.application(job)
    body = {"from_stage_id": application["job_interview_stage_id"], "to_job_id": other["id"]}
    assert verb(greenhouse, application, "move", body).status_code == 204
    after = greenhouse.one("applications", application["id"])
    assert (after["job_id"], after["job_interview_stage_id"]) == (other["id"], greenhouse.stages(other["id"])[0])
    assert set(stage_rows(greenhouse, application)) == set(greenhouse.stages(other["id"]))


# ---------------------------------------------------------------- reject


def test_a_rejection_leaves_details_a_note_and_a_stage_row_that_is_still_current(greenhouse: Greenhouse):
    application = greenhouse.application()
    reason = reason_of(greenhouse, "THEY_REJECTED_US")
    greenhouse.clock.advance(60)
    answer = verb(greenhouse, application, "reject", {"rejection_reason_id": reason, "notes": "withdrew"})
    assert (answer.status_code, answer.content) == (204, b"")
    after = greenhouse.one("applications", application["id"])
    assert (after["status"], after["rejected_at"]) == ("rejected", "2026-11-02T09:01:00.000Z")
    assert after["rejection_reason_id"] == reason
    (details,) = greenhouse.rows(f"rejection_details?application_ids={application['id']}")
    assert (details["rejection_reason_id"], details["rejected_at"]) == (reason, after["rejected_at"])
    assert details["rejected_by_id"] == greenhouse.service_user
    (note,) = greenhouse.rows("notes")
    assert (note["id"], note["body"]) == (details["rejection_note_id"], "withdrew")
    row = stage_rows(greenhouse, application)[application["job_interview_stage_id"]]
    assert (row["current"], row["exited_at"]) == (True, "2026-11-02T09:01:00.000Z")


def test_rejecting_twice_is_refused(greenhouse: Greenhouse):
    application = greenhouse.application()
    body = {"rejection_reason_id": reason_of(greenhouse)}
    verb(greenhouse, application, "reject", body)
    assert errors_of(verb(greenhouse, application, "reject", body)) == ["Application has already been rejected"]
    assert len(greenhouse.rows("rejection_details")) == 1


@pytest.mark.parametrize("body", [{}, {"rejection_reason_id": "1"}, {"rejection_reason_id": 1}, {"reason": 1}])
def test_a_rejection_needs_a_reason_that_exists(greenhouse: Greenhouse, body: dict[str, Any]):
    application = greenhouse.application()
    assert errors_of(verb(greenhouse, application, "reject", body))
    assert greenhouse.one("applications", application["id"])["status"] == "in_process"


def test_a_rejection_asks_questions_of_its_own_kind(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Range", field_type="rejection_question", value_type="number_range")
    application = greenhouse.application()
    fields = [{"name_key": "range", "value": {"min_value": 1, "max_value": 2}}]
    body = {"rejection_reason_id": reason_of(greenhouse), "custom_fields": fields}
    assert verb(greenhouse, application, "reject", body).status_code == 204
    (details,) = greenhouse.rows("rejection_details")
    assert details["question_custom_fields"]["range"]["value"] == {"min_value": 1, "max_value": 2}


def test_a_rejection_voids_the_offer(greenhouse: Greenhouse):
    application = greenhouse.application()
    greenhouse.post("offers", {"application_id": application["id"]})
    verb(greenhouse, application, "reject", {"rejection_reason_id": reason_of(greenhouse)})
    assert greenhouse.rows("offers?current_only=true") == []


def test_an_unrejection_returns_to_the_stage_held_before(greenhouse: Greenhouse):
    job = greenhouse.job()
    application = greenhouse.application(job)
    verb(greenhouse, application, "move", {"from_stage_id": greenhouse.stages(job["id"])[0]})
    before = greenhouse.one("applications", application["id"])
    verb(greenhouse, application, "reject", {"rejection_reason_id": reason_of(greenhouse), "notes": "no"})
    assert verb(greenhouse, application, "unreject").status_code == 204
    after = greenhouse.one("applications", application["id"])
    assert {key: after[key] for key in ("status", "stage_id", "stage_name", "rejected_at", "rejection_reason_id")} == {
        "status": "in_process",
        "stage_id": before["stage_id"],
        "stage_name": "Phone Screen",
        "rejected_at": None,
        "rejection_reason_id": None,
    }
    (details,) = greenhouse.rows("rejection_details")
    assert (details["rejection_reason_id"], details["rejection_note_id"]) == (None, None)
    assert errors_of(verb(greenhouse, application, "unreject")) == ["Application is not rejected"]
    assert errors_of(verb(greenhouse, application, "unreject", {"stage_id": 1}))


def test_a_rejection_s_reason_can_be_changed_afterwards(greenhouse: Greenhouse):
    application = greenhouse.application()
    verb(greenhouse, application, "reject", {"rejection_reason_id": reason_of(greenhouse)})
    (details,) = greenhouse.rows("rejection_details")
    other = reason_of(greenhouse, "THEY_REJECTED_US")
    answer = greenhouse.patch(f"rejection_details/{details['id']}", {"rejection_reason_id": other})
    assert answer.status_code == 200
    assert greenhouse.one("applications", application["id"])["rejection_reason_id"] == other
    assert errors_of(greenhouse.patch(f"rejection_details/{details['id']}", {"rejection_reason_id": 1}))


def test_verbs_take_no_body_where_nothing_is_required(greenhouse: Greenhouse):
    application = greenhouse.application()
    assert greenhouse.post(f"applications/{application['id']}/hire").status_code == 204


# ---------------------------------------------------------------- hire


def test_a_hire_closes_the_opening_and_the_job_with_its_last_one(greenhouse: Greenhouse):
    job = greenhouse.job(openings=1)
    application = greenhouse.application(job)
    greenhouse.clock.advance(60)
    assert verb(greenhouse, application, "hire").status_code == 204
    assert greenhouse.one("applications", application["id"])["status"] == "hired"
    (opening,) = greenhouse.rows("openings")
    assert (opening["open"], opening["application_id"]) == (False, application["id"])
    assert opening["closed_at"] == "2026-11-02T09:01:00.000Z"
    reasons = {row["id"]: row["name"] for row in greenhouse.rows("close_reasons")}
    assert reasons[opening["close_reason_id"]].startswith("Hire -")
    after = greenhouse.one("jobs", job["id"])
    assert (after["status"], after["closed_at"]) == ("closed", "2026-11-02T09:01:00.000Z")
    assert errors_of(verb(greenhouse, application, "hire")) == ["Application has already been hired"]


def test_a_hire_must_name_the_opening_when_more_than_one_is_open(greenhouse: Greenhouse):
    job = greenhouse.job(openings=2)
    application = greenhouse.application(job)
    assert errors_of(verb(greenhouse, application, "hire"))
    first, second = (row["id"] for row in greenhouse.rows("openings"))
    elsewhere = greenhouse.rows(f"openings?job_ids={greenhouse.job('Other')['id']}")[0]["id"]
    for wrong in (1, elsewhere):
        assert errors_of(verb(greenhouse, application, "hire", {"opening_id": wrong}))
    assert verb(greenhouse, application, "hire", {"opening_id": second}).status_code == 204
    assert greenhouse.one("openings", first)["open"] is True
    assert greenhouse.one("jobs", job["id"])["status"] == "open"
    later = greenhouse.application(job)
    assert errors_of(verb(greenhouse, later, "hire", {"opening_id": second}))  # filled already
    assert verb(greenhouse, later, "hire", {"close_reason_id": None}).status_code == 204


def test_a_hire_checks_its_close_reason_and_dates(greenhouse: Greenhouse):
    application = greenhouse.application()
    greenhouse.post("offers", {"application_id": application["id"], "starts_on": "2026-12-01"})
    assert errors_of(verb(greenhouse, application, "hire", {"close_reason_id": 1}))
    assert errors_of(verb(greenhouse, application, "hire", {"start_date": "2027-01-04"}))
    assert verb(greenhouse, application, "hire", {"start_date": "2027-01-04T00:00:00Z"}).status_code == 204
    (offer,) = greenhouse.rows("offers?current_only=true")
    assert offer["starts_on"] == "2027-01-04"


def test_what_has_ended_can_neither_move_nor_end_otherwise(greenhouse: Greenhouse):
    hired, rejected = greenhouse.application(), greenhouse.application()
    verb(greenhouse, hired, "hire")
    verb(greenhouse, rejected, "reject", {"rejection_reason_id": reason_of(greenhouse)})
    for application in (hired, rejected):
        assert errors_of(
            verb(greenhouse, application, "move", {"from_stage_id": application["job_interview_stage_id"]})
        )
    assert errors_of(verb(greenhouse, hired, "reject", {"rejection_reason_id": reason_of(greenhouse)}))
    assert errors_of(verb(greenhouse, rejected, "hire"))


# ---------------------------------------------------------------- offers


def test_an_offer_is_created_flat_and_unsent(greenhouse: Greenhouse):
    application = greenhouse.application()
    answer = greenhouse.post("offers", {"application_id": application["id"], "starts_on": "2027-01-04"})
    assert answer.status_code == 201
    offer = answer.json()
    assert (offer["status"], offer["version"], offer["sent_on"], offer["resolved_at"]) == ("Created", 1, None, None)
    assert (offer["candidate_id"], offer["job_id"]) == (application["candidate_id"], application["job_id"])
    assert offer["opening_id"] == greenhouse.rows("openings")[0]["id"]
    assert errors_of(greenhouse.post("offers", {"application_id": application["id"]}))
    assert errors_of(greenhouse.post("offers", {"application_id": 1}))
    assert errors_of(greenhouse.post("offers", {}))


def test_another_start_date_makes_a_new_version_with_a_new_id(greenhouse: Greenhouse):
    application = greenhouse.application()
    first = greenhouse.post("offers", {"application_id": application["id"], "starts_on": "2027-01-04"}).json()
    second = greenhouse.patch(f"offers/{first['id']}", {"starts_on": "2027-01-11"}).json()
    assert second["id"] != first["id"]
    assert (second["version"], second["starts_on"]) == (2, "2027-01-11")
    assert greenhouse.one("offers", first["id"])["status"] == "Deprecated"
    assert errors_of(greenhouse.patch(f"offers/{first['id']}", {"sent_on": "2027-01-01"})) == ["Offer is deprecated"]


def test_a_field_that_triggers_a_version_does_so_and_others_do_not(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Salary", field_type="offer", value_type="number", trigger_new_version=True)
    greenhouse.acts.add_custom_field("Comment", field_type="offer")
    offer = greenhouse.post("offers", {"application_id": greenhouse.application()["id"]}).json()
    same = greenhouse.patch(f"offers/{offer['id']}", {"custom_fields": [{"name_key": "comment", "value": "x"}]}).json()
    assert same["id"] == offer["id"]
    fields = [{"name_key": "comment", "value": "x"}, {"name_key": "salary", "value": 1}]
    assert greenhouse.patch(f"offers/{offer['id']}", {"custom_fields": fields}).json()["version"] == 2


def test_dates_of_an_offer_are_set_in_place_and_moments_become_noon(greenhouse: Greenhouse):
    offer = greenhouse.post("offers", {"application_id": greenhouse.application()["id"]}).json()
    body = {"sent_on": "2026-11-03", "resolved_at": "2026-11-05"}
    after = greenhouse.patch(f"offers/{offer['id']}", body).json()
    assert (after["id"], after["sent_on"]) == (offer["id"], "2026-11-03")
    assert after["resolved_at"] == "2026-11-05T12:00:00.000Z"
    assert errors_of(greenhouse.patch(f"offers/{offer['id']}", {"sent_on": "2026-11-03T00:00:00Z"}))
