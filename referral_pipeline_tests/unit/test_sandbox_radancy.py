"""The sandbox of Radancy answers as the documentation says, refuses what it does not allow, and fits its samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from referral_pipeline.sandbox.advocacy.answers import Refused
from referral_pipeline.sandbox.credentials import RADANCY_CLIENT_ID, RADANCY_CLIENT_SECRET
from referral_pipeline.sandbox.radancy.ids import id_of
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.radancy_account import ADVOCATE, Tenant

SAMPLES = REFERENCE_DIR / "vendor_samples" / "radancy_firstbird"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")
NOBODY = id_of("referrals", "nobody")


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    one = Tenant()
    yield one
    one.connector.close()


def code(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"status", "code", "message", "developerMessage"}
    assert body["status"] == answer.status_code
    return answer.status_code, body["code"]


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def put_status(tenant: Tenant, application_id: str, **body: Any) -> requests.Response:
    return tenant.http("PUT", f"applications/{application_id}/status", json=body)


# ---------------------------------------------------------------- the door


def test_a_token_needs_a_known_scope_and_the_api_a_token(tenant: Tenant):
    def token(**form: str) -> requests.Response:
        auth = (RADANCY_CLIENT_ID, RADANCY_CLIENT_SECRET)
        return requests.post(f"{tenant.root}/oauth/token", data=form, auth=auth, timeout=5)

    good = token(grant_type="client_credentials", scope="read write").json()
    assert (good["scope"], good["token_type"]) == ("read write", "Bearer")
    assert token(grant_type="client_credentials", scope="admin").json()["error"] == "invalid_scope"
    assert token(grant_type="password").json()["error"] == "unsupported_grant_type"
    assert code(tenant.http("GET", "users", headers={"Authorization": "Bearer no"})) == (401, "4010")


def test_paths_companies_and_ids_are_judged(tenant: Tenant):
    assert code(tenant.http("GET", f"../{NOBODY}/users")) == (404, "4041")
    assert code(tenant.http("GET", "applications/ping")) == (400, "4003")
    assert code(tenant.http("GET", f"applications/{NOBODY}")) == (404, "4043")
    assert code(tenant.http("GET", f"users/{NOBODY}")) == (404, "4049")
    assert code(tenant.http("DELETE", "users"))[0] == 405


def test_too_many_calls_are_told_with_the_vendor_s_code(tenant: Tenant):
    tenant.switches.rate_limit = 1
    tenant.http("GET", "users")
    assert code(tenant.http("GET", "users")) == (429, "4290")


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "sort=name,asc", "status=NEW", "nonsense=1"])
def test_a_query_parameter_that_is_not_documented_so_is_4000(tenant: Tenant, query: str):
    assert code(tenant.http("GET", f"applications?{query}")) == (400, "4000")


def test_pages_tell_where_first_next_and_last_are(tenant: Tenant):
    made = [tenant.refer() for _ in range(30)]
    page = tenant.http("GET", "applications?status=IN_PROGRESS").json()
    assert (page["total"], page["offset"], page["limit"], len(page["items"])) == (30, 0, 25, 25)
    assert page["last"]["href"].endswith("/applications?status=IN_PROGRESS&offset=25&limit=25")
    following = requests.get(
        page["next"]["href"], headers=tenant.http("GET", "users").request.headers, timeout=5
    ).json()
    assert "next" not in following
    assert [row["id"] for row in (*page["items"], *following["items"])] == made


def test_fields_can_be_chosen_and_unknown_ones_are_4001(tenant: Tenant):
    tenant.refer()
    (row,) = tenant.http("GET", "applications?fields=status").json()["items"]
    assert set(row) == {"href", "id", "status"}
    assert code(tenant.http("GET", "applications?fields=phone")) == (400, "4001")


@needs_samples
def test_resources_have_no_field_that_the_samples_do_not_show(tenant: Tenant):
    application_id = tenant.refer(share_id=id_of("shares", "s"))
    plain = tenant.http("GET", f"applications/{application_id}").json()
    documented = sample("applications_get_a_single_job_application_1.json")
    assert set(plain) <= set(documented)
    assert type(plain["applicationDate"]) is type(documented["applicationDate"])
    assert len(plain["applicationDate"]) == len(documented["applicationDate"])
    wide = tenant.http("GET", f"applications/{application_id}?expand=applicant,referrer,job,referrals").json()
    links = sample("concepts_links_and_resource_expansion_2.json")
    assert set(wide["applicant"]) - {"phoneNumber"} <= set(links["applicant"])
    assert set(wide["job"]) <= set(links["job"])
    (job,) = tenant.http("GET", "jobs").json()["items"]
    assert set(job) <= set(sample("jobs_get_all_jobs_1.json")["items"][0])
    page = tenant.http("GET", "users").json()
    assert set(page) <= set(sample("users_get_all_users_1.json"))
    assert set(page["items"][0]) <= set(sample("users_get_all_users_1.json")["items"][0])
    (plan,) = tenant.http("GET", "rewarding/plans").json()["items"]
    assert set(plan) <= set(sample("rewardplans_get_all_reward_plans_1.json")["items"][0])


# ---------------------------------------------------------------- writes


@needs_samples
def test_the_published_bodies_are_taken(tenant: Tenant):
    tenant.switches.set({"puts_show_record": True})
    application_id = tenant.refer()
    for name in ("hire_a_job_application", "close_a_job_application", "re_open_a_job_application"):
        body = sample(f"applications_{name}_1.json")
        assert put_status(tenant, application_id, **body).json()["status"] == body["value"]
    job_id = tenant.http("POST", "jobs", json=_own(tenant, sample("jobs_create_a_job_1.json"))).json()["id"]
    updated = tenant.http("PUT", f"jobs/{job_id}", json=_own(tenant, sample("jobs_update_a_job_1.json")))
    assert updated.json()["title"] == "Developer"
    status = sample("jobs_update_a_jobs_status_1.json")
    assert tenant.http("PUT", f"jobs/{job_id}/status", json=status).json()["status"] == status["value"]


def test_a_put_answers_no_body_unless_it_is_told_to(tenant: Tenant):
    answer = put_status(tenant, tenant.refer(), value="HIRED")
    assert (answer.status_code, answer.content) == (200, b"")
    job_id = tenant.account.job_of("4410000001")["id"]
    status = tenant.http("PUT", f"jobs/{job_id}/status", json={"value": "ACTIVE_CLOSED"})
    assert (status.status_code, status.content) == (200, b"")
    whole = tenant.http("PUT", f"jobs/{job_id}", json=_own(tenant, {"title": "Porter", "description": ""}))
    assert (whole.status_code, whole.content) == (200, b"")
    with pytest.raises(Refused):
        tenant.switches.set({"puts_show_record": 1})


def _own(tenant: Tenant, body: dict[str, Any]) -> dict[str, Any]:
    """The body with ids of this account."""
    (job,) = [tenant.account.job_of("4410000001")]
    ids = {name: {"id": job[name]} for name in ("department", "location", "contactPerson", "reward")}
    return {**body, **ids, "responsiblePersons": [{"id": ADVOCATE}]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": "FINISHED"},
        {"value": "CLOSED"},
        {"value": "CLOSED", "closeReason": "BORED"},
        {"value": "HIRED", "firstDayOfWork": "04.01.2027"},
        {"value": "HIRED", "payReward": "yes"},
        {"value": "IN_PROGRESS", "closeReason": "CANDIDATE_REJECTED"},
    ],
)
def test_a_status_that_is_not_documented_is_4002(tenant: Tenant, body: dict[str, Any]):
    assert code(put_status(tenant, tenant.refer(), **body)) == (400, "4002")


def test_a_job_needs_its_ids_a_title_of_255_and_a_state_that_can_follow(tenant: Tenant):
    whole = _own(tenant, {"title": "Porter", "description": ""})
    wrong: tuple[dict[str, Any], ...] = ({"title": "P" * 256}, {"reward": {"id": NOBODY}}, {"colour": "red"})
    for change in wrong:
        assert code(tenant.http("POST", "jobs", json={**whole, **change})) == (400, "4002")
    assert code(tenant.http("POST", "jobs", data="{}"))[0] == 415
    job_id = tenant.http("POST", "jobs", json=whole).json()["id"]
    for value in ("ACTIVE_CLOSED", "DRAFT", "DELETED"):
        assert code(tenant.http("PUT", f"jobs/{job_id}/status", json={"value": value})) == (400, "4002")
