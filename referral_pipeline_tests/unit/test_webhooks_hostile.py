"""Ten thousand requests of somebody without a key: none is taken, none breaks anything, nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline_tests.serving import run_apart
from referral_pipeline_tests.unit.receiver_rig import (
    NOW,
    REFERRAL,
    STAGE_CHANGE,
    Receiver,
    advocacy_headers,
    greenhouse_headers,
    receiver_in,
)

REQUESTS = 10_000
BODY = json.dumps(REFERRAL).encode()
STAGE_BODY = json.dumps(STAGE_CHANGE).encode()
CAPTURED = advocacy_headers(BODY, "msg_captured")
CAPTURED_STAGE = greenhouse_headers(STAGE_BODY, "evt_captured")

Headers = list[tuple[bytes, bytes]]
Request = tuple[str, str, list[bytes], Headers]


def _raw(headers: dict[str, str]) -> Headers:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def _junk(rng: random.Random, most: int = 40) -> bytes:
    return rng.randbytes(rng.randrange(most))


def _line(rng: random.Random) -> bytes:
    return _junk(rng).replace(b"\r", b"").replace(b"\n", b"")


def _mangled(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body))
    return rng.choice([body[:at], body[:at] + _junk(rng, 8) + b"!" + body[at:], body + b" ", body[::-1]])


def _with_other_body(rng: random.Random) -> Request:
    """A signature that was seen on the way, over something else."""
    if rng.random() < 0.5:
        return "POST", "/webhooks/advocacy", [_mangled(rng, BODY)], _raw(CAPTURED)
    return "POST", "/webhooks/greenhouse", [_mangled(rng, STAGE_BODY)], _raw(CAPTURED_STAGE)


def _with_other_time(rng: random.Random) -> Request:
    seconds = rng.choice([-1, 1]) * rng.randrange(301, 10**7)
    honest = advocacy_headers(BODY, f"msg_{rng.random()}", at=NOW + timedelta(seconds=seconds))
    forged = {**CAPTURED, "webhook-timestamp": str(int(NOW.timestamp()) + rng.randrange(1, 300))}
    return "POST", "/webhooks/advocacy", [BODY], _raw(rng.choice([honest, forged]))


def _with_other_id(rng: random.Random) -> Request:
    return "POST", "/webhooks/advocacy", [BODY], _raw({**CAPTURED, "webhook-id": f"msg_{rng.random()}"})


def _with_wrong_key(rng: random.Random) -> Request:
    if rng.random() < 0.5:
        headers = advocacy_headers(BODY, f"msg_{rng.random()}", secret="whsec_AAAA" + "B" * rng.choice([4, 8, 40]))
        return "POST", "/webhooks/advocacy", [BODY], _raw(headers)
    return "POST", "/webhooks/greenhouse", [STAGE_BODY], _raw(greenhouse_headers(STAGE_BODY, secret=str(rng.random())))


def _with_malformed_tokens(rng: random.Random) -> Request:
    marks = [b"v1", b"v1,", b",", b"v1,=", b"v1," + _line(rng), b" " * 30, b"v1,a " * 40, b"v2," + _line(rng), b"\xff"]
    times = [b"", b"soon", b"-1", b"NaN", b"9" * 300, b"1e5", str(int(NOW.timestamp())).encode(), _line(rng)]
    if rng.random() < 0.5:
        headers = [
            (b"webhook-id", rng.choice([b"", b"x" * 500, _line(rng), b"msg"])),
            (b"webhook-timestamp", rng.choice(times)),
            (b"webhook-signature", rng.choice(marks)),
        ]
        return "POST", "/webhooks/advocacy", [BODY], headers
    digits = b"%064x" % rng.getrandbits(256)
    told = [b"sha256", b"sha256 " + digits, b"sha256 " + digits[1:], b"sha512 " + digits, b"sha256=" + digits, b"\xe9"]
    headers = [(b"signature", rng.choice([*told, _line(rng)])), (b"greenhouse-event-id", _line(rng))]
    return "POST", "/webhooks/greenhouse", [STAGE_BODY], headers


def _with_odd_body(rng: random.Random) -> Request:
    depth = rng.randrange(1, 3_000)
    bodies = [
        b"[" * depth,
        b'{"a":' * depth + b"}" * depth,
        b'"' + b"\xc3\x28" * depth,
        json.dumps(rng.choice([None, 1, "x", [], {"type": [], "data": 7}])).encode(),
        b"",
        _junk(rng, 300),
    ]
    headers = rng.choice([CAPTURED, CAPTURED_STAGE, {}])
    return "POST", rng.choice(["/webhooks/advocacy", "/webhooks/greenhouse"]), [rng.choice(bodies)], _raw(headers)


def _with_huge_body(rng: random.Random) -> Request:
    piece = b"x" * 65_536
    pieces = [piece] * rng.choice([17, 20, 200]) if rng.random() < 0.02 else [b"x" * 1000] * rng.randrange(2, 20)
    length = rng.choice([b"0", b"9" * 30, b"-5", b"x", b"\xb2", str(len(pieces) * 1000).encode()])
    return "POST", "/webhooks/advocacy", pieces, [*_raw(CAPTURED), (b"content-length", length)]


def _with_odd_headers(rng: random.Random) -> Request:
    count = rng.choice([1, 5, 65, 500])
    headers = [(b"x-%d" % n, _line(rng)) for n in range(count)]
    return "POST", "/webhooks/advocacy", [BODY], [*headers, *_raw({**CAPTURED, "webhook-signature": "v1,AAAA"})]


def _elsewhere(rng: random.Random) -> Request:
    paths = ["/webhooks/lever", "/webhooks/..", "/webhooks/advocacy/", "/webhooks/%61dvocacy", "/", "/readyz/x"]
    method = rng.choice(["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
    return method, rng.choice([*paths, "/webhooks/" + "é" * rng.randrange(300)]), [BODY], _raw(CAPTURED)


MAKERS: list[Callable[[random.Random], Request]] = [
    *(_with_other_body, _with_other_time, _with_other_id, _with_wrong_key, _with_malformed_tokens),
    *(_with_odd_body, _with_huge_body, _with_odd_headers, _elsewhere),
]


async def _storm(receiver: Receiver, rng: random.Random, count: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    for _ in range(count):
        method, path, chunks, headers = rng.choice(MAKERS)(rng)
        statuses[(await receiver.send(path, chunks, headers, method))[0]] += 1
    return statuses


def test_ten_thousand_hostile_requests_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    rng = random.Random(7)
    with receiver_in(tmp_path / "home") as receiver:
        statuses = run_apart(_storm(receiver, rng, REQUESTS // 2))
        gc.collect()
        tracemalloc.start(1)
        statuses += run_apart(_storm(receiver, rng, REQUESTS // 2))
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert receiver.ledger.inbox_events() == []
    assert set(statuses) <= {307, 400, 401, 404, 405, 413}
    assert statuses[401] > REQUESTS // 3
    assert left < 300_000


def test_a_delivery_seen_on_the_way_and_sent_again_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    with receiver_in(tmp_path / "home") as receiver:

        async def replay() -> set[int]:
            sent = [receiver.send("/webhooks/advocacy", BODY, CAPTURED) for _ in range(20)]
            return {status for status, _ in await asyncio.gather(*sent)}

        assert run_apart(replay()) == {200}
        receiver.move(301)
        assert run_apart(replay()) == {401}
        assert len(receiver.ledger.inbox_events()) == 1
