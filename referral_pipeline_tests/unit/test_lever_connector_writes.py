"""The connector for Lever against a Lever: each invariant of the vendor's API by its number, what is written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    Conflict,
    Invalid,
)
from referral_pipeline.connectors.lever_tags import change, read_tags
from referral_pipeline.connectors.records import NewCandidate
from referral_pipeline.sandbox.lever.ids import encode
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.lever_account import (
    ACTING,
    ADA,
    SOURCE,
    STAGES_OF_TWO,
    TAGS,
    Account,
    account_with,
    status_of,
)
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as found:
        yield found


# ---------------------------------------------------------------- our tags


def test_6_our_fields_are_tags_and_those_of_others_stay(account: Account) -> None:
    opportunity_id, _ = account.applied()
    account.http("POST", f"opportunities/{opportunity_id}/addTags", json={"tags": ["Berlin", "level: senior"]})
    assert account.connector.update_application(opportunity_id, TAGS)
    account.sent.clear()
    assert account.connector.update_application(opportunity_id, {**TAGS, "advocate_id": "adv_2", "share_id": None})
    assert [(sent.path.rpartition("/")[2], sent.body) for sent in account.writes()] == [
        ("removeTags", {"tags": ["advocate_id: adv_1", "share_id: sh_1"]}),
        ("addTags", {"tags": ["advocate_id: adv_2"]}),
    ]
    assert sorted(account.opportunity(opportunity_id)["tags"]) == [
        "Berlin",
        "advocate_id: adv_2",
        "campaign_tag: spring: 2026",
        "level: senior",
        "referral_id: ref_1",
    ]
    application = account.connector.get_applications([opportunity_id])[opportunity_id]
    assert application.tags["campaign_tag"] == "spring: 2026"
    assert application.tags["share_id"] is None
    assert application.source_name == SOURCE
    account.sent.clear()
    assert not account.connector.update_application(opportunity_id, {"advocate_id": "adv_2"})
    assert account.writes() == []


def test_6_two_tags_of_one_field_are_nobodys_value_and_become_one(account: Account) -> None:
    opportunity_id, _ = account.applied()
    twice = {"tags": ["advocate_id: adv_1", "advocate_id: adv_9"]}
    account.http("POST", f"opportunities/{opportunity_id}/addTags", json=twice)
    there = account.connector.get_applications([opportunity_id])[opportunity_id].tags["advocate_id"]
    assert there not in {"adv_1", "adv_9", None}
    assert account.connector.update_application(opportunity_id, {"advocate_id": "adv_1"})
    assert account.opportunity(opportunity_id)["tags"] == ["advocate_id: adv_1"]


def test_6_a_source_that_is_there_is_left_as_it_is(account: Account) -> None:
    opportunity_id, _ = account.applied()
    account.http("POST", f"opportunities/{opportunity_id}/addSources", json={"sources": ["Fair"]})
    account.connector.update_application(opportunity_id, TAGS)
    assert account.opportunity(opportunity_id)["sources"] == ["Fair"]


def test_6_bringing_tags_to_what_they_are_changes_nothing_and_clearing_all_leaves_what_is_not_ours() -> None:
    labels = {"referral_id": "referral_id", "clicks": "Advocacy Clicks"}
    tags = ["advocacy clicks: 3", "x: y", "referral_id:r1", "no colon"]
    assert read_tags(tags, labels) == {"referral_id": "r1", "clicks": "3"}
    same = change(tags, {"referral_id": "r1", "clicks": "3"}, labels)
    assert (same.remove, same.add) == ((), ())
    cleared = change(tags, dict.fromkeys(labels), labels)
    assert sorted(cleared.remove) == ["advocacy clicks: 3", "referral_id:r1"]
    with pytest.raises(Invalid):
        change(tags, {"unknown": "1"}, labels)


# ---------------------------------------------------------------- creating


def test_10_a_create_is_done_in_a_users_name_and_says_all_in_one_call(account: Account) -> None:
    created = account.connector.create_candidate(ADA, account.new_application())
    (sent,) = account.writes()
    assert sent.query == {"perform_as": ACTING}
    assert sent.body["postings"] == [account.posting]
    assert sent.body["origin"] == "referred"
    assert created.candidate.emails == ("ada@example.com",)
    assert created.application is not None
    assert (created.application.status, created.application.job_id) == (CandidateStatus.APPLIED, account.posting)
    assert {name: value for name, value in created.application.tags.items() if value} == TAGS
    assert account.connector.get_applications([created.application.id])[created.application.id] == created.application


def test_10_a_create_whose_answer_is_lost_is_never_sent_again(account: Account) -> None:
    def answer(request: Seen) -> Reply:
        return Reply(abort=True) if request.method == "POST" else Reply(body={"data": [], "hasNext": False})

    with serving(answer) as server:
        with pytest.raises(AmbiguousOutcome):
            account.connect(root=server.url).create_candidate(ADA, account.new_application())
        assert len(server.paths("POST")) == 1


def test_10_a_further_opportunity_names_its_contact(account: Account) -> None:
    created = account.connector.create_candidate(ADA, account.new_application())
    other = account.acts.add_job("Another", stages=STAGES_OF_TWO)
    application = account.connector.create_application(created.candidate.id, account.new_application(job=other))
    assert account.writes()[-1].body["contact"] == created.candidate.id
    assert application.candidate_id == created.candidate.id
    assert len(account.store.rows("candidates")) == 1


def test_11_whoever_is_somebody_else_under_the_same_address_becomes_a_contact_of_their_own(account: Account) -> None:
    account.applied(emails=["family@example.com"])
    ada = NewCandidate(first_name="Ada", last_name="Lovelace", email="family@example.com", phone="+14155550123")
    created = account.connector.create_candidate(ada, account.new_application())
    assert created.candidate.emails == ("family@example.com",)
    first, second = account.store.rows("candidates")
    assert [first["first_name"], second["first_name"]] == ["Grace", "Ada"]
    assert [row["email_addresses"][0]["value"] for row in (first, second)] == ["family@example.com"] * 2


def test_11_an_attempt_that_ended_before_the_address_is_found_by_its_tag_and_finished(account: Account) -> None:
    account.applied(emails=["family@example.com"])
    ada = NewCandidate(first_name="Ada", last_name="Lovelace", email="family@example.com", phone=None)
    account.switch(operations_forbidden=["PUT /contacts/{id}"])
    with pytest.raises(AmbiguousOutcome):
        account.connector.create_candidate(ada, account.new_application())
    account.switch(operations_forbidden=[])
    account.connector.create_candidate(ada, account.new_application())
    assert len(account.store.rows("applications")) == 2
    assert len(account.connector.search_candidates("family@example.com")) == 2


def test_11_two_new_people_of_one_mailbox_become_two_contacts_though_lists_show_neither_yet() -> None:
    with account_with(visibility_lag_seconds=30) as account:
        people = [NewCandidate(first, "Lovelace", "family@example.com", None) for first in ("Ada", "Ben", "Cleo")]
        with ThreadPoolExecutor(3) as pool:
            made = list(
                pool.map(lambda one: account.connector.create_candidate(one, account.new_application()), people)
            )
        assert len({one.candidate.id for one in made}) == 3
        assert sorted(row["first_name"] for row in account.store.rows("candidates")) == ["Ada", "Ben", "Cleo"]


def test_11_an_opportunity_that_went_to_somebody_elses_contact_is_told_and_loses_our_tags() -> None:
    with account_with(visibility_lag_seconds=30) as account:
        account.connector.create_candidate(ADA, account.new_application())
        ben = NewCandidate("Ben", "Lovelace", ADA.email, None)
        elsewhere = account.connect()  # as another process has it
        with pytest.raises(Conflict):
            elsewhere.create_candidate(ben, account.new_application({"referral_id": "ref_2"}))
        account.sleep(60)
        _, stray = account.store.rows("applications")
        assert account.opportunity(encode("applications", stray["id"]))["tags"] == []
        elsewhere.create_candidate(ben, account.new_application({"referral_id": "ref_2"}))
        assert [row["first_name"] for row in account.store.rows("candidates")] == ["Ada", "Ben"]


def test_11_a_name_alike_does_not_overrule_whoever_asked_for_a_new_candidate(account: Account) -> None:
    account.applied(emails=["ada@example.com"], first_name="Ada", last_name="Lovelace")
    created = account.connector.create_candidate(ADA, account.new_application())
    assert len(account.store.rows("candidates")) == 2
    assert len(account.connector.applications_of([created.candidate.id])) == 1


def test_12_a_contact_keeps_all_addresses_and_numbers_that_it_had(account: Account) -> None:
    opportunity_id, _ = account.applied(phones=["(030) 901820"])
    contact = account.opportunity(opportunity_id)["contact"]
    add = account.connector.add_contact_details
    assert not add(contact, email="GRACE@example.com", phone="+4930901820")
    assert add(contact, email="hopper@example.com", phone="+14155550123")
    candidate = account.connector.get_candidates([contact])[contact]
    assert candidate.emails == ("grace@example.com", "hopper@example.com")
    assert candidate.phones == ("(030) 901820", "+14155550123")


def test_13_a_referrer_that_lever_knows_is_read_and_never_written(account: Account) -> None:
    opportunity_id, number = account.applied()
    user = account.acts.add_user("nadia@example.com", "Nadia", "Brandt")
    referrer = account.acts.add_referrer(user_id=user["id"])
    account.act("edit_application", application_id=number, referrer_id=referrer["id"])
    assert status_of(account, opportunity_id).referrer_id == encode("users", user["id"])
    account.connector.update_application(opportunity_id, TAGS, advocate_email="nadia@example.com")
    assert {sent.path.rpartition("/")[2] for sent in account.writes()} == {"addTags", "addSources"}
