"""The kit for authors of connectors finds nothing missing in ours, and each thing that is taken away."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from referral_pipeline.connectors.testing import AtsTenant, ats_gaps, webhook_gaps
from referral_pipeline.connectors.vendors import VENDORS
from referral_pipeline.vocabulary import CandidateStatus
from referral_pipeline_tests.unit.greenhouse_account import ADVOCATE, Account, account_with

LAG = 20.0
PEOPLE = count(1)
"""Tenants of one account have people of their own."""


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with account_with(visibility_lag_seconds=LAG) as opened:
        yield opened


def tenant_of(account: Account, connector: Any = None) -> AtsTenant:
    at, stages = account.now - timedelta(days=9), ("Application Review", "Offer")
    job, other = (account.acts.add_job(name, stages=stages, openings=9, at=at) for name in ("Porter", "Cook"))

    def wait() -> None:
        account.now += timedelta(seconds=LAG + 1)

    return AtsTenant(
        connector=connector or account.connector,
        job_id=str(job["id"]),
        other_job_id=str(other["id"]),
        wait=wait,
        hire=lambda application_id: hire(account, int(application_id)),
        reject=lambda application_id: account.acts.reject(int(application_id)),
        advocate_email=ADVOCATE,
        people=PEOPLE,
    )


def hire(account: Account, application_id: int) -> None:
    """With an offer that was accepted, as it should be."""
    account.acts.offer_create(application_id)
    account.acts.offer_accept(application_id)
    account.acts.hire(application_id)


def test_greenhouse_does_all_that_is_relied_on(account: Account):
    assert ats_gaps(tenant_of(account)) == []


class Spoilt:
    """A connector of which one thing is wrong."""

    def __init__(self, inner: Any, **instead: Callable[..., Any]) -> None:
        self._inner = inner
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return (lambda *a, **k: self._instead[name](found, *a, **k)) if name in self._instead else found


def _raises(call: Any, *arguments: Any) -> Any:
    if "999999999" in arguments[0]:
        raise LookupError("no such record")
    return call(*arguments)


@pytest.mark.parametrize(
    ("name", "instead", "told"),
    [
        ("search_candidates", lambda call, email: [], "search_candidates"),
        ("search_candidates", lambda call, email: call(email) if email.islower() else [], "search_candidates"),
        ("update_application", lambda call, *a, **k: call(*a, **k) or True, "update_application"),
        ("update_application", lambda call, *a, **k: False, "update_application"),
        ("add_contact_details", lambda call, *a, **k: False, "add_contact_details"),
        ("get_candidates", _raises, "Records that are not there are left out, and raise nothing"),
        ("applications_of", lambda call, ids: call(ids)[:1], "applications_of"),
        ("pull", lambda call, entity, window: call(entity, window) if window.is_full else iter(()), "pull"),
        ("raw_rows", lambda call, ids: {}, "raw_rows"),
        (
            "get_applications",
            lambda call, ids: {
                i: replace(x, status=CandidateStatus.IN_REVIEW) if x.hired_at else x for i, x in call(ids).items()
            },
            "an application that is hired",
        ),
        (
            "applications_of",
            lambda call, ids: [replace(x, tags={**x.tags, "advocate_id": None}) for x in call(ids)],
            "create_candidate",
        ),
    ],
)
def test_what_is_taken_away_is_found(account: Account, name: str, instead: Callable[..., Any], told: str):
    gaps = ats_gaps(tenant_of(account, Spoilt(account.connector, **{name: instead})))
    assert {gap.what for gap in gaps} == {told}
    assert all(gap.found and gap.follows for gap in gaps)


# ---------------------------------------------------------------- webhooks

BODY = json.dumps({"action": "delete_application", "payload": {"application": {"id": 31}}}).encode()


def signed(body: bytes) -> Mapping[str, str]:
    return {"signature": f"sha256 {hmac.new(b'key', body, hashlib.sha256).hexdigest()}", "greenhouse-event-id": "e1"}


def test_greenhouses_webhooks_do_all_that_is_relied_on():
    assert webhook_gaps(VENDORS["greenhouse"], secret="key", signed=signed, samples=[(BODY, "application:31")]) == []


def test_a_reader_or_a_scheme_that_does_less_is_found():
    vendor = VENDORS["greenhouse"]

    def told(changed: Any, headers: Any = signed, subject: str = "application:31") -> set[str]:
        gaps = webhook_gaps(changed, secret="key", signed=headers, samples=[(BODY, subject)])
        return {f"{gap.what}: {gap.found}" for gap in gaps}

    assert told(replace(vendor, scheme=None)) == {"webhooks: the vendor names no reader or no scheme"}
    assert any(words.startswith("reader: it raised") for words in told(replace(vendor, reader=f"{__name__}:raises")))
    assert "scheme: what is unsigned is taken" in told(replace(vendor, scheme=f"{__name__}:Anything"))
    assert told(vendor, headers=lambda body: {}) == {"scheme: a signed sample is refused: unsigned"}
    assert told(vendor, subject="application:32") == {
        "reader: a sample is read as about ['application:31'], not application:32"
    }


def raises(payload: Any) -> Any:
    return payload["action"]


class Anything:
    def __init__(self, secrets: Any) -> None:
        del secrets

    def verify(self, headers: Any, body: bytes, now: Any) -> str:
        return "d1"
