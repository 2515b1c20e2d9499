"""Ashby as seen over HTTP: from a request to an answer, in the order in which a server decides.

Belongs here: route, key, rate, permission, body, counting. Does not belong here: what a call does (`reads`, `writes`,
`referrals`), sockets (`app`).
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from referral_pipeline.sandbox.ashby.errors import Refusal, invalid
from referral_pipeline.sandbox.ashby.params import PARAMETERS, PERMISSIONS
from referral_pipeline.sandbox.ashby.payloads import Payloads
from referral_pipeline.sandbox.ashby.reads import Reads
from referral_pipeline.sandbox.ashby.referrals import Referrals
from referral_pipeline.sandbox.ashby.setup import SetUp
from referral_pipeline.sandbox.ashby.world import World
from referral_pipeline.sandbox.ashby.writes import Writes
from referral_pipeline.sandbox.greenhouse.errors import UnknownId, Unprocessable
from referral_pipeline.sandbox.greenhouse.rate import FixedWindow

_WINDOW_SECONDS = 60.0
UNKNOWN_CALL = "unknown path"


@dataclass(frozen=True)
class Outgoing:
    """What goes back."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Vendor:
    """One Ashby. `calls` counts {call: {status or error code: count}}."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.payloads = Payloads(world)
        reads = Reads(world, self.payloads)
        writes = Writes(world, self.payloads, reads)
        referrals = Referrals(world, self.payloads, reads, writes)
        self._calls: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            **reads.calls,
            **writes.calls,
            **referrals.calls,
            **SetUp(world, self.payloads).calls,
        }
        self.calls: dict[str, Counter[str]] = {}
        self._window = FixedWindow()

    def answer(self, method: str, path: str, authorization: str | None, content_type: str, body: bytes) -> Outgoing:
        """Answer one request. `path` has no leading slash."""
        name = path if path in self._calls else UNKNOWN_CALL
        with self.world.store.lock:
            try:
                answer = {"success": True, **self._answer(method, path, authorization, content_type, body)}
                status, word, headers = 200, "200", dict[str, str]()
            except Refusal as refusal:
                answer, status, headers = refusal.body, refusal.status, refusal.headers
                word = str(status) if status != 200 else refusal.code
            finally:
                self.world.store.flush()
            self.calls.setdefault(f"POST /{name}", Counter())[word] += 1
        raw = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
        return Outgoing(status, raw, headers)

    def _answer(
        self, method: str, path: str, authorization: str | None, content_type: str, body: bytes
    ) -> dict[str, Any]:
        switches = self.world.switches
        call = self._calls.get(path)
        if call is None or path in switches.operations_absent:
            raise Refusal("not_found", "No such endpoint", status=404)
        if method != "POST":
            raise Refusal("method_not_allowed", "Only POST is supported", status=405)
        self._check_key(authorization)
        reading = self._window.count("key", switches.rate_limit, _WINDOW_SECONDS, self.world.now().timestamp())
        if not reading.allowed:
            wait = {"Retry-After": str(reading.retry_after)}
            raise Refusal("rate_limit_exceeded", "Too many requests", status=429, headers=wait)
        permission = PERMISSIONS[path]
        if permission in switches.permissions_missing or path in switches.operations_forbidden:
            raise Refusal("missing_endpoint_permission", f"The API key lacks {permission}", status=403)
        try:
            return call(PARAMETERS[path].read(_json(content_type, body)))
        except Unprocessable as problem:
            raise invalid(str(problem.entries[0])) from None
        except UnknownId as problem:
            raise invalid(str(problem)) from None

    def _check_key(self, authorization: str | None) -> None:
        if not authorization:
            raise Refusal("unauthorized", "No API key was given", status=401)
        wanted = base64.b64encode(f"{self.world.api_key}:".encode()).decode()
        if authorization != f"Basic {wanted}":
            raise Refusal("forbidden", "The API key is not valid", status=403)


def _json(content_type: str, body: bytes) -> Any:
    if not body.strip():
        return {}
    if not content_type.startswith("application/json"):
        raise invalid("Content-Type is not application/json")
    try:
        return json.loads(body)
    except ValueError:
        raise invalid("Request payload is malformed") from None
