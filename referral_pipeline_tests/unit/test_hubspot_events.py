"""Webhooks of HubSpot: signed by the full address, many events in one delivery, none of them twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_pipeline.connectors.events import read_event, split_delivery
from referral_pipeline.connectors.hubspot_signature import HubSpotSignature
from referral_pipeline.connectors.signing import STALE, SignatureRefused, UnusableSecret
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, integration_yaml
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.sandbox.hubspot.book import Book
from referral_pipeline.sandbox.hubspot.events import SUBSCRIPTIONS, connect, made_emitter
from referral_pipeline_tests.openapi import HUBSPOT_SAMPLES
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import NOW, Receiver, receiver_in
from referral_pipeline_tests.unit.webhook_receiver import receiving

KEY = SECRETS["HUBSPOT_WEBHOOK_SECRET"]
ADDRESS = "http://receiver.example.com/webhooks/hubspot"


def event(kind: str = "contact.propertyChange", object_id: int = 501, **more: Any) -> dict[str, Any]:
    """An event as the documentation describes it."""
    return {
        "eventId": 100,
        "subscriptionId": 25,
        "portalId": 44237313,
        "appId": 1160452,
        "occurredAt": int(NOW.timestamp() * 1000),
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": object_id,
        "changeSource": "CRM",
        **more,
    }


def signed(body: bytes, *, at: datetime = NOW, key: str = KEY, address: str = ADDRESS) -> dict[str, str]:
    """Headers as the documentation says that they are made, without our own code."""
    moment = str(int(at.timestamp() * 1000))
    mark = hmac.new(key.encode(), f"POST{address}{body.decode()}{moment}".encode(), hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "host": "receiver.example.com",
        "x-hubspot-signature-v3": base64.b64encode(mark).decode(),
        "x-hubspot-request-timestamp": moment,
    }


def seen(headers: dict[str, str], **more: str) -> dict[str, str]:
    """As the receiver hands them to the scheme."""
    return {**headers, ":method": "POST", ":path": "/webhooks/hubspot", ":public_url": "", **more}


def raw(content: Any) -> bytes:
    return json.dumps(content).encode()


# ---------------------------------------------------------------- signatures


def test_attempts_of_one_delivery_have_one_id_and_others_another() -> None:
    scheme = HubSpotSignature([KEY])
    bodies = [raw([event(attemptNumber=n)]) for n in (0, 3)] + [raw([event(eventId=101)])]
    first, again, other = (scheme.verify(seen(signed(body)), body, NOW) for body in bodies)
    assert first == again != other


def test_any_of_several_keys_is_good_and_none_is_no_scheme() -> None:
    body = raw([event()])
    assert HubSpotSignature(["another", KEY]).verify(seen(signed(body)), body, NOW)
    with pytest.raises(UnusableSecret):
        HubSpotSignature([])


def test_behind_a_proxy_the_address_is_the_one_that_the_contract_names() -> None:
    public = "https://hooks.example.com/in/hubspot?a=1"
    body = raw([event()])
    headers = signed(body, address=public)
    assert HubSpotSignature([KEY]).verify(seen(headers, **{":public_url": public}), body, NOW)
    with pytest.raises(SignatureRefused):
        HubSpotSignature([KEY]).verify(seen(headers), body, NOW)
    forwarded = signed(body, address=ADDRESS.replace("http:", "https:"))
    assert HubSpotSignature([KEY]).verify(seen(forwarded, **{"x-forwarded-proto": "https"}), body, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x-hubspot-signature-v3": ""}, "unsigned"),
        ({"x-hubspot-request-timestamp": ""}, "unsigned"),
        ({"x-hubspot-signature-v3": "A" * 43 + "="}, "wrong"),
        ({"x-hubspot-signature-v3": "é" * 44}, "malformed"),
        ({"x-hubspot-request-timestamp": "soon"}, "malformed"),
        ({"x-hubspot-request-timestamp": str(int(NOW.timestamp() * 1000) + 1)}, "wrong"),
        ({":method": "PUT"}, "wrong"),
        ({":path": "/webhooks/other"}, "wrong"),
        ({"host": "other.example.com"}, "wrong"),
    ],
)
def test_what_is_not_signed_as_it_is_told_is_refused(changes: dict[str, str], reason: str) -> None:
    body = raw([event()])
    with pytest.raises(SignatureRefused) as refused:
        HubSpotSignature([KEY]).verify({**seen(signed(body)), **changes}, body, NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_time_more_than_five_minutes_away_is_stale(minutes: int) -> None:
    body = raw([event()])
    headers = signed(body, at=NOW + timedelta(minutes=minutes))
    with pytest.raises(SignatureRefused) as refused:
        HubSpotSignature([KEY]).verify(seen(headers), body, NOW)
    assert refused.value.reason == STALE


# ---------------------------------------------------------------- reading


def test_each_event_is_about_its_contact_and_an_end_is_told_as_one() -> None:
    assert read_event("hubspot", event()).subject == "contact:501"
    assert read_event("hubspot", event("contact.deletion")).end == "deleted"
    assert read_event("hubspot", event("contact.privacyDeletion")).end == "erased"
    merged = read_event("hubspot", event("contact.merge", newObjectId=777, mergedObjectIds=[501]))
    assert (merged.subject, merged.end) == ("contact:777", None)
    assert not read_event("hubspot", event("deal.creation")).known
    assert not read_event("hubspot", event(object_id=-1)).known


@pytest.mark.skipif(not HUBSPOT_SAMPLES.is_dir(), reason="the vendor's document is not here (set REFERENCE_DIR)")
def test_the_vendors_document_knows_every_event_that_is_sent_and_read() -> None:
    schemas = json.loads((HUBSPOT_SAMPLES / "webhooks.v3.json").read_text())["components"]["schemas"]
    known = set(schemas["SubscriptionCreateRequest"]["properties"]["eventType"]["enum"])
    assert set(SUBSCRIPTIONS) <= known
    assert all(read_event("hubspot", event(kind)).known for kind in SUBSCRIPTIONS)


def test_a_delivery_is_taken_apart_and_what_is_told_twice_is_taken_once() -> None:
    events = [event(), event(attemptNumber=1), event(object_id=502), event("contact.deletion")]
    parts = split_delivery("hubspot", "d1", raw(events), events)
    assert parts is not None
    assert [part[2]["objectId"] for part in parts] == [501, 502, 501]
    assert len({part[0] for part in parts}) == 3


@pytest.mark.parametrize("content", [{}, [], [7], [event()] * 101, "text", None])
def test_what_is_no_array_of_events_is_no_delivery(content: Any) -> None:
    assert split_delivery("hubspot", "d1", raw(content), content) is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(_json, _json, _json)
def test_no_body_of_any_shape_breaks_the_reader(kind: Any, object_id: Any, whole: Any) -> None:
    assert asdict(read_event("hubspot", {"subscriptionType": kind, "objectId": object_id, "occurredAt": object_id}))
    assert asdict(read_event("hubspot", whole))


# ---------------------------------------------------------------- the receiver


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "integration.yaml").write_text(integration_yaml(replace(LOCAL_SANDBOX, crm="hubspot")))
    with receiver_in(home) as found:
        yield found


def test_a_batch_becomes_one_event_each_and_an_attempt_more_adds_none(receiver: Receiver) -> None:
    for attempt in (0, 1):
        body = raw([event(object_id=500 + n, attemptNumber=attempt) for n in range(100)])
        assert run_apart(receiver.send("/webhooks/hubspot", body, signed(body)))[0] == 200
    events = receiver.ledger.inbox_events(limit=1000)
    assert {(one.system, one.event_type) for one in events} == {("hubspot", "contact.propertyChange")}
    assert sorted(one.subject or "" for one in events) == sorted(f"contact:{500 + n}" for n in range(100))


def test_a_batch_of_another_key_or_form_is_refused_whole(receiver: Receiver) -> None:
    body = raw([event()])
    assert run_apart(receiver.send("/webhooks/hubspot", body, signed(body, key="another")))[0] == 401
    body = raw({"no": "array"})
    assert run_apart(receiver.send("/webhooks/hubspot", body, signed(body)))[0] == 400
    assert receiver.ledger.inbox_events() == []


# ---------------------------------------------------------------- what the sandbox sends


def test_what_the_sandbox_sends_is_signed_for_the_address_that_it_was_given() -> None:
    emitter = made_emitter((KEY, "next"))
    book = Book()
    connect(book, emitter)
    with receiving() as server:
        emitter.set({"url": server.url})
        contact = book.create({"email": "a@example.com", "firstname": "A"})
        book.erase(contact.id)
        found = server.wait(2)
        emitter.stop()
    for one in found:
        assert HubSpotSignature([KEY]).verify(seen(one.headers), one.body, datetime.now(NOW.tzinfo))
    kinds = [[part["subscriptionType"] for part in json.loads(one.body)] for one in found]
    assert ["contact.creation", "contact.propertyChange", "contact.propertyChange"] in kinds
    assert ["contact.privacyDeletion"] in kinds
