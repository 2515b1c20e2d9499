"""Search: filters, order, pages, and what it does not see yet.

Belongs here: the search request and its meaning. Does not belong here: other reads (`vendor`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from referral_pipeline.sandbox.hubspot.book import Book, Contact
from referral_pipeline.sandbox.hubspot.errors import invalid
from referral_pipeline.sandbox.hubspot.schema import stored

WINDOW = 10_000
"""Results of a search that can be reached by paging; beyond it the vendor answers 400."""
_Operator = Literal[
    "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY",
    "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN",
]  # fmt: skip


class Filter(BaseModel):
    """One condition."""

    model_config = ConfigDict(extra="forbid", strict=True)

    propertyName: str
    operator: _Operator
    value: str | None = None
    values: list[str] | None = None
    highValue: str | None = None


class FilterGroup(BaseModel):
    """Conditions that all hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filters: list[Filter] = Field(max_length=6)


class SearchRequest(BaseModel):
    """The body of a search: groups of which one holds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filterGroups: list[FilterGroup] = Field(max_length=5)
    sorts: list[str]
    properties: list[str]
    limit: int = Field(ge=1, le=200)
    after: str
    query: str | None = None


def search(book: Book, wish: SearchRequest) -> tuple[list[Contact], int, str | None]:
    """(the page, how many in all, the token of the next page)."""
    if sum(len(group.filters) for group in wish.filterGroups) > 18:
        raise invalid("There may be at most 18 filters")
    start = int(wish.after or "0") if (wish.after or "0").isdecimal() else -1
    if start < 0:
        raise invalid("after is no token of a page")
    if start + wish.limit > WINDOW:
        raise invalid(f"Paging through results beyond {WINDOW} is not supported")
    for group in wish.filterGroups:
        for one in group.filters:
            if one.propertyName not in book.schema.properties:
                raise invalid(f"There was a problem with the request: property {one.propertyName[:60]} does not exist")
    visible_until = book.clock() - book.switches.search_lag_seconds
    found = [
        one
        for one in book.living()
        if one.updated_at.timestamp() <= visible_until
        and (not wish.filterGroups or any(_holds(book, one, group) for group in wish.filterGroups))
    ]
    for sort in reversed(wish.sorts[:1]):
        name = sort.removeprefix("-")
        found.sort(key=lambda one: _comparable(book, name, one.value(name)), reverse=sort.startswith("-"))
    page = found[start : start + wish.limit]
    more = start + len(page) < len(found)
    return page, len(found), str(start + len(page)) if more else None


def _holds(book: Book, contact: Contact, group: FilterGroup) -> bool:
    return all(_fits(book, contact, one) for one in group.filters)


def _fits(book: Book, contact: Contact, one: Filter) -> bool:
    value = contact.value(one.propertyName)
    has = value is not None

    def of(text: str | None) -> Any:
        return _comparable(book, one.propertyName, text)

    if one.operator in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
        return has is (one.operator == "HAS_PROPERTY")
    if one.operator in {"IN", "NOT_IN"}:
        if not one.values:
            raise invalid(f"{one.operator} needs values")
        among = of(value) in {of(text) for text in one.values}
        return has and among is (one.operator == "IN")
    if one.value is None:
        raise invalid(f"{one.operator} needs a value")
    match one.operator:
        case "NEQ":
            return of(value) != of(one.value)
        case "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN":
            holds = has and one.value.strip("*").lower() in (value or "").lower()
            return holds is (one.operator == "CONTAINS_TOKEN")
        case "BETWEEN":
            if one.highValue is None:
                raise invalid("BETWEEN needs a highValue")
            return has and of(one.value) <= of(value) <= of(one.highValue)
        case _:
            return has and _ORDER[one.operator](of(value), of(one.value))


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda a, b: a == b,
    "LT": lambda a, b: a < b,
    "LTE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GTE": lambda a, b: a >= b,
}


def _comparable(book: Book, name: str, text: str | None) -> Any:
    definition = book.schema.properties.get(name)
    kind = definition["type"] if definition else "string"
    if kind == "number":
        try:
            return float(text) if text else float("-inf")
        except ValueError:
            raise invalid("a number is expected") from None
    if kind == "datetime":
        told = stored(kind, text) if text else None
        if text and told is None:
            raise invalid("a time is expected")
        return datetime.fromisoformat(told).timestamp() if told else float("-inf")
    return (text or "").lower()
