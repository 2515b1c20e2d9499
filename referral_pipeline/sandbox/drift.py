"""A vendor that changes its API: answers of an operation that differ from what they were.

Belongs here: one ASGI middleware for every sandbox, and its control (`GET/POST /_sandbox/drift`). Does not belong here:
faults of the network (`sandbox.faults`), what is in a row (each sandbox). Nothing that is stored changes: without drift
everything is answered as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONTROL = "/_sandbox"
_PATH = f"{_CONTROL}/drift"
_PAGES = ("data", "results")
_WHOLE = "$."


class Change(BaseModel):
    """What differs in the answers of some calls.

    A field is named as it stands in a row, with dots for inner ones (`candidate.email`); behind `$.`, as it stands in
    the answer itself (`$.next_cursor`). Rows are the entries of the answer, of its `data` or `results`, or the answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    only: str = ""
    """How the calls begin, as "GET /v3/candidates"; "" for all."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Field -> its new last name."""
    add: dict[str, Any] = Field(default_factory=dict)
    """Field -> its value, where it is not there yet."""
    retype: list[str] = Field(default_factory=list)
    """Fields that come as another type: text and lists as objects, everything else as text; null stays."""
    word: dict[str, str] = Field(default_factory=dict)
    """Field -> the word that stands there instead."""
    rows: int | None = Field(default=None, ge=0)
    """How many of the first rows of each answer; None: all."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers beside the others, such as Deprecation and Sunset."""


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    changes: list[Change] = Field(default_factory=list[Change])


class Drift:
    """Wraps an ASGI app. Without changes everything passes as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.changes: list[Change] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer changed."""
        if scope["type"] == "http" and scope["path"] == _PATH:
            await self._control(scope, receive, send)
            return
        meant: list[Change] = []
        if self.changes and scope["type"] == "http" and not scope["path"].startswith(_CONTROL):
            call = f"{scope['method']} {scope['path']}"
            meant = [change for change in self.changes if call.startswith(change.only)]
        if not meant:
            await self.app(scope, receive, send)
            return
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        await _send_changed(kept, meant, send)

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            try:
                self.changes = _Wish.model_validate_json(body or b"{}").changes
            except ValidationError as error:
                problem = [f"{p['loc']}: {p['msg']}" for p in error.errors(include_input=False)]
                await _answer(send, 422, {"problem": problem})
                return
        await _answer(send, 200, {"changes": [change.model_dump() for change in self.changes]})


async def _answer(send: Send, status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_changed(answer: list[Message], changes: list[Change], send: Send) -> None:
    start = answer[0]
    body = b"".join(message.get("body", b"") for message in answer[1:])
    if start["status"] < 300 and body:
        body = _changed(body, changes)
    headers = [(name, value) for name, value in start.get("headers", ()) if name.lower() != b"content-length"]
    if body or start["status"] != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    for change in changes:
        headers += [(name.encode(), value.encode()) for name, value in change.headers.items()]
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _changed(body: bytes, changes: list[Change]) -> bytes:
    try:
        data = json.loads(body)
    except ValueError:
        return body
    for change in changes:
        rows = list(_rows(data))
        for name, field in ((name, name.removeprefix(_WHOLE)) for name in _named(change)):
            places = [data] if name.startswith(_WHOLE) else rows[: change.rows]
            for place in places:
                _change(place, field, name, change)
    return json.dumps(data, ensure_ascii=False).encode()


def _named(change: Change) -> Iterator[str]:
    yield from dict.fromkeys((*change.rename, *change.add, *change.retype, *change.word))


def _rows(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        yield from cast("list[Any]", data)
        return
    if isinstance(data, dict):
        whole = cast("dict[str, Any]", data)
        pages: list[Any] = [whole[name] for name in _PAGES if isinstance(whole.get(name), list)]
        if not pages:
            yield whole
        for page in pages:
            yield from page


def _change(place: Any, field: str, name: str, change: Change) -> None:
    *outer, last = field.split(".")
    for step in outer:
        place = cast("dict[str, Any]", place).get(step) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        return
    row = cast("dict[str, Any]", place)
    if name in change.add:
        row.setdefault(last, change.add[name])
    if last not in row:
        return
    if name in change.word:
        row[last] = change.word[name]
    if name in change.retype:
        row[last] = _as_another_type(row[last])
    if name in change.rename:
        row[change.rename[name]] = row.pop(last)


def _as_another_type(value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return None if value is None else json.dumps(value)
    if isinstance(value, str | list):
        return {"value": value}
    return json.dumps(value)
