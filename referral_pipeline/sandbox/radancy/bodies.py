"""Reading of what a client sends: query parameters and bodies, as the documentation lists them.

Belongs here: codes 4000, 4001 and 4002. Does not belong here: state.

The documentation does not say what becomes of a parameter or attribute that it does not list: here it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from referral_pipeline.sandbox.advocacy.parameters import (
    Field,
    check_object,
    date_text,
    list_of,
    nullable,
    one_of,
    text,
)
from referral_pipeline.sandbox.radancy.account import CLOSE_REASONS, CLOSED, HIRED, IN_PROGRESS
from referral_pipeline.sandbox.radancy.faults import BAD_FIELDS, BAD_QUERY, INVALID, Fault

Row = dict[str, Any]

DEFAULT_LIMIT, MOST = 25, 100
LONGEST_TITLE = 255


@dataclass(frozen=True)
class Query:
    """The parameters of a request, each once."""

    given: Mapping[str, str]

    def words(self, name: str, allowed: Sequence[str] = ()) -> set[str] | None:
        """A comma separated list, in capital letters where the words are known; None when it was not asked for."""
        if name not in self.given:
            return None
        found = {word.strip() for word in self.given[name].split(",")}
        if allowed:
            found = {word.upper() for word in found}
            if not found <= set(allowed):
                raise Fault(400, BAD_QUERY, f"{name}: allowed are {', '.join(allowed)}")
        return found

    def flag(self, name: str) -> bool:
        """True or false; false when it was not asked for."""
        value = self.given.get(name, "false")
        if value not in {"true", "false"}:
            raise Fault(400, BAD_QUERY, f"{name}: must be true or false")
        return value == "true"

    def window(self) -> tuple[int, int]:
        """Offset and limit."""
        return self._number("offset", 0, 0, 10**9), self._number("limit", DEFAULT_LIMIT, 1, MOST)

    def _number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.given.get(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise Fault(400, BAD_QUERY, f"{name}: must be a whole number from {low} to {high}")
        return int(value)

    def sorted(self, rows: list[Row], sortable: Sequence[str]) -> list[Row]:
        """Rows in the order that was asked for: `field,asc` or `field,desc`."""
        wish = self.given.get("sort")
        if wish is None:
            return rows
        name, _, direction = wish.partition(",")
        if name not in sortable or direction not in {"asc", "desc"}:
            raise Fault(400, BAD_QUERY, f"sort: must be one of {', '.join(sortable)}, with asc or desc")
        return sorted(rows, key=lambda row: row[name], reverse=direction == "desc")

    def only_fields(self, row: Row, known: Sequence[str]) -> Row:
        """The fields that were asked for, beside href and id."""
        wanted = self.words("fields")
        if wanted is None:
            return row
        if not wanted <= set(known):
            raise Fault(400, BAD_FIELDS, "fields: one of them is not allowed here")
        return {name: value for name, value in row.items() if name in wanted | {"href", "id"}}


def query_of(request: Request, *names: str) -> Query:
    """The parameters of a request, all of them known."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in names or name in given:
            raise Fault(
                400, BAD_QUERY, f"a query parameter is unknown or repeated; allowed: {', '.join(names) or 'none'}"
            )
        given[name] = value
    return Query(given)


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _reference(value: Any) -> str | None:
    is_one = isinstance(value, dict) and isinstance(value.get("id"), str) and bool(value["id"])
    return None if is_one else "must be an object with an id"


def _title(value: Any) -> str | None:
    return text(value) or (f"is longer than {LONGEST_TITLE}" if len(value) > LONGEST_TITLE else None)


def _any_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be a text"


_MESSAGE = {"message": Field(nullable(_any_text), is_required=False)}
_STATUS: Mapping[str, Mapping[str, Field]] = {
    IN_PROGRESS: {"value": Field(text)},
    HIRED: {
        "value": Field(text),
        "firstDayOfWork": Field(date_text, is_required=False),
        "payReward": Field(_flag, is_required=False),
        **_MESSAGE,
    },
    CLOSED: {"value": Field(text), "closeReason": Field(one_of(*CLOSE_REASONS)), **_MESSAGE},
}
_JOB: Mapping[str, Field] = {
    "title": Field(_title),
    "description": Field(_any_text),
    **{name: Field(_reference) for name in ("department", "location", "contactPerson", "reward")},
    "endDate": Field(nullable(date_text), is_required=False),
    "hot": Field(_flag, is_required=False),
    "referenceNumber": Field(nullable(_any_text), is_required=False),
    "responsiblePersons": Field(list_of(_reference), is_required=False),
    "jobBranding": Field(nullable(_reference), is_required=False),
    "jobPostingUrl": Field(nullable(_any_text), is_required=False),
    "careerSiteUrl": Field(nullable(_any_text), is_required=False),
}
_JOB_STATUS = {"value": Field(one_of("ACTIVE_PUBLISHED", "ACTIVE_CLOSED", "ARCHIVED"))}


def status_body(body: Row) -> Row:
    """A new status of an application."""
    shape = _STATUS.get(str(body.get("value")))
    if shape is None:
        raise Fault(400, INVALID, f"value: must be one of {', '.join(_STATUS)}")
    return check_object(body, shape)


def job_body(body: Row) -> Row:
    """All attributes of a job."""
    return check_object(body, _JOB)


def job_status_body(body: Row) -> str:
    """A new state of a job."""
    return check_object(body, _JOB_STATUS)["value"]
