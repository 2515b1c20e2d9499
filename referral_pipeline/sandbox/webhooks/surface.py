"""The control plane of webhooks and arrivals, as an ASGI wrapper around either sandbox.

Belongs here: `/_sandbox/webhooks...` and `/_sandbox/arrivals`. Does not belong here: what they do (`emitter`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qs

from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from referral_pipeline.sandbox.webhooks.emitter import Emitter

Arrivals = Callable[[float], list[dict[str, Any]]]
"""What arrived at or after an epoch second, oldest first."""


class WithWebhooks:
    """Adds these endpoints to an app.

    `GET/POST /_sandbox/webhooks` modes; `GET .../log?since=`; `POST .../log/reset`; `POST .../release {order}`;
    `POST .../emit {type, id, delivery_id}`; `GET /_sandbox/arrivals?since=`.
    """

    def __init__(self, app: ASGIApp, emitter: Emitter, arrivals: Arrivals) -> None:
        self.app = app
        self.emitter = emitter
        self._arrivals = arrivals
        self._doors: Mapping[tuple[str, str], Callable[[dict[str, Any], dict[str, str]], Any]] = {
            ("GET", "webhooks"): lambda body, query: emitter.state(),
            ("POST", "webhooks"): self._set,
            ("GET", "webhooks/log"): lambda body, query: emitter.log(float(query.get("since", 0))),
            ("POST", "webhooks/log/reset"): lambda body, query: emitter.forget() or {},
            ("POST", "webhooks/release"): lambda body, query: {"released": emitter.release(body.get("order", "made"))},
            ("POST", "webhooks/emit"): self._emit,
            ("GET", "arrivals"): lambda body, query: self._arrivals(float(query.get("since", 0))),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        door = None
        if scope["type"] == "http" and scope["path"].startswith("/_sandbox/"):
            door = self._doors.get((scope["method"], scope["path"].removeprefix("/_sandbox/")))
        if door is None:
            await self.app(scope, receive, send)
            return
        try:
            body = json.loads(await _body(receive) or b"{}")
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
            status, answer = 200, door(cast("dict[str, Any]", body), query)
        except ValidationError as error:
            status, answer = 422, {"problem": [f"{p['loc']}: {p['msg']}" for p in error.errors(include_input=False)]}
        except (ValueError, TypeError, LookupError) as error:
            status, answer = 422, {"problem": str(error)}
        raw = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    def _set(self, body: dict[str, Any], query: dict[str, str]) -> Any:
        self.emitter.set(body)
        return self.emitter.state()

    def _emit(self, body: dict[str, Any], query: dict[str, str]) -> Any:
        event = self.emitter.describe(str(body.get("type", "")), str(body.get("id", "")))
        return {"id": self.emitter.emit(event, body.get("delivery_id"))}


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
