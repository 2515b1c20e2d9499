"""The HubSpot sandbox is as strict as the vendor: its refusals, limits, pages and search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from referral_pipeline_tests.openapi import HUBSPOT_SAMPLES
from referral_pipeline_tests.unit.hubspot_account import CONTACTS, Account, account_with

PROPERTIES = "/crm/v3/properties/contacts"
SEARCH: dict[str, Any] = {
    "filterGroups": [],
    "sorts": [],
    "properties": ["email"],
    "limit": 200,
    "after": "",
}


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as found:
        yield found


def create(account: Account, **properties: str) -> Any:
    return account.http("POST", CONTACTS, json={"properties": properties, "associations": []})


def search(account: Account, *filters: dict[str, Any], **more: Any) -> Any:
    groups = [{"filters": list(filters)}] if filters else []
    return account.http("POST", f"{CONTACTS}/search", json={**SEARCH, "filterGroups": groups, **more})


def test_a_second_contact_with_an_address_is_refused_in_the_published_words(account: Account) -> None:
    made = create(account, email="Ada@Example.com").json()
    assert made["properties"]["email"] == "ada@example.com"
    refused = create(account, email="ADA@example.com")
    told = refused.json()
    assert refused.status_code == 409
    assert told["message"] == f"Contact already exists. Existing ID: {made['id']}"
    account.book.switches = account.book.switches.changed({"conflict_tells_id": False})
    told = create(account, email="ada@example.com").json()
    assert told["message"] == "Contact already exists"
    if HUBSPOT_SAMPLES.is_dir():
        import json

        sample = json.loads((HUBSPOT_SAMPLES / "batch_create_contacts_err-conflict.json").read_text())
        assert {k: told[k] for k in ("status", "message", "category")} == {
            k: sample[k] for k in ("status", "message", "category")
        }
        assert told.keys() == sample.keys()


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"nobody_made_this": "1"}, "PROPERTY_DOESNT_EXIST"),
        ({"email": "no address"}, "INVALID_EMAIL"),
        ({"createdate": "2026-01-01T00:00:00Z"}, "READ_ONLY_VALUE"),
        ({"when": "yesterday"}, "INVALID_LONG"),
        ({"day": "2026-02-30"}, "INVALID_DATE"),
        ({"count": "many"}, "INVALID_INTEGER"),
        ({"colour": "puce"}, "INVALID_OPTION"),
    ],
)
def test_values_that_no_property_takes_are_refused_with_their_code(
    account: Account, properties: dict[str, str], code: str
) -> None:
    option = {"label": "Red", "value": "red", "hidden": False}
    for name, kind, field in (
        ("when", "datetime", "date"),
        ("day", "date", "date"),
        ("count", "number", "number"),
        ("colour", "enumeration", "select"),
    ):
        body = {"name": name, "label": name, "groupName": "contactinformation", "type": kind, "fieldType": field}
        options = {"options": [option]} if kind == "enumeration" else {}
        assert account.http("POST", PROPERTIES, json={**body, **options}).status_code == 201
    refused = create(account, **properties)
    assert refused.status_code == 400
    assert refused.json()["category"] == "VALIDATION_ERROR"
    assert code in refused.json()["message"]
    assert account.contacts() == []


@pytest.mark.parametrize(
    "body",
    [
        {"properties": {"email": "a@example.com"}},
        {"associations": [], "properties": {"email": 7}},
        {"associations": [], "properties": {}},
        {"associations": [], "properties": {"email": "a@example.com"}, "more": 1},
        [],
    ],
)
def test_a_create_that_the_document_does_not_allow_is_refused(account: Account, body: Any) -> None:
    assert account.http("POST", CONTACTS, json=body).status_code == 400


def test_properties_are_made_once_in_groups_that_are_there(account: Account) -> None:
    body = {"name": "own", "label": "Own", "groupName": "mine", "type": "string", "fieldType": "text"}
    assert account.http("POST", PROPERTIES, json=body).status_code == 400
    assert account.http("POST", f"{PROPERTIES}/groups", json={"name": "mine", "label": "Mine"}).status_code == 201
    assert account.http("POST", f"{PROPERTIES}/groups", json={"name": "mine", "label": "Mine"}).status_code == 409
    assert account.http("POST", PROPERTIES, json={**body, "fieldType": "number"}).status_code == 400
    assert account.http("POST", PROPERTIES, json=body).status_code == 201
    assert account.http("POST", PROPERTIES, json=body).status_code == 409
    assert "own" in {row["name"] for row in account.http("GET", PROPERTIES).json()["results"]}


def test_a_key_a_scope_and_a_path_are_judged_before_anything_else() -> None:
    with account_with(scopes=("crm.objects.contacts.read",)) as account:
        assert account.http("GET", CONTACTS, key="another").status_code == 401
        refused = create(account, email="a@example.com")
        assert (refused.status_code, refused.json()["category"]) == (403, "MISSING_SCOPES")
        assert account.http("GET", f"{CONTACTS}/1").status_code == 404
        account.sent.clear()  # paths that the document does not have
        assert account.http("GET", "/crm/v3/objects/deals").status_code == 404


def test_ten_seconds_hold_so_many_calls_and_a_second_so_many_searches() -> None:
    with account_with(rate_limit=2, search_per_second=1) as account:
        first = account.http("GET", CONTACTS)
        assert first.headers["X-HubSpot-RateLimit-Max"] == "2"
        assert first.headers["X-HubSpot-RateLimit-Remaining"] == "1"
        account.http("GET", CONTACTS)
        refused = account.http("GET", CONTACTS)
        assert (refused.status_code, refused.json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
        found = search(account)
        assert found.status_code == 200
        assert "X-HubSpot-RateLimit-Max" not in found.headers
        assert search(account).json()["policyName"] == "SECONDLY"
        account.sleep(10.1)
        assert account.http("GET", CONTACTS).status_code == 200


def test_a_list_is_read_page_by_page_to_its_end(account: Account) -> None:
    ids = {create(account, email=f"a{number}@example.com").json()["id"] for number in range(5)}
    seen: list[str] = []
    after = None
    for _ in range(3):
        page = account.http("GET", CONTACTS, params={"limit": "2", **({"after": after} if after else {})}).json()
        seen += [row["id"] for row in page["results"]]
        after = page.get("paging", {}).get("next", {}).get("after")
    assert after is None
    assert (set(seen), len(seen)) == (ids, 5)
    assert account.http("GET", CONTACTS, params={"limit": "101"}).status_code == 400


def test_search_filters_pages_and_ends_at_ten_thousand(account: Account) -> None:
    for number in range(3):
        create(account, email=f"a{number}@example.com")
    assert search(account).json()["total"] == 0  # not seen yet
    account.sleep(2)
    page = search(account, limit=2).json()
    assert (page["total"], len(page["results"]), page["paging"]["next"]["after"]) == (3, 2, "2")
    rest = search(account, limit=2, after="2").json()
    assert "paging" not in rest
    one = search(account, {"propertyName": "email", "operator": "EQ", "value": "A1@example.com"}).json()
    assert [row["properties"]["email"] for row in one["results"]] == ["a1@example.com"]
    since = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": str(int(account.now.timestamp() * 1000))}
    assert search(account, since).json()["total"] == 0
    assert search(account, limit=201).status_code == 400
    assert search(account, after="9900").status_code == 400
    assert search(account, {"propertyName": "nothing", "operator": "HAS_PROPERTY"}).status_code == 400


def test_a_merged_contact_answers_by_both_ids_and_both_addresses(account: Account) -> None:
    one, two = (create(account, email=f"a{n}@example.com").json()["id"] for n in (1, 2))
    merged = account.http("POST", f"{CONTACTS}/merge", json={"primaryObjectId": one, "objectIdToMerge": two})
    assert merged.status_code == 200
    assert account.http("GET", f"{CONTACTS}/{two}").json()["id"] == one
    by_email = account.http("GET", f"{CONTACTS}/a2@example.com", params={"idProperty": "email"})
    assert by_email.json()["id"] == one
    assert create(account, email="a2@example.com").status_code == 409


def test_an_archived_contact_is_found_by_nobody_and_its_address_is_free(account: Account) -> None:
    made = create(account, email="a@example.com").json()["id"]
    assert account.http("DELETE", f"{CONTACTS}/{made}").status_code == 204
    assert account.http("GET", f"{CONTACTS}/{made}").status_code == 404
    assert create(account, email="a@example.com").status_code == 201


def test_an_erased_address_is_refused_and_gone_is_gone(account: Account) -> None:
    create(account, email="a@example.com")
    body = {"objectId": "a@example.com", "idProperty": "email"}
    assert account.http("POST", f"{CONTACTS}/gdpr-delete", json=body).status_code == 204
    assert account.http("POST", f"{CONTACTS}/gdpr-delete", json=body).status_code == 404
    assert create(account, email="a@example.com").status_code == 400


def test_a_batch_read_answers_what_it_found_and_says_what_not(account: Account) -> None:
    create(account, email="a@example.com")
    body = {
        "inputs": [{"id": "a@example.com"}],
        "properties": ["email"],
        "propertiesWithHistory": [],
        "idProperty": "email",
    }
    whole = account.http("POST", f"{CONTACTS}/batch/read", json=body)
    assert (whole.status_code, len(whole.json()["results"])) == (200, 1)
    body["inputs"] = [{"id": "a@example.com"}, {"id": "b@example.com"}]
    part = account.http("POST", f"{CONTACTS}/batch/read", json=body)
    assert (part.status_code, part.json()["errors"][0]["context"]["ids"]) == (207, ["b@example.com"])
