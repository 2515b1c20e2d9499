"""The Lever sandbox is as strict as the documentation, and tells what changes as Lever does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_pipeline.connectors.lever_signature import LeverSignature
from referral_pipeline.contract.systems import SANDBOX_OPTIONS, TAGS
from referral_pipeline.sandbox.credentials import NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.lever.events import LeverSigner, connect
from referral_pipeline.sandbox.lever.ids import decode, encode, told_truth
from referral_pipeline.sandbox.programme import ProgrammeSize, generate
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.unit.lever_account import ACTING, Account, account_with
from referral_pipeline_tests.unit.webhook_receiver import Receiver, emitting, receiving, until

SAMPLES = REFERENCE_DIR / "vendor_samples" / "lever"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")
ACT = f"?perform_as={ACTING}"
SECRET = "LEVER_WEBHOOK_SECRET"


@pytest.fixture
def account() -> Iterator[Account]:
    with account_with() as found:
        yield found


# ---------------------------------------------------------------- ids


@given(st.sampled_from(["applications", "candidates", "jobs"]), st.integers(1, 2**40))
def test_an_id_is_a_uuid_that_leads_back_to_its_row_alone(entity: str, number: int) -> None:
    told = encode(entity, number)
    assert decode(entity, told) == number
    assert decode("users", told) is None
    assert len(told) == 36
    assert decode(entity, told[:-1] + ("0" if told[-1] != "0" else "1")) is None


def test_the_truth_carries_the_ids_that_the_api_shows() -> None:
    truth = generate(7, None, ProgrammeSize.small()).truth
    told = told_truth(truth)
    assert told["jobs"].keys() == {encode("jobs", int(number)) for number in truth["jobs"]}
    existing = [row for row in told["applications"] if row["ats_application_id"]]
    assert existing
    assert all(decode("applications", row["ats_application_id"]) for row in existing)
    assert told["kpis"] == truth["kpis"]


def test_the_contract_of_the_sandbox_acts_as_a_user_that_is_there(account: Account) -> None:
    assert SANDBOX_OPTIONS["perform_as"] == ACTING
    assert account.http("GET", f"users/{ACTING}").json()["data"]["id"] == ACTING
    assert len(TAGS) == 8


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "opportunities?limit=0", 400, "BadRequestError"),
        ("GET", "opportunities?limit=101", 400, "BadRequestError"),
        ("GET", "opportunities?offset=nonsense", 400, "BadRequestError"),
        ("GET", "opportunities?mail=a@example.com", 400, "BadRequestError"),
        ("GET", "opportunities?updated_at_start=2026-01-01", 400, "BadRequestError"),
        ("GET", "opportunities?expand=nothing", 400, "BadRequestError"),
        ("GET", "postings?state=open", 400, "BadRequestError"),
        ("GET", "archive_reasons?type=other", 400, "BadRequestError"),
        ("GET", "opportunities/250d8f03-738a-4bba-a671-8a3d73477145", 404, "ResourceNotFound"),
        ("GET", "candidates", 404, "ResourceNotFound"),
        ("PUT", "opportunities/x/stage", 404, "ResourceNotFound"),
    ],
)
def test_what_is_wrong_is_refused_in_levers_words(account: Account, method: str, path: str, status: int, code: str):
    answer = account.http(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message"}


def test_a_call_without_the_key_is_refused_before_anything(account: Account) -> None:
    answer = account.http("POST", "opportunities", key="wrong", json={"name": "A"})
    assert (answer.status_code, answer.json()["code"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"name": "A"}),
        ("?perform_as=00000000-0000-0000-0000-000000000000", {"name": "A"}),
        (ACT, {}),
        (ACT, {"name": "A", "unknown": 1}),
        (ACT, {"name": "A", "emails": ["no address"]}),
        (ACT, {"name": "A", "postings": ["a", "b"]}),
        (ACT, {"name": "A", "postings": ["250d8f03-738a-4bba-a671-8a3d73477145"]}),
        (ACT, {"name": "A", "stage": "no stage"}),
        (ACT, {"name": "A", "origin": "elsewhere"}),
        (ACT, {"name": "A", "createdAt": 99_999_999_999_999}),
        (ACT, {"contact": "7f23e772-f2cb-4ebb-b33f-54b872999992"}),
    ],
)
def test_a_create_that_lacks_something_makes_nothing(account: Account, query: str, body: dict[str, Any]) -> None:
    assert account.http("POST", f"opportunities{query}", json=body).status_code == 400
    assert account.store.rows("candidates") == []


def test_the_bucket_holds_twenty_and_gets_ten_a_second() -> None:
    with account_with(calls_per_second=10, burst=20) as account:

        def taken() -> int:
            return sum(account.http("GET", "stages").status_code == 200 for _ in range(25))

        assert taken() == 20
        account.sleep(1)
        assert taken() == 10
        answer = account.http("GET", "stages")
        assert (answer.status_code, answer.headers.get("Retry-After")) == (429, None)


# ---------------------------------------------------------------- opportunities


def create(account: Account, **body: Any) -> dict[str, Any]:
    return account.http("POST", f"opportunities{ACT}", json={"name": "Ada Lovelace", **body}).json()


def test_a_repeated_create_makes_a_second_opportunity_on_the_contact_whose_data_win(account: Account) -> None:
    posted = {"emails": ["ada@example.com"], "postings": [account.posting]}
    first = create(account, **posted)
    again = create(account, **{**posted, "name": "Somebody Else", "emails": ["ADA@example.com"]})
    assert "deduped" not in first
    assert again["deduped"] is True
    assert again["data"]["id"] != first["data"]["id"]
    assert again["data"]["contact"] == first["data"]["contact"]
    assert again["data"]["name"] == "Ada Lovelace"
    found = account.http("GET", "opportunities?email=ada@EXAMPLE.com&expand=applications").json()
    assert [one["applications"][0]["posting"] for one in found["data"]] == [account.posting] * 2
    assert found["hasNext"] is False
    assert first["data"]["stage"] == "lead-new"


def test_tags_and_sources_are_sets(account: Account) -> None:
    opportunity = create(account, tags=["a", "referral_id: r1"], sources=["Fair"])["data"]
    path = f"opportunities/{opportunity['id']}"
    for verb, body in (
        ("addTags", {"tags": ["a", "b", "referral_id: r2"]}),
        ("removeTags", {"tags": ["referral_id: r1", "never there"]}),
        ("addSources", {"sources": ["Fair", "Web"]}),
        ("removeSources", {"sources": ["Fair"]}),
    ):
        assert account.http("POST", f"{path}/{verb}", json=body).status_code == 200
    shown = account.opportunity(opportunity["id"])
    assert sorted(shown["tags"]) == ["a", "b", "referral_id: r2"]
    assert shown["sources"] == ["Web"]
    assert account.http("GET", "opportunities?tag=b").json()["data"][0]["id"] == opportunity["id"]


def test_only_published_postings_are_listed_unless_asked(account: Account) -> None:
    account.acts.add_job("Closed", status="closed")
    texts = {
        state: [row["text"] for row in account.http("GET", f"postings?state={state}").json()["data"]]
        for state in ("published", "closed", "pending")
    }
    assert texts == {"published": ["Data Engineer"], "closed": ["Closed"], "pending": []}
    assert [row["text"] for row in account.http("GET", "postings").json()["data"]] == ["Data Engineer"]


def test_what_was_deleted_is_listed_as_deleted(account: Account) -> None:
    opportunity_id, number = account.applied()
    account.act("delete_application", application_id=number)
    (gone,) = account.http("GET", "opportunities/deleted").json()["data"]
    assert gone == {"id": opportunity_id, "deletedAt": int(account.now.timestamp() * 1000)}
    later = gone["deletedAt"] + 1
    assert account.http("GET", f"opportunities/deleted?deleted_at_start={later}").json()["data"] == []


def test_confidential_ones_are_shown_to_who_asks(account: Account) -> None:
    account.applied(private=True)
    assert account.http("GET", "opportunities").json()["data"] == []
    assert len(account.http("GET", "opportunities?confidentiality=all").json()["data"]) == 1


def test_fresh_ones_stay_out_of_lists_for_the_lag() -> None:
    with account_with(visibility_lag_seconds=5) as account:
        opportunity = create(account, emails=["ada@example.com"], postings=[account.posting])["data"]
        assert account.http("GET", "opportunities?email=ada@example.com").json()["data"] == []
        assert account.opportunity(opportunity["id"])["id"] == opportunity["id"]
        account.sleep(5)
        assert len(account.http("GET", "opportunities?email=ada@example.com").json()["data"]) == 1


@needs_samples
@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_an_opportunity_has_the_published_fields(shape: str) -> None:
    published = json.loads((SAMPLES / "opportunity.json").read_text())["data"]
    with account_with(archived_shape=shape) as account:
        opportunity_id, _ = account.applied()
        shown = set(account.opportunity(opportunity_id))
    newer = {"archived"} if shape == "nested" else set()
    older = {"archivedAt", "archiveReason"} if shape == "nested" else set()
    assert shown == (set(published) - older) | newer


@needs_samples
def test_referrals_and_reasons_have_the_published_fields(account: Account) -> None:
    opportunity_id, number = account.applied()
    user = account.acts.add_user("nadia@example.com", "Nadia", "Brandt")
    referrer = account.acts.add_referrer(user_id=user["id"])
    account.act("edit_application", application_id=number, referrer_id=referrer["id"])
    (referral,) = account.http("GET", f"opportunities/{opportunity_id}/referrals").json()["data"]
    assert set(referral) == set(json.loads((SAMPLES / "referral.json").read_text())["data"])
    reasons = account.http("GET", "archive_reasons").json()["data"]
    assert set(reasons[0]) == set(json.loads((SAMPLES / "archive_reasons.json").read_text())["data"][0])
    assert [one["text"] for one in reasons if one["type"] == "hired"] == ["Hired"]
    assert account.http("POST", f"opportunities/{opportunity_id}/referrals", json={}).status_code == 404


# ---------------------------------------------------------------- webhooks


@needs_samples
@pytest.mark.parametrize("answer", ["single", "double"])
def test_a_webhook_is_registered_as_published_and_tells_its_token_once(answer: str) -> None:
    request = json.loads((SAMPLES / "webhook_create_request.json").read_text())
    published = json.loads((SAMPLES / "webhook_create_response.json").read_text())["data"]["data"]
    with account_with(webhook_create_answer=answer) as account:
        made = account.http("POST", "webhooks", json=request)
        hook = made.json()["data"] if answer == "single" else made.json()["data"]["data"]
        assert made.status_code == 201
        assert set(hook) == set(published)
        assert hook["configuration"]["signatureToken"]
        (listed,) = account.http("GET", "webhooks").json()["data"]
        assert "signatureToken" not in listed["configuration"]
        assert account.http("DELETE", f"webhooks/{hook['id']}").status_code == 204
        assert account.http("GET", "webhooks").json()["data"] == []
        assert account.http("POST", "webhooks", json={**request, "event": "candidateMerged"}).status_code == 400


class Told:
    """An account whose webhooks are read in the order in which they were made."""

    def __init__(self, account: Account, emitter: Emitter, receiver: Receiver) -> None:
        self.account = account
        self.emitter = emitter
        self._receiver = receiver

    def bodies(self) -> list[dict[str, Any]]:
        until(lambda: self.emitter.state()["under_way"] == 0)
        order = [entry["id"] for entry in self.emitter.log()]
        got = [json.loads(one.body) for one in self._receiver.got]
        self._receiver.got = []
        self.emitter.forget()
        return sorted(got, key=lambda one: order.index(one["token"]))

    def events(self) -> list[str]:
        return [body["event"] for body in self.bodies()]


@pytest.fixture
def told() -> Iterator[Told]:
    emitter = Emitter("lever", LeverSigner(), (SECRETS[SECRET], NEXT_WEBHOOK_SECRETS[SECRET]), "")
    with receiving() as receiver, emitting(emitter), account_with() as account:
        connect(account.store, account.memory, emitter)
        emitter.set({"url": receiver.url})
        yield Told(account, emitter, receiver)


def test_what_changes_is_told_in_levers_events(told: Told) -> None:
    assert told.bodies()[0]["data"] == {}  # the test delivery of a new address
    opportunity_id, number = told.account.applied()
    assert sorted(told.events()) == ["applicationCreated", "contactCreated"]
    for act, details, events in (
        ("move", {"stage": "Phone Screen"}, ["candidateStageChange"]),
        ("reject", {"reason": "WE_REJECTED_THEM"}, ["candidateArchiveChange"]),
        ("unreject", {}, ["candidateArchiveChange"]),
        ("hire", {}, ["candidateHired", "candidateArchiveChange"]),
        ("unhire", {}, ["candidateArchiveChange"]),
        ("edit_application", {"custom_fields": {"referral_id": "r1"}}, []),
        ("delete_application", {}, ["candidateDeleted"]),
    ):
        told.account.act(act, application_id=number, **details)
        bodies = told.bodies()
        assert [body["event"] for body in bodies] == events, act
        assert {body["data"]["opportunityId"] for body in bodies} <= {opportunity_id}


@needs_samples
def test_a_stage_change_has_the_published_form_and_is_signed_with_the_present_key(told: Told) -> None:
    published = json.loads((SAMPLES / "webhook_candidateStageChange.json").read_text())
    _, number = told.account.applied()
    told.bodies()
    told.account.act("move", application_id=number)
    (body,) = told.bodies()
    assert set(body) == set(published)
    assert set(body["data"]) == set(published["data"])
    told.emitter.set({"rotate": "new"})
    told.account.act("move", application_id=number)
    (rotated,) = told.bodies()
    for secret, one in ((SECRETS[SECRET], body), (NEXT_WEBHOOK_SECRETS[SECRET], rotated)):
        at = datetime.fromtimestamp(one["triggeredAt"] / 1000, UTC)
        assert LeverSignature([secret]).verify({}, json.dumps(one).encode(), at) == one["token"]
