"""Injected faults: what networks, gateways and tired servers do to a client, at a given rate.

Belongs here: one ASGI middleware for every sandbox, and its controls (`GET/POST /_sandbox/faults`,
`/_sandbox/outage`, `/_sandbox/poison` and `/_sandbox/clock`). Does not belong here: a vendor's own refusals (rate
limits, scopes), which its sandbox knows itself; an API that changes (`sandbox.drift`).

Each request outside the exempt paths is an independent draw from one seeded generator, in order of arrival: the same
seed and the same order of requests meet the same faults. The resets are real (RST on the socket), the truncated bodies
end before their Content-Length, and a timeout never answers until the client leaves; each of these comes before the
work is done and after it, because a client cannot tell which and must not guess.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KINDS: Mapping[str, int] = {
    "rate_limited": 6,
    "server_error": 6,
    "bad_gateway": 3,
    "bad_gateway_after_work": 3,
    "timeout": 1,
    "timeout_after_work": 1,
    "reset": 3,
    "reset_after_work": 3,
    "truncated": 6,
    "slow": 6,
}
"""Every kind with its weight. Timeouts weigh least: each costs the client its whole read timeout."""

OUTAGES = ("unavailable", "dropped", "unauthorized", "read_only")
"""How a sandbox can be away as a whole: every call is answered 503, is reset, or (tokens are given) answered 401; or
only what writes is answered 503."""

_TOKEN_PATHS = ("/token", "/oauth/token")

_LONGEST_SILENCE_SECONDS = 300.0
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Faults:
    """Wraps an ASGI app. `rate` 0 lets everything pass."""

    def __init__(
        self,
        app: ASGIApp,
        rate: float = 0.0,
        kinds: Sequence[str] | None = None,
        seed: int = 7,
        exempt: tuple[str, ...] = ("/_sandbox",),
        *,
        slow_seconds: float = 0.4,
    ) -> None:
        self.app = app
        self.exempt = exempt
        self.clock_seconds = 0.0
        """How far ahead of the real one the server's clock is (`server` tells it in each `Date`)."""
        self.injected: Counter[str] = Counter()
        self.outage: str | None = None
        self.poison: tuple[str, int] | None = None
        self._usually_slow = slow_seconds
        self.set(rate=rate, kinds=kinds, seed=seed)

    def set(
        self,
        *,
        rate: float,
        kinds: Sequence[str] | None = None,
        seed: int = 7,
        only: str | None = None,
        slow_seconds: float | None = None,
    ) -> None:
        """Start anew with these faults; `only` is how the calls begin that meet them, as "GET /v3/candidates".

        Raises:
            ValueError: The rate is no share, or a kind is unknown.
        """
        chosen = tuple(KINDS) if kinds is None else tuple(kinds)
        if not 0 <= rate <= 1:
            raise ValueError("rate must be from 0 to 1")
        if unknown := [kind for kind in chosen if kind not in KINDS]:
            raise ValueError(f"unknown kinds {unknown}; known: {', '.join(KINDS)}")
        self.rate, self.kinds, self.seed = rate, chosen, seed
        self.only = only
        self.slow_seconds = self._usually_slow if slow_seconds is None else slow_seconds
        self.injected.clear()
        # Repeatable faults are the purpose; nothing here is a secret.
        self._random = random.Random(seed)  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or spoil it."""
        if scope["type"] == "http" and scope["path"] == "/_sandbox/clock":
            await self._control_clock(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] == "/_sandbox/faults":
            await self._control(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] == "/_sandbox/outage":
            await self._control_outage(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] == "/_sandbox/poison":
            await self._control_poison(scope, receive, send)
            return
        is_open = scope["type"] != "http" or scope["path"].startswith(self.exempt)
        if self.poison is not None and not is_open:
            passed = await self._taste(scope, receive, send, *self.poison)
            if passed is None:
                return
            receive = passed
        is_spared = self.outage in {"unauthorized", "read_only"} and scope["path"] in _TOKEN_PATHS
        is_spared = is_spared or (self.outage == "read_only" and not is_open and scope["method"] == "GET")
        if self.outage is not None and not is_open and not is_spared:
            await self._refuse(receive, send)
            return
        is_meant = self.only is None or f"{scope.get('method')} {scope.get('path')}".startswith(self.only)
        kind = None if is_open or not is_meant else self._draw()
        if kind is None:
            await self.app(scope, receive, send)
            return
        self.injected[kind] += 1
        await self._spoil(kind, scope, receive, send)

    def _draw(self) -> str | None:
        if not self.rate or not self.kinds or self._random.random() >= self.rate:
            return None
        return self._random.choices(self.kinds, [KINDS[kind] for kind in self.kinds])[0]

    async def _spoil(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        match kind:
            case "rate_limited":
                await _answer(send, 429, b'{"message":"Too Many Requests"}', [(b"retry-after", b"1")])
            case "server_error":
                await _answer(send, 500, b'{"message":"Internal Server Error"}')
            case "bad_gateway":
                await _answer(send, 502, _HTML, content_type=b"text/html")
            case "bad_gateway_after_work":
                await self._work(scope, receive)
                await _answer(send, 502, _HTML, content_type=b"text/html")
            case "timeout":
                await _silence(receive)
            case "timeout_after_work":
                await self._work(scope, receive)
                await _silence(receive)
            case "reset":
                await _reset(receive, send)
            case "reset_after_work":
                await self._work(scope, receive)
                await _reset(receive, send)
            case "truncated":
                await _truncate(await self._work(scope, receive), receive, send)
            case _:
                await asyncio.sleep(self.slow_seconds)
                await self.app(scope, receive, send)

    async def _work(self, scope: Scope, receive: Receive) -> list[Message]:
        """Let the app do its work, and keep its answer back."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        return kept

    async def _refuse(self, receive: Receive, send: Send) -> None:
        if self.outage == "dropped":
            await _reset(receive, send)
        elif self.outage == "unauthorized":
            await _answer(send, 401, b'{"message":"Unauthorized"}')
        else:
            await _answer(send, 503, b'{"message":"Service Unavailable"}')

    async def _taste(self, scope: Scope, receive: Receive, send: Send, text: str, status: int) -> Receive | None:
        """Refuse a call whose address or body holds `text`; else what it can be read from again."""
        body = await _body(receive)
        address = unquote_plus(scope["path"] + "?" + scope["query_string"].decode("latin-1"))
        if text in address or text.encode() in body:
            self.injected["poison"] += 1
            entry = b'{"message":"poison","errors":["is refused for this record"]}'
            await _answer(send, status, entry)
            return None
        kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return kept.pop() if kept else await receive()

        return again

    async def _control_poison(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            wish = cast("dict[str, Any]", json.loads(await _body(receive) or b"{}"))
            self.poison = (str(wish["text"]), int(wish.get("status", 500))) if wish.get("text") else None
        await _answer(send, 200, json.dumps({"poison": self.poison}).encode())

    async def _control_outage(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            try:
                kind = cast("dict[str, Any]", json.loads(await _body(receive) or b"{}")).get("kind")
            except (ValueError, AttributeError):
                kind = ""
            if kind is not None and kind not in OUTAGES:
                message = f"kind must be null or one of: {', '.join(OUTAGES)}"
                await _answer(send, 422, json.dumps({"message": message}).encode())
                return
            self.outage = kind
        await _answer(send, 200, json.dumps({"kind": self.outage}).encode())

    async def _control_clock(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            wish = cast("dict[str, Any]", json.loads(await _body(receive) or b"{}"))
            self.clock_seconds = float(wish.get("seconds", 0.0))
        await _answer(send, 200, json.dumps({"seconds": self.clock_seconds}).encode())

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            try:
                wish = cast("dict[str, Any]", json.loads(await _body(receive) or b"{}"))
                self.set(
                    rate=float(wish.get("rate", 0.0)),
                    kinds=wish.get("kinds"),
                    seed=int(wish.get("seed", self.seed)),
                    only=wish.get("only"),
                    slow_seconds=wish.get("slow_seconds"),
                )
            except (ValueError, TypeError, AttributeError) as error:
                await _answer(send, 422, json.dumps({"message": str(error)}).encode())
                return
        state = {
            "rate": self.rate,
            "kinds": self.kinds,
            "seed": self.seed,
            "only": self.only,
            "injected": dict(self.injected),
        }
        await _answer(send, 200, json.dumps(state).encode())


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    content_type: bytes = b"application/json",
) -> None:
    length = str(len(body)).encode()
    all_headers = [(b"content-type", content_type), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _silence(receive: Receive) -> None:
    """Say nothing until the client leaves. The bound only keeps a forgotten client from being held for ever."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_until_gone(receive), _LONGEST_SILENCE_SECONDS)


async def _reset(receive: Receive, send: Send) -> None:
    """Abort the connection with RST: linger 0, then drop the transport."""
    transport = _transport(send)
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _silence(receive)


async def _truncate(answer: list[Message], receive: Receive, send: Send) -> None:
    """Half of the real body under its whole Content-Length, then the end of the connection."""
    start = answer[0]
    body = b"".join(message.get("body", b"") for message in answer[1:])
    if not body:  # nothing to cut (204): the connection breaks instead
        await _reset(receive, send)
        return
    headers = [(name, value) for name, value in start.get("headers", ()) if name.lower() != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    _transport(send).close()
    await _silence(receive)


def _transport(send: Send) -> asyncio.Transport:
    """The connection under a request. ASGI hides it; every HTTP protocol of uvicorn keeps it beside its `send`.

    Raises:
        RuntimeError: The server is not uvicorn.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("real resets need uvicorn")
    return transport
