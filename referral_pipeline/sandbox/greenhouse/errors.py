"""The vendor's refusals, status and body.

Belongs here: error bodies as measured or documented (GREENHOUSE facts, sections 2 and 3). Does not belong here: when to
refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from referral_pipeline.sandbox.greenhouse.switches import Switches

Entry = str | dict[str, str]
"""One entry of `errors`: a sentence (a rule of the business) or one key with what is wrong with it (a shape)."""


class Refusal(Exception):
    """An answer other than success. `body=None` sends no body at all."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class Unprocessable(Exception):
    """A request that cannot be carried out, before the `error_entries` switch gives it its final form."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__(f"{len(entries)} entries")
        self.entries = list(entries)


class UnknownId(Exception):
    """A path id that names no row; 404 or 422 by switch, but always 404 on DELETE."""

    def __init__(self, what: str, row_id: int) -> None:
        super().__init__(f"{what} {row_id} not found")
        self.what = what
        self.row_id = row_id


def unprocessable(*entries: Entry) -> Unprocessable:
    """A 422 with these entries."""
    return Unprocessable(entries)


def entries_refusal(entries: Sequence[Entry], switches: Switches) -> Refusal:
    """Form a 422 as the switch says."""
    if switches.error_entries == "documented":
        return Refusal(422, {"message": "Unprocessable Content", "errors": list(entries)})
    old: list[dict[str, str]] = []
    for entry in entries:
        pairs = [("base", entry)] if isinstance(entry, str) else list(entry.items())
        old.extend({"message": text, "field": field} for field, text in pairs)
    return Refusal(422, {"message": "Validation error", "errors": old})


def unknown_id_refusal(problem: UnknownId, switches: Switches, *, method: str) -> Refusal:
    """Form the answer to an unknown path id: declared as 404 for DELETE only, unknown for everything else."""
    if method == "DELETE" or switches.unknown_id == "404":
        return Refusal(404, {"message": "Resource not found"})
    return entries_refusal([f"{problem.what} not found"], switches)


def malformed_refusal(switches: Switches) -> Refusal:
    """Form the answer to a body that is no JSON."""
    if switches.malformed_json == "400":
        return Refusal(400, {"message": "Bad Request"})
    return entries_refusal(["Request body could not be parsed as JSON"], switches)


def forbidden_refusal(reason: str, switches: Switches) -> Refusal:
    """Form a 403; its body is unknown."""
    match switches.forbidden_body:
        case "message":
            return Refusal(403, {"message": "Forbidden"})
        case "message_and_errors":
            return Refusal(403, {"message": "Forbidden", "errors": [reason]})
        case "empty":
            return Refusal(403, None)


def unauthorized_refusal(reason: str) -> Refusal:
    """Form the measured 401 of /v3."""
    return Refusal(401, {"message": "Unauthorized", "errors": [reason]})


def no_route_refusal() -> Refusal:
    """Form the measured 404 of an unknown path."""
    return Refusal(404, {"message": "Resource not found"})


def too_many_refusal(retry_after: int, switches: Switches) -> Refusal:
    """Form a 429; its body is unknown, its headers are documented."""
    body = {"message": "Too Many Requests"} if switches.too_many_requests_body == "message" else None
    return Refusal(429, body, {"Retry-After": str(retry_after)})
