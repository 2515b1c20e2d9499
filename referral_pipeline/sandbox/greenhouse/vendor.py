"""The vendor's side of the server: from a request to an answer, in the order in which the vendor decides.

Belongs here: the route table and the order router, authentication, rate window, permission, body. Does not belong here:
what an operation does (`lists.py`, `writes.py`), sockets (`app.py`).
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from referral_pipeline.sandbox.greenhouse import errors
from referral_pipeline.sandbox.greenhouse.auth import Caller, Client, TokenOffice
from referral_pipeline.sandbox.greenhouse.bodies import MalformedJson, read_json
from referral_pipeline.sandbox.greenhouse.cursors import CursorBox
from referral_pipeline.sandbox.greenhouse.errors import Refusal
from referral_pipeline.sandbox.greenhouse.lists import answer_list
from referral_pipeline.sandbox.greenhouse.rate import FixedWindow, RateReading
from referral_pipeline.sandbox.greenhouse.schema import ENTITIES
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.writes import WRITES, ApplicationHook, Call, Handler

UNKNOWN_OPERATION = "unknown path"


@dataclass(frozen=True)
class Operation:
    """One documented operation. `handler=None` is a list."""

    name: str
    entity: str
    scope: str
    handler: Handler | None = None


@dataclass(frozen=True)
class Incoming:
    """What the vendor sees of a request. `path` is below /v3; `url` is the whole address without its query."""

    method: str
    path: str
    query: str
    url: str
    authorization: str | None
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Outgoing:
    """What goes back. `body=None` sends no body."""

    status: int
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def _operations() -> dict[tuple[str, str], Operation]:
    found = {("GET", entity): Operation(f"GET /v3/{entity}", entity, f"harvest:{entity}:list") for entity in ENTITIES}
    for (method, path), (verb, handler) in WRITES.items():
        entity = path.partition("/")[0]
        found[method, path] = Operation(f"{method} /v3/{path}", entity, f"harvest:{entity}:{verb}", handler)
    return found


OPERATIONS: Mapping[tuple[str, str], Operation] = _operations()
"""Every operation of the sandbox by method and path below /v3."""

ALL_SCOPES = frozenset(operation.scope for operation in OPERATIONS.values())
"""Every scope that some operation asks for."""


class Vendor:
    """Greenhouse as seen over HTTP."""

    def __init__(
        self,
        store: GreenhouseStore,
        clients: Iterable[Client],
        on_application_created: ApplicationHook | None = None,
    ) -> None:
        self.store = store
        self.on_application_created = on_application_created
        self.office = TokenOffice(store, clients, secrets.token_bytes(32))
        self.calls: dict[str, Counter[str]] = {}
        self._box = CursorBox(secrets.token_bytes(32))
        self._window = FixedWindow()

    def token(self, request: Incoming) -> Outgoing:
        """Answer POST /token."""
        with self.store.lock:
            try:
                body = self.office.mint(request.authorization, request.content_type, request.query, request.body)
                answer = _answer(200, body, {"Cache-Control": "no-store"})
            except Refusal as refusal:
                answer = _answer(refusal.status, refusal.body, refusal.headers)
            self._count("POST /token", answer.status)
        return answer

    def harvest(self, request: Incoming) -> Outgoing:
        """Answer any request below /v3."""
        with self.store.lock:
            operation, row_text = _route(request.method, request.path)
            name = operation.name if operation else UNKNOWN_OPERATION
            rate: dict[str, str] = {}
            try:
                if operation is None or operation.name in self.store.switches.operations_absent:
                    raise errors.no_route_refusal()
                caller = self._caller(request, rate)
                reading = self._rate(caller.client_id)
                rate.update(reading.headers())
                if not reading.allowed:
                    raise errors.too_many_refusal(reading.retry_after, self.store.switches)
                self._permit(operation, caller)
                answer = self._carry_out(operation, row_text, request, caller)
            except Refusal as refusal:
                answer = _answer(refusal.status, refusal.body, refusal.headers)
            self._count(name, answer.status)
            return Outgoing(answer.status, answer.body, {**answer.headers, **rate})

    def not_found(self) -> Outgoing:
        """Answer a path that is neither the token endpoint nor below /v3."""
        self._count(UNKNOWN_OPERATION, 404)
        refusal = errors.no_route_refusal()
        return _answer(refusal.status, refusal.body, {})

    def _caller(self, request: Incoming, rate: dict[str, str]) -> Caller:
        try:
            return self.office.caller(request.authorization)
        except Refusal:
            if self.store.switches.rate_headers_on_401:
                rate.update(self._rate("nobody").headers())
            raise

    def _rate(self, key: str) -> RateReading:
        switches = self.store.switches
        now = self.store.clock().timestamp()
        return self._window.count(key, switches.rate_limit, switches.rate_window_seconds, now)

    def _permit(self, operation: Operation, caller: Caller) -> None:
        switches = self.store.switches
        if operation.scope not in caller.scopes or operation.name in switches.operations_forbidden:
            raise errors.forbidden_refusal("The token lacks the scope of this operation", switches)
        user = self.store.get("users", caller.user_id)
        if user is not None and operation.handler is None and not user["site_admin"]:
            raise errors.forbidden_refusal("The acting user is not a Site Admin", switches)

    def _carry_out(self, operation: Operation, row_text: str, request: Incoming, caller: Caller) -> Outgoing:
        store, switches = self.store, self.store.switches
        try:
            if operation.handler is None:
                page = answer_list(store, self._box, operation.entity, request.query, request.url)
                return _answer(200, page.rows, {} if page.link is None else {"Link": page.link})
            call = Call(
                store=store,
                row_id=_row_id(row_text),
                content=_content(request),
                actor_id=caller.user_id,
                at=store.clock(),
                on_application_created=self.on_application_created,
            )
            try:
                answer = operation.handler(call)
            finally:
                store.flush()
            return _answer(answer.status, answer.body, {})
        except MalformedJson:
            raise errors.malformed_refusal(switches) from None
        except errors.UnknownId as problem:
            raise errors.unknown_id_refusal(problem, switches, method=request.method) from None
        except errors.Unprocessable as problem:
            raise errors.entries_refusal(problem.entries, switches) from None

    def _count(self, operation: str, status: int) -> None:
        self.calls.setdefault(operation, Counter())[str(status)] += 1


def _route(method: str, path: str) -> tuple[Operation | None, str]:
    parts = path.split("/")
    row_text = parts[1] if len(parts) > 1 else ""
    if len(parts) > 1:
        parts[1] = "{id}"
    return OPERATIONS.get((method, "/".join(parts))), row_text


def _row_id(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()):
        raise errors.unprocessable({"id": f"`{text[:40]}` is not an integer"})
    return int(text)


def _content(request: Incoming) -> dict[str, Any]:
    if request.method in {"GET", "DELETE"}:
        return {}
    if request.query:
        raise errors.unprocessable({request.query.partition("=")[0][:40]: "is not a supported query parameter"})
    if request.body.strip() and not request.content_type.startswith("application/json"):
        raise errors.unprocessable({"Content-Type": "is not application/json"})
    return read_json(request.body)


def _answer(status: int, body: Any, headers: Mapping[str, str]) -> Outgoing:
    raw = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing(status, raw, headers)
