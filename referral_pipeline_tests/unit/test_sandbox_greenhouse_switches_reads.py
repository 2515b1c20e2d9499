"""Switches of the token endpoint, of rates and errors, of lists and of what rows show, each in every setting.

The checks register themselves in `CHECKS`; `test_sandbox_greenhouse_switches.py` adds those of the writes, runs all of
them and holds the list against the model.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from referral_pipeline_tests.unit.greenhouse_server import EMPTY, LIMITED, Greenhouse, errors_of

Check = Callable[[Greenhouse], None]
CHECKS: dict[tuple[str, Any], Check] = {}


def setting(name: str, *values: Any) -> Callable[[Check], Check]:
    """Register a check of one setting of a switch."""

    def register(check: Check) -> Check:
        for value in values:
            assert (name, value) not in CHECKS
            CHECKS[name, value] = check
        return check

    return register


def reject(greenhouse: Greenhouse, application: dict[str, Any]) -> dict[str, Any]:
    reason = greenhouse.rows("rejection_reasons")[0]["id"]
    answer = greenhouse.post(f"applications/{application['id']}/reject", {"rejection_reason_id": reason})
    assert answer.status_code == 204
    return greenhouse.rows("applications")[0]


def exp_of(token: str) -> float:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]


# ---------------------------------------------------------------- token endpoint


@setting("token_expiry", "expires_in")
def _(greenhouse: Greenhouse):
    answer = greenhouse.mint().json()
    assert (answer["expires_in"], "expires_at" in answer) == (3600, False)


@setting("token_expiry", "expires_at")
def _(greenhouse: Greenhouse):
    answer = greenhouse.mint().json()
    assert (answer["expires_at"], "expires_in" in answer) == ("2026-11-02T10:00:00.000Z", False)


@setting("token_expiry", "both")
def _(greenhouse: Greenhouse):
    answer = greenhouse.mint().json()
    assert (answer["expires_in"], answer["expires_at"]) == (3600, "2026-11-02T10:00:00.000Z")


@setting("token_expiry", "jwt_only")
def _(greenhouse: Greenhouse):
    answer = greenhouse.mint().json()
    assert set(answer) == {"token_type", "access_token"}
    assert exp_of(answer["access_token"]) == greenhouse.clock().timestamp() + 3600


@setting("token_expires_at_format", "z")
def _(greenhouse: Greenhouse):
    greenhouse.switch(token_expiry="expires_at")
    assert greenhouse.mint().json()["expires_at"].endswith("Z")


@setting("token_expires_at_format", "offset")
def _(greenhouse: Greenhouse):
    greenhouse.switch(token_expiry="expires_at")
    text = greenhouse.mint().json()["expires_at"]
    assert text.endswith("+0000")
    assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() == greenhouse.clock().timestamp() + 3600


@setting("token_revocation", False)
def _(greenhouse: Greenhouse):
    old = greenhouse.mint().json()["access_token"]
    greenhouse.mint()
    assert greenhouse.get("jobs", token=old).status_code == 200


@setting("token_revocation", True)
def _(greenhouse: Greenhouse):
    old, other = (greenhouse.mint(*who).json()["access_token"] for who in ((), (LIMITED,)))
    new = greenhouse.mint().json()["access_token"]
    assert [greenhouse.get("jobs", token=token).status_code for token in (old, new, other)] == [401, 200, 200]


@setting("client_without_scopes", "refused")
def _(greenhouse: Greenhouse):
    answer = greenhouse.mint(EMPTY)
    assert answer.status_code == 400
    assert "no scopes" in answer.json()["message"]


@setting("client_without_scopes", "empty_token")
def _(greenhouse: Greenhouse):
    token = greenhouse.mint(EMPTY).json()["access_token"]
    assert greenhouse.get("jobs", token=token).status_code == 403


@setting("token_lifetime_seconds", 3600, 5, 86_400)
def _(greenhouse: Greenhouse):
    token = greenhouse.token
    greenhouse.clock.advance(greenhouse.store.switches.token_lifetime_seconds - 0.001)
    assert greenhouse.get("jobs", token=token).status_code == 200
    greenhouse.clock.advance(0.001)
    assert greenhouse.get("jobs", token=token).status_code == 401


@setting("token_limit", 60, 1)
def _(greenhouse: Greenhouse):
    limit = greenhouse.store.switches.token_limit
    assert [greenhouse.mint().status_code for _ in range(limit + 1)] == [200] * limit + [429]


# ---------------------------------------------------------------- rate and errors


@setting("rate_limit", 75, 2)
def _(greenhouse: Greenhouse):
    limit = greenhouse.store.switches.rate_limit
    assert [greenhouse.get("jobs").status_code for _ in range(limit + 1)] == [200] * limit + [429]


@setting("rate_window_seconds", 30, 0.5)
def _(greenhouse: Greenhouse):
    greenhouse.switch(rate_limit=1)
    assert [greenhouse.get("jobs").status_code for _ in range(2)] == [200, 429]
    greenhouse.clock.advance(greenhouse.store.switches.rate_window_seconds)
    assert greenhouse.get("jobs").status_code == 200


@setting("rate_headers_on_401", False, True)
def _(greenhouse: Greenhouse):
    answer = greenhouse.get("jobs", token="nonsense")
    assert answer.status_code == 401
    assert ("X-RateLimit-Limit" in answer.headers) is greenhouse.store.switches.rate_headers_on_401


@setting("too_many_requests_body", "message", "empty")
def _(greenhouse: Greenhouse):
    greenhouse.switch(rate_limit=1)
    greenhouse.get("jobs")
    answer = greenhouse.get("jobs")
    empty = greenhouse.store.switches.too_many_requests_body == "empty"
    assert answer.content == (b"" if empty else b'{"message":"Too Many Requests"}')
    assert int(answer.headers["Retry-After"]) > 0


@setting("forbidden_body", "message", "message_and_errors", "empty")
def _(greenhouse: Greenhouse):
    answer = greenhouse.get("offers", token=greenhouse.mint(LIMITED).json()["access_token"])
    assert answer.status_code == 403
    shape = greenhouse.store.switches.forbidden_body
    keys = {"message": {"message"}, "message_and_errors": {"message", "errors"}}
    assert answer.content == b"" if shape == "empty" else set(answer.json()) == keys[shape]


@setting("unknown_id", "404", "422")
def _(greenhouse: Greenhouse):
    status = int(greenhouse.store.switches.unknown_id)
    assert greenhouse.patch("candidates/9", {}).status_code == status
    assert greenhouse.patch("applications/9", {}).status_code == status
    assert greenhouse.patch("offers/9", {}).status_code == status
    for verb in ("move", "reject", "unreject", "hire", "convert_to_candidate"):
        assert greenhouse.post(f"applications/9/{verb}", {}).status_code == status
    assert greenhouse.delete("applications/9").status_code == 404  # declared


@setting("malformed_json", "400", "422")
def _(greenhouse: Greenhouse):
    for raw in (b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff"):
        answer = greenhouse.call("POST", "candidates", data=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code == int(greenhouse.store.switches.malformed_json)
        assert "message" in answer.json()


@setting("error_entries", "documented")
def _(greenhouse: Greenhouse):
    shape = greenhouse.post("candidates", {"first_name": 1, "last_name": "x"}).json()
    assert shape["message"] == "Unprocessable Content"
    assert [list(entry) for entry in shape["errors"]] == [["first_name"]]
    sentence = greenhouse.post("applications", {"candidate_id": 1, "job_id": 1}).json()
    assert sentence["errors"] == ["Candidate does not exist"]


@setting("error_entries", "v1")
def _(greenhouse: Greenhouse):
    answer = greenhouse.post("candidates", {"first_name": 1, "last_name": "x"}).json()
    assert answer["message"] == "Validation error"
    assert [(set(entry), entry["field"]) for entry in answer["errors"]] == [({"message", "field"}, "first_name")]


# ---------------------------------------------------------------- lists


@setting("in_process_filter", "refused", "empty")
def _(greenhouse: Greenhouse):
    greenhouse.application()
    answer = greenhouse.get("applications?status=in_process")
    if greenhouse.store.switches.in_process_filter == "empty":
        assert (answer.status_code, answer.json()) == (200, [])
    else:
        assert errors_of(answer)
    assert len(greenhouse.rows("applications?status=active")) == 1


@setting("two_sided_dates", "accepted", "refused")
def _(greenhouse: Greenhouse):
    greenhouse.candidate()
    both = greenhouse.get("candidates?updated_at=gte|2026-01-01T00:00:00Z|lte|2027-01-01T00:00:00Z")
    assert both.status_code == (200 if greenhouse.store.switches.two_sided_dates == "accepted" else 422)
    assert len(greenhouse.rows("candidates?updated_at=gte|2026-01-01T00:00:00Z")) == 1


@setting("bracket_dates", "refused", "accepted")
def _(greenhouse: Greenhouse):
    greenhouse.candidate()
    answer = greenhouse.get("candidates?created_at[gte]=2026-01-01T00:00:00Z")
    accepted = greenhouse.store.switches.bracket_dates == "accepted"
    assert (answer.status_code, len(answer.json())) == ((200, 1) if accepted else (422, 2))


@setting("cursor_lifetime_seconds", None, 60)
def _(greenhouse: Greenhouse):
    greenhouse.candidate(), greenhouse.candidate()
    query = greenhouse.get("candidates?per_page=1").links["next"]["url"].partition("?")[2]
    greenhouse.clock.advance(60)
    assert greenhouse.get(f"candidates?{query}").status_code == 200
    greenhouse.clock.advance(0.001)
    ends = greenhouse.store.switches.cursor_lifetime_seconds is not None
    assert greenhouse.get(f"candidates?{query}").status_code == (422 if ends else 200)


@setting("link_relations", "next", "next_and_prev")
def _(greenhouse: Greenhouse):
    made = [greenhouse.candidate()["id"] for _ in range(4)]
    headers = {"Authorization": f"Bearer {greenhouse.token}"}
    first = greenhouse.get("candidates?per_page=1")
    assert set(first.links) == {"next"}
    second = greenhouse.session.get(first.links["next"]["url"], headers=headers, timeout=5)
    third = greenhouse.session.get(second.links["next"]["url"], headers=headers, timeout=5)
    if greenhouse.store.switches.link_relations == "next":
        assert set(third.links) == {"next"}
        return
    assert set(third.links) == {"next", "prev"}
    back = greenhouse.session.get(third.links["prev"]["url"], headers=headers, timeout=5)
    start = greenhouse.session.get(back.links["prev"]["url"], headers=headers, timeout=5)
    assert [page.json()[0]["id"] for page in (third, back, start)] == [made[1], made[2], made[3]]
    assert "prev" not in start.links


@setting("last_page_link", "missing", "empty")
def _(greenhouse: Greenhouse):
    expected = None if greenhouse.store.switches.last_page_link == "missing" else ""
    assert greenhouse.get("candidates").headers.get("Link") == expected


@setting("message_rows", "off")
def _(greenhouse: Greenhouse):
    greenhouse.candidate(is_private=True)
    assert [set(row) == {"message"} for row in greenhouse.rows("candidates")] == [False]


@setting("message_rows", "every_page")
def _(greenhouse: Greenhouse):
    for _ in range(3):
        greenhouse.candidate()
    pages = greenhouse.all_pages("candidates?per_page=2")
    assert [[set(row) == {"message"} for row in page] for page in pages] == [[False, False, True], [False, True]]
    assert [set(row) == {"message"} for row in greenhouse.rows("jobs")] == []


@setting("message_rows", "private")
def _(greenhouse: Greenhouse):
    greenhouse.candidate(is_private=True)
    greenhouse.candidate()
    assert [set(row) == {"message"} for row in greenhouse.rows("candidates")] == [False, True]


@setting("message_rows", "processing")
def _(greenhouse: Greenhouse):
    greenhouse.switch(visibility_lag_seconds=10)
    candidate = greenhouse.candidate()["id"]
    assert [set(row) == {"message"} for row in greenhouse.rows(f"candidates?ids={candidate}")] == [True]
    assert greenhouse.rows("candidates?ids=1") == []
    greenhouse.clock.advance(10)
    assert greenhouse.one("candidates", candidate)["id"] == candidate


@setting("visibility_lag_seconds", 0, 30)
def _(greenhouse: Greenhouse):
    lag = greenhouse.store.switches.visibility_lag_seconds
    candidate = greenhouse.candidate()["id"]
    assert len(greenhouse.rows(f"candidates?ids={candidate}")) == (0 if lag else 1)
    greenhouse.clock.advance(lag)
    assert len(greenhouse.rows(f"candidates?ids={candidate}")) == 1


@setting("rejection_details_lag_seconds", 0, 30)
def _(greenhouse: Greenhouse):
    lag = greenhouse.store.switches.rejection_details_lag_seconds
    application = reject(greenhouse, greenhouse.application())
    assert application["status"] == "rejected"
    assert len(greenhouse.rows("rejection_details")) == (0 if lag else 1)
    greenhouse.clock.advance(lag)
    assert len(greenhouse.rows("rejection_details")) == 1


# ---------------------------------------------------------------- what rows show


@setting("newer_application_fields", True, False)
def _(greenhouse: Greenhouse):
    shown = greenhouse.store.switches.newer_application_fields
    application = greenhouse.application()
    for row in (application, greenhouse.one("applications", application["id"])):
        assert ("job_interview_stage_id" in row, "rejection_reason_id" in row) == (shown, shown)
    stage = greenhouse.rows("application_stages?current=true")[0]["job_interview_stage_id"]
    for query in (f"job_interview_stage_ids={stage}", "fields=rejection_reason_id"):
        assert greenhouse.get(f"applications?{query}").status_code == (200 if shown else 422)


@setting("terminal_stage", "kept", "nulled")
def _(greenhouse: Greenhouse):
    kept = greenhouse.store.switches.terminal_stage == "kept"
    before = greenhouse.application()
    after = reject(greenhouse, before)
    columns = ("stage_id", "job_interview_stage_id", "stage_name")
    assert [after[name] for name in columns] == [before[name] if kept else None for name in columns]
    assert len(greenhouse.rows(f"applications?stage_ids={before['stage_id']}")) == int(kept)
    assert len(greenhouse.rows("application_stages?current=true")) == 1
    assert greenhouse.post(f"applications/{before['id']}/unreject", {}).status_code == 204
    assert greenhouse.one("applications", before["id"])["stage_id"] == before["stage_id"]
    greenhouse.post(f"applications/{before['id']}/hire", {})
    assert (greenhouse.one("applications", before["id"])["stage_name"] is not None) is kept


@setting("stage_id_shows", "application_stage", "job_interview_stage")
def _(greenhouse: Greenhouse):
    application = greenhouse.application()
    (row,) = greenhouse.rows("application_stages?current=true")
    own = greenhouse.store.switches.stage_id_shows == "application_stage"
    assert application["stage_id"] == row["id" if own else "job_interview_stage_id"]
    assert len(greenhouse.rows(f"applications?stage_ids={application['stage_id']}")) == 1
    body = {"from_stage_id": application["job_interview_stage_id"]}
    assert greenhouse.post(f"applications/{application['id']}/move", body).status_code == 204


@setting("undocumented_fields", False, True)
def _(greenhouse: Greenhouse):
    extra = {"undocumented"} if greenhouse.store.switches.undocumented_fields else set()
    application = greenhouse.application()
    for row in (application, greenhouse.one("candidates", application["candidate_id"]), greenhouse.rows("jobs")[0]):
        assert set(row) & {"undocumented"} == extra


@setting("answers", "list", "null", "null_answers")
def _(greenhouse: Greenhouse):
    answers = greenhouse.application()["answers"]
    shape = greenhouse.store.switches.answers
    assert answers == {"list": [], "null": None}.get(shape, answers)
    if shape == "null_answers":
        assert answers[0]["answer"] is None


@setting("number_values", "number", "string")
def _(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Reach", value_type="number")
    application = greenhouse.application(custom_fields=[{"name_key": "reach", "value": 12}])
    expected = 12 if greenhouse.store.switches.number_values == "number" else "12"
    assert application["custom_fields"]["reach"]["value"] == expected


@setting("custom_field_map", "set_only", "all_defined")
def _(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Reach", value_type="number")
    greenhouse.acts.add_custom_field("Person", field_type="candidate")
    fields = greenhouse.application()["custom_fields"]
    everything = greenhouse.store.switches.custom_field_map == "all_defined"
    assert fields == ({"reach": {"name": "Reach", "type": "number", "value": None}} if everything else {})


@setting("empty_custom_fields", "object", "null")
def _(greenhouse: Greenhouse):
    expected = {} if greenhouse.store.switches.empty_custom_fields == "object" else None
    assert greenhouse.candidate()["custom_fields"] == expected


@setting("offer_dates", "date", "datetime")
def _(greenhouse: Greenhouse):
    body = {"application_id": greenhouse.application()["id"], "starts_on": "2027-01-04"}
    offer = greenhouse.post("offers", body).json()
    dates = greenhouse.store.switches.offer_dates == "date"
    assert offer["starts_on"] == ("2027-01-04" if dates else "2027-01-04T00:00:00.000Z")
    assert offer["sent_on"] is None


@setting("stamps", "millis_z", "seconds_z", "offset")
def _(greenhouse: Greenhouse):
    expected = {
        "millis_z": "2026-11-02T09:00:00.000Z",
        "seconds_z": "2026-11-02T09:00:00Z",
        "offset": "2026-11-02T09:00:00.000+00:00",
    }[greenhouse.store.switches.stamps]
    candidate = greenhouse.candidate()
    assert (candidate["created_at"], candidate["last_activity_at"]) == (expected, None)


@setting("user_emails", "list", "null", "absent")
def _(greenhouse: Greenhouse):
    greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter")
    (user,) = greenhouse.rows("users")
    shape = greenhouse.store.switches.user_emails
    assert user.get("emails", "absent") == {"list": ["ida@example.com"], "null": None}.get(shape, shape)
