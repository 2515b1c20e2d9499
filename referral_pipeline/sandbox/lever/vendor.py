"""The vendor's side of the server: from a request to an answer, in the order in which the vendor decides.

Belongs here: the routes, authentication, the bucket, rights. Does not belong here: what an operation does (`lists`,
`writes`), sockets (`app`).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.writes import ApplicationHook
from referral_pipeline.sandbox.lever import bodies
from referral_pipeline.sandbox.lever.errors import Refusal, bad_request, forbidden, no_route, not_found, too_many
from referral_pipeline.sandbox.lever.errors import unauthorized as unauthorized_refusal
from referral_pipeline.sandbox.lever.ids import decode
from referral_pipeline.sandbox.lever.lists import Entry as ListEntry
from referral_pipeline.sandbox.lever.lists import Lists, Query, expanded, only, page, read_query
from referral_pipeline.sandbox.lever.memory import Memory
from referral_pipeline.sandbox.lever.rate import TokenBucket
from referral_pipeline.sandbox.lever.switches import LeverSwitches
from referral_pipeline.sandbox.lever.views import Views
from referral_pipeline.sandbox.lever.writes import Answer, Writes

UNKNOWN_OPERATION = "unknown path"
_ACT = "perform_as"


@dataclass(frozen=True)
class Incoming:
    """What the vendor sees of a request. `path` is below /v1."""

    method: str
    path: str
    query: str
    authorization: str | None
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Outgoing:
    """What goes back. `body=None` sends no body."""

    status: int
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


OPERATIONS = (
    "GET /opportunities",
    "GET /opportunities/deleted",
    "GET /opportunities/{id}",
    "GET /opportunities/{id}/offers",
    "GET /opportunities/{id}/referrals",
    "GET /opportunities/{id}/applications",
    "POST /opportunities",
    "POST /opportunities/{id}/addTags",
    "POST /opportunities/{id}/removeTags",
    "POST /opportunities/{id}/addSources",
    "POST /opportunities/{id}/removeSources",
    "PUT /opportunities/{id}/archived",
    "GET /contacts/{id}",
    "PUT /contacts/{id}",
    "GET /postings",
    "GET /postings/{id}",
    "GET /stages",
    "GET /archive_reasons",
    "GET /users",
    "GET /users/{id}",
    "GET /webhooks",
    "POST /webhooks",
    "DELETE /webhooks/{id}",
)
"""Every operation of the sandbox."""

_NAMES_AFTER_COLLECTION = frozenset({"deleted"})


class Vendor:
    """Lever as seen over HTTP."""

    def __init__(
        self,
        store: GreenhouseStore,
        memory: Memory,
        key: str,
        on_application_created: ApplicationHook | None = None,
    ) -> None:
        self.store = store
        self.memory = memory
        self.calls: dict[str, Counter[str]] = {}
        self.views = Views(store, memory)
        self._lists = Lists(store, memory, self.views)
        self._writes = Writes(store, memory, self.views, self._lists)
        self._authorization = f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"
        self._bucket = TokenBucket()
        self._on_application_created = on_application_created
        self._untold: dict[int, list[int]] = {}
        lists = self._lists
        self._of_lists: Mapping[str, Callable[[Query], Row]] = {
            "GET /opportunities": lists.opportunities,
            "GET /opportunities/deleted": lists.deleted,
            "GET /postings": lists.postings,
            "GET /stages": lists.stages,
            "GET /archive_reasons": lists.reasons,
            "GET /users": lists.users,
            "GET /webhooks": lists.webhooks,
        }

    @property
    def switches(self) -> LeverSwitches:
        """The switches in force."""
        switches = self.store.switches
        assert isinstance(switches, LeverSwitches)
        return switches

    def answer(self, request: Incoming) -> Outgoing:
        """Answer any request below /v1."""
        with self.store.lock:
            name, record_id = _route(request.method, request.path)
            then: tuple[Row, Row | None] | None = None
            try:
                if name not in OPERATIONS or name in self.switches.operations_absent:
                    raise no_route(request.path)
                if not hmac.compare_digest(request.authorization or "", self._authorization):
                    raise unauthorized_refusal()
                self._take()
                if name in self.switches.operations_forbidden:
                    raise forbidden("The key lacks the permission for this endpoint")
                done = self._carry_out(name, record_id, request)
                then = done.then
                answer = _outgoing(done.status, done.body if done.status != 204 else None)
            except Refusal as refusal:
                answer = _outgoing(refusal.status, refusal.body)
            finally:
                self.store.flush()
            self._count(name if name in OPERATIONS else UNKNOWN_OPERATION, answer.status)
            if then is not None and self._on_application_created is not None:
                self._tell(*then)
            return answer

    def not_found(self) -> Outgoing:
        """Answer a path that is not below /v1."""
        self._count(UNKNOWN_OPERATION, 404)
        return _outgoing(404, no_route("").body)

    def _tell(self, contact: Row, opportunity: Row | None) -> None:
        """Tell of a new opportunity, as soon as its contact has an address by which it is known who that is."""
        waiting = self._untold.setdefault(contact["id"], [])
        if opportunity is not None:
            waiting.append(opportunity["id"])
        if not contact["email_addresses"] or self._on_application_created is None:
            return
        for number in self._untold.pop(contact["id"]):
            row = self.store.get("applications", number)
            if row is not None:
                self._on_application_created(dict(contact), dict(row))

    def _take(self) -> None:
        switches = self.switches
        now = self.store.clock().timestamp()
        if not self._bucket.take("key", per_second=switches.calls_per_second, burst=switches.burst, now=now):
            raise too_many()

    # ---------------------------------------------------------------- operations

    def _carry_out(self, name: str, record_id: str, request: Incoming) -> Answer:
        query = read_query(request.query)
        if name in self._of_lists:
            return Answer(200, self._of_lists[name](query))
        method, _, path = name.partition(" ")
        if method == "GET":
            return self._read(path, record_id, query)
        self._acting(query, is_needed=name == "POST /opportunities")
        return self._write(name, record_id, request)

    def _read(self, path: str, record_id: str, query: Query) -> Answer:
        if path.startswith("/opportunities/"):
            return self._read_opportunity(path.rpartition("/")[2], record_id, query)
        only(query, ())
        match path:
            case "/contacts/{id}":
                shown = self.views.contact(self._row("candidates", "contacts", record_id))
            case "/postings/{id}":
                shown = self.views.posting(self._row("jobs", "postings", record_id))
            case _:
                shown = self.views.user(self._row("users", "users", record_id))
        return Answer(200, {"data": shown})

    def _read_opportunity(self, what: str, record_id: str, query: Query) -> Answer:
        row = self._row("applications", "opportunities", record_id)
        if what == "{id}":
            only(query, ("expand", "include"))
            shown = self.views.opportunity(row, expanded(query), query.get("include", ()))
            return Answer(200, {"data": shown})
        only(query, ())
        rows = {
            "offers": self.views.offers,
            "referrals": self.views.referrals,
            "applications": lambda one: [] if one["prospect"] else [self.views.application(one)],
        }[what](row)
        entries = (ListEntry(one["createdAt"], one["id"], lambda one=one: one) for one in rows)
        return Answer(200, page(entries, query))

    def _write(self, name: str, record_id: str, request: Incoming) -> Answer:
        writes = self._writes

        def body(model: type[bodies.B]) -> bodies.B:
            return bodies.read_body(model, request.content_type, request.body)

        match name:
            case "POST /opportunities":
                return writes.create_opportunity(body(bodies.NewOpportunity))
            case "PUT /contacts/{id}":
                return writes.change_contact(self._row("candidates", "contacts", record_id), body(bodies.Contact))
            case "POST /webhooks":
                return writes.create_webhook(body(bodies.Webhook))
            case "DELETE /webhooks/{id}":
                return writes.delete_webhook(record_id)
            case _:
                row = self._row("applications", "opportunities", record_id)
                act = name.rpartition("/")[2]
                if act == "archived":
                    return writes.archive(row, body(bodies.Ended))
                if act in {"addTags", "removeTags"}:
                    change = writes.add_tags if act == "addTags" else writes.remove_tags
                    return change(row, body(bodies.Tags))
                change_sources = writes.add_sources if act == "addSources" else writes.remove_sources
                return change_sources(row, body(bodies.Sources))

    def _acting(self, query: Query, *, is_needed: bool) -> None:
        """Who acts; a create must say so."""
        only(query, (_ACT,))
        acting = query.get(_ACT)
        if acting:
            self._writes.user(acting[-1])
        elif is_needed:
            raise bad_request("Missing required parameter perform_as")

    def _row(self, entity: str, noun: str, record_id: str) -> Row:
        row = self.store.get(entity, decode(entity, record_id))
        if row is None:
            raise not_found(noun, record_id)
        return row

    def _count(self, operation: str, status: int) -> None:
        self.calls.setdefault(operation, Counter())[str(status)] += 1


def _route(method: str, path: str) -> tuple[str, str]:
    """The operation's name, and the id in its path."""
    parts = path.strip("/").split("/")
    record_id = ""
    if len(parts) > 1 and parts[1] not in _NAMES_AFTER_COLLECTION:
        record_id, parts[1] = parts[1], "{id}"
    return f"{method} /{'/'.join(parts)}", record_id


def _outgoing(status: int, body: Any) -> Outgoing:
    raw = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing(status, raw)
