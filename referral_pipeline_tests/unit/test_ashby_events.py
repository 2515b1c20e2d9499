"""Ashby's webhooks: what an event is about, who signed it, and what the sandbox sends."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.ashby_events import TYPES, read_ashby_event
from referral_pipeline.connectors.ashby_models import ApplicationRow, read_row
from referral_pipeline.connectors.ashby_signature import AshbySignature
from referral_pipeline.connectors.records import RowProblem
from referral_pipeline.connectors.signing import SignatureRefused
from referral_pipeline.sandbox.ashby.events import connect
from referral_pipeline.sandbox.ashby.ids import id_of, uuid_of
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event
from referral_pipeline.sandbox.webhooks.signing import AshbySigner
from referral_pipeline_tests.openapi import ASHBY_SAMPLES, ashby_document, ashby_event_problems, needs_ashby_document
from referral_pipeline_tests.unit.ashby_account import Account, account_with

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
KEY = "a-key-of-tests"
BODY = b'{"webhookActionId":"75395d87-4044-4dc4-bc29-0cec185e5f06","action":"ping","data":{}}'


def _signed(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"ashby-signature": f"sha256={hmac.digest(key.encode(), body, 'sha256').hex()}"}


# ---------------------------------------------------------------- signatures


def test_the_id_of_a_delivery_is_the_action_id_that_the_signature_covers() -> None:
    scheme = AshbySignature(["an-older-key", KEY])
    assert scheme.verify(_signed(BODY), BODY, NOW) == "75395d87-4044-4dc4-bc29-0cec185e5f06"
    ping = b'{"action":"ping","data":{"webhookActionType":"ping"}}'
    assert len(scheme.verify(_signed(ping), ping, NOW)) == 64


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "unsigned"),
        ({"ashby-signature": ""}, "unsigned"),
        ({"ashby-signature": "sha256 " + "0" * 64}, "malformed"),
        ({"ashby-signature": "sha256=" + "0" * 64}, "wrong"),
        (_signed(BODY, "somebody-else"), "wrong"),
        (_signed(BODY + b" "), "wrong"),
    ],
)
def test_what_is_unsigned_or_signed_otherwise_is_refused_once_a_secret_is_set(
    headers: dict[str, str], reason: str
) -> None:
    with pytest.raises(SignatureRefused) as refused:
        AshbySignature([KEY]).verify(headers, BODY, NOW)
    assert refused.value.reason == reason


def test_the_sandbox_signs_as_the_receiver_reads() -> None:
    lines = AshbySigner().headers("75395d87", BODY, [KEY], 0.0).decode().split("\r\n")
    name, _, value = lines[0].partition(": ")
    assert AshbySignature([KEY]).verify({name.lower(): value}, BODY, NOW)


# ---------------------------------------------------------------- reading


@needs_ashby_document
def test_every_published_sample_parses() -> None:
    samples = {path.name: json.loads(path.read_text()) for path in sorted(ASHBY_SAMPLES.glob("webhook_*.json"))}
    hints = {name: read_ashby_event(sample) for name, sample in samples.items()}
    assert hints["webhook_ping.derived.json"].known
    moved = hints["webhook_candidateStageChange.derived.json"]
    assert (moved.known, moved.application_ids) == (True, ("e9ed20fd-d45f-4aad-8a00-a19bfba0083e",))
    assert not hints["webhook_common_envelope.json"].known  # its data is empty: nothing tells what it is about
    listed = json.loads((ASHBY_SAMPLES / "api_application_list.derived.json").read_text())["response"]["results"]
    assert not isinstance(read_row(ApplicationRow, listed[0]), RowProblem)


@needs_ashby_document
def test_every_event_of_the_document_that_concerns_us_is_known() -> None:
    not_ours = {"openingCreate", "signatureRequestUpdate"}
    assert set(ashby_document()["webhooks"]) - not_ours == TYPES


_KEYS = st.sampled_from(["action", "data", "application", "offer", "candidate", "id", "job", "deletedCandidate"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(_ANYTHING)
def test_reading_never_raises(payload: Any) -> None:
    read_ashby_event(payload)
    for action in TYPES:
        read_ashby_event({"action": action, "data": payload})


# ---------------------------------------------------------------- the sandbox


class _Caught(Emitter):
    """An emitter that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("ashby", AshbySigner(), (KEY, KEY), "")
        self.events: list[tuple[Event, str | None]] = []

    @property
    def is_on(self) -> bool:
        return True

    def emit(self, event: Event, delivery_id: str | None = None) -> str | None:
        self.events.append((event, delivery_id))
        return delivery_id


@pytest.fixture
def told() -> Iterator[tuple[Account, _Caught]]:
    with account_with() as account:
        caught = _Caught()
        account.store.watch(lambda changes: None)
        connect(account.world, account.vendor.payloads, caught)
        yield account, caught


def _types(caught: _Caught) -> set[str]:
    """What was told since the last time; each event is well-formed, known, and named by what lies in its body."""
    found = set[str]()
    for event, delivery_id in caught.events:
        body = json.loads(event.body)
        assert body["webhookActionId"] == delivery_id
        assert read_ashby_event(body).known
        if ASHBY_SAMPLES.is_dir():
            assert ashby_event_problems(body) == []
        found.add(event.type)
    caught.events.clear()
    return found


def test_a_hire_is_told_three_times_and_each_event_is_as_the_document_declares_it(
    told: tuple[Account, _Caught],
) -> None:
    account, caught = told
    moved = {"candidateStageChange", "applicationUpdate"}
    application = account.by_hand()
    account.store.flush()
    assert _types(caught) == {"applicationSubmit"}
    account.act("move", application, stage="Offer")
    assert _types(caught) == moved
    account.act("offer_create", application)
    assert _types(caught) == {"offerCreate"}
    account.act("offer_accept", application)
    assert _types(caught) == {"offerUpdate"}
    account.act("hire", application)
    assert _types(caught) - {"jobUpdate"} == {"candidateHire", *moved}
    account.act("unhire", application)
    assert moved <= _types(caught)
    account.act("reject", application)
    assert moved <= _types(caught)
    assert caught.greeting is not None
    assert json.loads(caught.greeting().body) == {"action": "ping", "data": {"webhookActionType": "ping"}}


def test_a_merge_names_who_stays_and_a_deletion_who_went(told: tuple[Account, _Caught]) -> None:
    account, caught = told
    first, second = (account.row("applications", account.by_hand(name))["candidate_id"] for name in ("Ann", "Ben"))
    account.store.flush()
    caught.events.clear()
    account.acts.perform("merge", {"primary_id": first, "secondary_id": second})
    account.acts.perform("delete_candidate", {"candidate_id": first})
    by_type = {event.type: read_ashby_event(json.loads(event.body)) for event, _ in caught.events}
    old, new = uuid_of("candidates", second), uuid_of("candidates", first)
    assert by_type["candidateMerge"].merged == ((old, new),)
    assert by_type["candidateDelete"].gone_candidates == (new,)


@given(st.integers(min_value=0, max_value=2**48 - 1))
def test_an_id_goes_out_and_comes_back_the_same(number: int) -> None:
    assert id_of("applications", uuid_of("applications", number)) == number
    assert id_of("candidates", uuid_of("applications", number)) is None
