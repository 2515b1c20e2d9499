"""Reading of what a client sends: list parameters, cursors, JSON bodies.

Belongs here: 400, 415 and 422 by the contract. Does not belong here: state.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request

from referral_pipeline.sandbox.advocacy import clock
from referral_pipeline.sandbox.advocacy.answers import Refused
from referral_pipeline.sandbox.advocacy.store import RECOGNITION_KINDS, Position, Row
from referral_pipeline.vocabulary import CandidateStatus

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
JOB_STATUSES = ("open", "closed", "draft")
_STATUSES = tuple(status.value for status in CandidateStatus)
MATURITIES = ("mature", "immature", "insufficient")
BONUS_STATES = ("pending", "eligible", "reversed", "paid")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class ListQuery:
    """What a list was asked for. `since` is in the store's own form."""

    since: str | None
    after: Position | None
    limit: int


def list_query(request: Request) -> ListQuery:
    """The parameters of a list.

    Raises:
        Refused: 400 for one that is unknown, repeated, unreadable or out of range.
    """
    given = only(request, "updated_since", "cursor", "limit")
    since = None
    if "updated_since" in given:
        moment = clock.read(given["updated_since"])
        if moment is None:
            raise Refused(400, "updated_since must be an RFC 3339 time with its zone")
        since = clock.stamp(moment)
    limit = DEFAULT_LIMIT
    if "limit" in given:
        if not re.fullmatch(r"[0-9]{1,9}", given["limit"]) or not 1 <= int(given["limit"]) <= MAX_LIMIT:
            raise Refused(400, f"limit must be a whole number from 1 to {MAX_LIMIT}")
        limit = int(given["limit"])
    after = None
    if "cursor" in given:
        made_for, after = _read_cursor(given["cursor"])
        if since is not None and made_for != since:
            raise Refused(400, "cursor belongs to another updated_since")
        since = made_for
    return ListQuery(since, after, limit)


def only(request: Request, *names: str) -> dict[str, str]:
    """The query parameters, none of which may be unknown or repeated.

    Raises:
        Refused: 400.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in names:
            allowed = ", ".join(names) or "none"
            raise Refused(400, f"a query parameter is unknown; allowed: {allowed}")
        if name in given:
            raise Refused(400, f"{name} is repeated")
        given[name] = value
    return given


def write_cursor(since: str | None, after: Position) -> str:
    """An opaque text from which a list goes on."""
    return base64.urlsafe_b64encode(json.dumps([since, *after]).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str | None, Position]:
    refused = Refused(400, "cursor is not one that this list gave out")
    try:
        parts: Any = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        raise refused from None
    if not isinstance(parts, list) or len(cast("list[Any]", parts)) != 3:
        raise refused
    since, updated_at, row_id = cast("list[Any]", parts)
    if not (isinstance(updated_at, str) and isinstance(row_id, str) and (since is None or isinstance(since, str))):
        raise refused
    return since, (updated_at, row_id)


# ---------------------------------------------------------------- bodies


async def json_object(request: Request) -> Row:
    """The body as a JSON object.

    Raises:
        Refused: 415 when it is not declared as JSON, 400 when it cannot be read, 422 when it is no object.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body must be application/json", headers={"Accept": "application/json"})
    try:
        body: Any = json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refused(422, "the body must be an object", pointer="")
    return cast("Row", body)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


Check = Callable[[Any], str | None]
"""Answers what is wrong with a value, or None."""


def text(value: Any) -> str | None:
    """A text that is not blank."""
    return None if isinstance(value, str) and value.strip() else "must be a text that is not blank"


def one_of(*words: str) -> Check:
    """One word of a vocabulary."""
    return lambda value: None if isinstance(value, str) and value in words else f"must be one of {', '.join(words)}"


def time_text(value: Any) -> str | None:
    """An RFC 3339 time."""
    is_time = isinstance(value, str) and clock.read(value) is not None
    return None if is_time else "must be an RFC 3339 time with its zone"


def date_text(value: Any) -> str | None:
    """An RFC 3339 full-date."""
    return None if isinstance(value, str) and clock.read_date(value) is not None else "must be a date (YYYY-MM-DD)"


def amount(value: Any) -> str | None:
    """Whole cents, 0 or above."""
    is_amount = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if is_amount else "must be whole cents, 0 or above"


