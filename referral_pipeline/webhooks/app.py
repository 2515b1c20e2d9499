"""The receiver's HTTP surface.

Belongs here: the routes, the limits, the answers. Does not belong here: signatures, reading and commit, the server.

`POST /webhooks/{system}` with `system` a connector of the contract whose signature scheme is known ("advocacy",
"greenhouse"). The body is JSON, signed by that system. Checked in this order: the system, the size, the signature, that
it is JSON. The answer is a small JSON object.

| status | when |
|---|---|
| 200 `{"status": "received"}` | committed to the inbox; also a duplicate, a ping, an event of unknown type |
| 400 `{"error": "malformed"}` | no JSON object, broken UTF-8, nested too deeply, too many or too large headers |
| 401 `{"error": "signature"}` | unsigned, wrong or stale; of a system that signs nothing: not from its addresses |
| 404 | no such system, or none that this contract has |
| 405 | not POST |
| 413 `{"error": "too large"}` | a body over 1 MiB, with or without Content-Length |
| 415 `{"error": "not JSON"}` | another content type, or an encoded body |
| 503 `{"error": "unavailable"}` | it could not be committed: the sender tries again (`Retry-After`) |

`GET /healthz`: 200 while the process answers. `GET /readyz`: 200 when the inbox takes rows and every secret is there,
else 503 and an object that says of what, what is wrong. `GET /metrics`: Prometheus text. `GET /health`: how the
integration is, as a page, or as JSON with `Accept: application/json`.

Nothing here shows or logs a value that a sender sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger, LedgerError
from referral_pipeline.monitoring.prometheus import metrics_text
from referral_pipeline.privacy.crypto import Cipher
from referral_pipeline.settings import PREFIX, MissingSecret, Settings
from referral_pipeline.webhooks.health_surface import HealthSurface
from referral_pipeline.webhooks.intake import Intake, IntakeFull, NotCommitted
from referral_pipeline.webhooks.metrics import CONTENT_TYPE, Metrics
from referral_pipeline.webhooks.signatures import (
    STALE,
    Keyring,
    SignatureRefused,
    UnusableSecret,
    scheme_of,
)
from referral_pipeline.webhooks.wake import LANE, Waker
from referral_pipeline.webhooks.writer import Row, Taken, any_new, commit

LARGEST_BODY = 2**20
MOST_HEADERS = 64
LARGEST_HEADERS = 16 * 2**10
RECEIVER = "receiver"

_PATH = "/webhooks/"
_READ = ("content-type", "content-encoding", "content-length")

_MOST_DRAINED = 8 * 2**20
"""A body over the limit is read on and forgotten up to here, so that its sender sees the answer and not a reset."""
_BODY_SECONDS = 20.0
_READY_SECONDS = 5.0

_log = logging.getLogger(__name__)


class _Refused(Exception):
    def __init__(self, answer: _Answer, reason: str) -> None:
        self.answer = answer
        self.reason = reason
        super().__init__(reason)


class _Gone(Exception):
    """The sender hung up before all was said."""


class _Answer:
    """A whole answer, made once."""

    def __init__(self, status: int, content: Mapping[str, str], *headers: tuple[bytes, bytes]) -> None:
        body = json.dumps(content).encode()
        self.start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
        self.body: Message = {"type": "http.response.body", "body": body}


_CLOSE = (b"connection", b"close")
_RECEIVED = _Answer(200, {"status": "received"})
_MALFORMED = _Answer(400, {"error": "malformed"})
_UNTRUSTED = _Answer(401, {"error": "signature"})
_NO_SUCH_SYSTEM = _Answer(404, {"error": "no such system"})
_TOO_SLOW = _Answer(400, {"error": "malformed"}, _CLOSE)
_TOO_LARGE = _Answer(413, {"error": "too large"}, _CLOSE)
_NOT_JSON = _Answer(415, {"error": "not JSON"})
_UNAVAILABLE = _Answer(503, {"error": "unavailable"}, (b"retry-after", b"5"))


class Webhooks:
    """The ASGI application of `POST /webhooks/{system}`; raw ASGI, because this is the path that must be cheap."""

    def __init__(
        self, keyrings: Mapping[str, Keyring], intake: Intake, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._keyrings = keyrings
        self._intake = intake
        self._metrics = metrics
        self._clock = clock
        self._reads = {system: {n.encode(): n for n in (*_READ, *ring.headers)} for system, ring in keyrings.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        system: str = scope["path_params"]["system"]
        keyring = self._keyrings.get(system)
        if keyring is None:
            system, answer = "unknown", _NO_SUCH_SYSTEM
            self._metrics.refused(system, "unknown_system")
        else:
            try:
                answer = await self._take(system, keyring, scope, receive)
            except _Refused as refused:
                answer = refused.answer
                self._metrics.refused(system, refused.reason)
                if refused.reason == STALE:
                    self._metrics.refused_for_time(system, self._clock())
            except _Gone:
                self._metrics.refused(system, "disconnected")
                return
            except Exception as error:  # noqa: BLE001 a mistake of ours: the sender shall keep it and try again
                _log.error("a delivery could not be taken: %s", type(error).__name__)
                answer = _UNAVAILABLE
                self._metrics.refused(system, "failed")
        await send(answer.start)
        await send(answer.body)

    async def _take(self, system: str, keyring: Keyring, scope: Scope, receive: Receive) -> _Answer:
        headers = _headers(scope["headers"], self._reads[system])
        for name, value in _of_the_request(scope, keyring.headers):
            headers[name] = value
        headers[":public_url"] = keyring.public_url
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            body = await _rest(body, headers, receive)
        if len(body) > LARGEST_BODY:
            raise _Refused(_TOO_LARGE, "too_large")
        try:
            delivery_id = keyring.verifier().verify(headers, body, self._clock())
        except SignatureRefused as refused:
            raise _Refused(_UNTRUSTED, refused.reason) from None
        except (MissingSecret, UnusableSecret):
            raise _Refused(_UNAVAILABLE, "no_secret") from None
        if not _is_json(headers.get("content-type", "")) or headers.get("content-encoding", "identity") != "identity":
            raise _Refused(_NOT_JSON, "not_json")
        try:
            taken = await self._intake.submit((system, delivery_id, body))
        except IntakeFull:
            raise _Refused(_UNAVAILABLE, "full") from None
        except NotCommitted:
            raise _Refused(_UNAVAILABLE, "not_committed") from None
        if taken is None:
            raise _Refused(_MALFORMED, "malformed")
        word, is_new = taken
        self._metrics.accepted(system, word, is_new=is_new)
        return _RECEIVED


def _of_the_request(scope: Scope, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What a scheme reads of the request itself, by names that no header can have."""
    for name in names:
        if name == ":method":
            yield name, scope["method"]
        elif name == ":path":
            query = scope["query_string"].decode("latin-1")
            yield name, scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        elif name == ":client":
            yield name, (scope.get("client") or ("", 0))[0]


