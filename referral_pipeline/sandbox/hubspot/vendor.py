"""The vendor's side of the server: from a request to an answer, in the order in which the vendor decides.

Belongs here: routes, the key, scopes, limits, bodies. Does not belong here: what becomes of contacts (`book`), the
meaning of a search (`searching`), sockets (`app`).
"""

from __future__ import annotations

import hmac
import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from referral_pipeline.sandbox.hubspot.book import Book, Contact
from referral_pipeline.sandbox.hubspot.errors import (
    Refusal,
    forbidden,
    invalid,
    no_method,
    not_found,
    too_many,
    unauthorized,
)
from referral_pipeline.sandbox.hubspot.schema import DEFAULT_READ, NewGroup, NewProperty, iso
from referral_pipeline.sandbox.hubspot.searching import SearchRequest, search
from referral_pipeline.sandbox.hubspot.switches import CONTACTS_READ, CONTACTS_WRITE, SCHEMAS_READ, SCHEMAS_WRITE

UNKNOWN_OPERATION = "unknown path"
_CONTACTS = "/crm/v3/objects/contacts"
_PROPERTIES = "/crm/v3/properties/contacts"
OPERATIONS: Mapping[str, str] = {
    f"GET {_CONTACTS}": CONTACTS_READ,
    f"POST {_CONTACTS}": CONTACTS_WRITE,
    f"POST {_CONTACTS}/search": CONTACTS_READ,
    f"POST {_CONTACTS}/batch/read": CONTACTS_READ,
    f"POST {_CONTACTS}/merge": CONTACTS_WRITE,
    f"POST {_CONTACTS}/gdpr-delete": CONTACTS_WRITE,
    f"GET {_CONTACTS}/{{id}}": CONTACTS_READ,
    f"PATCH {_CONTACTS}/{{id}}": CONTACTS_WRITE,
    f"DELETE {_CONTACTS}/{{id}}": CONTACTS_WRITE,
    f"GET {_PROPERTIES}": SCHEMAS_READ,
    f"POST {_PROPERTIES}": SCHEMAS_WRITE,
    f"GET {_PROPERTIES}/{{id}}": SCHEMAS_READ,
    f"DELETE {_PROPERTIES}/{{id}}": SCHEMAS_WRITE,
    f"GET {_PROPERTIES}/groups": SCHEMAS_READ,
    f"POST {_PROPERTIES}/groups": SCHEMAS_WRITE,
}
"""Every operation of the sandbox, with the scope that it needs."""

_WORDS = {"search", "merge", "gdpr-delete", "groups"}
_WINDOW_SECONDS = 10.0
_B = TypeVar("_B", bound=BaseModel)


@dataclass(frozen=True)
class Incoming:
    """What the vendor sees of a request. `path` begins with a slash."""

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


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Values(_Body):
    """The body of an update."""

    properties: dict[str, str]


class NewContact(Values):
    """The body of a create. Required by the document, although it may be empty."""

    associations: list[dict[str, Any]]
    objectWriteTraceId: str | None = None


class _Id(_Body):
    id: str


class BatchRead(_Body):
    """The body of a batch read."""

    inputs: list[_Id] = Field(min_length=1, max_length=100)
    properties: list[str]
    propertiesWithHistory: list[str]
    idProperty: str | None = None


class Merge(_Body):
    """The body of a merge."""

    primaryObjectId: str
    objectIdToMerge: str


class Erasure(_Body):
    """The body of an erasure."""

    objectId: str
    idProperty: str | None = None


