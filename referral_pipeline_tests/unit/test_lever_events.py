"""Webhooks of Lever: every published one is read, a signature proves what it covers alone, and nothing counts twice."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.events import Hint, read_event
from referral_pipeline.connectors.lever_events import TYPES
from referral_pipeline.connectors.lever_signature import LeverSignature
from referral_pipeline.connectors.signing import STALE, SignatureRefused, UnusableSecret
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline_tests.openapi import REFERENCE_DIR
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import NOW, Receiver, receiver_in

SAMPLES = REFERENCE_DIR / "vendor_samples" / "lever"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the vendor's samples are not here (set REFERENCE_DIR)")
KEY = SECRETS["LEVER_WEBHOOK_SECRET"]
DATA = {"opportunityId": "o1", "contactId": "c1", "candidateId": "o1"}
HEADERS = {"content-type": "application/json"}


def body(
    data: Any = DATA, *, event: str = "candidateStageChange", at: datetime = NOW, token: str = "t" * 48, key: str = KEY
) -> dict[str, Any]:
    """A delivery as the documentation says that it is signed, made without our own code."""
    moment = int(at.timestamp() * 1000)
    mark = hmac.new(key.encode(), f"{token}{moment}".encode(), hashlib.sha256).hexdigest()
    return {"event": event, "triggeredAt": moment, "data": data, "token": token, "signature": mark, "id": "uid"}


def raw(content: Any) -> bytes:
    return json.dumps(content).encode()


# ---------------------------------------------------------------- reading


@needs_samples
def test_every_published_delivery_is_read() -> None:
    moved = read_event("lever", json.loads((SAMPLES / "webhook_candidateStageChange.json").read_text()))
    assert moved == Hint(
        "candidateStageChange",
        "application:3410c8b9-5c31-4bab-b7e9-9f710206d647",
        datetime(2015, 5, 12, 18, 12, 10, 72_000, tzinfo=UTC),
        application_ids=("3410c8b9-5c31-4bab-b7e9-9f710206d647",),
        candidate_ids=("05c248f9-ccb1-435f-bab5-0ec608aec263",),
    )
    test = read_event("lever", json.loads((SAMPLES / "webhook_test_request.json").read_text()))
    assert test == Hint("candidateHired")


@pytest.mark.parametrize("event", sorted(TYPES))
def test_each_event_names_what_it_is_about_also_when_data_lies_in_data(event: str) -> None:
    once, twice = (read_event("lever", body(data, event=event)) for data in (DATA, {"data": DATA}))
    assert once == twice
    assert once.known
    assert once.subject == ("candidate:c1" if event.startswith("contact") else "application:o1")
    gone = {"candidateDelete", "candidateDeleted"}
    assert once.gone_applications == (("o1",) if event in gone else ())


def test_an_event_that_nobody_acts_on_is_kept_and_unknown() -> None:
    assert not read_event("lever", body(event="interviewCreated")).known
    assert not read_event("lever", body({"contactId": 3.5}, event="candidateHired")).known


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*sorted(TYPES), None, 7]), _json, _json)
def test_no_body_of_any_shape_breaks_the_reader(event: Any, data: Any, moment: Any) -> None:
    assert asdict(read_event("lever", {"event": event, "data": data, "triggeredAt": moment}))


# ---------------------------------------------------------------- signatures


def refusal(content: Any, *, now: datetime = NOW) -> str:
    with pytest.raises(SignatureRefused) as refused:
        LeverSignature([KEY]).verify({}, content if isinstance(content, bytes) else raw(content), now)
    return refused.value.reason


def test_a_signed_delivery_is_known_by_its_token() -> None:
    assert LeverSignature([KEY]).verify({}, raw(body()), NOW) == "t" * 48


def test_each_webhook_has_a_key_of_its_own_and_each_is_good() -> None:
    scheme = LeverSignature(["another", KEY])
    assert scheme.verify({}, raw(body()), NOW) == scheme.verify({}, raw(body(key="another")), NOW)
    with pytest.raises(UnusableSecret):
        LeverSignature([])


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_time_more_than_five_minutes_away_is_stale(minutes: int) -> None:
    assert refusal(body(at=NOW + timedelta(minutes=minutes))) == STALE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signature": "0" * 64}, "wrong"),
        ({"token": "u" * 48}, "wrong"),
        ({"triggeredAt": int(NOW.timestamp() * 1000) + 1}, "wrong"),
        ({"signature": None}, "unsigned"),
        ({"token": None}, "unsigned"),
        ({"triggeredAt": None}, "unsigned"),
        ({"signature": "A" * 64}, "malformed"),
        ({"signature": 7}, "malformed"),
        ({"token": "a\nb"}, "malformed"),
        ({"token": 7}, "malformed"),
        ({"triggeredAt": "1"}, "malformed"),
        ({"triggeredAt": True}, "malformed"),
        ({"triggeredAt": -1}, "malformed"),
    ],
)
def test_what_is_not_signed_as_it_is_told_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert refusal({**body(), **changes}) == reason


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 300, b'"text"'])
def test_what_is_no_object_is_no_delivery(content: bytes) -> None:
    assert refusal(content) == "malformed"


@needs_samples
@pytest.mark.parametrize("name", ["webhook_candidateStageChange.json", "webhook_test_request.json"])
def test_the_published_signatures_are_placeholders_and_prove_nothing(name: str) -> None:
    assert refusal((SAMPLES / name).read_bytes()) in {"wrong", "malformed"}


# ---------------------------------------------------------------- the receiver


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "integration.yaml").write_text(integration_yaml(replace(LOCAL_SANDBOX, ats="lever")))
    with receiver_in(home) as found:
        yield found


def test_a_token_counts_once_whatever_data_comes_with_it_again(receiver: Receiver) -> None:
    first = body()
    forged = {**first, "data": {**DATA, "opportunityId": "o2"}}
    for content in (first, first, forged):
        assert run_apart(receiver.send("/webhooks/lever", raw(content), HEADERS))[0] == 200
    (event,) = receiver.ledger.inbox_events()
    assert (event.system, event.delivery_id, event.subject) == ("lever", "t" * 48, "application:o1")


def test_a_replay_after_five_minutes_is_refused_at_the_door(receiver: Receiver) -> None:
    receiver.move(301)
    assert run_apart(receiver.send("/webhooks/lever", raw(body()), HEADERS))[0] == 401
    assert receiver.ledger.inbox_events() == []


def test_a_test_delivery_is_taken(receiver: Receiver) -> None:
    assert run_apart(receiver.send("/webhooks/lever", raw(body({}, event="candidateHired")), HEADERS))[0] == 200


def test_nothing_is_taken_for_a_system_that_the_contract_does_not_name(receiver: Receiver) -> None:
    assert run_apart(receiver.send("/webhooks/greenhouse", raw(body()), HEADERS))[0] == 404
