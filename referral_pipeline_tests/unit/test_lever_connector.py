"""The connector for Lever against a Lever: each invariant of the vendor's API by its number, what is read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from referral_pipeline.connectors.failures import (
    Invalid,
    NotFound,
    RateLimited,
    Unauthorized,
)
from referral_pipeline.sandbox.lever.ids import encode
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.lever_account import (
    KEY,
    STAGES_OF_TWO,
    START,
    TAGS,
    Account,
    account_with,
    sample,
    status_of,
)
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving


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


def test_8_a_lead_without_a_posting_is_no_application(account: Account) -> None:
    person = account.act("create_candidate", first_name="Lea", last_name="Lead", emails=["lea@example.com"])
    account.act("create_prospect", candidate_id=person["id"])
    assert account.staged().applications == []
    assert [one.last_name for one in account.staged().candidates] == ["Lead"]
    (found,) = account.connector.search_candidates("lea@example.com")
    assert account.connector.applications_of([found.id]) == []


# ---------------------------------------------------------------- status


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
