"""What an audit finds out about an Ashby account: exactly what is not there; what it wrote is anonymized.

All that the audit sends and is taken is held against the vendor's document (`ashby_account`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from referral_pipeline.connectors.ashby import AshbyConnector
from referral_pipeline.connectors.ashby_trip import AUDIT_EMAIL, AUDIT_NAME
from referral_pipeline.connectors.capabilities import CREATION, AuditScope, Capability, Standing
from referral_pipeline.sandbox.ashby.params import WRITING
from referral_pipeline_tests.unit.ashby_account import Account, account_with

SANDBOX, PRODUCTION = AuditScope(may_write=True), AuditScope(may_write=False)
EIGHT = (
    "candidate.create",
    "candidate.search",
    "application.create",
    "customField.setValues",
    "application.update",
    "candidate.update",
    "job.list",
    "application.list",
)
"""The critical ones: create, search, apply, tag, source and credit, add, jobs, and what changed."""


@contextmanager
def filled_with(**switches: Any) -> Iterator[Account]:
    with account_with(**switches) as account:
        account.asks_for_refusals = True
        account.by_hand()
        account.by_hand("Joan")
        yield account


@pytest.fixture
def account() -> Iterator[Account]:
    with filled_with() as one:
        yield one


def audited(connector: AshbyConnector, scope: AuditScope = SANDBOX) -> dict[str, Capability]:
    lines = connector.audit(scope)
    found = {line.name: line for line in lines}
    assert len(found) == len(lines), "a name stands for one line"
    assert all(line.title and line.evidence and line.consequence for line in lines)
    return found


def missing(lines: dict[str, Capability]) -> set[str]:
    """The calls of the lines that something needs and that are missing."""
    needed = [one for one in lines.values() if one.standing is Standing.MISSING and one.needed_by]
    return {one.endpoint.removeprefix("POST /") for one in needed if one.endpoint is not None}


def of(lines: dict[str, Capability], calls: Any) -> set[Standing]:
    return {one.standing for one in lines.values() if (one.endpoint or "").removeprefix("POST /") in calls}


def strangers(account: Account) -> list[Any]:
    """Candidates of audits who are not anonymized."""
    return [
        row
        for row in account.store.rows("candidates")
        if f"{row['first_name']} {row['last_name']}" == AUDIT_NAME
        or any(one["value"] == AUDIT_EMAIL for one in row["email_addresses"])
    ]


def test_an_account_as_the_contract_needs_it_is_covered_and_nobody_is_left(account: Account) -> None:
    before = {row["id"]: row for row in account.store.rows("applications")}
    lines = audited(account.connector)
    assert missing(lines) == set()
    assert of(lines, EIGHT) == {Standing.COVERED}
    assert {one.name for one in lines.values() if one.standing is Standing.MISSING} == {
        "candidate.search_by_phone",  # the vendor has neither of these
        "candidate.merge",
    }
    assert strangers(account) == []
    assert {row["id"]: row for row in account.store.rows("applications") if row["id"] in before} == before


@pytest.mark.parametrize("seed", range(6))
def test_four_of_eight_endpoints_that_are_off_are_found_and_no_others(account: Account, seed: int) -> None:
    off = random.Random(seed).sample(EIGHT, 4)
    account.switch(operations_forbidden=tuple(off[: seed % 5]), operations_absent=tuple(off[seed % 5 :]))
    lines = audited(account.connector)
    assert missing(lines) == set(off)
    told = [
        one.evidence for one in lines.values() if one.standing is Standing.MISSING and one.needed_by and one.endpoint
    ]
    assert all("answered 403" in words or "answered 404" in words for words in told)
    assert strangers(account) == []


@pytest.mark.parametrize("endpoint", EIGHT)
def test_each_endpoint_that_is_off_is_found_alone(account: Account, endpoint: str) -> None:
    account.switch(operations_forbidden=(endpoint,))
    assert missing(audited(account.connector)) == {endpoint}
    assert strangers(account) == []


def test_in_production_nothing_is_sent_that_writes(account: Account) -> None:
    lines = audited(account.connector, PRODUCTION)
    assert not WRITING & {one.call for one in account.exchanges}
    assert missing(lines) == set()
    assert of(lines, WRITING) == {Standing.NOT_VERIFIED}
    assert set(lines) == set(audited(account.connector))


@pytest.mark.parametrize(
    "switches",
    [
        {"visibility_lag_seconds": 20},
        {"cleared_field": "empty_text", "phone_update": "adds"},
        {"referrals": False, "duplicate_application": "refused"},
    ],
    ids=lambda switches: "-".join(switches),
)
def test_whatever_way_an_account_answers_its_writes_are_covered(switches: dict[str, Any]) -> None:
    with filled_with(**switches) as account:
        lines = audited(account.connector)
        assert missing(lines) == set()
        assert of(lines, EIGHT) == {Standing.COVERED}
        account.now = account.now.replace(year=2027)
        assert strangers(account) == []


def test_lists_that_give_no_token_are_told_with_what_follows() -> None:
    with filled_with(sync_tokens=False) as account:
        line = audited(account.connector)["application.list"]
        assert (line.standing, line.consequence) == (Standing.PARTIAL, "everything is listed at each pull")


def test_a_candidate_whose_creation_nobody_heard_of_is_anonymized(account: Account) -> None:
    account.lose_answer("application.create")
    lines = audited(account.connector)
    assert lines["application.create"].standing is Standing.COVERED
    assert strangers(account) == []
    open_ones = [row for row in account.store.rows("applications") if row["status"] == "in_process"]
    assert len(open_ones) == 2


def test_a_candidate_that_searches_show_too_late_for_the_contract_is_told(account: Account) -> None:
    account.switch(visibility_lag_seconds=60)
    line = audited(account.connect(visibility_lag_seconds=5))["read_after_write"]
    assert (line.standing, line.needed_by) == (Standing.MISSING, (CREATION,))


def test_what_cannot_be_anonymized_is_named_and_goes_once_it_can(account: Account) -> None:
    account.switch(operations_forbidden=("candidate.anonymize",))
    line = audited(account.connector)["candidate.anonymize"]
    assert line.standing is Standing.MISSING
    assert "is left: delete it by hand" in line.evidence
    assert len(strangers(account)) == 1
    account.switch(operations_forbidden=())
    audited(account.connector)
    assert strangers(account) == []


def test_a_refused_key_is_one_line_that_shows_nothing_of_it(account: Account) -> None:
    [line] = account.connect(key="d3Jvbmcta2V5Og==").audit(SANDBOX)
    assert (line.name, line.standing, line.unanswered) == ("token", Standing.MISSING, False)
    assert "d3Jvbmc" not in repr(line)


def test_fields_and_sources_that_are_not_there_are_told_by_name(account: Account) -> None:
    lines = audited(account.connect(source_name="Nowhere", custom_fields={"campaign_tag": "Of ours", "reach": "level"}))
    assert lines["custom_fields.campaign_tag"].standing is Standing.MISSING
    assert "Of ours" in lines["custom_fields.campaign_tag"].evidence
    assert lines["custom_fields.reach"].standing is Standing.PARTIAL
    assert lines["source_exists"].standing is Standing.MISSING


def test_an_account_without_rows_leaves_open_what_only_rows_can_tell() -> None:
    with account_with() as account:
        account.asks_for_refusals = True
        lines = audited(account.connector)
        assert missing(lines) == set()
        assert lines["candidates.fields"].standing is Standing.NOT_VERIFIED
        assert lines["application.info"].standing is Standing.PARTIAL


def test_no_line_shows_anything_of_a_person(account: Account) -> None:
    for scope in (SANDBOX, PRODUCTION):
        told = repr(list(audited(account.connector, scope).values()))
        assert "hopper" not in told.casefold()
        assert "@example.com" not in told
