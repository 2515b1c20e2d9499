"""The token endpoint of the advocacy sandbox follows RFC 6749, and calls need a living token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from referral_pipeline.sandbox.advocacy.switches import Switches
from referral_pipeline.sandbox.credentials import ADVOCACY_CLIENT_ID, ADVOCACY_CLIENT_SECRET
from referral_pipeline_tests.unit.advocacy_server import Platform, platform

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with platform() as made:
        yield made


def test_client_credentials_give_a_bearer_token_that_nobody_may_store(shared: Platform) -> None:
    answer = shared.token()
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3600
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("auth", [None, (ADVOCACY_CLIENT_ID, "wrong"), ("nobody", ADVOCACY_CLIENT_SECRET), ("", "")])
def test_an_unknown_client_is_invalid_client_with_a_basic_challenge(shared: Platform, auth: object) -> None:
    answer = shared.token(auth=auth)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        ("", FORM, "invalid_request"),
        ("grant_type=", FORM, "invalid_request"),
        ("grant_type=password", FORM, "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", FORM, "invalid_request"),
        ("grant_type=client_credentials&scope=all", FORM, "invalid_scope"),
        ('{"grant_type": "client_credentials"}', {"Content-Type": "application/json"}, "invalid_request"),
    ],
)
def test_a_wrong_token_request_is_answered_as_rfc_6749_says(
    shared: Platform, body: str, headers: dict[str, str], error: str
) -> None:
    answer = shared.token(data=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] == error


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic abc", "wrong"])
def test_a_call_without_a_living_token_is_401_with_a_bearer_challenge(shared: Platform, header: str | None) -> None:
    answer = shared.call("GET", "/v1/referrals", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_token_ends_after_its_lifetime() -> None:
    with platform(Switches(token_lifetime_seconds=0)) as made:
        assert made.get("/v1/referrals").status_code == 401
        made.call("POST", "/_sandbox/switches", json={"token_lifetime_seconds": 60})
        made.sign_in()
        assert made.get("/v1/referrals").status_code == 200


def test_revoked_tokens_are_401_until_a_new_one_is_asked_for(shared: Platform) -> None:
    assert shared.get("/v1/referrals").status_code == 200
    shared.call("POST", "/_sandbox/revoke_tokens")
    assert shared.get("/v1/referrals").status_code == 401
    shared.sign_in()
    assert shared.get("/v1/referrals").status_code == 200
