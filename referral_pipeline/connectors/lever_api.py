"""Lever's endpoints, and the ways of reading them: pages by offset tokens, single records, windows of change.

Belongs here: paths, parameters, the envelope {data, next, hasNext}. Does not belong here: what rows mean. The numbers
in comments are the invariants of `lever`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar, cast

from referral_pipeline.connectors.failures import AmbiguousOutcome, Invalid, NotFound
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.lever_models import SYSTEM
from referral_pipeline.connectors.records import Entity, Row, Window

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
_AT_ONCE = 4
PAGE_SIZE = 100
"""The largest page."""
STATES = ("published", "internal", "closed", "draft", "pending", "rejected")
"""(7) Of postings: without one only published ones are listed."""
EXPAND = {"expand": "applications"}
"""(8) Only the application, written out, names the posting."""

ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity("stages", changed_field=None),
        Entity("archive_reasons", changed_field=None),
        Entity("postings", changed_field="updatedAt"),
        Entity("opportunities", changed_field="updatedAt"),
        Entity("offers", changed_field=None),
    )
}
"""What is pulled into the warehouse. Contacts are not listed by the vendor: opportunities carry their details."""


class LeverApi:
    """Reads lists and records. Safe for threads. `skipped` counts the rows without id, by list."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.skipped: Counter[str] = Counter()
        self._lock = threading.Lock()

    def pages(self, entity: str, path: str, params: Mapping[str, str] | None = None) -> Iterator[list[Row]]:
        """(2) Page after page, until the vendor says that there is no more."""
        sent = {"limit": str(PAGE_SIZE), **(params or {})}
        while True:
            answer = self.client.get(f"{entity}.list", path, sent)
            envelope = _envelope(entity, answer.data)
            yield self._rows(entity, envelope.get("data"))
            token = envelope.get("next")
            if not envelope.get("hasNext"):
                return
            if not isinstance(token, str) or token == sent.get("offset"):
                raise Invalid(SYSTEM, f"{entity}.list", detail="there are more pages and no token leads to them")
            sent["offset"] = token

    def list_all(self, entity: str, path: str | None = None, params: Mapping[str, str] | None = None) -> Iterator[Row]:
        """Every row of a list."""
        for rows in self.pages(entity, path or entity, params):
            yield from rows

    def get(self, entity: str, record_id: str, params: Mapping[str, str] | None = None) -> Row | None:
        """One record; None when it is not there. An id that cannot be one names nothing."""
        if not record_id or not all(c.isascii() and (c.isalnum() or c == "-") for c in record_id):
            return None
        try:
            answer = self.client.get(f"{entity}.read", f"{entity}/{record_id}", params)
        except NotFound:
            return None
        return record(f"{entity}.read", answer.data)

    def opportunity(self, record_id: str) -> Row | None:
        """One opportunity with its application."""
        return self.get("opportunities", record_id, EXPAND)

    def opportunities(self, **params: str) -> Iterator[Row]:
        """Opportunities by filters, with their applications."""
        return self.list_all("opportunities", params={**EXPAND, **params})

    def offers_of(self, opportunity_id: str) -> list[Row]:
        """The offers of an opportunity, each with the opportunity's id; none when it is not there."""
        try:
            rows = list(self.list_all("offers", f"opportunities/{opportunity_id}/offers"))
        except NotFound:
            return []
        return [{**row, "opportunity": opportunity_id} for row in rows]

    # ---------------------------------------------------------------- pulls

    def pull(self, entity: str, window: Window, *, offers_for: Iterable[Mapping[str, str]] = ()) -> Iterator[list[Row]]:
        """Pages of what changed in the window. `offers_for`: the filters of opportunities whose offers are wanted."""
        changed = {"updated_at_start": millis_text(window.since)} if window.since is not None else {}
        match entity:
            case "opportunities":
                yield from self.pages(entity, entity, {**EXPAND, **changed})
            case "postings":
                for state in STATES:
                    yield from self.pages(entity, entity, {"state": state, **changed})
            case "offers":
                for filters in offers_for:
                    for rows in self.pages("opportunities", "opportunities", {**changed, **filters}):
                        yield [o for own in at_once(self.offers_of, [str(row["id"]) for row in rows]) for o in own]
            case _:
                yield from self.pages(entity, entity)

    def _rows(self, entity: str, data: object) -> list[Row]:
        if not isinstance(data, list):
            raise Invalid(SYSTEM, f"{entity}.list", detail="the answer holds no list")
        entries = cast("list[Any]", data)
        rows = [cast("Row", entry) for entry in entries if isinstance(entry, dict) and entry.get("id") is not None]
        if len(rows) < len(entries):
            with self._lock:
                self.skipped[entity] += len(entries) - len(rows)
        return rows


def at_once(read: Callable[[str], T], ids: Sequence[str]) -> list[T]:
    """What is read of each id, in order. There is no way to ask for many, so a few questions are under way at once."""
    if len(ids) <= _AT_ONCE:
        return [read(one) for one in ids]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lever") as pool:
        return list(pool.map(read, ids))


def record(operation: str, data: object) -> Row:
    """The record of an answer, with one `data` around it or two (the documentation shows both).

    Raises:
        Invalid: When there is none.
    """
    inner: object = data
    for _ in range(2):
        if isinstance(inner, dict) and isinstance(cast("Row", inner).get("data"), dict):
            inner = cast("Row", inner)["data"]
    if isinstance(inner, dict) and cast("Row", inner).get("id") is not None:
        return cast("Row", inner)
    raise Invalid(SYSTEM, operation, detail="the answer shows no record")


def created(operation: str, data: object) -> Row:
    """The record of a create's answer. One that shows none came too late to undo anything.

    Raises:
        AmbiguousOutcome: When there is none.
    """
    try:
        return record(operation, data)
    except Invalid as failure:
        raise AmbiguousOutcome(SYSTEM, operation, detail=failure.detail) from failure


def millis_text(moment: datetime) -> str:
    """(5) A moment as the vendor wants it in a parameter; a part of a millisecond is cut, so that nothing is missed."""
    return str(int(moment.timestamp() * 1000))


def _envelope(entity: str, data: object) -> Row:
    if not isinstance(data, dict):
        raise Invalid(SYSTEM, f"{entity}.list", detail="the answer is no object")
    return cast("Row", data)
