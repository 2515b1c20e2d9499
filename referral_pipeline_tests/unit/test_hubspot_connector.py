"""The connector for HubSpot against a HubSpot: each invariant of the vendor's API by its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from referral_pipeline.connectors.capabilities import AuditScope, Standing
from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    Forbidden,
    Invalid,
    PermanentFailure,
    RateLimited,
    Unauthorized,
)
from referral_pipeline.connectors.hubspot_models import ContactRow, written
from referral_pipeline.connectors.records import ContactPut, ContactWish
from referral_pipeline.connectors.testing_crm import CrmTenant, crm_gaps
from referral_pipeline.sandbox.hubspot.switches import CONTACTS_READ, CONTACTS_WRITE, SCHEMAS_READ
from referral_pipeline_tests.openapi import HUBSPOT_SAMPLES
from referral_pipeline_tests.unit.hubspot_account import ADA, CONTACTS, KINDS, Account, account_with
from referral_pipeline_tests.unit.scripted_server import Reply, serving

needs_samples = pytest.mark.skipif(not HUBSPOT_SAMPLES.is_dir(), reason="the vendor's samples are not here")


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as found:
        found.connector.ensure_properties()
        yield found


def test_1_a_contact_is_found_by_address_at_once_and_search_is_not_asked() -> None:
    with account_with(search_lag_seconds=3600) as account:
        account.connector.ensure_properties()
        put = account.connector.put_contact(ADA)
        assert account.connector.find_contact("Ada@Example.com") == put.contact_id
        assert account.connector.find_contact("nobody+x/y?z@example.com") is None
        assert not [one for one in account.sent if one.path.endswith("/search")]


def test_2_a_contact_that_came_between_look_and_create_is_brought_to_the_wish(account: Account) -> None:
    def meddle(_: Any) -> None:
        account.book.told = None
        account.book.create({"email": "ada@example.com", "firstname": "Augusta"})

    real = account.connector._api.by_email
    first = [True]

    def by_email(email: str) -> Any:
        found = real(email)
        if first.pop() if first else False:
            meddle(None)
        return found

    account.connector._api.by_email = by_email  # type: ignore[method-assign]
    put = account.connector.put_contact(ADA)
    assert put.outcome == "updated"
    (contact,) = account.contacts()
    assert (contact["firstname"], contact["referral_id"]) == ("Augusta", "R1")


@pytest.mark.parametrize("before_work", [False, True], ids=["after the work", "before the work"])
def test_3_after_an_answer_that_never_came_the_address_is_read_and_one_contact_is_made(
    account: Account, before_work: bool
) -> None:
    account.loses_creates(before_work=before_work)
    assert account.connector.put_contact(ADA).outcome == "created"
    assert len(account.contacts()) == 1
    creates = [one for one in account.sent if (one.method, one.path) == ("POST", CONTACTS)]
    assert len(creates) == 1  # the lost one, or, where that never got through, the one after it
    assert account.connector.put_contact(ADA).outcome == "unchanged"


def test_3_what_stays_lost_is_told_as_nobody_knowing(account: Account) -> None:
    account.loses_creates(9, before_work=True)
    with pytest.raises(AmbiguousOutcome):
        account.connector.put_contact(ADA)
    assert account.contacts() == []


def test_4_only_what_differs_is_written_and_nothing_when_nothing_does(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    account.sent.clear()
    assert account.connector.put_contact(ADA) == ContactPut(made.contact_id, "unchanged")
    assert account.writes() == []
    hired = replace(ADA, properties={**ADA.properties, "referral_hired_at": "2026-11-02T10:00:00+01:00"})
    assert account.connector.put_contact(hired).outcome == "updated"
    assert account.connector.put_contact(hired).outcome == "unchanged"
    (sent,) = account.writes()
    assert (sent.method, sent.body) == ("PATCH", {"properties": {"referral_hired_at": "2026-11-02T09:00:00.000Z"}})


def test_5_names_address_and_number_that_people_changed_stay(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    account.act(
        "edit_contact",
        id=made.contact_id,
        properties={"firstname": "Countess", "phone": "1", "email": "new@example.com", "referral_status": "mine"},
    )
    known = replace(ADA, contact_id=made.contact_id)
    assert account.connector.put_contact(known) == ContactPut(made.contact_id, "updated")
    (contact,) = account.contacts()
    assert (contact["firstname"], contact["phone"], contact["email"]) == ("Countess", "1", "new@example.com")
    assert contact["referral_status"] == "applied"  # our own property


def test_6_missing_properties_are_made_once_with_their_types() -> None:
    with account_with() as account:
        assert account.connector.ensure_properties() == len(KINDS)
        assert account.connector.ensure_properties() == 0
        made = account.book.schema.properties
        assert {name: made[name]["type"] for name in KINDS} == dict(KINDS)
        assert {made[name]["groupName"] for name in KINDS} == {"referral_pipeline"}


def test_6_an_app_that_may_make_none_is_told_what_to_make_by_hand() -> None:
    with account_with(scopes=(CONTACTS_READ, CONTACTS_WRITE, SCHEMAS_READ)) as account:
        with pytest.raises(Forbidden) as refused:
            account.connector.ensure_properties()
        assert "crm.schemas.contacts.write" in str(refused.value)
        assert "referral_hired_at (datetime, field type date)" in refused.value.detail
        with pytest.raises(Invalid):
            account.connector.put_contact(ADA)  # PROPERTY_DOESNT_EXIST


def test_6_a_property_of_another_type_stops_the_write(account: Account) -> None:
    with pytest.raises(Invalid, match="referral_id is of type string, needed is number"):
        account.connect(kinds={"referral_id": "number"}).ensure_properties()


def test_7_a_contact_that_was_merged_away_is_followed(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    other = account.act("create_contact", properties={"email": "ada@work.example.com"})
    account.act("merge_contacts", primary_id=other["id"], other_id=made.contact_id)
    changed = replace(ADA, properties={"referral_status": "hired"}, contact_id=made.contact_id)
    assert account.connector.put_contact(changed) == ContactPut(other["id"], "updated")
    assert account.connector.find_contact("ada@example.com") == other["id"]
    assert len(account.contacts()) == 1


def test_7_a_contact_that_is_another_persons_is_left_alone(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    account.sent.clear()
    other = replace(ADA, properties={"referral_id": "R2"}, not_these=frozenset({made.contact_id}))
    assert account.connector.put_contact(other) == ContactPut(made.contact_id, "taken")
    assert account.writes() == []


def test_8_what_people_deleted_is_not_made_again(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    account.act("delete_contact", id=made.contact_id)
    again = account.connector.put_contact(replace(ADA, contact_id=made.contact_id))
    assert again == ContactPut(made.contact_id, "gone")
    assert account.contacts() == []


def test_8_erasure_is_for_good_and_may_be_asked_again(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    account.act("delete_contact", id=made.contact_id)  # an archived contact holds the person still
    assert account.connector.erase_contact(made.contact_id)
    assert not account.connector.erase_contact(made.contact_id)
    assert account.book.erased == [made.contact_id]
    with pytest.raises(Invalid):
        account.connector.put_contact(ADA)  # the address is on the vendor's own list


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("datetime", "2026-03-01T10:00:00.123456+02:00", "2026-03-01T08:00:00.123Z"),
        ("datetime", "2026-03-01T08:00:00.123Z", "2026-03-01T08:00:00.123Z"),
        ("datetime", "soon", "soon"),
        ("date", "2026-03-01", "2026-03-01"),
        ("number", "12", "12"),
        ("number", "12.0", "12"),
        ("string", None, ""),
        ("string", "a", "a"),
    ],
)
def test_9_values_are_texts_as_the_vendor_keeps_them(kind: Any, value: str | None, kept: str) -> None:
    assert written(kind, value) == kept


def test_9_an_empty_value_clears(account: Account) -> None:
    made = account.connector.put_contact(ADA)
    account.connector.put_contact(replace(ADA, properties={"referral_clicks": None}, contact_id=made.contact_id))
    assert "referral_clicks" not in account.contacts()[0]


# ---------------------------------------------------------------- refusals


def test_a_wrong_key_is_told_as_such(account: Account) -> None:
    with pytest.raises(Unauthorized):
        account.connect(key="another").find_contact("ada@example.com")
    (finding,) = account.connect(key="another").probe()
    assert (finding.key, finding.ok) == ("crm.client_secret_env", False)


def test_too_many_calls_are_waited_for_though_nothing_says_how_long() -> None:
    with account_with(rate_limit=3) as account:
        for _ in range(8):
            account.connector.find_contact("ada@example.com")
        refused = [call for call in account.calls if call.status == 429]
        assert refused
        assert len(account.slept) == len(refused)


def test_the_limit_is_learned_from_the_headers() -> None:
    with account_with(rate_limit=100) as account:
        line = next(one for one in account.connector.audit(AuditScope(False)) if one.name == "rate_limit")
        assert (line.standing, line.evidence) == (Standing.COVERED, "100 calls a window, 97 left")


def test_what_stays_refused_is_told_as_a_rate_limit() -> None:
    with account_with(daily_limit=1) as account:
        account.connector.find_contact("ada@example.com")
        with pytest.raises(RateLimited):
            account.connector.find_contact("ada@example.com")


def test_no_failure_names_a_person(account: Account) -> None:
    account.book.switches = account.book.switches.changed({"scopes": (CONTACTS_READ,)})
    with pytest.raises(PermanentFailure) as refused:
        account.connector.put_contact(ADA)
    assert "ada" not in str(refused.value).lower()
    assert "Lovelace" not in str(refused.value)


def test_an_answer_of_another_form_is_an_error_that_names_the_place(account: Account) -> None:
    with serving(lambda _: Reply(body={"id": "x", "properties": {}})) as server, pytest.raises(Invalid, match="id:"):
        account.connect(root=server.url).find_contact("ada@example.com")


# ---------------------------------------------------------------- the kit


def _tenant(account: Account, connector: Any = None) -> CrmTenant:
    def read(contact_id: str) -> tuple[str | None, str | None] | None:
        found = account.book.find(contact_id)
        return found and (found.value("firstname"), found.value("referral_id"))

    return CrmTenant(
        connector=connector or account.connector,
        text_property="referral_id",
        read=read,
        rename=lambda contact_id, name: account.act("edit_contact", id=contact_id, properties={"firstname": name}),
        delete=lambda contact_id: account.act("delete_contact", id=contact_id),
    )


def test_the_kit_finds_nothing_lacking(account: Account) -> None:
    assert crm_gaps(_tenant(account)) == []


def test_the_kit_finds_a_connector_that_writes_names_again_and_makes_deleted_ones_anew(account: Account) -> None:
    class Careless:
        system = "hubspot"

        def __getattr__(self, name: str) -> Any:
            return getattr(account.connector, name)

        def put_contact(self, wish: ContactWish) -> ContactPut:
            put = account.connector.put_contact(replace(wish, contact_id=None))
            account.act("edit_contact", id=put.contact_id, properties={"firstname": wish.first_name or ""})
            return put

    found = {gap.follows for gap in crm_gaps(_tenant(account, Careless()))}
    assert found == {"what people wrote is lost", "what people deleted comes back"}


# ---------------------------------------------------------------- looking


def test_the_probe_writes_nothing_and_says_which_properties_will_be_made() -> None:
    with account_with() as account:
        findings = account.connector.probe()
        assert all(finding.ok for finding in findings)
        assert "4 properties are missing" in findings[-1].found
        assert account.writes() == []
        account.connector.ensure_properties()
        assert {f.key for f in account.connector.probe() if f.key.startswith("mappings.")} == {
            f"mappings.{name}" for name in KINDS
        }


def test_the_audit_of_an_account_with_operations_switched_off_finds_exactly_those(account: Account) -> None:
    def missing() -> set[str]:
        return {line.name for line in account.connector.audit(AuditScope(True)) if line.standing is Standing.MISSING}

    assert missing() == set()
    off = (f"PATCH {CONTACTS}/{{id}}", f"POST {CONTACTS}/gdpr-delete")
    account.book.switches = account.book.switches.changed({"operations_forbidden": off})
    assert missing() == {"contacts.update", "contacts.erase"}
    assert account.contacts() == []


def test_the_audit_of_production_writes_nothing(account: Account) -> None:
    lines = account.connector.audit(AuditScope(False))
    assert {line.name for line in lines if line.standing is Standing.NOT_VERIFIED} >= {
        "contacts.create",
        "contacts.update",
        "contacts.erase",
    }
    assert account.writes() == []


@needs_samples
def test_every_published_contact_is_read() -> None:
    for name in ("read_objects-api_contacts-response", "search_contacts_1-first-page", "batch_create_contacts_success"):
        for row in json.loads((HUBSPOT_SAMPLES / f"{name}.json").read_text())["results"]:
            assert ContactRow.model_validate(row).id == row["id"]
