"""Lists: filters, pages, and the envelope {data, next, hasNext}.

Belongs here: what a list may be asked, and in which order it comes. Does not belong here: shapes of rows (`views`).

Lists come newest first by creation. An offset token names the row after which the next page begins. What is unknown
among the parameters is refused, so that a client hears of a mistyped filter instead of getting all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.lever.errors import bad_request
from referral_pipeline.sandbox.lever.ids import decode, encode
from referral_pipeline.sandbox.lever.memory import Memory, millis
from referral_pipeline.sandbox.lever.views import EXPANDABLE, Views, state_of
from referral_pipeline.sandbox.programme.story import mailbox

Query = Mapping[str, list[str]]

_PAGING = frozenset({"limit", "offset"})
_MOST = 100
_STATES = ("published", "internal", "closed", "draft", "pending", "rejected")
_MOMENTS = ("created_at", "updated_at", "advanced_at", "archived_at")
_OF_OPPORTUNITIES = frozenset(
    {"email", "contact_id", "tag", "source", "origin", "stage_id", "posting_id", "archived", "archive_reason_id"}
    | {"confidentiality", "snoozed", "include", "expand"}
    | {f"{name}_{end}" for name in _MOMENTS for end in ("start", "end")}
)


@dataclass(frozen=True)
class Entry:
    """One row of a list: when and as what it was made, and how it is shown."""

    at: int
    id: str
    show: Callable[[], Row]


def read_query(text: str) -> Query:
    """The parameters of a request."""
    return parse_qs(text, keep_blank_values=True)


def page(entries: Iterable[Entry], query: Query) -> Row:
    """A page of these rows in the envelope. Raises Refusal for a limit or a token that is none."""
    limit, after = _limit(query), _offset(query)
    ordered = sorted(entries, key=lambda entry: (-entry.at, entry.id))
    if after is not None:
        ordered = [entry for entry in ordered if (-entry.at, entry.id) > (-after[0], after[1])]
    shown, more = ordered[:limit], len(ordered) > limit
    answer: Row = {"data": [entry.show() for entry in shown], "hasNext": more}
    if more:
        answer["next"] = f"0.{shown[-1].at}.{shown[-1].id}"
    return answer


def only(query: Query, known: Iterable[str]) -> None:
    """Refuse parameters that this list does not have, and moments that are none."""
    unknown = sorted(set(query) - set(known) - _PAGING)
    if unknown:
        raise bad_request(f"Unknown parameter {unknown[0][:40]}")
    for name in query:
        if name.endswith(("_at_start", "_at_end")) and not (_one(query, name) or "").isdecimal():
            raise bad_request(f"{name} must be a time in milliseconds")


def _limit(query: Query) -> int:
    text = _one(query, "limit")
    if text is None:
        return _MOST
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise bad_request(f"limit must be from 1 to {_MOST}")
    return int(text)


def _offset(query: Query) -> tuple[int, str] | None:
    text = _one(query, "offset")
    if text is None:
        return None
    parts = text.split(".", 2)
    if len(parts) != 3 or parts[0] != "0" or not parts[1].isdecimal():
        raise bad_request("Invalid offset token")
    return int(parts[1]), parts[2]


def _one(query: Query, name: str) -> str | None:
    values = query.get(name)
    if values is not None and len(values) > 1:
        raise bad_request(f"{name} is given more than once")
    return values[0] if values else None


class Lists:
    """The lists of one account."""

    def __init__(self, store: GreenhouseStore, memory: Memory, views: Views) -> None:
        self._store = store
        self._memory = memory
        self._views = views

    # ---------------------------------------------------------------- opportunities

    def opportunities(self, query: Query) -> Row:
        """GET /opportunities."""
        only(query, _OF_OPPORTUNITIES)
        expand, include = expanded(query), frozenset(query.get("include", ()))
        kept = [row for row in self._named(query) if self._is_shown(row) and self._passes(row, query)]
        return page((self._entry(row, expand, include) for row in kept), query)

    def _entry(self, row: Row, expand: frozenset[str], include: frozenset[str]) -> Entry:
        at, record_id = millis(row["created_at"]) or 0, encode("applications", row["id"])
        return Entry(at, record_id, lambda: self._views.opportunity(row, expand, include))

    def _named(self, query: Query) -> Iterable[Row]:
        """By the index where one fits, all others by looking at each."""
        contacts = query.get("contact_id")
        if contacts is not None:
            numbers = {decode("candidates", text) for text in _listed(contacts)} - {None}
            return [row for number in numbers for row in self._store.find("applications", "candidate_id", number)]
        email = _one(query, "email")
        if email is not None:
            return [
                row
                for candidate in self.contacts_with(email)
                for row in self._store.find("applications", "candidate_id", candidate["id"])
            ]
        return self._store.rows("applications")

    def contacts_with(self, email: str) -> list[Row]:
        """Contacts with this address as Lever compares them, oldest first."""
        wanted = mailbox(email)
        return [
            row
            for row in self._store.rows("candidates")
            if any(mailbox(item["value"]) == wanted for item in row["email_addresses"])
        ]

    def _is_shown(self, row: Row) -> bool:
        return row["status"] != "converted" and self._store.is_visible("applications", row["id"])

    def _passes(self, row: Row, query: Query) -> bool:
        candidate = self._store.tables["candidates"].rows[row["candidate_id"]]
        wish = _one(query, "confidentiality") or "non-confidential"
        if wish not in {"all", "confidential", "non-confidential"}:
            raise bad_request("Invalid confidentiality")
        if wish != "all" and (wish == "confidential") is not bool(candidate["private"]):
            return False
        reason = self._views.reason_of(row)
        tests: Mapping[str, Callable[[list[str]], bool]] = {
            "tag": lambda values: not set(self._memory.tags(row)).isdisjoint(values),
            "source": lambda values: not set(self._memory.sources(row)).isdisjoint(values),
            "origin": lambda values: self._memory.of(row["id"]).origin in values,
            "stage_id": lambda values: self._views.stage_of(row) in _listed(values),
            "posting_id": lambda values: row["job_id"] in {decode("jobs", text) for text in _listed(values)},
            "archive_reason_id": lambda values: reason in _listed(values),
            "archived": lambda values: (reason is not None) is _flag("archived", values),
            "snoozed": lambda values: not _flag("snoozed", values),
        }
        if not all(test(query[name]) for name, test in tests.items() if name in query):
            return False
        moments: Mapping[str, Callable[[], int | None]] = {
            "created_at": lambda: millis(row["created_at"]),
            "updated_at": lambda: self._views.updated_at(row),
            "advanced_at": lambda: millis(row["last_activity_at"]),
            "archived_at": lambda: self._views.archived_at(row),
        }
        return all(_between(query, name, read) for name, read in moments.items())

    def deleted(self, query: Query) -> Row:
        """GET /opportunities/deleted."""
        only(query, ("deleted_at_start", "deleted_at_end"))
        gone = [
            (encode("applications", number), at)
            for number, at in self._memory.deleted
            if _between(query, "deleted_at", lambda at=at: at)
        ]
        return page((_plain(at, {"id": record_id, "deletedAt": at}) for record_id, at in gone), query)

    # ---------------------------------------------------------------- the rest

    def postings(self, query: Query) -> Row:
        """GET /postings. Only published ones unless another state is asked for."""
        only(query, ("state", *(f"{name}_{end}" for name in ("created_at", "updated_at") for end in ("start", "end"))))
        state = _one(query, "state") or "published"
        if state not in _STATES:
            raise bad_request("Invalid state")
        rows = [row for row in self._store.rows("jobs") if not row["is_template"] and state_of(row) == state]
        shown = [self._views.posting(row) for row in rows]
        kept = [
            row
            for row in shown
            if _between(query, "created_at", lambda row=row: row["createdAt"])
            and _between(query, "updated_at", lambda row=row: row["updatedAt"])
        ]
        return page((_plain(row["createdAt"], row) for row in kept), query)

    def users(self, query: Query) -> Row:
        """GET /users."""
        only(query, ("email", "accessRole", "includeDeactivated"))
        wanted = _one(query, "email")
        with_gone = "includeDeactivated" in query and _flag("includeDeactivated", query["includeDeactivated"])
        rows = [
            row
            for row in self._store.rows("users")
            if (wanted is None or (row["primary_email"] or "").casefold() == wanted.casefold())
            and (with_gone or not row["deactivated"])
        ]
        shown = [self._views.user(row) for row in rows]
        return page((_plain(row["createdAt"], row) for row in shown), query)

    def stages(self, query: Query) -> Row:
        """GET /stages, in the order of pipelines."""
        only(query, ())
        return page((_plain(-place, row) for place, row in enumerate(self._views.stages())), query)

    def reasons(self, query: Query) -> Row:
        """GET /archive_reasons."""
        only(query, ("type",))
        kind = _one(query, "type")
        if kind not in {None, "hired", "non-hired"}:
            raise bad_request("Invalid type")
        rows = [row for row in self._views.reasons() if kind in {None, row["type"]}]
        return page((_plain(-place, row) for place, row in enumerate(rows)), query)

    def webhooks(self, query: Query) -> Row:
        """GET /webhooks; the signature token is told at creation only."""
        only(query, ())
        hidden: list[Row] = [
            {**hook, "configuration": {k: v for k, v in hook["configuration"].items() if k != "signatureToken"}}
            for hook in self._memory.webhooks
        ]
        return page((_plain(int(hook["createdAt"]), hook) for hook in hidden), query)


def expanded(query: Query) -> frozenset[str]:
    """What is to be written out. Raises Refusal for what cannot be."""
    wanted = frozenset(query.get("expand", ()))
    if not wanted <= EXPANDABLE:
        raise bad_request(f"{min(wanted - EXPANDABLE)[:40]} cannot be expanded")
    return wanted


def _plain(at: int, row: Row) -> Entry:
    return Entry(at, str(row["id"]), lambda: row)


def _listed(values: Iterable[str]) -> set[str]:
    return {part for value in values for part in value.split(",")}


def _flag(name: str, values: list[str]) -> bool:
    if values[-1] not in {"true", "false"}:
        raise bad_request(f"{name} must be true or false")
    return values[-1] == "true"


def _between(query: Query, name: str, read: Callable[[], int | None]) -> bool:
    """Whether a moment lies in the window that is asked for, both ends inclusive."""
    for end, outside in (("start", lambda at, edge: at < edge), ("end", lambda at, edge: at > edge)):
        text = _one(query, f"{name}_{end}")
        if text is None:
            continue
        at: Any = read()
        if at is None or outside(at, int(text)):
            return False
    return True