class Vendor:
    """HubSpot as seen over HTTP."""

    def __init__(self, book: Book, key: str) -> None:
        self.book = book
        self.calls: dict[str, Counter[str]] = {}
        self._authorization = f"Bearer {key}"
        self._recent: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._today = Counter[int]()

    def answer(self, request: Incoming) -> Outgoing:
        """Answer any request."""
        with self.book.lock:
            name, record_id = _route(request.method, request.path)
            headers: dict[str, str] = {}
            try:
                self._admit(name, request)
                headers = self._take(name)
                status, body = self._carry_out(name, record_id, request)
                answer = _outgoing(status, body, headers)
            except Refusal as refusal:
                answer = _outgoing(refusal.status, refusal.body, headers)
            known = name if name in OPERATIONS else UNKNOWN_OPERATION
            self.calls.setdefault(known, Counter())[str(answer.status)] += 1
            return answer

    # ---------------------------------------------------------------- who may

    def _admit(self, name: str, request: Incoming) -> None:
        switches = self.book.switches
        if name not in OPERATIONS or name in switches.operations_absent:
            path = name.partition(" ")[2]
            raise no_method() if any(known.partition(" ")[2] == path for known in OPERATIONS) else not_found()
        if not hmac.compare_digest(request.authorization or "", self._authorization):
            raise unauthorized()
        if OPERATIONS[name] not in switches.scopes or name in switches.operations_forbidden:
            raise forbidden([OPERATIONS[name]])

    def _take(self, name: str) -> dict[str, str]:
        """Count the call. A search has a limit of its own and tells no headers."""
        switches, now = self.book.switches, self.book.clock()
        day = int(now // 86_400)
        if name == f"POST {_CONTACTS}/search":
            if not _within(self._searches, now, 1.0, switches.search_per_second):
                raise too_many("SECONDLY", "secondly")
            return {}
        if self._today[day] >= switches.daily_limit:
            raise too_many("DAILY", "daily")
        if not _within(self._recent, now, _WINDOW_SECONDS, switches.rate_limit):
            raise too_many("TEN_SECONDLY_ROLLING", "ten_secondly_rolling")
        self._today[day] += 1
        return {
            "X-HubSpot-RateLimit-Daily": str(switches.daily_limit),
            "X-HubSpot-RateLimit-Daily-Remaining": str(switches.daily_limit - self._today[day]),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Max": str(switches.rate_limit),
            "X-HubSpot-RateLimit-Remaining": str(switches.rate_limit - len(self._recent)),
        }

    # ---------------------------------------------------------------- operations

    def _carry_out(self, name: str, record_id: str, request: Incoming) -> tuple[int, Any]:
        method, _, path = name.partition(" ")
        if path.startswith(_PROPERTIES):
            return self._of_properties(method, path.removeprefix(_PROPERTIES), record_id, request)
        query = {key: values[-1] for key, values in parse_qs(request.query, keep_blank_values=True).items()}
        book = self.book
        match method, path.removeprefix(_CONTACTS):
            case "GET", "":
                return 200, self._list(query)
            case "POST", "":
                return 201, _shown(book.create(_read(NewContact, request).properties))
            case "POST", "/search":
                wish = _read(SearchRequest, request)
                page, total, after = search(book, wish)
                results = [_shown(one, wish.properties) for one in page]
                return 200, {"total": total, "results": results, **_paging(after, None)}
            case "POST", "/batch/read":
                return self._batch_read(_read(BatchRead, request))
            case "POST", "/merge":
                merge = _read(Merge, request)
                return 200, _shown(book.merge(merge.primaryObjectId, merge.objectIdToMerge))
            case "POST", "/gdpr-delete":
                erasure = _read(Erasure, request)
                found = self._one(erasure.objectId, erasure.idProperty) if erasure.idProperty else None
                book.erase(found.id if found else erasure.objectId)
                return 204, None
            case "GET", _:
                return 200, _shown(self._one(record_id, query.get("idProperty")), _names(query))
            case "PATCH", _:
                contact = self._one(record_id, query.get("idProperty"))
                return 200, _shown(book.update(contact, _read(Values, request).properties))
            case _:
                found = book.find(record_id)
                if found is not None:
                    book.archive(found)
                return 204, None

    def _of_properties(self, method: str, what: str, record_id: str, request: Incoming) -> tuple[int, Any]:
        schema = self.book.schema
        match method, what:
            case "GET", "":
                return 200, {"results": list(schema.properties.values())}
            case "POST", "":
                return 201, schema.add(_read(NewProperty, request))
            case "GET", "/groups":
                return 200, {"results": list(schema.groups.values())}
            case "POST", "/groups":
                return 201, schema.add_group(_read(NewGroup, request))
            case "GET", _:
                if record_id not in schema.properties:
                    raise not_found()
                return 200, schema.properties[record_id]
            case _:
                schema.remove(record_id)
                return 204, None

    def _one(self, record_id: str, id_property: str | None) -> Contact:
        if id_property not in (None, "", "email", "hs_object_id"):
            raise invalid(f"{id_property[:60] if id_property else ''} is no unique property")
        found = self.book.by_email(record_id) if id_property == "email" else self.book.find(record_id)
        if found is None:
            raise not_found()
        return found

    def _list(self, query: Mapping[str, str]) -> dict[str, Any]:
        limit, after = query.get("limit", "10"), query.get("after", "0")
        if not limit.isdecimal() or not 1 <= int(limit) <= 100 or not after.isdecimal():
            raise invalid("limit must be from 1 to 100, after a token of a page")
        rows = [one for one in self.book.living() if int(one.id) >= int(after)]
        page, rest = rows[: int(limit)], rows[int(limit) :]
        return {"results": [_shown(one, _names(query)) for one in page], **_paging(rest[0].id if rest else None, limit)}

    def _batch_read(self, wish: BatchRead) -> tuple[int, Any]:
        found = [
            self.book.by_email(one.id) if wish.idProperty == "email" else self.book.find(one.id) for one in wish.inputs
        ]
        unique = {one.id: one for one in found if one is not None}
        now = iso(self.book.contacts[next(iter(unique))].updated_at) if unique else "2020-01-01T00:00:00.000Z"
        body: dict[str, Any] = {
            "status": "COMPLETE",
            "results": [_shown(one, wish.properties) for one in unique.values()],
            "startedAt": now,
            "completedAt": now,
        }
        missing = [one.id for one, row in zip(wish.inputs, found, strict=True) if row is None]
        if not missing:
            return 200, body
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some CONTACT objects, they may be deleted or not exist.",
            "context": {"ids": missing},
            "errors": [],
            "links": {},
        }
        return 207, {**body, "numErrors": 1, "errors": [error]}


