"""The whole life of a referral through the connector, under both settings of every point on which sources disagree."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

import pytest

from referral_pipeline.connectors import greenhouse_api
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.openapi import GREENHOUSE_DOCUMENT, body_is_valid
from referral_pipeline_tests.unit.greenhouse_account import ADA, ADVOCATE, START, TAGS, Account, account_with

FOREIGN = {"level": "Senior", "skills": ["Python", "SQL"], "score": 7, "salary": {"amount": 5, "currency_code": "EUR"}}

NUMBERS: tuple[dict[str, Any], ...] = (
    {"token_lifetime_seconds": 90},
    {"token_limit": 2, "token_lifetime_seconds": 90},
    {"rate_limit": 7},
    {"cursor_lifetime_seconds": 5},
    {"visibility_lag_seconds": 20},
    {"rejection_details_lag_seconds": 20, "newer_application_fields": False},
    {"newer_application_fields": False, "terminal_stage": "nulled"},
    {"candidate_create_answer": "flat", "nested_application_custom_fields": "refused"},
    {"visibility_lag_seconds": 20, "nested_application_custom_fields": "refused"},
    {"visibility_lag_seconds": 20, "message_rows": "processing"},
    {"token_expiry": "expires_at", "token_expires_at_format": "offset"},
)


def settings() -> list[dict[str, Any]]:
    """Every value of every switch that is not the default, one at a time, and some together."""
    single: list[dict[str, Any]] = []
    for name, info in Switches.model_fields.items():
        values = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
        if info.annotation is bool:
            values = (True, False)
        single += [{name: value} for value in values if value != info.default]
    return [{}, *single, *NUMBERS]


@pytest.mark.parametrize("switches", settings(), ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()) or "defaults")
def test_a_referral_lives_through_the_connector(switches: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenhouse_api, "PAGE_SIZE", 3)
    with account_with(**switches) as account:
        application_id, candidate_id = create(account)
        update(account, application_id, candidate_id)
        hire(account, application_id)
        withdraw(account)
        the_pull_tells_the_same_as_the_live_view(account)
        valid_writes(account)


def create(account: Account) -> tuple[str, str]:
    """One candidate with one application, tagged, with source and referrer, found by search and by id."""
    created = account.connector.create_candidate(ADA, account.new_application())
    (candidate,), (application,) = account.store.rows("candidates"), account.store.rows("applications")
    assert created.candidate.id == str(candidate["id"])
    account.sleep(25)
    assert [c.id for c in account.connector.search_candidates("ADA@example.com")] == [str(candidate["id"])]
    (found,) = account.connector.applications_of([str(candidate["id"])])
    if created.application is None:
        account.connector.update_application(found.id, TAGS)
    else:
        assert created.application.id == found.id
        assert created.application.status is CandidateStatus.APPLIED
    (found,) = account.connector.applications_of([str(candidate["id"])])
    assert {key: value for key, value in found.tags.items() if value} == TAGS
    assert found.status is CandidateStatus.APPLIED
    assert found.source_name == "Employee Advocacy"
    assert found.referrer_id == str(account.referrer["id"])
    assert account.tags(application["id"]).items() >= TAGS.items()
    return str(application["id"]), str(candidate["id"])


def update(account: Account, application_id: str, candidate_id: str) -> None:
    """Credit moves, contact details arrive; what others keep there stays."""
    account.acts.edit_application(int(application_id), custom_fields=FOREIGN)
    before = {key: account.tags(application_id)[key] for key in FOREIGN}
    moved = {"advocate_id": "adv_2", "share_id": None, "clicks": "4"}
    assert account.connector.update_application(application_id, moved, advocate_email=ADVOCATE)
    written = account.connector.get_applications([application_id])[application_id]
    assert {name: written.tags[name] for name in moved} == moved
    held = account.tags(application_id)
    assert {key: held[key] for key in FOREIGN} == before
    assert held["referral_id"] == "ref_1"
    assert not account.connector.update_application(application_id, moved)
    assert account.connector.add_contact_details(candidate_id, email="ada@example.org", phone=None) is True
    assert account.connector.add_contact_details(candidate_id, email="Ada@Example.org", phone=None) is False
    one = account.connector.get_candidates([candidate_id])[candidate_id]
    assert one.emails == ("ada@example.com", "ada@example.org")
    assert one.phones == ("+14155550123",)


def hire(account: Account, application_id: str) -> None:
    """Interview, an offer in two versions, hire, the hire undone and done again."""
    number = int(application_id)
    account.now = START + timedelta(days=2)
    account.acts.move(number, stage="Phone Screen")
    assert live(account, application_id).status is CandidateStatus.INTERVIEWED
    account.now = START + timedelta(days=4)
    account.acts.offer_create(number, starts_on="2026-12-01")
    assert live(account, application_id).status is CandidateStatus.INTERVIEWED
    account.acts.offer_send(number)
    offered = live(account, application_id)
    assert offered.status is CandidateStatus.OFFERED
    assert offered.offered_at == START + timedelta(days=4)
    account.now = START + timedelta(days=6)
    account.acts.offer_accept(number, resolved_at=START + timedelta(days=5), starts_on="2026-12-15")
    account.acts.hire(number)
    hired = live(account, application_id)
    assert hired.status is CandidateStatus.HIRED
    assert hired.hired_at == START + timedelta(days=5)
    assert str(hired.starts_on) == "2026-12-15"
    account.acts.unhire(number)
    undone = live(account, application_id)
    assert undone.is_open
    assert undone.hired_at is None
    assert undone.status_at >= hired.status_at


def withdraw(account: Account) -> None:
    """A rejection of the type THEY_REJECTED_US is a withdrawal, and can be taken back."""
    row = account.by_hand("Grace")
    moment = account.now
    account.acts.reject(row["id"], reason="THEY_REJECTED_US")
    account.sleep(25)
    withdrawn = live(account, str(row["id"]))
    assert withdrawn.status is CandidateStatus.WITHDRAWN
    assert withdrawn.rejected_at == moment
    other = account.by_hand("Edsger")
    account.acts.reject(other["id"])
    assert live(account, str(other["id"])).status is CandidateStatus.REJECTED
    account.acts.unreject(other["id"])
    assert live(account, str(other["id"])).status is CandidateStatus.APPLIED
    account.sleep(25)


def the_pull_tells_the_same_as_the_live_view(account: Account) -> None:
    raw = account.pulled()
    staged = account.connector.stage(lambda entity: raw[entity])
    assert staged.problems == []
    assert len(staged.candidates) == 3
    ids = [one.id for one in staged.applications]
    assert {one.id: one for one in staged.applications} == account.connector.get_applications(ids)
    assert len(ids) == 3
    changed = account.pulled(since=START + timedelta(days=5))
    assert {row["id"] for row in changed["applications"]} == {row["id"] for row in raw["applications"]}


def valid_writes(account: Account) -> None:
    if not GREENHOUSE_DOCUMENT.is_file():
        return
    for sent in account.writes():
        if sent.method == "PATCH" and sent.path.startswith("applications/"):
            assert body_is_valid("patch", "/v3/applications/{id}", sent.body)


def live(account: Account, application_id: str) -> Any:
    return account.connector.get_applications([application_id])[application_id]
