"""The connector for Lever against a Lever: each invariant of the vendor's API by its number."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from referral_pipeline.connectors.failures import (
    AmbiguousOutcome,
    Conflict,
    Invalid,
    NotFound,
    RateLimited,
    Unauthorized,
)
from referral_pipeline.connectors.lever_models import LeverOptions, OpportunityRow, read_row
from referral_pipeline.connectors.lever_tags import change, read_tags
from referral_pipeline.connectors.records import NewCandidate
from referral_pipeline.sandbox.lever.ids import encode
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.lever_account import ACTING, ADA, KEY, SOURCE, START, TAGS, Account, account_with
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving

SAMPLES = REFERENCE_DIR / "vendor_samples" / "lever"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as found:
        yield found


# ---------------------------------------------------------------- calls


def test_1_the_key_is_a_user_name_without_a_password_and_a_wrong_one_is_told_as_such(account: Account) -> None:
    seen: list[Seen] = []

    def answer(request: Seen) -> Reply:
        seen.append(request)
        return Reply(body={"data": [], "hasNext": False})

    with serving(answer) as server:
        assert account.connect(root=server.url).search_candidates("ada@example.com") == []
    assert base64.b64decode(seen[0].headers["authorization"].removeprefix("Basic ")) == f"{KEY}:".encode()
    with pytest.raises(Unauthorized):
        account.connect(key="another").search_candidates("ada@example.com")


def test_1_an_empty_bucket_is_waited_for_though_nothing_says_how_long() -> None:
    with account_with(calls_per_second=10, burst=2) as account:
        for _ in range(6):
            account.connector.search_candidates("ada@example.com")
        refused = [call for call in account.calls if call.status == 429]
        assert refused
        assert len(account.slept) == len(refused)


def test_1_what_stays_refused_is_told_as_a_rate_limit(account: Account) -> None:
    account.switch(calls_per_second=0.000_001, burst=1)
    account.connector.search_candidates("ada@example.com")
    with pytest.raises(RateLimited):
        account.connector.search_candidates("ada@example.com")


def test_2_a_list_is_followed_by_its_tokens_to_the_end(account: Account) -> None:
    people = account.act("create_candidate", first_name="A", last_name="B", emails=["a@example.com"])
    for number in range(205):
        account.store.insert("applications", {"candidate_id": people["id"], "job_id": account.job["id"]}, at=START)
        del number
    pages = account.pull("opportunities")
    assert [len(page) for page in pages] == [100, 100, 5]
    assert len({row["id"] for page in pages for row in page}) == 205
    offsets = [sent.query.get("offset") for sent in account.sent if sent.path == "opportunities"]
    assert offsets[0] is None
    assert all(offsets[1:])


def test_2_more_pages_without_a_token_are_an_error_and_not_an_end(account: Account) -> None:
    with serving(lambda _: Reply(body={"data": [], "hasNext": True})) as server, pytest.raises(Invalid):
        account.connect(root=server.url).search_candidates("ada@example.com")


def test_3_what_is_not_there_is_absent_and_a_write_to_it_says_so(account: Account) -> None:
    nobody = encode("applications", 6_230_009_999)
    assert account.connector.get_applications([nobody, "no id/at all"]) == {}
    assert account.connector.get_jobs([encode("jobs", 1)]) == {}
    assert account.connector.get_candidates([encode("candidates", 1)]) == {}
    assert account.connector.raw_rows([nobody]) == {"opportunities": [], "offers": []}
    with pytest.raises(NotFound):
        account.connector.update_application(nobody, TAGS)
    with pytest.raises(NotFound):
        account.connector.add_contact_details(nobody, email="a@example.com", phone=None)


# ---------------------------------------------------------------- people


def test_4_what_an_address_finds_is_verified_on_the_contact(account: Account) -> None:
    account.applied(emails=["g.hopper+jobs@gmail.com"])
    (found,) = account.connector.search_candidates("ghopper@gmail.com")
    assert (found.first_name, found.last_name) == ("Grace", "Hopper")
    assert account.connector.search_candidates("other@gmail.com") == []
    page = {"data": [sample(emails=["somebody.else@example.com"])], "hasNext": False}
    with serving(lambda _: Reply(body=page)) as server:
        assert account.connect(root=server.url).search_candidates("shane@example.com") == []


def test_5_moments_are_milliseconds_both_ways(account: Account) -> None:
    opportunity_id, _ = account.applied()
    application = account.connector.get_applications([opportunity_id])[opportunity_id]
    assert application.applied_at == START + timedelta(minutes=1)
    account.pull("opportunities", since=START)
    assert account.sent[-1].query["updated_at_start"] == str(int(START.timestamp() * 1000))
    assert account.pull("opportunities", since=START + timedelta(minutes=2)) == [[]]
    assert len(account.pull("opportunities", since=START + timedelta(minutes=1))[0]) == 1


def test_7_postings_of_every_state_are_pulled(account: Account) -> None:
    account.acts.add_job("Closed one", status="closed")
    account.acts.add_job("Draft", status="draft")
    jobs = {job.title: job.status for job in account.staged().jobs}
    assert jobs == {"Data Engineer": "open", "Closed one": "closed", "Draft": "draft"}
    live = account.connector.get_jobs([account.posting])[account.posting]
    assert (live.title, live.status) == ("Data Engineer", "open")


def test_8_a_candidate_is_what_the_newest_opportunity_that_shows_something_says() -> None:
    with account_with(personal_data="withheld_when_archived") as account:
        opportunity_id, number = account.applied()
        other = account.acts.add_job("Another", stages=STAGES_OF_TWO)
        contact = account.store.get("applications", number)["candidate_id"]  # type: ignore[index]
        account.act("create_application", candidate_id=contact, job_id=other["id"])
        account.act("reject", application_id=number, reason="WE_REJECTED_THEM")
        (candidate,) = account.staged().candidates
        assert (candidate.first_name, candidate.last_name) == ("Grace", "Hopper")
        assert candidate.emails == ("grace@example.com",)
        assert candidate.created_at == START + timedelta(minutes=1)
        applications = account.connector.applications_of([candidate.id])
        assert {one.job_id for one in applications} == {account.posting, encode("jobs", other["id"])}
        assert opportunity_id in {one.id for one in applications}


STAGES_OF_TWO = ("Application Review", "Offer")


def test_8_a_lead_without_a_posting_is_no_application(account: Account) -> None:
    person = account.act("create_candidate", first_name="Lea", last_name="Lead", emails=["lea@example.com"])
    account.act("create_prospect", candidate_id=person["id"])
    assert account.staged().applications == []
    assert [one.last_name for one in account.staged().candidates] == ["Lead"]
    (found,) = account.connector.search_candidates("lea@example.com")
    assert account.connector.applications_of([found.id]) == []


# ---------------------------------------------------------------- status


def status_of(account: Account, opportunity_id: str) -> Any:
    live = account.connector.get_applications([opportunity_id])[opportunity_id]
    staged = {one.id: one for one in account.staged().applications}[opportunity_id]
    assert live == staged
    return live


@pytest.mark.parametrize("shape", ["nested", "flat"])
def test_9_the_reason_of_the_archive_is_the_status_and_taking_it_back_undoes_it(shape: str) -> None:
    with account_with(archived_shape=shape) as account:
        opportunity_id, number = account.applied()
        assert status_of(account, opportunity_id).status is CandidateStatus.APPLIED
        for act, details, status in (
            ("move", {"stage": "Phone Screen"}, CandidateStatus.INTERVIEWED),
            ("reject", {"reason": "Accepted another offer"}, CandidateStatus.WITHDRAWN),
            ("unreject", {}, CandidateStatus.INTERVIEWED),
            ("reject", {"reason": "Withdrew for personal reasons"}, CandidateStatus.REJECTED),
            ("unreject", {}, CandidateStatus.INTERVIEWED),
            ("hire", {}, CandidateStatus.HIRED),
            ("unhire", {}, CandidateStatus.INTERVIEWED),
        ):
            account.act(act, application_id=number, **details)
            application = status_of(account, opportunity_id)
            assert application.status is status, act
            ended = status in {CandidateStatus.WITHDRAWN, CandidateStatus.REJECTED}
            assert application.rejected_at == (account.now if ended else None)
            assert application.hired_at == (account.now if status is CandidateStatus.HIRED else None)
        assert application.interviewed_at == START + timedelta(minutes=2)


def test_9_a_stage_that_nobody_mapped_is_in_review_and_named(account: Account) -> None:
    opportunity_id, number = account.applied()
    account.act("move", application_id=number, stage="Team Chat")
    application = status_of(account, opportunity_id)
    assert (application.status, application.unmapped_stage) == (CandidateStatus.IN_REVIEW, "Team Chat")


def test_9_a_reason_that_came_since_is_looked_up_and_one_that_nobody_knows_ends_nothing(account: Account) -> None:
    opportunity_id, number = account.applied()
    status_of(account, opportunity_id)
    account.acts.add_rejection_reason("Moved away", key="THEY_REJECTED_US")
    account.act("reject", application_id=number, reason="Moved away")
    assert status_of(account, opportunity_id).status is CandidateStatus.REJECTED
    row = sample(archived={"reason": "63dd55b2-a99f-4e7b-985f-22c7bf80ab42", "archivedAt": 1407460071043})
    staged = account.connector.stage(lambda entity: [row] if entity == "opportunities" else [])
    (application,) = staged.applications
    assert (application.status, application.hired_at) == (CandidateStatus.IN_REVIEW, None)
    assert application.unmapped_stage


def test_9_the_first_day_is_a_field_of_the_signed_offer(account: Account) -> None:
    opportunity_id, number = account.applied()
    account.act("move", application_id=number, stage="Offer")
    account.act("offer_create", application_id=number, starts_on="2027-01-11")
    assert status_of(account, opportunity_id).starts_on == date(2027, 1, 11)
    account.act("offer_accept", application_id=number, starts_on="2027-02-01")
    account.act("hire", application_id=number)
    application = status_of(account, opportunity_id)
    assert (application.status, application.starts_on) == (CandidateStatus.HIRED, date(2027, 2, 1))
    assert application.offered_at == START + timedelta(minutes=2)
    offers = account.connector.raw_rows([opportunity_id])["offers"]
    assert {offer["opportunity"] for offer in offers} == {opportunity_id}


def test_9_a_hire_without_a_date_has_none(account: Account) -> None:
    row = sample(archived={"reason": "16308515-dc77-4aa7-b3af-96161b2b4e9b", "archivedAt": None})
    reason = {"id": "16308515-dc77-4aa7-b3af-96161b2b4e9b", "text": "Hired", "type": "hired"}
    rows = {"opportunities": [row], "archive_reasons": [reason]}
    (application,) = account.connector.stage(lambda entity: rows.get(entity, [])).applications
    assert (application.status, application.hired_at) == (CandidateStatus.HIRED, None)


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


# ---------------------------------------------------------------- samples, options


def sample(**changes: Any) -> dict[str, Any]:
    """An opportunity of a pull, somewhat like the published one."""
    row = {
        "id": "250d8f03-738a-4bba-a671-8a3d73477145",
        "contact": "7f23e772-f2cb-4ebb-b33f-54b872999992",
        "name": "Shane Smith",
        "createdAt": 1407460071043,
        "stage": "lead-new",
        "applications": [{"id": "a1", "posting": "p1"}],
    }
    return {**row, **changes}


@needs_samples
def test_the_published_opportunity_is_read() -> None:
    row = json.loads((SAMPLES / "opportunity.json").read_text())["data"]
    read = read_row(OpportunityRow, row)
    assert isinstance(read, OpportunityRow)
    assert read.created_at == datetime(2014, 8, 8, 1, 7, 51, 43_000, tzinfo=UTC)
    assert (read.ended, read.posting, read.emails) == (None, None, ("shane@exampleq3.com",))


@needs_samples
def test_every_published_answer_is_read(account: Account) -> None:
    reasons = json.loads((SAMPLES / "archive_reasons.json").read_text())
    envelope = json.loads((SAMPLES / "list_envelope.json").read_text())
    error = json.loads((SAMPLES / "error.json").read_text())
    opportunity = json.loads((SAMPLES / "opportunity.json").read_text())

    def answer(request: Seen) -> Reply:
        if request.path.endswith("archive_reasons"):
            return Reply(body={**reasons, "hasNext": False})
        if request.path.endswith("/postings/" + error["message"].split()[1]):
            return Reply(404, body=error)
        if request.path.endswith(opportunity["data"]["id"]):
            return Reply(body=opportunity)
        return Reply(body={"data": [], "hasNext": False} if "offset" in request.query else envelope)

    with serving(answer) as server:
        connector = account.connect(root=server.url, withdrawn_reasons=["Withdrew"])
        assert connector.search_candidates("shane@exampleq3.com") == []
        assert [seen.query.get("offset") for seen in server.seen] == [None, envelope["next"]]
        assert connector.get_jobs([error["message"].split()[1]]) == {}
        assert connector.get_applications([opportunity["data"]["id"]]) == {}  # it has no application written out
        rows = {"archive_reasons": reasons["data"], "opportunities": []}
        for reason in reasons["data"]:
            ended = {"reason": reason["id"], "archivedAt": 1407460080914}
            rows["opportunities"] = [sample(archived=ended)]
            (application,) = connector.stage(lambda entity: rows.get(entity, [])).applications
            wanted = {"Hired": CandidateStatus.HIRED, "Withdrew": CandidateStatus.WITHDRAWN}
            assert application.status is wanted.get(reason["text"], CandidateStatus.REJECTED)


def test_rows_that_cannot_be_read_are_set_aside_and_never_in_silence(account: Account) -> None:
    broken = {**sample(), "createdAt": "yesterday"}
    staged = account.connector.stage(lambda entity: [broken, sample(id="o2")] if entity == "opportunities" else [])
    assert [one.id for one in staged.applications] == ["o2"]
    assert [(one.entity, one.field) for one in staged.problems] == [("opportunities", "createdAt")]
    assert "yesterday" not in repr(staged.problems)
    page = {"data": [broken], "hasNext": False}
    with serving(lambda _: Reply(body=page)) as server, pytest.raises(Invalid):
        account.connect(root=server.url).search_candidates("ada@example.com")


def test_old_opportunities_have_no_updated_at() -> None:
    with account_with(updated_at="null_when_old") as account:
        account.applied()
        (application,) = account.staged().applications
        assert application.updated_at == application.status_at >= application.applied_at


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"perform_as": "integration@example.com"},
        {"perform_as": ACTING, "custom_fields": {"referral_id": "a:b"}},
        {"perform_as": ACTING, "custom_fields": {"referral_id": "Share_ID"}},
        {"perform_as": ACTING, "custom_fields": {"unknown": "x"}},
        {"perform_as": ACTING, "calls_per_second": 0},
        {"perform_as": ACTING, "unknown": 1},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        LeverOptions.model_validate(options)


# ---------------------------------------------------------------- looking


def test_a_look_finds_what_is_missing_and_how_to_mend_it(account: Account) -> None:
    findings = {finding.key: finding for finding in account.connector.probe()}
    assert [key for key, finding in findings.items() if not finding.ok] == []
    assert findings["ats.options.perform_as"].found == "the user exists"
    assert "reconciliation only" in findings["ats.webhook_secret_env"].found
    hook = {"url": "https://bridge.example.com/webhooks/lever", "event": "candidateHired"}
    assert account.http("POST", "webhooks", json=hook).status_code == 201
    wrong = account.connect(
        perform_as="00000000-0000-0000-0000-000000000000", withdrawn_reasons=["No such"], initial_stage="nowhere"
    )
    bad = {finding.key: finding for finding in wrong.probe() if not finding.ok}
    assert set(bad) == {"ats.options.perform_as", "ats.options.withdrawn_reasons", "ats.options.initial_stage"}
    assert all(finding.mend for finding in bad.values())
    found = {finding.key: finding.found for finding in account.connector.probe()}
    assert found["ats.webhook_secret_env"] == "events are sent to a receiver: candidateHired"


def test_a_look_tells_a_wrong_key_a_missing_right_and_a_wrong_address(account: Account) -> None:
    (finding,) = account.connect(key="another").probe()
    assert (finding.key, finding.ok) == ("ats.client_secret_env", False)
    account.switch(operations_forbidden=["GET /users"])
    assert "users" in account.connector.probe()[1].found
    (finding,) = account.connect(root=f"{account.root}/elsewhere").probe()
    assert finding.key == "ats.base_url"
