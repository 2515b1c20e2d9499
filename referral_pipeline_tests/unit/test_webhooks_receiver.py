"""The receiver answers as its contract with senders says, and says 200 only for what is in the inbox."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from referral_pipeline.ledger.engine import LedgerError
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline.webhooks import app as surface
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import (
    NOW,
    REFERRAL,
    STAGE_CHANGE,
    Receiver,
    advocacy_headers,
    greenhouse_headers,
    receiver_in,
    write_env,
)

ADVOCACY, GREENHOUSE = "/webhooks/advocacy", "/webhooks/greenhouse"
BODY = json.dumps(REFERRAL).encode()


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    with receiver_in(tmp_path / "home") as found:
        yield found


def ask(receiver: Receiver, *arguments: Any, **more: Any) -> tuple[int, str]:
    return run_apart(receiver.send(*arguments, **more))


def test_a_signed_delivery_is_in_the_inbox_encrypted_before_it_is_answered(receiver: Receiver) -> None:
    assert run_apart(receiver.advocacy()) == (200, '{"status": "received"}')
    (event,) = receiver.ledger.inbox_events()
    assert (event.system, event.delivery_id, event.event_type) == ("advocacy", "msg_1", "referral.submitted")
    assert (event.origin, event.subject, event.state, event.bulk) == ("webhook", "referral:R1", "received", False)
    assert event.occurred_at is not None
    assert event.body is not None
    assert b"Ada" not in event.body
    assert receiver.bodies() == [BODY]


def test_a_greenhouse_delivery_is_kept_by_its_own_id(receiver: Receiver) -> None:
    body = json.dumps(STAGE_CHANGE).encode()
    assert ask(receiver, GREENHOUSE, body, greenhouse_headers(body, "evt_3"))[0] == 200
    event = receiver.ledger.inbox_event_by_delivery("greenhouse", "evt_3")
    assert event is not None
    assert event.subject == "application:31"


def test_the_same_delivery_fifty_times_at_once_is_one_row(receiver: Receiver) -> None:
    async def storm() -> list[tuple[int, str]]:
        return await asyncio.gather(*(receiver.advocacy() for _ in range(50)))

    assert [status for status, _ in run_apart(storm())] == [200] * 50
    assert len(receiver.ledger.inbox_events()) == 1
    text = ask(receiver, "/metrics", method="GET")[1]
    assert 'accepted_total{system="advocacy",type="referral.submitted"} 1\n' in text
    assert 'duplicates_total{system="advocacy",type="referral.submitted"} 49\n' in text


@pytest.mark.parametrize("event", [{"type": "ping"}, {"type": "weather.changed", "data": 1}, {"type": None}, {}])
def test_a_ping_and_a_signed_event_of_unknown_type_are_taken(receiver: Receiver, event: Any) -> None:
    assert run_apart(receiver.advocacy(event))[0] == 200
    (kept,) = receiver.ledger.inbox_events()
    assert kept.subject is None


def test_bulk_types_are_marked(receiver: Receiver) -> None:
    run_apart(receiver.advocacy({"type": "click.recorded", "data": {"id": "K1"}}))
    (kept,) = receiver.ledger.inbox_events()
    assert (kept.bulk, kept.subject) == (True, "click:K1")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"7", b"null", b"\xff{}", b'{"a": NaN}', b'{"a": "\x00"}', b"\xef\xbb\xbf{}"),
        "{}".encode("utf-16"),
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_a_signed_body_that_is_no_json_object_is_malformed(receiver: Receiver, body: bytes) -> None:
    assert ask(receiver, GREENHOUSE, body, greenhouse_headers(body))[0] == 400
    assert receiver.ledger.inbox_events() == []


def test_unsigned_wrong_and_stale_are_refused_alike(receiver: Receiver) -> None:
    signed = advocacy_headers(BODY)
    for headers in ({}, {**signed, "webhook-id": "msg_2"}, {**signed, "webhook-timestamp": "1"}):
        assert ask(receiver, ADVOCACY, BODY, headers) == (401, '{"error": "signature"}')
    receiver.move(301)
    assert ask(receiver, ADVOCACY, BODY, signed)[0] == 401
    text = ask(receiver, "/metrics", method="GET")[1]
    for reason, count in (("unsigned", 1), ("wrong", 2), ("stale", 1)):
        assert f'refused_total{{system="advocacy",reason="{reason}"}} {count}\n' in text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 200),
        ({"content-type": "application/cloudevents+json"}, 200),
    ],
)
def test_only_json_is_taken(receiver: Receiver, change: dict[str, str], status: int) -> None:
    assert ask(receiver, ADVOCACY, BODY, advocacy_headers(BODY) | change)[0] == status


@pytest.mark.parametrize("path", ["/webhooks/lever", "/webhooks/", "/webhooks/advocacy/x", "/", "/webhooks/é"])
def test_a_system_that_the_contract_does_not_have_is_not_found(receiver: Receiver, path: str) -> None:
    assert ask(receiver, path, BODY, advocacy_headers(BODY))[0] == 404


def test_only_post_delivers(receiver: Receiver) -> None:
    assert ask(receiver, ADVOCACY, method="GET")[0] == 405


def test_a_body_over_one_mebibyte_is_too_large_however_it_comes(receiver: Receiver) -> None:
    whole = b'{"a": "' + b"x" * surface.LARGEST_BODY + b'"}'
    headers = greenhouse_headers(whole)
    pieces = [whole[at : at + 65536] for at in range(0, len(whole), 65536)]
    assert ask(receiver, GREENHOUSE, whole, headers)[0] == 413
    assert ask(receiver, GREENHOUSE, pieces, headers)[0] == 413
    assert ask(receiver, GREENHOUSE, pieces, headers | {"content-length": "9" * 5000})[0] == 413
    endless = (b"x" * 65536 for _ in range(10_000))
    assert ask(receiver, GREENHOUSE, endless, headers)[0] == 413
    fits = b'{"a": "' + b"x" * (surface.LARGEST_BODY - 9) + b'"}'
    pieces = [fits[at : at + 65536] for at in range(0, len(fits), 65536)]
    assert ask(receiver, GREENHOUSE, pieces, greenhouse_headers(fits))[0] == 200


def test_headers_are_bounded(receiver: Receiver) -> None:
    signed = advocacy_headers(BODY)
    assert ask(receiver, ADVOCACY, BODY, signed | {f"x-{n}": "1" for n in range(surface.MOST_HEADERS)})[0] == 400
    assert ask(receiver, ADVOCACY, BODY, signed | {"x": "y" * surface.LARGEST_HEADERS})[0] == 400


class Refusing:
    """A commit to a disk that is full."""

    def __init__(self, commit: Any) -> None:
        self._commit = commit
        self.is_full = True

    def __call__(self, rows: Any) -> list[bool]:
        if self.is_full:
            raise LedgerError("disk full")
        return self._commit(rows)


def test_what_could_not_be_committed_is_sent_again_by_its_sender(receiver: Receiver) -> None:
    intake = next(r for r in receiver.app.routes if getattr(r, "path", "") == "/webhooks/{system}").endpoint._intake  # pyright: ignore
    disk = intake._commit = Refusing(intake._commit)

    async def twice() -> tuple[int, int]:
        first = (await receiver.advocacy())[0]
        disk.is_full = False
        return first, (await receiver.advocacy())[0]

    assert run_apart(twice()) == (503, 200)


def test_without_a_secret_the_sender_shall_try_again_and_readiness_says_which(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(receiver, "/readyz", method="GET") == (200, '{"status":"ready"}')
    monkeypatch.setattr("referral_pipeline.webhooks.signatures.READ_AGAIN_SECONDS", 0.0)
    write_env(receiver.home, ADVOCACY_WEBHOOK_SECRET=None, GREENHOUSE_WEBHOOK_SECRET="a b")
    for keyring in surface_keyrings(receiver):
        keyring._good_until = 0.0
    assert ask(receiver, "/readyz", method="GET") == (503, '{"ADVOCACY_WEBHOOK_SECRET":"is not set"}')
    assert ask(receiver, ADVOCACY, BODY, advocacy_headers(BODY))[0] == 503
    assert ask(receiver, "/healthz", method="GET")[0] == 200


def surface_keyrings(receiver: Receiver) -> list[Any]:
    route = next(r for r in receiver.app.routes if getattr(r, "path", "") == "/webhooks/{system}")
    return list(route.endpoint._keyrings.values())  # pyright: ignore


def test_each_lane_that_is_alive_is_woken_after_the_commit(receiver: Receiver) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lane:
        lane.bind(("127.0.0.1", 0))
        lane.settimeout(10)
        receiver.ledger.beat("lane", "one", address=f"127.0.0.1:{lane.getsockname()[1]}")
        receiver.ledger.beat("lane", "two", address="nowhere")
        receiver.ledger.beat("lane", "three", address=None)
        assert run_apart(receiver.advocacy())[0] == 200
        assert lane.recv(10)
    text = ask(receiver, "/metrics", method="GET")[1]
    assert "referral_pipeline_inbox_waiting 1\n" in text
    assert "referral_pipeline_lane_heartbeat_age_seconds 0\n" in text
    assert receiver.at == [NOW]
