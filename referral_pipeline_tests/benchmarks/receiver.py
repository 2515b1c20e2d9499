"""What durability costs: webhooks proved, encrypted and committed with full sync, against a handler that keeps nothing.

Both are served by the same server with the same settings, each in its own process, in turns within one run; the load
comes from this process over keep-alive connections, each sending its next delivery once the last one is answered. The
yardstick is a Starlette handler that reads the body and answers; beside it the barest ASGI callable that does so.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from referral_pipeline.ledger.store import Ledger
from referral_pipeline.sandbox.credentials import SECRETS
from referral_pipeline_tests.benchmarks.result import Result

CONNECTIONS = 64
_PREFIX = "referral_pipeline_webhooks_"
_STAMP = "2026-01-02T03:04:05Z"


class Barest:
    """Reads the body, answers 200."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing but that."""
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"22")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"status": "received"}'})


async def _bare(request: Request) -> Response:
    await request.body()
    return Response(b'{"status": "received"}', media_type="application/json")


def serve_bare(kind: str) -> None:
    """The yardstick, served as the receiver is, on a free port that is printed."""
    from referral_pipeline.webhooks import server as receiver

    endpoint: Any = _bare if kind == "starlette" else Barest()
    app = Starlette(routes=[Route("/webhooks/{system}", endpoint, methods=["POST"])])
    listener = receiver._listen("127.0.0.1", 0)  # pyright: ignore[reportPrivateUsage]
    listener.listen()
    print(f"ready: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(receiver.config(app)).run(sockets=[listener])


def serve_durable() -> None:
    """The receiver as it is run."""
    from referral_pipeline.settings import load_settings
    from referral_pipeline.webhooks.server import serve

    serve(load_settings(), port=0, say=lambda line: print(line, flush=True))


@contextmanager
def _serving(call: str, environment: Mapping[str, str]) -> Generator[int]:
    child = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import *; {call}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if "http" not in line:
            raise RuntimeError(f"{call} did not start")
        yield int(line.rsplit(":", 1)[1])
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def _body(number: int) -> bytes:
    candidate = {"first_name": "Ada", "last_name": "Example", "email": f"ada{number}@example.com", "country": "DE"}
    row = {
        "id": f"ref_{number:06}",
        "advocate_id": "adv_0001",
        "share_id": "shr_0001",
        "job_id": "4000123",
        "campaign_tag": "spring",
        "stage": "applied",
        "submitted_at": _STAMP,
        "applied_at": _STAMP,
        "candidate": {**candidate, "phone": "+49 30 1234567"},
        "consent": {"granted": True, "basis": "consent", "granted_at": _STAMP, "expires_at": None},
        "engagement": {"clicks": 3, "shares": 2, "reach": 100},
        "status": None,
        "status_at": None,
        "ats": None,
        "hired_at": None,
        "starts_on": None,
        "updated_at": _STAMP,
    }
    return json.dumps({"type": "referral.submitted", "timestamp": _STAMP, "data": row}).encode()


def _request(number: int) -> bytes:
    body, at = _body(number), str(int(time.time()))
    delivery_id = f"msg_{number:08}"
    key = base64.b64decode(SECRETS["ADVOCACY_WEBHOOK_SECRET"].removeprefix("whsec_"))
    mark = base64.b64encode(hmac.digest(key, f"{delivery_id}.{at}.".encode() + body, hashlib.sha256)).decode()
    head = (
        "POST /webhooks/advocacy HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: benchmark\r\naccept: */*\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nwebhook-id: {delivery_id}\r\n"
        f"webhook-timestamp: {at}\r\nwebhook-signature: v1,{mark}\r\n\r\n"
    )
    return head.encode() + body


class _Client(asyncio.Protocol):
    """One connection that sends the next request when the last one is answered."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._heard = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, blank, body = self._heard.partition(b"\r\n\r\n")
        if not blank or len(body) < len(b'{"status": "received"}'):
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(RuntimeError(f"the server answered {head[:40]!r}"))
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._heard = b""
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def _load(port: int, requests: list[bytes]) -> tuple[float, list[float]]:
    latencies: list[float] = []
    remaining = iter(requests)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: _Client(remaining, latencies), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    async with asyncio.timeout(120):
        await asyncio.gather(*(client.done for client in clients))
    return len(requests) / (time.perf_counter() - started), latencies


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{_PREFIX}{name} "))


def run(quick: bool) -> Result:
    """Alternate the three, eleven rounds of 6,000 requests each (three of 1,500 when quick).

    A ratio is the median of those of the rounds: what the machine does besides changes from second to second, and so
    meets both sides of a round.
    """
    rounds, size = (3, 1_500) if quick else (11, 6_000)
    rates: dict[str, list[float]] = {"durable": [], "starlette": [], "barest": []}
    latencies: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        home = {**SECRETS, "REFERRAL_PIPELINE_HOME": folder}
        with (
            _serving("serve_durable()", home) as durable,
            _serving("serve_bare('starlette')", {}) as starlette,
            _serving("serve_bare('barest')", {}) as barest,
            asyncio.Runner(loop_factory=uvicorn.Config(None).get_loop_factory()) as runner,  # type: ignore[arg-type]
        ):
            ports = {"durable": durable, "starlette": starlette, "barest": barest}
            number = 0
            for name, port in ports.items():  # warm
                runner.run(_load(port, [_request(10**7 + number + i) for i in range(500)]))
                del name
            for _ in range(rounds):
                requests = [_request(number + i) for i in range(size)]
                number += size
                for name, port in (("starlette", starlette), ("durable", durable), ("barest", barest)):
                    rate, took = runner.run(_load(port, requests))
                    rates[name].append(rate)
                    if name == "durable":
                        latencies += took
            rows, commits, seconds = (
                _metric(durable, name)
                for name in ("committed_rows_total", "commit_seconds_count", "commit_seconds_sum")
            )
        with Ledger.open(f"sqlite:///{folder}/data/state/ledger.sqlite", home=Path(folder)) as ledger:
            kept = ledger.inbox_counts().get("received", 0)
    middle = {name: statistics.median(found) for name, found in rates.items()}
    ordered = sorted(latencies)
    ratio, to_barest = (
        statistics.median(ours / theirs for ours, theirs in zip(rates["durable"], rates[name], strict=True))
        for name in ("starlette", "barest")
    )
    return Result(
        name="receiver",
        figures={
            "connections": CONNECTIONS,
            "durable_requests_per_second": round(middle["durable"]),
            "bare_handler_requests_per_second": round(middle["starlette"]),
            "barest_asgi_requests_per_second": round(middle["barest"]),
            "durable_p50_ms": round(ordered[len(ordered) // 2] * 1e3, 2),
            "durable_p95_ms": round(ordered[len(ordered) * 95 // 100] * 1e3, 2),
            "rows_per_commit": round(rows / commits, 1),
            "ms_per_commit": round(seconds / commits * 1e3, 2),
            "acknowledged": len(latencies) + 500,
            "committed": kept,
        },
        ratios={
            "durable_to_bare_handler": round(ratio, 3),
            "durable_to_barest_asgi": round(to_barest, 3),
        },
        holds=ratio >= 0.6 and kept == len(latencies) + 500,
    )
