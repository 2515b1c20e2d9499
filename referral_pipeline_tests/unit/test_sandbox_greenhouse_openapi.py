"""The sandbox against the vendor's own OpenAPI document of March 2026: rows, filters, scopes, request bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_pipeline.sandbox.greenhouse.schema import ENTITIES
from referral_pipeline.sandbox.greenhouse.vendor import ALL_SCOPES
from referral_pipeline_tests.openapi import (
    NEWER_APPLICATION_FIELDS,
    REFERENCE_DIR,
    body_is_valid,
    greenhouse_document,
    needs_greenhouse_document,
    row_problems,
)
from referral_pipeline_tests.unit import greenhouse_server
from referral_pipeline_tests.unit.greenhouse_server import Greenhouse, greenhouse_with

greenhouse = greenhouse_server.greenhouse
pytestmark = needs_greenhouse_document

MADE_UP = REFERENCE_DIR / "vendor_samples" / "greenhouse_v3_made_up"
LISTS = {"candidates?per_page=500": "candidate", "users?show_service_accounts=true": "user"} | {
    entity: entity.removesuffix("s") for entity in ENTITIES if entity not in {"candidates", "users"}
}
LISTS["rejection_reasons?include_defaults=true"] = "rejection_reason"


def whole_life(greenhouse: Greenhouse) -> None:
    """Bring a row of every kind, and of every state that a kind can be in, into the sandbox."""
    acts = greenhouse.acts
    department = acts.add_row("departments", {"name": "Data", "external_id": "D-1"})["id"]
    office = acts.add_row("offices", {"name": "Berlin", "location": "Berlin"})["id"]
    user = acts.add_user("ida@example.com", "Ida", "Recruiter", office_ids=[office], department_ids=[department])
    referrer = acts.add_referrer(user_id=user["id"])["id"]
    job = greenhouse.job(openings=3, department_id=department, office_ids=[office], requisition_id="REQ-1")
    post = {"title": "Data Engineer", "job_id": job["id"], "public_url": "https://jobs.example/1"}
    acts.add_row("job_posts", {**post, "location": {"type": "free_text", "name": "Berlin", "id": None}})
    acts.add_row("tracking_links", {"token": "abc", "job_id": job["id"], "referrer_id": referrer})
    acts.add_custom_field("Advocate ID")
    acts.add_custom_field("Reach", value_type="number")
    acts.add_custom_field("Band", field_type="candidate", value_type="multi_select", options=["Junior", "Senior"])
    option = greenhouse.rows("custom_field_options")[0]["id"]
    contact = {
        "email_addresses": [{"value": "ada@example.org", "type": "personal"}],
        "phone_numbers": [{"value": "+1 212 555 0147", "type": "mobile"}],
        "website_addresses": [{"value": "ada.example", "type": "portfolio"}],
        "social_media_addresses": [{"value": "https://x.example/ada"}],
        "addresses": [{"value": "1 Engine Street", "type": "home"}],
        "tags": ["Advocacy"],
        "custom_fields": [{"name_key": "band", "value": [option]}],
    }
    fields = [{"name_key": "advocate_id", "value": "A-1"}, {"name_key": "reach", "value": None}]
    nested = {"job_id": job["id"], "referrer_id": referrer, "custom_fields": fields}
    body = {"first_name": "Ada", "last_name": "Lovelace", **contact, "application": nested}
    assert greenhouse.post("candidates", body).status_code == 201
    hired, rejected, unrejected, prospect, gone = (greenhouse.candidate()["id"] for _ in range(5))
    for candidate in (hired, rejected, unrejected):
        acts.create_application(candidate_id=candidate, job_id=job["id"])
    ids = {row["candidate_id"]: row["id"] for row in greenhouse.rows("applications")}
    acts.create_prospect(candidate_id=prospect, prospective_job_ids=[job["id"]])
    greenhouse.clock.advance(3_600)
    acts.move(ids[hired], stage="Offer")
    acts.offer_create(ids[hired], starts_on="2027-01-04")
    acts.offer_send(ids[hired])
    acts.offer_accept(ids[hired], starts_on="2027-01-11")
    acts.hire(ids[hired])
    acts.reject(ids[rejected], notes="no")
    acts.reject(ids[unrejected])
    acts.unreject(ids[unrejected])
    acts.merge(prospect, gone)
    acts.anonymize(rejected)
    acts.close_job(greenhouse.job("Closed")["id"])
    greenhouse.job("Draft", status="draft")


def check_all_rows(greenhouse: Greenhouse) -> None:
    for path, component in LISTS.items():
        rows = greenhouse.rows(path)
        assert rows, f"{path} shows nothing"
        for row in rows:
            assert row_problems(component, row) == [], component


def test_every_row_is_valid_against_the_component_schema(greenhouse: Greenhouse):
    whole_life(greenhouse)
    check_all_rows(greenhouse)


@pytest.mark.parametrize(
    "switches",
    [
        {"newer_application_fields": False},
        {"terminal_stage": "nulled"},
        {"answers": "null"},
        {"number_values": "string", "custom_field_map": "all_defined"},
        {"empty_custom_fields": "null"},
        {"stamps": "seconds_z"},
        {"stamps": "offset"},
        {"offer_on_hire": "accepted"},
    ],
    ids=str,
)
def test_rows_stay_valid_under_every_reading_that_the_schema_allows(switches: dict[str, Any]):
    with greenhouse_with(**switches) as greenhouse:
        whole_life(greenhouse)
        check_all_rows(greenhouse)


def test_a_message_row_is_the_other_arm_of_the_candidate_schema():
    with greenhouse_with(message_rows="private") as greenhouse:
        greenhouse.candidate(is_private=True)
        (row,) = greenhouse.rows("candidates")
        assert [problem for problem in row_problems("candidate", row) if "is missing" not in problem] == []


def test_answers_of_writes_are_valid_rows_too(greenhouse: Greenhouse):
    greenhouse.acts.add_custom_field("Advocate ID")
    fields = [{"name_key": "advocate_id", "value": "A-1"}]
    application = greenhouse.application(custom_fields=fields)
    assert row_problems("application", application) == []
    changed = greenhouse.patch(f"applications/{application['id']}", {"custom_fields": fields}).json()
    assert row_problems("application", changed) == []
    candidate = greenhouse.patch(f"candidates/{application['candidate_id']}", {"title": "Countess"}).json()
    assert row_problems("candidate", candidate) == []
    offer = greenhouse.post("offers", {"application_id": application["id"]}).json()
    assert row_problems("offer", offer) == []


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_each_table_has_exactly_the_declared_columns(entity: str):
    schema = greenhouse_document()["components"]["schemas"][entity.removesuffix("s")]
    declared = set((schema.get("properties") or schema["oneOf"][0]["properties"]).keys())
    newer = set(NEWER_APPLICATION_FIELDS) if entity == "applications" else set()
    assert {"id", "created_at", "updated_at", *ENTITIES[entity].empty} == declared | newer


@pytest.mark.parametrize("entity", ["applications", "application_stages", "users"])
def test_the_filters_are_the_declared_ones(entity: str):
    declared = {item["name"] for item in greenhouse_document()["paths"][f"/v3/{entity}"]["get"]["parameters"]}
    universal = {"cursor", "per_page", "ids", "created_at", "updated_at", "fields"}
    newer = {"job_interview_stage_ids"} if entity == "applications" else set()
    assert set(ENTITIES[entity].filters) | universal == declared | newer


def test_every_scope_of_the_sandbox_exists():
    flow = greenhouse_document()["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) >= ALL_SCOPES


def test_rows_have_the_keys_of_the_examples(greenhouse: Greenhouse):
    whole_life(greenhouse)
    for name, path in {
        "application_hired": "applications?status=hired",
        "application_in_process": "applications?status=active&prospect=false",
        "application_rejected": "applications?status=rejected",
        "application_stages": "application_stages",
        "candidate": "candidates",
        "job": "jobs",
        "offer_accepted": "offers?status=Accepted",
        "referrer": "referrers",
        "user": "users",
    }.items():
        example = json.loads((MADE_UP / f"{name}.json").read_text(encoding="utf-8"))["response"]["body"][0]
        row = greenhouse.rows(path)[0]
        assert set(row) == set(example), name
        assert [key for key in row if key in example] == list(row)


# ---------------------------------------------------------------- request bodies of applications


class Bodies:
    """Ids that exist, to build bodies from."""

    def __init__(self, greenhouse: Greenhouse) -> None:
        self.greenhouse = greenhouse
        acts = greenhouse.acts
        acts.add_custom_field("Advocate ID")
        self.field = acts.add_custom_field("Reach", value_type="number")["id"]
        acts.add_custom_field("Salary", value_type="currency")
        acts.add_custom_field("Why", field_type="rejection_question")
        self.job = greenhouse.job()
        self.candidate = greenhouse.candidate()["id"]
        self.source = greenhouse.rows("sources")[0]["id"]
        self.referrer = acts.add_referrer(name="Alumni")["id"]
        self.user = acts.add_user("ida@example.com", "Ida", "Recruiter")["id"]
        self.reason = greenhouse.rows("rejection_reasons")[0]["id"]


def test_bodies_that_the_document_accepts_are_carried_out(greenhouse: Greenhouse):
    known = Bodies(greenhouse)
    fields = [
        {"name_key": "advocate_id", "value": "A-1"},
        {"custom_field_id": known.field, "value": 3},
        {"name_key": "salary", "value": {"amount": 1.5, "currency_code": "USD"}},
    ]
    shared = {
        "source_id": known.source,
        "referrer_id": known.referrer,
        "recruiter_id": known.user,
        "coordinator_id": known.user,
        "created_at": "2026-10-01T08:00:00Z",
        "custom_fields": fields,
    }
    on_job = {"candidate_id": known.candidate, "job_id": known.job["id"]}
    stage = greenhouse.stages(known.job["id"])[1]
    prospect = {"candidate_id": known.candidate, "prospect": True}
    pool = {"job_ids": [known.job["id"]], "prospect_pool_id": 1, "prospective_office_id": 1}
    for body in ({**on_job, **shared, "initial_stage_id": stage}, prospect, {**prospect, **shared, **pool}):
        assert body_is_valid("post", "/v3/applications", body)
        assert greenhouse.post("applications", body).status_code == 201

    application, other = greenhouse.application(known.job), greenhouse.application(known.job)
    path = f"applications/{application['id']}"
    for body in ({}, {**shared, "created_at": "2026-10-01"}, {"prospect_pool_id": 1.5, "prospect_stage_id": 1}):
        assert body_is_valid("patch", "/v3/applications/{id}", body)
        assert greenhouse.patch(path, body).status_code == 200

    email = {"send_email_at": "2026-11-03T08:00:00Z", "email_template_id": 1, "email_from_user_id": known.user}
    why = [{"name_key": "why", "value": "x"}]
    last = greenhouse.stages(known.job["id"])[2]
    first = application["job_interview_stage_id"]
    rejection = {"rejection_reason_id": known.reason, "notes": "no", "rejection_email": email, "custom_fields": why}
    for verb, body in (
        ("move", {"from_stage_id": first}),
        ("move", {"from_stage_id": stage, "to_stage_id": last, "email_from_user_id": known.user}),
        ("reject", rejection),
        ("unreject", {}),
        ("reject", {"rejection_reason_id": known.reason}),
    ):
        assert body_is_valid("post", f"/v3/applications/{{id}}/{verb}", body)
        assert greenhouse.post(f"{path}/{verb}", body).status_code == 204
    hire = {
        "start_date": "2027-01-04T00:00:00Z",
        "opening_id": greenhouse.rows("openings")[0]["id"],
        "close_reason_id": None,
    }
    assert body_is_valid("post", "/v3/applications/{id}/hire", hire)
    assert greenhouse.post(f"applications/{other['id']}/hire", hire).status_code == 204


WRONG = st.sampled_from(
    [
        None, True, "", "x", "1", 0, -1, 1.5, [], {}, [1], [True], [1, "a"], "x" * 300,
        "2026-13-01", "2026-11-03", "2026-11-03T08:00:00Z", "2026-11-03T08:00:00",
        {"amount": 1}, {"amount": "1", "currency_code": "USD"}, {"amount": 1, "currency_code": "USDX"},
        {"amount": 1, "currency_code": "USD", "extra": 1}, {"min_value": 1, "max_value": 2},
        {"min_amount": 1, "max_amount": 2, "currency_code": "USD"}, {"send_email_at": "soon"},
    ]
)  # fmt: skip
"""Values that are wrong in most places, and right in some."""

ID = st.integers(1, 9)
DAY = st.just("2026-11-03")
MOMENT = st.sampled_from(["2026-11-03T08:00:00Z", "2026-11-03T08:00:00.123+02:00"])
VALUE = st.sampled_from(["x", True, 3, 1.5, None, ["a", "b"], [1, 2.5], {"amount": 1, "currency_code": "USD"}])


def bent(fitting: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Half of the time a fitting body; else one with one key of it, or one that nobody knows, set to something else."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> dict[str, Any]:
        body = dict(draw(fitting))
        if draw(st.booleans()):
            return body
        key = draw(st.sampled_from([*sorted(body), "nobody_knows"]))
        if key in body and draw(st.integers(0, 3)) == 0:
            del body[key]
        else:
            body[key] = draw(WRONG)
        return body

    return draw_one()


NAMED = {"name_key": st.sampled_from(["advocate_id", "nope"])}, {"custom_field_id": ID}
ENTRY = st.one_of(*(st.fixed_dictionaries(name, optional={"value": VALUE}) for name in NAMED))
ENTRIES = st.lists(bent(ENTRY), max_size=2)
EMAIL = st.fixed_dictionaries({}, optional={"send_email_at": MOMENT, "email_template_id": ID, "email_from_user_id": ID})
PEOPLE = {"source_id": ID, "referrer_id": ID, "recruiter_id": ID, "coordinator_id": ID, "custom_fields": ENTRIES}
POOL = {
    "prospect_pool_id": ID,
    "prospect_pool_stage_id": ID,
    "job_ids": st.lists(ID, max_size=2),
    "prospect_owner_id": ID,
}
ON_JOB = st.fixed_dictionaries(
    {"candidate_id": ID, "job_id": ID}, optional={**PEOPLE, "created_at": MOMENT, "initial_stage_id": ID}
)
AS_PROSPECT = st.fixed_dictionaries(
    {"candidate_id": ID, "prospect": st.booleans()}, optional={**PEOPLE, **POOL, "created_at": MOMENT}
)
BODIES = {
    ("post", ""): ON_JOB | AS_PROSPECT,
    ("patch", "/{id}"): st.fixed_dictionaries(
        {},
        optional={
            **PEOPLE,
            "prospect_pool_id": ID | st.just(1.5),
            "prospect_stage_id": ID,
            "rejected_at": DAY,
            "created_at": DAY,
        },
    ),
    ("post", "/{id}/move"): st.fixed_dictionaries(
        {"from_stage_id": ID}, optional={"to_stage_id": ID, "to_job_id": ID, "email_from_user_id": ID}
    ),
    ("post", "/{id}/reject"): st.fixed_dictionaries(
        {"rejection_reason_id": ID},
        optional={"notes": st.sampled_from(["", "no"]), "rejection_email": bent(EMAIL), "custom_fields": ENTRIES},
    ),
    ("post", "/{id}/unreject"): st.just({}),
    ("post", "/{id}/hire"): st.fixed_dictionaries(
        {}, optional={"start_date": MOMENT, "opening_id": ID, "close_reason_id": ID | st.none()}
    ),
    ("post", "/{id}/convert_to_candidate"): st.fixed_dictionaries(
        {"job_id": ID}, optional={"to_job_interview_stage_id": ID}
    ),
}


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_shapes_are_refused_exactly_where_the_document_refuses_them(method: str, path: str):
    """A wrong shape answers one-key entries; a right one is carried out or refused in a sentence."""
    verdicts: set[bool] = set()
    with greenhouse_with() as greenhouse:
        greenhouse.acts.add_custom_field("Advocate ID")
        row_id = greenhouse.application()["id"]
        address = "applications" + path.replace("{id}", str(row_id))

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(body=bent(BODIES[method, path]))
        def agree(body: dict[str, Any]) -> None:
            answer = greenhouse.call(method.upper(), address, body)
            assert answer.status_code in {200, 201, 204, 422}
            by_shape = answer.status_code == 422 and isinstance(answer.json()["errors"][0], dict)
            accepted = body_is_valid(method, f"/v3/applications{path}", body)
            verdicts.add(accepted)
            assert by_shape is not accepted, answer.text

        agree()
    assert verdicts == {True, False}
