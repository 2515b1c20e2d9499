"""The OpenAPI document that the advocacy sandbox serves truly describes it: every answer is held against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from referral_pipeline.sandbox.programme import ProgrammeSize, generate
from referral_pipeline_tests.unit.advocacy_server import Platform, platform

STATUS = {
    "status": "hired",
    "status_at": "2026-11-02T10:00:00Z",
    "ats": {"system": "greenhouse", "candidate_id": "51", "application_id": "62"},
    "hired_at": "2026-11-01T12:00:00Z",
    "starts_on": "2026-12-01",
}
RESULTS_PATH = "/v1/advocates/adv_1/results"
RESULTS = {
    "as_of": "2026-11-02T10:00:00Z",
    **dict.fromkeys(("shares", "clicks", "referrals", "applications", "interviews", "offers", "hires"), 1),
    "conversion": {"value": 0.2, "low": 0.1, "high": 0.3, "maturity": "mature"},
    "credit": 0.5,
    "bonuses": [{"state": "pending", "amount_cents": 200_000, "currency": "USD", "count": 1}],
    "next_eligible_on": "2027-01-04",
}
LISTS = ("advocates", "content", "shares", "clicks", "referrals")


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with platform() as made:
        for entity, rows in generate(3, size=ProgrammeSize.small()).advocacy.items():
            made.store.load(entity, rows)
        yield made


@pytest.fixture(scope="module")
def document(shared: Platform) -> dict[str, Any]:
    return shared.get("/openapi.json").json()


def described(document: dict[str, Any], method: str, path: str, answer: Any) -> dict[str, Any]:
    """The description of this answer's status, with references followed."""
    template = next(
        name for name in document["paths"] if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", name), path.partition("?")[0])
    )
    response = document["paths"][template][method]["responses"][str(answer.status_code)]
    while "$ref" in response:
        response = look_up(document, response["$ref"])
    return response


def look_up(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def hold(document: dict[str, Any], method: str, path: str, answer: Any) -> None:
    """The answer's status, media type, headers and body are those of the document."""
    response = described(document, method, path, answer)
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = response["content"][media_type]["schema"]
    assert [error.message for error in validator(document, schema).iter_errors(answer.json())] == []
    for header in response.get("headers", {}):
        assert header in answer.headers


def test_the_document_is_openapi_3_1_and_its_schemas_are_json_schema(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref":
                    yield inner
                else:
                    yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(document):
        assert look_up(document, reference) is not None


@pytest.mark.parametrize("entity", LISTS)
def test_every_row_of_a_programme_is_as_the_document_says(
    shared: Platform, document: dict[str, Any], entity: str
) -> None:
    cursor = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = shared.get(f"/v1/{entity}", limit=500, **more)
        hold(document, "get", f"/v1/{entity}", answer)
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break


def test_answers_to_writes_and_refusals_are_as_the_document_says(shared: Platform, document: dict[str, Any]) -> None:
    referral = f"/v1/referrals/{shared.submit()['id']}"
    posting = {"title": "Engineer", "status": "open"}
    recognition = {"referral_id": referral[14:], "kind": "hired", "amount_cents": 0, "currency": "USD"}
    key = {"headers": {"Idempotency-Key": "k1"}}
    older = {**STATUS, "status_at": "2026-01-01T00:00:00Z"}
    calls: list[tuple[str, str, dict[str, Any], int]] = [
        ("get", referral, {}, 200),
        ("get", "/v1/referrals/none", {}, 404),
        ("get", f"{referral}?colour=red", {}, 400),
        ("patch", referral, {"json": STATUS}, 200),
        ("patch", referral, {"json": older}, 409),
        ("patch", referral, {"json": {}}, 422),
        ("patch", referral, {"data": b"{}"}, 415),
        ("patch", referral, {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("put", "/v1/jobs/441", {"json": posting}, 201),
        ("put", "/v1/jobs/441", {"json": posting}, 200),
        ("put", "/v1/jobs/441", {"json": {}}, 422),
        ("put", RESULTS_PATH, {"json": RESULTS}, 200),
        ("put", RESULTS_PATH, {"json": {**RESULTS, "as_of": "2026-01-01T00:00:00Z"}}, 409),
        ("put", RESULTS_PATH, {"json": {}}, 422),
        ("put", "/v1/advocates/none/results", {"json": RESULTS}, 404),
        ("post", "/v1/recognitions", {"json": recognition, **key}, 201),
        ("post", "/v1/recognitions", {"json": {**recognition, "currency": "EUR"}, **key}, 422),
        ("post", "/v1/recognitions", {"json": recognition}, 400),
        ("post", "/v1/recognitions", {"json": recognition, "headers": {"Idempotency-Key": "k2"}}, 409),
        ("post", "/oauth/token", {}, 401),
        ("get", "/v1/shares", {"headers": {"Authorization": None}}, 401),
    ]
    for method, path, more, status in calls:
        answer = shared.call(method.upper(), path, **more)
        assert answer.status_code == status, (method, path, answer.text)
        hold(document, method, path, answer)
    hold(document, "post", "/oauth/token", shared.token())


def test_the_bodies_that_the_document_allows_are_those_that_are_accepted(
    shared: Platform, document: dict[str, Any]
) -> None:
    schema = validator(document, {"$ref": "#/components/schemas/StatusUpdate"})
    changes: list[dict[str, Any]] = [
        {},
        {"hired_at": None},
        {"status": "promoted"},
        {"status_at": 7},
        {"ats": {"system": "greenhouse"}},
        {"extra": 1},
        {"starts_on": 5},
    ]
    for change in changes:
        body = {**STATUS, **change}
        path = f"/v1/referrals/{shared.submit()['id']}"
        assert (shared.call("PATCH", path, json=body).status_code == 200) == schema.is_valid(body), change


def test_the_results_that_the_document_allows_are_those_that_are_accepted(
    shared: Platform, document: dict[str, Any]
) -> None:
    schema = validator(document, {"$ref": "#/components/schemas/NewResults"})
    bonus = RESULTS["bonuses"][0]
    changes: list[dict[str, Any]] = [
        {},
        {"bonuses": []},
        {"bonuses": [{**bonus, "count": -1}]},
        {"bonuses": [{**bonus, "currency": "usd"}]},
        {"bonuses": [{**bonus, "note": "x"}]},
        {"conversion": {"value": None, "low": None, "high": None, "maturity": "immature"}},
        {"conversion": {**RESULTS["conversion"], "high": 2}},
        {"conversion": None},
        {"clicks": 1.5},
        {"credit": -1},
        {"next_eligible_on": None},
        {"next_eligible_on": 5},
        {"extra": 1},
    ]
    for change in changes:
        body = {**RESULTS, **change}
        assert (shared.call("PUT", RESULTS_PATH, json=body).status_code == 200) == schema.is_valid(body), change


def test_a_rate_limit_answers_as_the_document_says(shared: Platform, document: dict[str, Any]) -> None:
    shared.call("POST", "/_sandbox/switches", json={"rate_limit": 1})
    try:
        answers = [shared.get("/v1/shares") for _ in range(2)]
    finally:
        shared.call("POST", "/_sandbox/switches", json={"rate_limit": 0})
    assert answers[-1].status_code == 429
    hold(document, "get", "/v1/shares", answers[-1])
