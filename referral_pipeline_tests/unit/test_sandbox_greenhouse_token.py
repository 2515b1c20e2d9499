"""The token endpoint and the order in which the vendor decides: router, token, rate window, permission."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from referral_pipeline.sandbox.greenhouse.app import Credential
from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import CREDENTIAL, LIMITED, Greenhouse, greenhouse_with

greenhouse = greenhouse_server.greenhouse


def claims_of(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_client_credentials_get_a_bearer_token_whose_subject_is_the_service_user(greenhouse: Greenhouse):
    answer = greenhouse.mint()
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3600
    assert claims_of(answer.json()["access_token"])["sub"] == str(greenhouse.service_user)


def test_a_token_acts_as_the_user_that_sub_names(greenhouse: Greenhouse):
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter", site_admin=True)
    token = greenhouse.mint(sub=str(user["id"])).json()["access_token"]
    application = greenhouse.application()
    reason = greenhouse.rows("rejection_reasons")[0]["id"]
    body = {"rejection_reason_id": reason}
    assert greenhouse.post(f"applications/{application['id']}/reject", body, token=token).status_code == 204
    assert greenhouse.rows("rejection_details")[0]["rejected_by_id"] == user["id"]


def test_no_credentials_answer_401_with_an_error_id(greenhouse: Greenhouse):
    answer = greenhouse.session.post(f"{greenhouse.root}/token", data={"grant_type": "client_credentials"}, timeout=5)
    assert answer.status_code == 401
    assert answer.json()["message"] == "Unauthorized"
    assert answer.json()["errorId"].startswith("err-")


def test_a_client_id_of_the_wrong_form_is_echoed_with_400(greenhouse: Greenhouse):
    answer = greenhouse.mint(Credential("demo", "x"))
    assert answer.status_code == 400
    assert answer.json()["message"] == "client_id=demo does not contain a valid client ID suffix"


@pytest.mark.parametrize("credential", [Credential("other.greenhouse", "x"), Credential(CREDENTIAL.client_id, "x")])
def test_an_unknown_id_or_a_wrong_secret_is_an_invalid_client(greenhouse: Greenhouse, credential: Credential):
    answer = greenhouse.mint(credential)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_a_missing_grant_type_is_named(greenhouse: Greenhouse):
    answer = greenhouse.mint(grant_type="")
    assert answer.status_code == 400
    assert answer.json() == {"message": "Must include `grant_type` parameter in /token request"}


def test_a_wrong_grant_type_lists_the_right_ones(greenhouse: Greenhouse):
    answer = greenhouse.mint(grant_type="password")
    assert answer.status_code == 400
    for grant in ("authorization_code", "refresh_token", "client_credentials", "token-exchange"):
        assert grant in answer.json()["message"]


def test_a_subject_that_is_no_active_user_gets_no_token(greenhouse: Greenhouse):
    gone = greenhouse.acts.add_user("old@example.com", "Old", "User", deactivated=True)
    assert greenhouse.mint(sub=str(gone["id"])).status_code == 400
    assert greenhouse.mint(sub="ida").status_code == 400


def test_the_openapi_spelling_with_query_and_json_body_is_understood_too(greenhouse: Greenhouse):
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter")
    answer = greenhouse.session.post(
        f"{greenhouse.root}/token?{urlencode({'grant_type': 'client_credentials'})}",
        auth=(CREDENTIAL.client_id, CREDENTIAL.client_secret),
        json={"sub": user["id"]},
        timeout=5,
    )
    assert answer.status_code == 200
    assert claims_of(answer.json()["access_token"])["sub"] == str(user["id"])


def test_the_token_endpoint_has_its_own_window_of_a_minute(greenhouse: Greenhouse):
    greenhouse.switch(token_limit=2)
    assert [greenhouse.mint().status_code for _ in range(3)] == [200, 200, 429]
    assert int(greenhouse.mint().headers["Retry-After"]) == 60
    greenhouse.clock.advance(60)
    assert greenhouse.mint().status_code == 200


def test_an_expired_token_answers_401_and_a_new_one_works(greenhouse: Greenhouse):
    old = greenhouse.token
    greenhouse.clock.advance(3599)
    assert greenhouse.get("jobs", token=old).status_code == 200
    greenhouse.clock.advance(1)
    assert greenhouse.get("jobs", token=old).status_code == 401
    assert greenhouse.get("jobs", token=greenhouse.mint().json()["access_token"]).status_code == 200


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_that_was_not_minted_here_answers_the_measured_401(greenhouse: Greenhouse, token: str):
    answer = greenhouse.get("candidates", token=token)
    assert answer.status_code == 401
    assert answer.json()["message"] == "Unauthorized"
    assert answer.json()["errors"][0].startswith("Token could not be decoded.")


def test_the_router_runs_before_authentication(greenhouse: Greenhouse):
    known = greenhouse.session.get(f"{greenhouse.root}/v3/candidates", timeout=5)
    unknown = greenhouse.session.get(f"{greenhouse.root}/v3/people", timeout=5)
    assert (known.status_code, unknown.status_code) == (401, 404)
    assert unknown.json() == {"message": "Resource not found"}
    assert "X-RateLimit-Limit" not in unknown.headers
    assert "X-RateLimit-Limit" not in known.headers


@pytest.mark.parametrize("path", ["candidates/1", "applications/1", "jobs/1", "candidates/", "", "candidates/1/move"])
def test_there_is_no_single_read_and_no_other_path(greenhouse: Greenhouse, path: str):
    assert greenhouse.get(path).status_code == 404


def test_rejection_reasons_are_the_exception_with_a_single_read(greenhouse: Greenhouse):
    reason = greenhouse.rows("rejection_reasons")[0]
    assert greenhouse.get(f"rejection_reasons/{reason['id']}").json() == reason
    assert greenhouse.get("rejection_reasons/9999999999").status_code == 404


def test_a_missing_scope_answers_403_with_rate_headers(greenhouse: Greenhouse):
    token = greenhouse.mint(LIMITED).json()["access_token"]
    assert greenhouse.get("jobs", token=token).status_code == 200
    refused = greenhouse.get("applications", token=token)
    assert (refused.status_code, refused.json()) == (403, {"message": "Forbidden"})
    assert "X-RateLimit-Remaining" in refused.headers
    assert greenhouse.post("candidates", {}, token=token).status_code == 403


def test_lists_need_a_site_admin_and_writes_do_not(greenhouse: Greenhouse):
    user = greenhouse.acts.add_user("ida@example.com", "Ida", "Recruiter", site_admin=False)
    token = greenhouse.mint(sub=str(user["id"])).json()["access_token"]
    assert greenhouse.get("candidates", token=token).status_code == 403
    body = {"first_name": "Ada", "last_name": "Lovelace"}
    assert greenhouse.post("candidates", body, token=token).status_code == 201


def test_a_success_tells_the_window_and_a_429_when_to_come_back():
    with greenhouse_with(rate_limit=3) as greenhouse:
        first = greenhouse.get("jobs")
        epoch = int(greenhouse.clock().timestamp())
        assert first.headers["X-RateLimit-Limit"] == "3"
        assert first.headers["X-RateLimit-Remaining"] == "2"
        assert int(first.headers["X-RateLimit-Reset"]) == epoch - epoch % 30 + 30
        greenhouse.clock.advance(4)
        greenhouse.get("jobs")
        greenhouse.get("jobs")
        refused = greenhouse.get("jobs")
        assert refused.status_code == 429
        assert refused.json() == {"message": "Too Many Requests"}
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        assert int(refused.headers["Retry-After"]) == 26
        greenhouse.clock.advance(26)
        assert greenhouse.get("jobs").status_code == 200


def test_a_refused_call_does_nothing():
    with greenhouse_with(rate_limit=1) as greenhouse:
        greenhouse.get("jobs")
        assert greenhouse.post("candidates", {"first_name": "Ada", "last_name": "Lovelace"}).status_code == 429
        assert greenhouse.store.rows("candidates") == []


def test_the_window_is_fixed_and_not_sliding():
    with greenhouse_with(rate_limit=2) as greenhouse:
        start = greenhouse.clock().timestamp()
        greenhouse.clock.now += timedelta(seconds=29 - start % 30)
        assert [greenhouse.get("jobs").status_code for _ in range(3)] == [200, 200, 429]
        greenhouse.clock.advance(1)
        assert [greenhouse.get("jobs").status_code for _ in range(2)] == [200, 200]


def test_each_credential_has_its_own_window():
    with greenhouse_with(rate_limit=1) as greenhouse:
        other = greenhouse.mint(LIMITED).json()["access_token"]
        assert greenhouse.get("jobs").status_code == 200
        assert greenhouse.get("jobs").status_code == 429
        assert greenhouse.get("jobs", token=other).status_code == 200
