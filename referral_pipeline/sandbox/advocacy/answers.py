"""The answers of the advocacy sandbox: JSON, RFC 9457 problems, RFC 6749 token errors.

Belongs here: the shapes of answers. Does not belong here: deciding which one is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from referral_pipeline.sandbox.advocacy.store import Conflict, Invalid, NotFound, encode

PROBLEM_TYPE = "application/problem+json"


class Refused(Exception):
    """A request that ends in a problem document. Carries no personal data: details name parameters, never values."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        pointer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointer = pointer
        self.headers = dict(headers or {})


def as_refusal(error: Exception) -> Refused:
    """The problem that the store's own errors end in; anything else is raised again."""
    match error:
        case Refused():
            return error
        case NotFound():
            return Refused(404, "there is no row with this id")
        case Conflict():
            return Refused(409, str(error))
        case Invalid():
            return Refused(422, error.detail, pointer=error.pointer)
        case _:
            raise error


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON."""
    return Response(encode(value), status, headers=dict(headers or {}), media_type="application/json")


def page_answer(rows: list[bytes], next_cursor: str | None) -> Response:
    """A page of a list, put together from rows that are encoded already."""
    body = b'{"data":[' + b",".join(rows) + b'],"next_cursor":' + encode(next_cursor) + b"}"
    return Response(body, media_type="application/json")


def problem_answer(refused: Refused) -> Response:
    """An RFC 9457 problem document; `errors` points into the body where one value is at fault."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(refused.status).phrase,
        "status": refused.status,
        "detail": refused.detail,
    }
    if refused.pointer is not None:
        problem["errors"] = [{"pointer": refused.pointer, "detail": refused.detail}]
    return Response(encode(problem), refused.status, headers=refused.headers, media_type=PROBLEM_TYPE)


def token_error(status: int, error: str, description: str) -> Response:
    """An RFC 6749 section 5.2 error."""
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="advocacy"'
    body = {"error": error, "error_description": description}
    return Response(encode(body), status, headers=headers, media_type="application/json")
