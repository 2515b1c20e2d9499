"""What an audit finds out about a Greenhouse tenant: exactly what is not there, and nothing is left behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from referral_pipeline.connectors.capabilities import CREATION, AuditScope, Capability, Standing
from referral_pipeline.connectors.greenhouse import GreenhouseConnector
from referral_pipeline.connectors.greenhouse_trip import AUDIT_EMAIL, FIRST_NAME, LAST_NAME
from referral_pipeline_tests.unit.greenhouse_account import Account, account_with
from referral_pipeline_tests.unit.test_http_client import free_port

SANDBOX, PRODUCTION = AuditScope(may_write=True), AuditScope(may_write=False)
EIGHT = (
    "POST /v3/candidates",
    "GET /v3/candidates",
    "POST /v3/applications",
    "PATCH /v3/applications/{id}",
    "PATCH /v3/candidates/{id}",
    "GET /v3/sources",
    "GET /v3/jobs",
    "GET /v3/applications",
)
"""The critical ones: create, search, apply, tag, add, source, jobs, and what changed."""
WRITES = {"POST /v3/candidates", "POST /v3/applications", "PATCH /v3/applications/{id}", "PATCH /v3/candidates/{id}"}


def filled(account: Account) -> Account:
    account.by_hand()
    account.by_hand("Joan")
    account.acts.add_job("Second", stages=("Review", "Offer"))
    return account


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as one:
        yield filled(one)


def switch(account: Account, **changes: Any) -> None:
    account.store.switches = account.store.switches.changed(changes)


def audited(connector: GreenhouseConnector, scope: AuditScope = SANDBOX) -> dict[str, Capability]:
    lines = connector.audit(scope)
    found = {line.name: line for line in lines}
    assert len(found) == len(lines), "a name stands for one line"
    assert all(line.title and line.evidence and line.consequence for line in lines)
    return found


def missing(lines: dict[str, Capability]) -> set[str | None]:
    """The operations of the lines that something needs and that are missing."""
    return {one.endpoint for one in lines.values() if one.standing is Standing.MISSING and one.needed_by}


def strangers(account: Account) -> list[Any]:
    """Candidates that the audit made."""
    return [row for row in account.store.rows("candidates") if row["last_name"] == LAST_NAME]


def test_a_tenant_as_the_contract_needs_it_is_covered_and_is_left_as_it_was(account: Account):
    before = {entity: list(account.store.rows(entity)) for entity in ("candidates", "applications", "candidate_tags")}
    lines = audited(account.connector)
    assert missing(lines) == set()
    assert {lines[name].standing for name in lines if lines[name].endpoint in WRITES} == {Standing.COVERED}
    assert {one.name for one in lines.values() if one.standing is Standing.MISSING} == {
        "candidates.search_by_phone",  # the vendor has none
        "custom_fields.create",
    }
    assert {entity: list(account.store.rows(entity)) for entity in before} == before


@pytest.mark.parametrize("seed", range(8))
def test_four_of_eight_endpoints_that_are_off_are_found_and_no_others(account: Account, seed: int):
    chance = random.Random(seed)
    off = chance.sample(EIGHT, 4)
    switch(account, operations_forbidden=off[: seed % 5], operations_absent=off[seed % 5 :])
    lines = audited(account.connector)
    assert missing(lines) == set(off)
    told = [one.evidence for one in lines.values() if one.endpoint in off and one.standing is Standing.MISSING]
    assert all("answered 403" in words or "answered 404" in words for words in told)
    assert strangers(account) == []


@pytest.mark.parametrize("endpoint", EIGHT)
@pytest.mark.parametrize("name", ["operations_forbidden", "operations_absent"])
def test_each_endpoint_that_is_off_is_found_alone(account: Account, endpoint: str, name: str):
    switch(account, **{name: [endpoint]})
    assert missing(audited(account.connector)) == {endpoint}
    assert strangers(account) == []


def test_in_production_nothing_is_sent_that_writes(account: Account):
    lines = audited(account.connector, PRODUCTION)
    assert account.writes() == []
    assert missing(lines) == set()
    assert {one.standing for one in lines.values() if one.endpoint in WRITES} == {Standing.NOT_VERIFIED}
    assert lines["applications.list"].standing is Standing.COVERED
    assert set(lines) == set(audited(account.connector))


@pytest.mark.parametrize(
    "switches",
    [
        {"candidate_create_answer": "flat"},
        {"visibility_lag_seconds": 20},
        {"delete_answer": "204", "error_entries": "v1", "forbidden_body": "empty"},
        {"two_sided_dates": "refused", "custom_fields_patch": "merge", "stamps": "offset"},
        {"unknown_id": "422", "malformed_json": "422", "message_rows": "every_page"},
    ],
    ids=lambda switches: "-".join(switches),
)
def test_whatever_way_a_tenant_answers_its_writes_are_covered(switches: dict[str, Any]):
    with account_with(**switches) as account:
        lines = audited(filled(account).connector)
        assert missing(lines) == set()
        assert {lines[name].standing for name in lines if lines[name].endpoint in WRITES} == {Standing.COVERED}
        assert lines["candidates.delete"].standing is Standing.COVERED
        assert lines["candidates.required"].evidence.endswith("first_name, last_name")
        account.now = account.now.replace(year=2027)
        assert strangers(account) == []


def test_a_candidate_that_searches_show_too_late_for_the_contract_is_told(account: Account):
    switch(account, visibility_lag_seconds=60)
    line = audited(account.connect(visibility_lag_seconds=5))["read_after_write"]
    assert (line.standing, line.needed_by) == (Standing.MISSING, (CREATION,))
    assert "raise options.visibility_lag_seconds" in line.consequence


def test_what_an_audit_that_died_left_behind_is_deleted_by_the_next_and_nobody_else(account: Account):
    for first, last in ((FIRST_NAME, LAST_NAME), ("Ada", "Lovelace")):
        account.acts.create_candidate(first_name=first, last_name=last, emails=[AUDIT_EMAIL])
    audited(account.connector)
    assert strangers(account) == []
    assert [row["last_name"] for row in account.store.rows("candidates")][-1] == "Lovelace"


def test_a_candidate_whose_creation_nobody_heard_of_is_deleted_once_searches_show_it():
    """The answer to the first create is lost, and no search shows what it made for twenty seconds."""
    with account_with(visibility_lag_seconds=20) as account:
        filled(account)
        app, creates = account._door.app, count(1)

        async def loses(scope: Any, receive: Any, send: Any) -> None:
            is_create = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/candidates")
            if not is_create or next(creates) != 2:  # the first is the empty one that is refused
                await app(scope, receive, send)
                return

            async def swallow(message: Any) -> None:
                del message

            await app(scope, receive, swallow)
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b"bad gateway"})

        account._door.app = loses
        lines = audited(account.connector)
        assert lines["candidates.delete"].standing is Standing.COVERED
        assert next(creates) > 3
        assert strangers(account) == []


def test_what_cannot_be_deleted_is_named_and_goes_once_it_can(account: Account):
    switch(account, operations_forbidden=["DELETE /v3/candidates/{id}"])
    line = audited(account.connector)["candidates.delete"]
    [left] = strangers(account)
    assert line.standing is Standing.MISSING
    assert f"candidate {left['id']} is left: delete it by hand" in line.evidence
    switch(account, operations_forbidden=[])
    audited(account.connector)
    assert strangers(account) == []


def test_a_refused_credential_is_one_line_that_shows_nothing_of_it(account: Account):
    [line] = account.connect(secret="wrong-secret-of-somebody").audit(SANDBOX)
    assert (line.name, line.standing, line.unanswered) == ("token", Standing.MISSING, False)
    assert "wrong-secret" not in repr(line)


def test_a_system_that_does_not_answer_is_not_called_missing(account: Account):
    connector = account.connect(root=f"http://127.0.0.1:{free_port()}", max_attempts=1)
    [line] = connector.audit(SANDBOX)
    assert (line.standing, line.unanswered) == (Standing.NOT_VERIFIED, True)


def test_custom_fields_and_sources_that_are_not_there_are_told_by_name(account: Account):
    connector = account.connect(source_name="Nowhere", custom_fields={"campaign_tag": "campaign_of_ours"})
    lines = audited(connector)
    assert lines["custom_fields.campaign_tag"].standing is Standing.MISSING
    assert "campaign_of_ours" in lines["custom_fields.campaign_tag"].evidence
    assert lines["applications.source_exists"].standing is Standing.MISSING
    assert lines["applications.source"].standing is Standing.PARTIAL


def test_optional_fields_that_a_tenant_does_not_show_are_named(account: Account):
    switch(account, newer_application_fields=False)
    line = audited(account.connector)["applications.fields"]
    assert line.standing is Standing.PARTIAL
    assert line.evidence.endswith("never job_interview_stage_id, rejection_reason_id")


def test_an_account_without_rows_leaves_open_what_only_rows_can_tell():
    with account_with() as account:
        lines = audited(account.connector)
        assert missing(lines) == set()
        assert lines["candidates.fields"].standing is Standing.NOT_VERIFIED
        assert lines["applications.create"].standing is Standing.PARTIAL  # one open job: its application is there


def test_no_line_shows_anything_of_a_person(account: Account):
    for scope in (SANDBOX, PRODUCTION):
        told = repr(list(audited(account.connector, scope).values()))
        for row in account.store.rows("candidates"):
            assert row["last_name"] not in told
            assert row["email_addresses"][0]["value"] not in told
