"""Ashby's calls: refusals that come with HTTP 200, pages, what changed since a syncToken.

Belongs here: the envelope of answers, the protocol of lists, which lists are pulled. Does not belong here: what rows
mean. The numbers in comments are the invariants of `ashby`.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from referral_pipeline.connectors.ashby_models import SYSTEM
from referral_pipeline.connectors.ashby_tokens import SyncTokens
from referral_pipeline.connectors.failures import HttpFailure, Invalid, NotFound, lost_answer
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import Entity, Row, Window

_LOG = logging.getLogger(__name__)

PAGE_SIZE = 100
"""The largest page."""
_RESTARTS = 2
"""How often a pull begins again when its cursor is refused."""
_HEADERS = {"Accept": "application/json; version=1"}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_TOKEN_REFUSED = frozenset({"sync_token_expired", "sync_token_invalid", "incremental_sync_too_large"})
_CURSOR_REFUSED = frozenset({"next_cursor_expired", "invalid_next_cursor"})
_STATUSES: Mapping[str, int] = {
    "unauthorized": 401,
    "invalid_api_key": 401,
    "forbidden": 403,
    "missing_endpoint_permission": 403,
    "not_found": 404,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
    "internal_error": 500,
    "internal_server_error": 500,
    "server_error": 500,
    "service_unavailable": 503,
    "timeout": 503,
}


@dataclass(frozen=True)
class Listing:
    """A list that is pulled. `params` go with every request; `syncs`: whether it tells what changed since a token."""

    name: str
    call: str
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    syncs: bool = True


LISTINGS: Mapping[str, Listing] = {
    listing.name: listing
    for listing in (
        Listing("departments", "department.list", {"includeArchived": True}),
        Listing("jobs", "job.list", {"expand": ["location"]}),
        # Without this, what is not for the public is listed too.
        Listing("job_postings", "jobPosting.list", {"listedOnly": True}, syncs=False),
        Listing("interview_stages", "interviewPlan.list", {"includeArchived": True}),
        Listing("candidates", "candidate.list"),
        Listing("applications", "application.list", {"expand": ["openings"]}),
        Listing("application_history", "application.list"),
        Listing("offers", "offer.list"),
    )
}
"""What is pulled. Stages come plan by plan, histories application by application. Users are only looked up."""

_CHANGED = frozenset({"departments", "jobs", "job_postings", "candidates", "applications", "application_history"})
ENTITIES: Mapping[str, Entity] = {
    name: Entity(name, changed_field="updatedAt" if name in _CHANGED else None) for name in LISTINGS
}


def judged(data: Any) -> tuple[int, str] | None:
    """(1) What a refusal that came with HTTP 200 comes to, and its words; None for a success."""
    if not isinstance(data, dict):
        return None
    body = cast("dict[str, Any]", data)
    if body.get("success") is not False:
        return None
    code, message = error_of(body)
    status = _STATUSES.get(code, 404 if code.endswith("_not_found") else 400)
    return status, ": ".join(filter(None, (code, message)))


def error_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Code and message of a refusal; empty where there is none."""
    info = body.get("errorInfo")
    told: Mapping[str, Any] = cast("Mapping[str, Any]", info) if isinstance(info, Mapping) else {}
    errors = body.get("errors")
    first = cast("list[Any]", errors)[0] if isinstance(errors, list) and errors else ""
    return str(told.get("code") or first or ""), str(told.get("message") or "")


def code_of(failure: HttpFailure) -> str:
    """The vendor's code of a failure; empty where it gave none."""
    try:
        body = json.loads(failure.evidence.answer) if failure.evidence is not None else None
    except ValueError:
        return ""
    return error_of(cast("dict[str, Any]", body))[0] if isinstance(body, dict) else ""


def is_id(text: str) -> bool:
    """Whether a text can be an id of Ashby; any other names nothing there, and is not asked for."""
    return _UUID.fullmatch(text) is not None