def currency(value: Any) -> str | None:
    """An ISO 4217 code."""
    is_code = isinstance(value, str) and _CURRENCY.fullmatch(value)
    return None if is_code else "must be a currency code of three capital letters"


def count(value: Any) -> str | None:
    """A whole number, 0 or above."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if is_count else "must be a whole number, 0 or above"


def number(value: Any) -> str | None:
    """A number, 0 or above."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return None if is_number else "must be a number, 0 or above"


def share(value: Any) -> str | None:
    """A number from 0 to 1."""
    return None if number(value) is None and value <= 1 else "must be a number from 0 to 1"


def object_of(shape: Mapping[str, Field]) -> Check:
    """An object that fits a shape exactly; what is wrong names the key."""

    def check(value: Any) -> str | None:
        try:
            check_object(value, shape)
        except Refused as refused:
            return f"{refused.pointer.lstrip('/')} {refused.detail}" if refused.pointer else refused.detail
        return None

    return check


def list_of(check: Check) -> Check:
    """A list of values that all pass."""

    def check_all(value: Any) -> str | None:
        if not isinstance(value, list):
            return "must be a list"
        wrong = (
            f"item {place}: {found}" for place, one in enumerate(cast("list[Any]", value)) if (found := check(one))
        )
        return next(wrong, None)

    return check_all


def nullable(check: Check) -> Check:
    """`check`, or null."""
    return lambda value: None if value is None else check(value)


@dataclass(frozen=True)
class Field:
    """One key of a body."""

    check: Check
    is_required: bool = True


def check_object(body: Any, shape: Mapping[str, Field], pointer: str = "") -> Row:
    """The body when it fits `shape` exactly.

    Raises:
        Refused: 422 that points at the first key at fault.
    """
    if not isinstance(body, dict):
        raise Refused(422, "must be an object", pointer=pointer)
    row = cast("Row", body)
    for key in row:
        if key not in shape:
            raise Refused(422, "is unknown here", pointer=f"{pointer}/{key}")
    for key, field in shape.items():
        if key not in row:
            if field.is_required:
                raise Refused(422, "is needed", pointer=f"{pointer}/{key}")
        elif wrong := field.check(row[key]):
            raise Refused(422, wrong, pointer=f"{pointer}/{key}")
    return row


STATUS_BODY: Mapping[str, Field] = {
    "status": Field(one_of(*_STATUSES)),
    "status_at": Field(time_text),
    "ats": Field(lambda _: None, is_required=False),
    "hired_at": Field(nullable(time_text), is_required=False),
    "starts_on": Field(nullable(date_text), is_required=False),
}
ATS_BODY: Mapping[str, Field] = {
    "system": Field(text),
    "candidate_id": Field(text),
    "application_id": Field(text),
}
JOB_BODY: Mapping[str, Field] = {
    "title": Field(text),
    "status": Field(one_of(*JOB_STATUSES)),
    "location": Field(nullable(text), is_required=False),
    "url": Field(nullable(text), is_required=False),
}
RECOGNITION_BODY: Mapping[str, Field] = {
    "referral_id": Field(text),
    "kind": Field(one_of(*RECOGNITION_KINDS)),
    "amount_cents": Field(amount),
    "currency": Field(currency),
}
CONVERSION: Mapping[str, Field] = {
    "value": Field(nullable(share)),
    "low": Field(nullable(share)),
    "high": Field(nullable(share)),
    "maturity": Field(one_of(*MATURITIES)),
}
BONUS: Mapping[str, Field] = {
    "state": Field(one_of(*BONUS_STATES)),
    "amount_cents": Field(amount),
    "currency": Field(currency),
    "count": Field(count),
}
RESULTS_BODY: Mapping[str, Field] = {
    "as_of": Field(time_text),
    "shares": Field(count),
    "clicks": Field(count),
    "referrals": Field(count),
    "applications": Field(count),
    "interviews": Field(count),
    "offers": Field(count),
    "hires": Field(count),
    "conversion": Field(object_of(CONVERSION)),
    "credit": Field(number),
    "bonuses": Field(list_of(object_of(BONUS))),
    "next_eligible_on": Field(nullable(date_text)),
}
