"""The invariants of Greenhouse Harvest v3 that are about writing (13, 14), and what a write looks like by the vendor.

The others are in `test_greenhouse_connector`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from referral_pipeline.connectors.http import (
    AmbiguousOutcome,
    Invalid,
    NotFound,
    PermanentFailure,
    TransientFailure,
)
from referral_pipeline_tests.openapi import body_is_valid, needs_greenhouse_document
from referral_pipeline_tests.unit.greenhouse_account import ADA, ADVOCATE, TAGS, Account, account_with, source_id


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as one:
        yield one


# ---------------------------------------------------------------- 13


def losing(account: Account, method: str, times: int, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> list[str]:
    """Lose the answers to the first writes of a kind, after the vendor has (or has not) done them."""
    attempt = account.connector._client._once
    lost: list[str] = []

    def flaky(request: object, *rest: object) -> object:
        if request.method == method and len(lost) < times:  # type: ignore[attr-defined]
            lost.append(method)
            if done:
                attempt(request, *rest)  # type: ignore[arg-type]
            raise AmbiguousOutcome("greenhouse", "write", detail="lost")
        return attempt(request, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(account.connector._client, "_once", flaky)
    return lost


@pytest.mark.parametrize("done", [True, False], ids=["done", "not_done"])
def test_13_a_patch_whose_answer_is_lost_is_looked_at_before_it_is_sent_again(
    account: Account, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    application = account.by_hand()
    losing(account, "PATCH", 1, monkeypatch, done=done)
    assert account.connector.update_application(str(application["id"]), TAGS)
    written = account.connector.get_applications([str(application["id"])])[str(application["id"])]
    assert {key: value for key, value in written.tags.items() if value} == TAGS
    assert len([sent for sent in account.sent if sent.method == "PATCH"]) == 1


def test_13_a_patch_that_never_gets_an_answer_stays_ambiguous(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = account.by_hand()
    lost = losing(account, "PATCH", 99, monkeypatch, done=False)
    with pytest.raises(AmbiguousOutcome):
        account.connector.update_application(str(application["id"]), TAGS)
    assert len(lost) == 5


def test_13_a_create_whose_answer_is_lost_is_not_repeated(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    losing(account, "POST", 99, monkeypatch, done=True)
    with pytest.raises(AmbiguousOutcome):
        account.connector.create_candidate(ADA, account.new_application())
    assert len(account.store.rows("candidates")) == 1


def test_13_an_application_that_is_not_there_cannot_be_updated(account: Account) -> None:
    with pytest.raises(NotFound):
        account.connector.update_application("6239999999", TAGS)


# ---------------------------------------------------------------- 14


def test_14_source_and_referrer_are_filled_only_where_they_are_empty(account: Account) -> None:
    empty, taken = account.by_hand("A"), account.by_hand("B")
    other = next(row["id"] for row in account.store.rows("sources") if row["name"] == "LinkedIn")
    outside = account.acts.add_referrer(name="Somebody Outside")["id"]
    account.acts.edit_application(taken["id"], source_id=other, referrer_id=outside)
    for row in (empty, taken):
        account.connector.update_application(str(row["id"]), TAGS, advocate_email=ADVOCATE)
    filled, kept = (account.row("applications", row["id"]) for row in (empty, taken))
    assert (filled["source_id"], filled["referrer_id"]) == (source_id(account), account.referrer["id"])
    assert (kept["source_id"], kept["referrer_id"]) == (other, outside)


def test_14_a_source_that_does_not_exist_is_a_clear_refusal_before_anything_is_created(account: Account) -> None:
    connector = account.connect(source_name="Nowhere")
    with pytest.raises(PermanentFailure, match="source_name does not exist"):
        connector.create_candidate(ADA, account.new_application())
    assert account.writes() == []


# ---------------------------------------------------------------- writes by the vendor's own document


@needs_greenhouse_document
def test_every_write_of_an_application_is_valid_by_the_vendors_document(account: Account) -> None:
    application = account.by_hand()
    account.acts.edit_application(
        application["id"],
        custom_fields={"level": "Junior", "skills": ["Go"], "salary": {"amount": 1, "currency_code": "USD"}},
    )
    account.connector.update_application(
        str(application["id"]), {**TAGS, "content_id": None, "clicks": "4"}, advocate_email=ADVOCATE
    )
    other = account.acts.add_job("Other", stages=("New", "Offer"))
    account.connector.create_application(str(application["candidate_id"]), account.new_application(other))
    patches = [sent.body for sent in account.sent if sent.method == "PATCH"]
    creates = [sent.body for sent in account.sent if sent.method == "POST"]
    assert patches
    assert creates
    assert all(body_is_valid("patch", "/v3/applications/{id}", body) for body in patches)
    assert all(body_is_valid("post", "/v3/applications", body) for body in creates)


def test_an_application_on_a_closed_job_is_refused_for_good(account: Account) -> None:
    account.acts.close_job(account.job["id"])
    with pytest.raises(Invalid):
        account.connector.create_candidate(ADA, account.new_application())
    assert account.store.rows("candidates") == []


def test_tags_that_cannot_be_written_at_once_do_not_make_a_create_look_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with account_with(nested_application_custom_fields="refused") as account:

        def refuse(*_: object) -> None:
            raise TransientFailure("greenhouse", "applications.update")

        monkeypatch.setattr(account.connector._updater, "patch", refuse)
        created = account.connector.create_candidate(ADA, account.new_application())
        assert created.application is not None
        assert created.application.tags["referral_id"] is None
        assert "has not got its fields yet" in caplog.text


# ---------------------------------------------------------------- 16


@pytest.mark.parametrize("answer", ["200", "201"])
def test_16_a_merge_moves_everything_to_the_primary_whatever_success_it_answers(answer: str) -> None:
    with account_with(merge_answer=answer) as account:
        kept, gone = account.by_hand("Grace"), account.by_hand("Ada")
        account.connector.merge_candidates(str(kept["candidate_id"]), str(gone["candidate_id"]))
        assert [row["id"] for row in account.store.rows("candidates")] == [kept["candidate_id"]]
        assert {row["candidate_id"] for row in account.store.rows("applications")} == {kept["candidate_id"]}


@pytest.mark.parametrize("done", [True, False], ids=["done", "not_done"])
def test_16_a_merge_whose_answer_is_lost_is_looked_at_before_it_is_sent_again(
    account: Account, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    kept, gone = account.by_hand("Grace"), account.by_hand("Ada")
    losing(account, "POST", 1, monkeypatch, done=done)
    account.connector.merge_candidates(str(kept["candidate_id"]), str(gone["candidate_id"]))
    assert [row["id"] for row in account.store.rows("candidates")] == [kept["candidate_id"]]
    assert len([sent for sent in account.sent if sent.path.endswith("/merge")]) == 1
