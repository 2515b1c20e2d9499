"""Radancy's lists page by page, read again when they move meanwhile.

Belongs here: reading a list whole. Does not belong here: which lists, what rows mean. The number is the invariant of
`radancy`.

(2) Pages overlap by one row: the last row of a page begins the next one. Where it does not, rows have moved up over the
edge, and one of them was on neither page. That shows also when another row entered, so that the total is the same.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, cast

from referral_pipeline.connectors.failures import Invalid, TransientFailure
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.radancy_models import SYSTEM
from referral_pipeline.connectors.records import Row

PAGE_SIZE = 100
MOST_READINGS = 5


def read_pages(client: HttpClient, company: str, resource: str, query: Mapping[str, str]) -> Iterator[list[Row]]:
    """(2) All pages of a list; rows of one that moved come more than once.

    Raises:
        TransientFailure: it moved in each reading, so that some rows may never have been shown.
    """
    operation = f"{resource.rpartition('/')[2]}.list"
    for _ in range(MOST_READINGS):
        moved = yield from _reading(client, operation, f"{company}/{resource}", query)
        if not moved:
            return
    detail = f"the list did not stand still in {MOST_READINGS} readings; some of it may not have been shown"
    raise TransientFailure(SYSTEM, operation, detail=detail)


def _reading(
    client: HttpClient, operation: str, path: str, query: Mapping[str, str]
) -> Generator[list[Row], None, bool]:
    """The pages of one reading; returns whether rows may have been skipped between two of them."""
    offset, total, edge, moved = 0, None, None, False
    while True:
        page = {**query, "offset": str(offset), "limit": str(PAGE_SIZE)}
        answer = answered_object(client.get(operation, path, page).data, operation)
        items, now = answer.get("items"), answer.get("total")
        if not isinstance(items, list) or not isinstance(now, int):
            raise Invalid(SYSTEM, operation, detail="the answer holds no list with its total")
        shown = cast("list[Any]", items)
        count, rows = len(shown), [cast("Row", row) for row in shown if isinstance(row, dict)]
        # Where others entered above it the edge is further down: then nothing was skipped.
        moved = moved or (edge is not None and all(row.get("id") != edge for row in rows))
        moved = moved or (total is not None and now < total) or (not count and offset < now)
        total = now
        yield [row for row in rows if edge is None or row.get("id") != edge]
        if not count or offset + count >= total:
            return moved
        edge = rows[-1].get("id") if count > 1 and isinstance(shown[-1], dict) else None
        offset += count if edge is None else count - 1


def answered_object(data: object, operation: str) -> Row:
    """An answer as an object.

    Raises:
        Invalid: it is none.
    """
    if not isinstance(data, dict):
        raise Invalid(SYSTEM, operation, detail="the answer is no object")
    return cast("Row", data)