def _route(method: str, path: str) -> tuple[str, str]:
    """The operation's name, and the id in its path."""
    for base in (_CONTACTS, _PROPERTIES):
        if path == base:
            return f"{method} {base}", ""
        rest = path.removeprefix(f"{base}/")
        if rest != path:
            if rest in _WORDS or rest.startswith("batch/"):
                return f"{method} {base}/{rest}", ""
            if rest and "/" not in rest:
                return f"{method} {base}/{{id}}", unquote(rest)
    return f"{method} {path}", ""


def _read(model: type[_B], request: Incoming) -> _B:
    if not request.content_type.startswith("application/json"):
        raise Refusal(415, "VALIDATION_ERROR", "Content-Type must be application/json")
    try:
        return model.model_validate(json.loads(request.body))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:60] for part in first["loc"])
        raise invalid(f"Invalid input JSON: {where}: {first['msg']}") from None
    except ValueError:
        raise invalid("Invalid input JSON") from None


def _names(query: Mapping[str, str]) -> list[str]:
    return [name for name in query.get("properties", "").split(",") if name]


def _shown(contact: Contact, names: list[str] | None = None) -> dict[str, Any]:
    """A contact as it is answered: what was asked for, null where there is nothing; after a write all there is."""
    if names is None:
        values: dict[str, str | None] = dict(contact.properties)
        values |= {name: contact.value(name) for name in ("createdate", "hs_object_id", "lastmodifieddate")}
    else:
        asked = (*names, "createdate", "hs_object_id", "lastmodifieddate") if names else DEFAULT_READ
        values = {name: contact.value(name) for name in dict.fromkeys(asked)}
    return {
        "id": contact.id,
        "properties": values,
        "createdAt": iso(contact.created_at),
        "updatedAt": iso(contact.updated_at),
        "archived": False,
    }


def _paging(after: str | None, limit: str | None) -> dict[str, Any]:
    if after is None:
        return {}
    link = {"link": f"https://api.hubapi.com{_CONTACTS}?limit={limit}&after={after}"} if limit else {}
    return {"paging": {"next": {"after": after, **link}}}


def _within(recent: deque[float], now: float, seconds: float, most: int) -> bool:
    while recent and recent[0] <= now - seconds:
        recent.popleft()
    if len(recent) >= most:
        return False
    recent.append(now)
    return True


def _outgoing(status: int, body: Any, headers: Mapping[str, str]) -> Outgoing:
    raw = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing(status, raw, headers)
