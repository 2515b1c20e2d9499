"""What an audit finds out about a Lever account: exactly what is not there; what it opened is archived."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from referral_pipeline.connectors.capabilities import CREATION, AuditScope, Capability, Standing
from referral_pipeline.connectors.lever import LeverConnector
from referral_pipeline.connectors.lever_trip import AUDIT_EMAIL
from referral_pipeline_tests.unit.lever_account import Account, account_with
from referral_pipeline_tests.unit.test_http_client import free_port

SANDBOX, PRODUCTION = AuditScope(may_write=True), AuditScope(may_write=False)
EIGHT = (
    "POST /opportunities",
    "GET /opportunities",
    "POST /opportunities/{id}/addTags",
    "POST /opportunities/{id}/addSources",
    "PUT /contacts/{id}",
    "GET /opportunities/{id}",
    "GET /postings",
    "GET /archive_reasons",
)
"""The critical ones: create, search and what changed, tag, source, add, status, jobs, and what tells a hire."""
WRITES = {one for one in EIGHT if not one.startswith("GET")}


def filled(account: Account) -> Account:
    account.applied()
    account.applied(first_name="Joan", emails=["joan@example.com"])
    account.acts.add_job("Second", stages=("Review", "Offer"))
    return account


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as one:
        yield filled(one)


def audited(connector: LeverConnector, scope: AuditScope = SANDBOX) -> dict[str, Capability]:
    lines = connector.audit(scope)
    found = {line.name: line for line in lines}
    assert len(found) == len(lines), "a name stands for one line"
    assert all(line.title and line.evidence and line.consequence for line in lines)
    return found


def missing(lines: dict[str, Capability]) -> set[str | None]:
    """The operations of the lines that something needs and that are missing."""
    return {one.endpoint for one in lines.values() if one.standing is Standing.MISSING and one.needed_by} - {None}


def left(account: Account) -> list[Any]:
    """The opportunities that audits opened."""
    people = {
        row["id"]
        for row in account.store.rows("candidates")
        if any(one["value"] == AUDIT_EMAIL for one in row["email_addresses"])
    }
    return [row for row in account.store.rows("applications") if row["candidate_id"] in people]


def is_clean(account: Account) -> bool:
    """Whether what audits left is archived and carries none of our tags."""
    return all(row["status"] == "rejected" and not row["custom_fields"] for row in left(account))


def test_an_account_as_the_contract_needs_it_is_covered_and_what_was_opened_is_archived(account: Account):
    before = {row["id"]: row for row in account.store.rows("applications")}
    lines = audited(account.connector)
    assert missing(lines) == set()
    assert {one.standing for one in lines.values() if one.endpoint in EIGHT} == {Standing.COVERED}
    assert {one.name for one in lines.values() if one.standing is Standing.MISSING} == {
        "opportunities.search_by_phone",  # the vendor has none of these
        "opportunities.referrer",
        "opportunities.delete",
        "contacts.merge",
    }
    assert len(left(account)) == 2
    assert is_clean(account)
    assert {row["id"]: row for row in account.store.rows("applications") if row["id"] in before} == before


@pytest.mark.parametrize("seed", range(6))
def test_four_of_eight_endpoints_that_are_off_are_found_and_no_others(account: Account, seed: int):
    off = random.Random(seed).sample(EIGHT, 4)
    account.switch(operations_forbidden=off[: seed % 5], operations_absent=off[seed % 5 :])
    lines = audited(account.connector)
    assert missing(lines) == set(off)
    told = [one.evidence for one in lines.values() if one.endpoint in off and one.standing is Standing.MISSING]
    assert all("answered 403" in words or "answered 404" in words for words in told)


@pytest.mark.parametrize("endpoint", EIGHT)
def test_each_endpoint_that_is_off_is_found_alone_and_the_next_audit_archives_what_it_left(
    account: Account, endpoint: str
):
    account.switch(operations_forbidden=[endpoint])
    assert missing(audited(account.connector)) == {endpoint}
    account.switch(operations_forbidden=[])
    assert missing(audited(account.connector)) == set()
    assert is_clean(account)


def test_in_production_nothing_is_sent_that_writes(account: Account):
    lines = audited(account.connector, PRODUCTION)
    assert account.writes() == []
    assert missing(lines) == set()
    assert {one.standing for one in lines.values() if one.endpoint in WRITES} == {Standing.NOT_VERIFIED}
    assert set(lines) == set(audited(account.connector))


@pytest.mark.parametrize(
    "switches",
    [
        {"archived_shape": "flat", "create_tells_deduped": False},
        {"visibility_lag_seconds": 20},
        {"updated_at": "null_when_old", "personal_data": "withheld_when_archived"},
    ],
    ids=lambda switches: "-".join(switches),
)
def test_whatever_way_an_account_answers_its_writes_are_covered(switches: dict[str, Any]):
    with account_with(**switches) as account:
        lines = audited(filled(account).connector)
        assert missing(lines) == set()
        assert {one.standing for one in lines.values() if one.endpoint in WRITES} == {Standing.COVERED}
        assert is_clean(account)


def test_every_audit_works_on_the_same_contact(account: Account):
    audited(account.connector)
    audited(account.connector)
    assert len({row["candidate_id"] for row in left(account)}) == 1


def test_an_opportunity_that_searches_show_too_late_for_the_contract_is_told(account: Account):
    account.switch(visibility_lag_seconds=60)
    line = audited(account.connect(visibility_lag_seconds=5))["read_after_write"]
    assert (line.standing, line.needed_by) == (Standing.MISSING, (CREATION,))


def test_what_cannot_be_archived_is_named(account: Account):
    account.switch(operations_forbidden=["PUT /opportunities/{id}/archived"])
    line = audited(account.connector)["opportunities.archive"]
    assert line.standing is Standing.MISSING
    assert "archive them by hand" in line.evidence


def test_a_refused_key_is_one_line_that_shows_nothing_of_it(account: Account):
    [line] = account.connect(key="wrong-key-of-somebody").audit(SANDBOX)
    assert (line.name, line.standing, line.unanswered) == ("token", Standing.MISSING, False)
    assert "wrong-key" not in repr(line)


def test_a_system_that_does_not_answer_is_not_called_missing(account: Account):
    [line] = account.connect(root=f"http://127.0.0.1:{free_port()}", max_attempts=1).audit(SANDBOX)
    assert (line.standing, line.unanswered) == (Standing.NOT_VERIFIED, True)


def test_a_user_who_is_not_there_and_reasons_without_a_hire_are_told(account: Account):
    lines = audited(account.connect(perform_as="294d07bf-1fc1-4eb6-8478-211e51970000"))
    assert lines["perform_as"].standing is Standing.MISSING
    assert lines["archive_reasons.types"].standing is Standing.COVERED
    assert lines["times"].evidence == "in the form 9999999999999 (each 9 a digit)"


def test_an_account_without_rows_leaves_open_what_only_rows_can_tell():
    with account_with() as account:
        lines = audited(account.connector)
        assert missing(lines) == set()
        assert lines["opportunities.fields"].standing is Standing.NOT_VERIFIED


def test_no_line_shows_anything_of_a_person(account: Account):
    for scope in (SANDBOX, PRODUCTION):
        told = repr(list(audited(account.connector, scope).values()))
        assert "hopper" not in told.casefold()
        assert "@example.com" not in told