class AshbyApi:
    """Calls one account. Safe for threads. `skipped` counts the rows without id, by entity."""

    def __init__(self, client: HttpClient, tokens: SyncTokens) -> None:
        self.client = client
        self.skipped: Counter[str] = Counter()
        self._tokens = tokens
        self._lock = threading.Lock()

    # ------------------------------------------------------------ calls

    def read(self, call: str, body: Mapping[str, Any] | None = None) -> Any:
        """`results` of a call that changes nothing: it may be repeated."""
        return self._results(call, self._call(call, body, repeatable=True, writes=False))

    def write(self, call: str, body: Mapping[str, Any], *, repeatable: bool = False) -> Any:
        """`results` of a call that changes something, or None where it shows none.

        (16) It is not sent again once it may have been received, unless doing it twice does no harm (`repeatable`).
        """
        return self._call(call, body, repeatable=repeatable, writes=True).get("results")

    def page(self, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a list to one request, with its cursor or token."""
        return self._call(call, body, repeatable=True, writes=False)

    def read_one(self, call: str, body: Mapping[str, Any]) -> Row | None:
        """The row of an `*.info` call; None when it is not there."""
        try:
            found = self.read(call, body)
        except NotFound as failure:
            if not code_of(failure).endswith("_not_found"):
                raise
            return None
        if not isinstance(found, dict) or cast("Row", found).get("id") is None:
            raise Invalid(SYSTEM, call, detail="the answer shows no record")
        return cast("Row", found)

    def read_all(self, call: str, body: Mapping[str, Any] | None = None, *, paged: bool = True) -> list[Row]:
        """Every row of a list."""
        if not paged:
            return self._rows(call, self._call(call, body, repeatable=True, writes=False))
        rows: list[Row] = []
        for answer in self._pages(call, {**(body or {}), "limit": PAGE_SIZE}):
            rows += self._rows(call, answer)
        return rows

    def _call(self, call: str, body: Mapping[str, Any] | None, *, repeatable: bool, writes: bool) -> dict[str, Any]:
        answer = self.client.call(
            call, "POST", call, json=dict(body or {}), headers=_HEADERS, repeatable=repeatable, writes=writes
        )
        if answer.data is None:  # whether it was done stands in the body
            raise lost_answer(SYSTEM, call, status=answer.status, detail="an empty body", repeatable=repeatable)
        if not isinstance(answer.data, dict):
            raise Invalid(SYSTEM, call, detail="the answer is no object")
        return cast("dict[str, Any]", answer.data)

    def _results(self, call: str, answer: Mapping[str, Any]) -> Any:
        if "results" not in answer:
            raise Invalid(SYSTEM, call, detail="the answer has no results")
        return answer["results"]

    def _rows(self, name: str, answer: Mapping[str, Any]) -> list[Row]:
        """(4) The rows of a page; entries that are no row are skipped and counted."""
        found = self._results(name, answer)
        if not isinstance(found, list):
            raise Invalid(SYSTEM, name, detail="the answer is no list")
        entries = cast("list[Any]", found)
        rows = [cast("Row", entry) for entry in entries if isinstance(entry, dict) and entry.get("id") is not None]
        if len(rows) < len(entries):
            with self._lock:
                self.skipped[name] += len(entries) - len(rows)
        return rows

    # ------------------------------------------------------------ lists

    def _pages(self, call: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """(2) Page after page. The cursor goes with the parameters of the first request, the token does not."""
        answer = self._call(call, body, repeatable=True, writes=False)
        yield answer
        while answer.get("moreDataAvailable"):
            cursor = answer.get("nextCursor")
            if not cursor:
                raise Invalid(SYSTEM, call, detail="there is more, and no cursor that leads to it")
            again = {name: value for name, value in body.items() if name != "syncToken"}
            answer = self._call(call, {**again, "cursor": cursor}, repeatable=True, writes=False)
            yield answer

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(3) Pages of a list: what changed since the token of the window's position, else everything."""
        listing = LISTINGS[entity]
        token = self._token(listing, window)
        refused = 0
        while True:
            try:
                yield from self._pull_once(listing, token, window.until)
            except Invalid as failure:
                code = code_of(failure)
                if token is not None and code in _TOKEN_REFUSED:
                    _LOG.info("ashby %s: %s; everything is listed", entity, code)
                    self._tokens.forget(entity)
                    token = None
                    continue
                refused += 1
                if code not in _CURSOR_REFUSED or refused > _RESTARTS:
                    raise
                _LOG.info("ashby %s: %s; the pull begins again", entity, code)
            else:
                return

    def _token(self, listing: Listing, window: Window) -> str | None:
        if not listing.syncs or window.is_full or window.position is None:
            return None
        return self._tokens.at(listing.name, window.position)

    def _pull_once(self, listing: Listing, token: str | None, until: datetime) -> Iterator[list[Row]]:
        if not listing.syncs:
            yield self.read_all(listing.call, listing.params, paged=False)
            return
        body: dict[str, Any] = {**listing.params, "limit": PAGE_SIZE}
        if token is not None:
            body["syncToken"] = token
        last: Mapping[str, Any] = {}
        for last in self._pages(listing.call, body):
            yield self._rows(listing.name, last)
        if last.get("syncToken"):
            self._tokens.keep(listing.name, until, str(last["syncToken"]))
