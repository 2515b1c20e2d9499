"""What people do on the advocacy platform is told by webhooks as its OpenAPI document describes them."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from referral_pipeline.sandbox.advocacy.events import TYPES, connect
from referral_pipeline.sandbox.advocacy.openapi import document
from referral_pipeline.sandbox.credentials import NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.webhooks.emitter import Emitter
from referral_pipeline.sandbox.webhooks.signing import StandardSigner
from referral_pipeline_tests.unit.advocacy_server import Platform, platform
from referral_pipeline_tests.unit.webhook_receiver import Receiver, emitting, receiving, until

NAME = "ADVOCACY_WEBHOOK_SECRET"


class Told:
    """A platform whose webhooks are read in the order in which they were made."""

    def __init__(self, made: Platform, emitter: Emitter, receiver: Receiver) -> None:
        self.platform = made
        self.emitter = emitter
        self._receiver = receiver

    def bodies(self) -> list[dict[str, Any]]:
        """What was sent since the last call; each body is held against the document first."""
        until(lambda: self.emitter.state()["under_way"] == 0)
        order = [entry["id"] for entry in self.emitter.log()]
        got = sorted(self._receiver.got, key=lambda one: order.index(one.headers["webhook-id"]))
        self._receiver.got = []
        self.emitter.forget()
        found = [json.loads(one.body) for one in got]
        for body in found:
            described = document()["webhooks"][body["type"]]["post"]["requestBody"]["content"]["application/json"]
            schema = {**described["schema"], "components": document()["components"]}
            assert [error.message for error in Draft202012Validator(schema).iter_errors(body)] == []
        return found

    def types(self) -> list[str]:
        """The types of what was sent since the last call."""
        return [body["type"] for body in self.bodies()]


@contextmanager
def telling() -> Generator[Told]:
    emitter = Emitter("advocacy", StandardSigner(), (SECRETS[NAME], NEXT_WEBHOOK_SECRETS[NAME]), "msg")
    with receiving() as receiver, emitting(emitter), platform() as made:
        connect(made.store, emitter)
        emitter.set({"url": receiver.url})
        yield Told(made, emitter, receiver)


@pytest.fixture(scope="module")
def told() -> Generator[Told]:
    with telling() as made:
        yield made


def test_every_act_sends_its_type_with_the_whole_row(told: Told) -> None:
    act = told.platform.act
    referral = told.platform.submit()
    share = act("add_share", advocate_id="adv_1", content_id="cnt_1")
    click = act("add_click", share_id=share["id"])
    edited = act("edit_referral", referral_id=referral["id"], campaign_tag="spring")
    refused = act("withdraw_consent", referral_id=referral["id"])
    withdrawn = act("withdraw_referral", referral_id=referral["id"])
    erased = act("erase", referral_id=referral["id"])
    sent = told.bodies()
    assert [(body["type"], body["data"]) for body in sent] == [
        ("referral.submitted", referral),
        ("share.created", share),
        ("click.recorded", click),
        ("referral.updated", edited),
        ("consent.updated", refused),
        ("referral.withdrawn", withdrawn),
        ("candidate.erased", erased),
    ]
    assert {body["timestamp"] for body in sent} == {"2026-11-02T09:00:00.000Z"}
    assert {body["type"] for body in sent} == set(TYPES) == set(document()["webhooks"])


def test_an_edit_tells_consent_and_the_rest_apart_and_is_silent_when_nothing_changes(told: Told) -> None:
    referral = told.platform.submit()
    told.types()
    consent = {**referral["consent"], "expires_at": "2027-01-01T00:00:00.000Z"}
    told.platform.act("edit_referral", referral_id=referral["id"], consent=consent)
    assert told.types() == ["consent.updated"]
    told.platform.act("edit_referral", referral_id=referral["id"], consent=consent, campaign_tag=None)
    assert told.types() == []
    told.platform.act("edit_referral", referral_id=referral["id"], consent=None, candidate={"last_name": "Other"})
    assert told.types() == ["consent.updated", "referral.updated"]


def test_what_the_api_writes_sends_nothing_but_is_noted_as_an_arrival(told: Told) -> None:
    referral = told.platform.submit()
    told.types()
    status = {
        "status": "applied",
        "status_at": "2026-11-02T09:00:00Z",
        "ats": {"system": "greenhouse", "candidate_id": "5", "application_id": "6"},
    }
    for _ in range(2):
        answer = told.platform.call("PATCH", f"/v1/referrals/{referral['id']}", json=status)
        assert answer.status_code == 200
    assert told.types() == []
    first, second = told.platform.store.arrivals[-2:]
    assert (first["referral_id"], first["status"]) == (referral["id"], "applied")
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["at"] <= second["at"]


def test_a_crowd_is_submitted_at_once_each_a_new_person_with_a_webhook(told: Told) -> None:
    made = told.platform.act("submit_referrals", count=40, job_ids=["4410000001", 4410000002])
    rows = [told.platform.store.get("referrals", referral_id) for referral_id in made["referral_ids"]]
    assert [body["data"] for body in told.bodies()] == rows
    for key in ("email", "phone"):
        assert len({row["candidate"][key] for row in rows}) == 40
    assert {row["job_id"] for row in rows} == {"4410000001", "4410000002"}
    more = told.platform.act("submit_referrals", count=1, job_ids=["4410000001"], stage="clicked")
    assert told.platform.store.get("referrals", more["referral_ids"][0])["stage"] == "clicked"
    for wrong in ({"count": 0, "job_ids": ["1"]}, {"count": 5}):
        refused = told.platform.call("POST", "/_sandbox/act", json={"action": "submit_referrals", **wrong})
        assert refused.status_code == 422


def test_a_webhook_about_a_record_can_be_made_again(told: Told) -> None:
    referral = told.platform.submit()
    told.types()
    for event_type in TYPES[:3]:
        told.emitter.emit(told.emitter.describe(event_type, referral["id"]))
    told.emitter.emit(told.emitter.describe("candidate.erased", referral["id"]), "msg_again")
    assert told.types() == [*TYPES[:3], "candidate.erased"]
    with pytest.raises(LookupError):
        told.emitter.describe("referral.updated", "ref_unknown")
    with pytest.raises(LookupError):
        told.emitter.describe("referral.danced", referral["id"])
