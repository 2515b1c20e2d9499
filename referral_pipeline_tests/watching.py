"""A server between a connector and a sandbox that hands everything on and keeps it, to be held against a document.

Belongs here: handing on, keeping. Does not belong here: what is right (`openapi`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from referral_pipeline_tests.serving import Door, running


@dataclass(frozen=True)
class Exchange:
    """One call: its path, what was sent, and what came back; `answer` None where that is no JSON."""

    call: str
    body: Any
    status: int
    answer: Any


class _Between(Door):
    behind: str
    kept: list[Exchange]
    session: requests.Session

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"] if name != b"host"}
        url = f"{self.behind}{scope['path']}"
        call = self.session.request
        answer = await asyncio.to_thread(call, scope["method"], url, data=body, headers=headers, timeout=30)
        self.kept.append(Exchange(scope["path"].lstrip("/"), _json(body), answer.status_code, _json(answer.content)))
        raw = [(b"content-type", answer.headers.get("content-type", "").encode())]
        raw += [(b"content-length", str(len(answer.content)).encode())]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": raw})
        await send({"type": "http.response.body", "body": answer.content})


@contextmanager
def watching(behind: str) -> Iterator[tuple[str, list[Exchange]]]:
    """The address to call instead of `behind`, and what went to and fro since."""
    door, url = running(_Between)
    door.behind, door.kept = behind, []
    with requests.Session() as door.session:
        yield url, door.kept


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        return None
