"""The sandboxes sign as the vendors do, try again as they do, and disturb their webhooks when asked."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from referral_pipeline.sandbox.credentials import NEXT_WEBHOOK_SECRETS, SECRETS
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event
from referral_pipeline.sandbox.webhooks.signing import GreenhouseSigner, StandardSigner
from referral_pipeline_tests.unit.webhook_receiver import Got, Receiver, emitting, receiving, until

OLD, NEW = SECRETS["ADVOCACY_WEBHOOK_SECRET"], NEXT_WEBHOOK_SECRETS["ADVOCACY_WEBHOOK_SECRET"]
HOOK_OLD, HOOK_NEW = SECRETS["GREENHOUSE_WEBHOOK_SECRET"], NEXT_WEBHOOK_SECRETS["GREENHOUSE_WEBHOOK_SECRET"]


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def receiver(server: Receiver) -> Receiver:
    server.got, server.answers, server.status = [], [], 200
    return server


@pytest.fixture
def emitter(receiver: Receiver) -> Iterator[Emitter]:
    with emitting(Emitter("advocacy", StandardSigner(), (OLD, NEW), "msg")) as made:
        made.set({"url": receiver.url})
        yield made


def send(emitter: Emitter, count: int, event_type: str = "referral.updated") -> list[str]:
    made = [emitter.emit(Event(event_type, f"referral:{number}", b'{"n":%d}' % number)) for number in range(count)]
    return [delivery_id for delivery_id in made if delivery_id is not None]


def settled(emitter: Emitter) -> list[dict[str, Any]]:
    until(lambda: emitter.state()["under_way"] == 0)
    return emitter.log()


def is_signed_with(got: Got, secret: str) -> bool:
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mark = base64.b64encode(hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256))
    return f"v1,{mark.decode()}" in got.headers["webhook-signature"].split(" ")


def test_the_published_vector_of_standard_webhooks_is_signed_alike() -> None:
    lines = StandardSigner().headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        1614265330.9,
    )
    assert lines.decode().split("\r\n") == [
        "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp: 1614265330",
        "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "",
    ]


def test_a_key_of_the_sandbox_is_plain_base64_so_that_every_reader_takes_it_for_the_same_bytes() -> None:
    for secret in (OLD, NEW):
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


def test_nothing_is_sent_or_kept_before_there_is_an_address() -> None:
    with emitting(Emitter("advocacy", StandardSigner(), (OLD, NEW), "msg")) as silent:
        assert send(silent, 2) == []
        assert silent.log() == []


def test_deliveries_are_signed_logged_and_share_connections(emitter: Emitter, receiver: Receiver) -> None:
    ids = send(emitter, 200)
    log = settled(emitter)
    assert len(set(ids)) == 200
    assert sorted(got.headers["webhook-id"] for got in receiver.got) == sorted(ids)
    assert all(is_signed_with(got, OLD) and got.path == "/webhooks/advocacy" for got in receiver.got)
    assert len({got.peer for got in receiver.got}) <= 16
    assert [entry["id"] for entry in log] == ids
    assert {entry["mode"] for entry in log} == {"plain"}
    assert [[attempt["status"] for attempt in entry["attempts"]] for entry in log] == [[200]] * 200
    assert log[3]["type"] == "referral.updated"
    assert log[3]["subject"] == "referral:3"
    emitter.forget()
    assert emitter.log() == []


@pytest.mark.parametrize("first", [202, 500, 0])
def test_only_200_is_success_and_a_further_attempt_carries_the_same_id(
    emitter: Emitter, receiver: Receiver, first: int
) -> None:
    emitter.set({"retries": [0.01, 0.01]})
    receiver.answers = [first]
    (delivery_id,) = send(emitter, 1)
    (entry,) = settled(emitter)
    assert [attempt["status"] for attempt in entry["attempts"]] == [first or None, 200]
    assert {got.headers["webhook-id"] for got in receiver.got} == {delivery_id}


def test_a_delivery_is_given_up_after_its_schedule_and_never_retried_when_that_is_off(
    emitter: Emitter, receiver: Receiver
) -> None:
    receiver.status = 503
    emitter.set({"retries": [0.0, 0.0, 0.0]})
    send(emitter, 1)
    assert [attempt["status"] for attempt in settled(emitter)[0]["attempts"]] == [503] * 4
    emitter.set({"retries": "off"})
    send(emitter, 1)
    assert len(settled(emitter)[1]["attempts"]) == 1


def test_a_receiver_that_is_not_there_yet_gets_it_later(emitter: Emitter, receiver: Receiver) -> None:
    emitter.set({"url": "http://127.0.0.1:9", "retries": "off"})
    send(emitter, 1)
    (entry,) = settled(emitter)
    assert entry["attempts"][0]["status"] is None


def test_duplicates_come_under_one_id(emitter: Emitter, receiver: Receiver) -> None:
    emitter.set({"duplicate": 5})
    ids = send(emitter, 3)
    log = settled(emitter)
    assert Counter(got.headers["webhook-id"] for got in receiver.got) == dict.fromkeys(ids, 5)
    assert [len(entry["attempts"]) for entry in log] == [5, 5, 5]
    assert {entry["mode"] for entry in log} == {"duplicate"}


def test_a_share_and_whole_types_can_be_dropped(emitter: Emitter, receiver: Receiver) -> None:
    emitter.set({"drop": 0.5, "drop_types": ["click.recorded"]})
    send(emitter, 60)
    send(emitter, 5, "click.recorded")
    log = settled(emitter)
    dropped = {entry["id"] for entry in log if entry["mode"] == "dropped"}
    assert 15 < len(dropped) - 5 < 45
    assert {got.headers["webhook-id"] for got in receiver.got} == {entry["id"] for entry in log} - dropped
    assert all(entry["mode"] == "dropped" for entry in log if entry["type"] == "click.recorded")


def test_held_deliveries_are_released_one_by_one_in_any_order(emitter: Emitter, receiver: Receiver) -> None:
    emitter.set({"hold": True})
    ids = send(emitter, 6)
    assert emitter.state()["held"] == 6
    assert emitter.release([ids[4], ids[1]]) == 2
    settled(emitter)
    assert emitter.release("reversed") == 4
    settled(emitter)
    send(emitter, 2)
    emitter.set({"hold": False})
    last = [entry["id"] for entry in settled(emitter)[-2:]]
    order = [got.headers["webhook-id"] for got in receiver.got]
    assert order == [ids[4], ids[1], ids[5], ids[3], ids[2], ids[0], *last]
    with pytest.raises(ValueError, match="order must be"):
        emitter.release("by colour")


def test_held_deliveries_can_be_released_together_over_as_many_connections_as_asked(
    emitter: Emitter, receiver: Receiver
) -> None:
    for connections in (30, 1):
        emitter.set({"hold": True, "duplicate": 50, "connections": connections})
        send(emitter, 1)
        assert emitter.release("together") == 50
        settled(emitter)
    assert len({got.peer for got in receiver.got[:50]}) <= 30
    assert len({got.peer for got in receiver.got[50:]}) == 1
    emitter.set({"hold": False, "duplicate": 1})
    receiver.got = []
    ids = send(emitter, 30)
    settled(emitter)
    assert [got.headers["webhook-id"] for got in receiver.got] == ids


def test_a_window_is_sent_in_another_order_and_its_rest_after_a_moment(emitter: Emitter, receiver: Receiver) -> None:
    emitter.set({"shuffle": 30})
    ids = send(emitter, 40)
    order = [got.headers["webhook-id"] for got in receiver.wait(40)]
    assert sorted(order) == sorted(ids)
    assert order != ids
    assert {entry["mode"] for entry in settled(emitter)} == {"shuffled"}


def test_a_delay_is_kept_and_may_be_a_range(emitter: Emitter, receiver: Receiver) -> None:
    for delay in (0.05, [0.05, 0.06]):
        emitter.set({"delay": delay})
        send(emitter, 1)
    log = settled(emitter)
    assert len(receiver.got) == 2
    assert all(entry["mode"] == "delayed" for entry in log)
    assert all(entry["attempts"][0]["at"] - entry["made_at"] > 0.04 for entry in log)


def test_a_rotation_signs_with_both_keys_and_then_with_the_new_one(emitter: Emitter, receiver: Receiver) -> None:
    for rotate in ("both", "new", "off"):
        emitter.set({"rotate": rotate})
        send(emitter, 1)
        settled(emitter)
    with_old = [is_signed_with(got, OLD) for got in receiver.got]
    with_new = [is_signed_with(got, NEW) for got in receiver.got]
    assert (with_old, with_new) == ([True, False, True], [True, True, False])


def test_greenhouse_signs_the_bytes_and_spreads_a_rotation_over_deliveries(receiver: Receiver) -> None:
    with emitting(Emitter("greenhouse", GreenhouseSigner(), (HOOK_OLD, HOOK_NEW), "evt")) as hook:
        hook.set({"url": f"{receiver.url}/", "rotate": "both"})
        send(hook, 40)
        settled(hook)
    marks = Counter(
        secret
        for got in receiver.got
        for secret in (HOOK_OLD, HOOK_NEW)
        if got.headers["signature"] == "sha256 " + hmac.digest(secret.encode(), got.body, hashlib.sha256).hex()
    )
    assert sum(marks.values()) == 40
    assert min(marks[HOOK_OLD], marks[HOOK_NEW]) > 5
    assert len({got.headers["greenhouse-event-id"] for got in receiver.got}) == 40
    assert {got.path for got in receiver.got} == {"/webhooks/greenhouse"}


def test_bad_signatures_and_a_wrong_clock_are_sent_when_asked(emitter: Emitter, receiver: Receiver) -> None:
    emitter.set({"bad_signature": 1, "retries": "off"})
    send(emitter, 1)
    assert settled(emitter)[0]["mode"] == "bad signature"
    emitter.set({"reset": True, "clock_offset": -600})
    send(emitter, 1)
    log = settled(emitter)
    bad, stale = receiver.got
    assert not is_signed_with(bad, OLD)
    assert is_signed_with(stale, OLD)
    assert log[1]["attempts"][0]["at"] - int(stale.headers["webhook-timestamp"]) > 590


@pytest.mark.parametrize(
    "wrong",
    [{"url": "https://example.com"}, {"url": "ftp://x"}, {"url": "nonsense"}, {"drop": 2}, {"colour": 1}],
)
def test_unknown_modes_are_refused_and_change_nothing(emitter: Emitter, wrong: dict[str, Any]) -> None:
    before = emitter.state()
    with pytest.raises(ValidationError):
        emitter.set(wrong)
    assert emitter.state() == before