def _headers(raw: list[tuple[bytes, bytes]], read: Mapping[bytes, str]) -> dict[str, str]:
    if len(raw) > MOST_HEADERS:
        raise _Refused(_MALFORMED, "headers")
    headers: dict[str, str] = {}
    size = 0
    for name, value in raw:
        size += len(name) + len(value)
        if name in read:
            headers[read[name]] = value.decode("latin-1")
    if size > LARGEST_HEADERS:
        raise _Refused(_MALFORMED, "headers")
    return headers


async def _rest(begun: bytes, headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body, of which this is the beginning; what is too large is read on for a while, but not kept."""
    chunks, size = [begun], len(begun)
    declared = headers.get("content-length", "")
    too_large = declared.isdecimal() and int(declared[:20]) > LARGEST_BODY
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise _Gone
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                too_large = too_large or size > LARGEST_BODY
                if too_large:
                    chunks.clear()
                else:
                    chunks.append(chunk)
                if too_large and size > _MOST_DRAINED:
                    break
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise _Refused(_TOO_SLOW, "slow") from None
    if too_large:
        raise _Refused(_TOO_LARGE, "too_large")
    return b"".join(chunks)


def _is_json(content_type: str) -> bool:
    if content_type == "application/json":
        return True
    kind, _, parameters = content_type.lower().partition(";")
    kind, parameters = kind.strip(), parameters.strip().replace('"', "")
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    return is_json and (not parameters or parameters in {"charset=utf-8", "charset=utf8"})


class _Surface(Starlette):
    """Starlette, with deliveries let past its middleware and routing: they cost as much as proving a signature."""

    deliveries: Webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_PATH):
            scope["path_params"] = {"system": scope["path"][len(_PATH) :]}
            await self.deliveries(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Probes:
    """What people and supervisors ask."""

    def __init__(
        self,
        keyrings: Mapping[str, Keyring],
        ledger: Ledger,
        metrics: Metrics,
        clock: Callable[[], datetime],
        health: HealthSurface,
    ) -> None:
        self._keyrings = keyrings
        self._ledger = ledger
        self._health = health
        self._metrics = metrics
        self._clock = clock

    async def alive(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "alive"})

    async def ready(self, _: Request) -> Response:
        """Whether a delivery could be taken now."""
        wrong = {
            keyring.env_name or system: problem
            for system, keyring in self._keyrings.items()
            if (problem := keyring.problem()) is not None
        }
        try:
            async with asyncio.timeout(_READY_SECONDS):
                # A count that adds nothing is a write like any other: it needs the lock and the disk.
                await asyncio.to_thread(self._ledger.add_counts, {"receiver.ready_checks": 0})
        except (SQLAlchemyError, LedgerError, OSError) as error:  # TimeoutError is an OSError
            _log.warning("the ledger takes no row: %s", type(error).__name__)
            wrong["ledger"] = "cannot be written"
        return JSONResponse(wrong or {"status": "ready"}, status_code=503 if wrong else 200)

    async def metrics(self, _: Request) -> Response:
        """All figures of this process, and of the inbox behind it."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                gauges = await asyncio.to_thread(self._gauges)
        except (SQLAlchemyError, LedgerError, OSError):
            gauges = []
        try:
            health = metrics_text(await self._health.health(within_seconds=_READY_SECONDS))
        except (SQLAlchemyError, LedgerError, OSError):
            health = ""  # a rule notices that it is not measured
        return Response(self._metrics.text(gauges) + health, headers={"content-type": CONTENT_TYPE})

    def _gauges(self) -> list[tuple[str, str, float]]:
        backlog, now = self._ledger.inbox_backlog(), self._clock()
        oldest = backlog.oldest_received_at
        gauges = [
            ("inbox_waiting", "Events that wait for the lane, without the bulk ones.", float(backlog.waiting)),
            ("inbox_waiting_bulk", "Bulk events that wait for the lane.", float(backlog.waiting_bulk)),
            ("inbox_claimed", "Events that the lane works on.", float(backlog.claimed)),
            ("inbox_dead", "Events given up, until somebody replays them.", float(backlog.dead)),
            (
                "inbox_oldest_seconds",
                "Age of the oldest event that is not done.",
                (now - oldest).total_seconds() if oldest is not None else 0.0,
            ),
        ]
        beats = self._ledger.heartbeats(LANE)
        if beats:
            age = (now - beats[0].at).total_seconds()
            gauges.append(("lane_heartbeat_age_seconds", "Since the lane said that it is there.", age))
        return gauges


def create_app(
    *,
    contract: Contract,
    settings: Settings,
    ledger: Ledger,
    clock: Callable[[], datetime],
    commit_rows: Callable[[Sequence[Row]], Awaitable[list[Taken]]] | None = None,
) -> Starlette:
    """The receiver over a ledger. Its lifespan ends when all that was taken is committed.

    `commit_rows` commits elsewhere and wakes the lane (`writer.WriterProcess`); without it that happens in a thread.

    Raises:
        MissingSecret: REFERRAL_PIPELINE_KEY is not set: nothing could be kept.
        CryptoError: it is no key.
    """
    if settings.key is None:
        raise MissingSecret(f"{PREFIX}KEY")
    keyrings = {
        system.connector: Keyring(system.connector, system.webhook_secret_env, settings, system.options)
        for system in contract.systems().values()
        if scheme_of(system.connector) is not None
    }
    metrics, waker = Metrics(), Waker(ledger, clock=clock)
    cipher = Cipher(settings.key.get_secret_value())

    async def commit_here(rows: Sequence[Row]) -> list[Taken]:
        taken = await asyncio.to_thread(commit, ledger, cipher, rows)
        if any_new(taken):
            await asyncio.to_thread(waker.wake)
        return taken

    intake = Intake(commit_rows or commit_here, observe=metrics.committed)
    health = HealthSurface(contract, settings, ledger, clock)
    probes = _Probes(keyrings, ledger, metrics, clock, health)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await intake.close()
        waker.close()

    deliveries = Webhooks(keyrings, intake, metrics, clock)
    app = _Surface(
        routes=[
            Route("/webhooks/{system}", deliveries, methods=["POST"]),
            Route("/health", health.page),
            Route("/healthz", probes.alive),
            Route("/readyz", probes.ready),
            Route("/metrics", probes.metrics),
        ],
        lifespan=lifespan,
    )
    app.deliveries = deliveries
    app.state.metrics = metrics
    return app
