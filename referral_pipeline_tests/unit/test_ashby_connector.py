"""The invariants of Ashby's API that reading must keep; the number of each stands in its test's name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from referral_pipeline.connectors import ashby_api
from referral_pipeline.connectors.failures import Forbidden, Invalid, NotFound
from referral_pipeline.connectors.http import CallOutcome
from referral_pipeline.connectors.records import AtsApplication, Row, Window
from referral_pipeline.sandbox.ashby.ids import id_of, uuid_of
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.ashby_account import BASIC, START, Account, account_with


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as made:
        yield made


def _read(account: Account, application_id: str) -> AtsApplication:
    """One application, read live, and just so from what a pull brings."""
    live = account.connector.get_applications([application_id])[application_id]
    pulled = account.pulled()
    staged = account.connector.stage(lambda entity: pulled.get(entity, []))
    assert staged.problems == []
    (found,) = [one for one in staged.applications if one.id == application_id]
    assert found == live
    return live


def test_1_every_call_is_a_post_with_the_key_as_user_name_and_the_version_of_the_api(account: Account) -> None:
    account.connector.search_candidates("nobody@example.com")
    (one,) = account.exchanges
    assert (one.call, one.headers["authorization"]) == ("candidate.search", BASIC)
    assert one.headers["accept"] == "application/json; version=1"


def test_1_a_refusal_that_comes_with_200_is_an_error_with_its_code_and_is_counted_as_one(account: Account) -> None:
    with pytest.raises(Invalid, match="answered 200: invalid_input") as caught:
        account.connector._api.read("application.list", {"limit": 1000})
    assert caught.value.evidence is not None
    assert b"invalid_input" in caught.value.evidence.answer
    assert [(call.status, call.outcome) for call in account.calls] == [(200, str(CallOutcome.REFUSED))]
    with pytest.raises(NotFound):
        account.connector._api.read("application.info", {"applicationId": uuid_of("applications", 1)})


def test_1_keys_rights_and_rates_are_refused_with_a_status_and_told_apart(account: Account) -> None:
    with pytest.raises(Forbidden, match="forbidden"):
        account.connect(key="d3Jvbmc6").search_candidates("ada@example.com")
    account.switch(permissions_missing=("candidatesRead",))
    with pytest.raises(Forbidden, match="missing_endpoint_permission"):
        account.connector.search_candidates("ada@example.com")
    account.switch(permissions_missing=(), rate_limit=1)
    account.calls.clear()
    account.sleep(60)
    began = account.now
    account.connector.search_candidates("ada@example.com")
    account.connector.search_candidates("ada@example.com")
    assert [call.outcome for call in account.calls] == ["ok", "rate_limited", "ok"]
    assert account.now - began >= timedelta(seconds=30)  # as Retry-After asked for


def test_2_a_list_is_read_to_its_end_and_each_page_is_asked_for_once(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ann", "Ben", "Cleo", "Dora", "Emil"):
        account.by_hand(name)
    monkeypatch.setattr(ashby_api, "PAGE_SIZE", 2)
    rows = [row for page in account.connector.pull("candidates", Window(None, account.now)) for row in page]
    assert [row["name"].split()[0] for row in rows] == ["Ann", "Ben", "Cleo", "Dora", "Emil"]
    assert len(account.sent("candidate.list")) == 3


def test_4_unknown_words_and_fields_never_stop_a_pull_and_rows_without_id_are_counted(account: Account) -> None:
    application = account.by_hand()
    (row,) = account.pulled()["applications"]
    strange = {
        **row,
        "status": "Dreaming",
        "nobody": {"knows": True},
        "currentInterviewStage": {"id": "x", "type": "Z"},
    }
    staged = account.connector.stage(lambda entity: [strange] if entity == "applications" else [])
    (found,) = staged.applications
    assert (found.id, found.status) == (application, CandidateStatus.IN_REVIEW)
    assert found.unmapped_stage == "status Dreaming"
    assert account.connector._api._rows("candidate.list", {"results": [{"message": "hidden"}, {"id": "1"}]}) == [
        {"id": "1"}
    ]
    assert account.connector.skipped_rows == {"candidate.list": 1}


def test_4_a_row_that_cannot_be_read_becomes_a_problem_that_shows_nothing_of_it(account: Account) -> None:
    account.by_hand()
    (row,) = account.pulled()["applications"]
    broken: Row = {**row, "createdAt": "last Tuesday"}
    (problem,) = account.connector.stage(lambda entity: [broken] if entity == "applications" else []).problems
    assert (problem.entity, problem.field) == ("applications", "createdAt")
    assert "Tuesday" not in repr(problem)


def test_6_a_search_is_held_against_the_addresses_and_does_not_see_what_is_too_fresh(account: Account) -> None:
    account.by_hand("Grace")
    (found,) = account.connector.search_candidates("  GRACE@example.com ")
    assert (found.first_name, found.last_name, found.emails) == ("Grace", "Hopper", ("grace@example.com",))
    assert account.connector.search_candidates("race@example.com") == []


def test_7_a_hire_is_dated_by_the_accepted_offer(account: Account) -> None:
    application = account.by_hand()
    account.act("move", application, stage="Offer")
    account.act("offer_create", application, starts_on="2027-01-11")
    account.act("offer_send", application)
    account.sleep(86_400)
    accepted_at = account.now
    account.act("offer_accept", application)
    account.sleep(86_400)
    account.act("hire", application)
    found = _read(account, application)
    assert (found.status, found.hired_at) == (CandidateStatus.HIRED, accepted_at)
    assert str(found.starts_on) == "2027-01-11"
    assert [entry.status for entry in found.history][-1] is CandidateStatus.HIRED


def test_7_without_an_offer_a_hire_is_dated_by_its_opening_and_without_both_by_nothing(account: Account) -> None:
    filled, undated = account.by_hand("Ann"), account.by_hand("Ben")
    for row in account.store.find("openings", "job_id", account.job["id"])[1:]:
        account.store.delete("openings", row["id"])
    account.act("hire", filled)
    hired_at = account.now
    account.sleep(60)
    account.act("hire", undated)
    assert _read(account, filled).hired_at == hired_at
    assert (_read(account, undated).status, _read(account, undated).hired_at) == (CandidateStatus.HIRED, None)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("THEY_REJECTED_US", CandidateStatus.WITHDRAWN),
        ("WE_REJECTED_THEM", CandidateStatus.REJECTED),
        ("NONE_SPECIFIED", CandidateStatus.REJECTED),
    ],
)
def test_8_what_is_archived_was_rejected_or_withdrawn_by_its_reasons_type(
    account: Account, reason: str, status: CandidateStatus
) -> None:
    application = account.by_hand()
    account.act("reject", application, reason=reason)
    found = _read(account, application)
    assert (found.status, found.rejected_at) == (status, account.now)
    account.sleep(60)
    account.act("unreject", application)
    assert _read(account, application).status is CandidateStatus.APPLIED
    assert _read(account, application).rejected_at is None


def test_8_a_stage_tells_by_its_title_else_by_its_type_and_never_ends_an_application(account: Account) -> None:
    application = account.by_hand()
    seen = [_read(account, application)]
    for _ in range(3):
        account.sleep(60)
        account.act("move", application)
        seen.append(_read(account, application))
    assert [(one.status, one.unmapped_stage) for one in seen] == [
        (CandidateStatus.APPLIED, None),
        (CandidateStatus.INTERVIEWED, None),
        (CandidateStatus.IN_REVIEW, "Team Chat"),
        (CandidateStatus.OFFERED, None),  # the contract of this test maps it to hired, which no stage can mean
    ]
    assert [entry.status for entry in seen[-1].history] == [one.status for one in seen]
    assert seen[-1].interviewed_at == START + timedelta(seconds=60)
    assert seen[-1].offered_at == START + timedelta(seconds=180)


def test_9_one_name_is_read_as_a_first_word_and_a_rest(account: Account) -> None:
    candidate = account.acts.create_candidate(first_name="Maria  del", last_name="Mar Ruiz")
    lone = account.acts.create_candidate(first_name="Cher", last_name="")
    ids = [uuid_of("candidates", row["id"]) for row in (candidate, lone)]
    found = account.connector.get_candidates(ids)
    assert [(found[one].first_name, found[one].last_name) for one in ids] == [("Maria", "del Mar Ruiz"), ("Cher", None)]


def test_jobs_come_with_department_and_the_posting_that_people_outside_can_see(account: Account) -> None:
    found = account.connector.get_jobs([account.job_id, uuid_of("jobs", 7), "no id of Ashby"])
    assert list(found) == [account.job_id]
    assert (found[account.job_id].title, found[account.job_id].status) == ("Data Engineer", "open")
    pulled = account.pulled()
    assert account.connector.stage(lambda entity: pulled.get(entity, [])).jobs == list(found.values())


def test_records_that_are_gone_are_left_out(account: Account) -> None:
    application = account.by_hand()
    candidate = account.connector.get_applications([application])[application].candidate_id
    account.acts.delete_candidate(id_of("candidates", candidate) or 0)
    assert account.connector.get_candidates([candidate]) == {}
    assert account.connector.get_applications([application]) == {}
    assert account.connector.applications_of([candidate]) == []


def test_what_is_read_again_after_a_write_equals_what_a_pull_brings(account: Account) -> None:
    application = account.by_hand()
    account.act("offer_create", application)
    again = account.connector.raw_rows([application])
    pulled = account.pulled()
    for entity in ("applications", "application_history", "candidates", "offers"):
        assert again[entity] == pulled[entity]
