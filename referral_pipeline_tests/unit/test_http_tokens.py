"""Tokens: how their end is read, that one is shared, renewed in time and once after a 401, and never shown."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime

import pytest

from referral_pipeline.connectors.http import (
    ApiCall,
    ClientCredentials,
    HttpClient,
    RateLimited,
    RetryPolicy,
    TransientFailure,
    Unauthorized,
)
from referral_pipeline.connectors.tokens import read_token
from referral_pipeline_tests.unit.scripted_server import Reply, Seen, serving
from referral_pipeline_tests.unit.test_http_client import FakeTime

NOW = 1_800_000_000.0


def jwt(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}.sig"


def iso(seconds: float, form: str) -> str:
    moment = datetime.fromtimestamp(NOW + seconds, UTC)
    return moment.strftime(form)


@pytest.mark.parametrize(
    ("body", "good_for"),
    [
        ({"expires_in": 600}, 540),
        ({"expires_in": "600"}, 540),
        ({"expires_in": 600, "expires_at": iso(9000, "%Y-%m-%dT%H:%M:%SZ")}, 540),
        ({"expires_at": iso(600, "%Y-%m-%dT%H:%M:%S.000Z")}, 540),
        ({"expires_at": iso(600, "%Y-%m-%dT%H:%M:%S+0000")}, 540),
        ({"expires_at": iso(600, "%Y-%m-%d %H:%M:%S UTC")}, 540),
        ({"expires_at": int(NOW + 600)}, 540),
        ({"access_token": jwt(exp=int(NOW + 600), sub="1")}, 540),
        ({"expires_at": "soon"}, 3540),
        ({}, 3540),
        ({"expires_in": 40}, 20),
    ],
)
def test_the_end_of_a_token_is_read_from_whatever_tells_it(body: dict[str, object], good_for: float) -> None:
    token = read_token({"access_token": "opaque", **body}, NOW)
    assert token.good_until == NOW + good_for
    assert "opaque" not in repr(token)


def test_an_answer_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="no access_token"):
        read_token({"token_type": "Bearer"}, NOW)


class Tokens:
    """Answers the token endpoint with numbered tokens; the API accepts those in `accepted`."""

    def __init__(self, lifetime: int = 3600) -> None:
        self.lifetime = lifetime
        self.minted = 0
        self.refused: set[str] = set()
        self.forms: list[bytes] = []
        self.lock = threading.Lock()

    def __call__(self, seen: Seen) -> Reply:
        if seen.path == "/token":
            with self.lock:
                self.minted += 1
                self.forms.append(seen.body)
                return Reply(
                    200, {"access_token": f"t{self.minted}", "expires_in": self.lifetime, "token_type": "Bearer"}
                )
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        return Reply(401, {"message": "Unauthorized"}) if token in self.refused else Reply(200, {"token": token})


def client(url: str, time: FakeTime | None = None, **more: object) -> HttpClient:
    credentials = ClientCredentials(f"{url}/token", "id-1", "secret-1", subject="42")
    return HttpClient(system="ats", base_url=url, credentials=credentials, clock=(time or FakeTime()).clock(), **more)  # type: ignore[arg-type]


def test_one_token_is_fetched_for_many_threads_by_basic_auth_and_form() -> None:
    tokens = Tokens()
    with serving(tokens) as server:
        one, other = client(server.url), client(server.url)
        threads = [threading.Thread(target=(one, other)[n % 2].get, args=("jobs.list", "/jobs")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert tokens.minted == 1
        request = next(seen for seen in server.seen if seen.path == "/token")
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"id-1:secret-1").decode()
    assert sorted(tokens.forms[0].split(b"&")) == [b"grant_type=client_credentials", b"sub=42"]


def test_a_token_is_renewed_a_minute_before_it_ends() -> None:
    tokens, time = Tokens(lifetime=300), FakeTime()
    with serving(tokens) as server:
        api = client(server.url, time)
        api.get("jobs.list", "/jobs")
        time.now += 239
        assert api.get("jobs.list", "/jobs").data == {"token": "t1"}
        time.now += 2
        assert api.get("jobs.list", "/jobs").data == {"token": "t2"}


def test_a_401_is_answered_with_one_fresh_token() -> None:
    tokens = Tokens()
    tokens.refused = {"t1"}
    with serving(tokens) as server:
        assert client(server.url).call("candidates.create", "POST", "/candidates", json={}).data == {"token": "t2"}


def test_a_second_401_is_final() -> None:
    tokens = Tokens()
    tokens.refused = {"t1", "t2", "t3"}
    with serving(tokens) as server:
        with pytest.raises(Unauthorized):
            client(server.url).get("jobs.list", "/jobs")
        assert tokens.minted == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "invalid_client"}),
        (401, {"message": "Unauthorized", "errorId": "err-1"}),
        (400, {"message": "client_id=id-1 does not contain a valid client ID suffix"}),
    ],
)
def test_a_wrong_credential_is_permanent_and_not_echoed(status: int, body: dict[str, str]) -> None:
    with serving(lambda _: Reply(status, body)) as server:
        with pytest.raises(Unauthorized) as caught:
            client(server.url).check_token()
        assert len(server.seen) == 1
    assert "id-1" not in str(caught.value)
    assert str(caught.value).startswith(f"ats token answered {status}")


@pytest.mark.parametrize(
    "reply", [Reply(503, {}), Reply(200, raw=b"<html>"), Reply(200, {}), Reply(abort=True), Reply(200, [1])]
)
def test_the_token_endpoint_is_retried_too_and_each_try_recorded(reply: Reply) -> None:
    calls: list[ApiCall] = []
    tokens = Tokens()
    first = [reply]

    def answer(seen: Seen) -> Reply:
        return first.pop() if seen.path == "/token" and first else tokens(seen)

    with serving(answer) as server:
        api = client(server.url, recorder=calls.append)
        assert api.get("jobs.list", "/jobs").data == {"token": "t1"}
    assert [(call.operation, call.attempt) for call in calls] == [("token", 1), ("token", 2), ("jobs.list", 1)]
    assert calls[0].outcome in {"server_error", "broken"}


def test_an_exhausted_token_endpoint_is_not_tried_once_more_for_each_attempt_of_the_call() -> None:
    with serving(lambda _: Reply(503, {})) as server:
        with pytest.raises(TransientFailure):
            client(server.url, retry=RetryPolicy(max_attempts=3)).get("jobs.list", "/jobs")
        assert len(server.seen) == 3


def test_the_token_endpoints_own_rate_limit_is_obeyed() -> None:
    time = FakeTime()
    with serving(lambda _: Reply(429, {}, headers={"Retry-After": "60"})) as server, pytest.raises(RateLimited):
        client(server.url, time, retry=RetryPolicy(max_attempts=2)).check_token()
    assert time.slept == [60.0]
