"""The Candidate Ingestion API: how a partner hands candidates in, beside Harvest and over the same rows.

Belongs here: its routes, authentication, bodies and errors. Does not belong here: what may happen to a candidate
(`people`, `hiring`), Harvest (`vendor`).

As documented: Basic with the partner's key and nothing as the password, `On-Behalf-Of` with the e-mail address of an
active user on every request (401 without, or of nobody), bodies as arrays, prospects unless told otherwise,
`external_id` required, errors `{"errors": [{"message", "field"}]}`. The referrer's address gets the credit, whether or
not a referrer was there before. Only this partner's candidates are shown, and of those that were merged or deleted
nothing at all.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast
from urllib.parse import parse_qs

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from referral_pipeline.sandbox.greenhouse import hiring, people
from referral_pipeline.sandbox.greenhouse.errors import Unprocessable
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.writes import ApplicationHook

PREFIX = "/v1/partner"
_STATUSES = {"in_process": "Active", "rejected": "Rejected", "hired": "Hired", "converted": "Active"}
_TYPES = {"emails": ("personal", "work", "other"), "phone_numbers": ("home", "work", "mobile", "skype", "other")}
_MOST_AT_ONCE = 50


@dataclass(frozen=True)
class Partner:
    """The partner's key, as an administrator would copy it, and the source of all that it hands in."""

    api_key: str = field(repr=False)
    source_name: str = "Employee Advocacy"


@dataclass(frozen=True)
class Reply:
    """An answer: status and JSON body."""

    status: int
    body: Any


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Email(_Body):
    email: str
    type: str = "other"


class _Phone(_Body):
    phone_number: str
    type: str = "other"


class _Referrer(_Body):
    email: Annotated[str, Field(min_length=3)]
    first_name: str | None = None
    last_name: str | None = None


def _flag(value: object) -> object:
    """The vendor's own sample writes "true"."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


class _Candidate(_Body):
    prospect: Annotated[bool, BeforeValidator(_flag)] = True
    first_name: Annotated[str, Field(min_length=1)]
    last_name: Annotated[str, Field(min_length=1)]
    company: str | None = None
    title: str | None = None
    resume: str | None = None
    emails: list[_Email] = Field(default_factory=list[_Email])
    phone_numbers: list[_Phone] = Field(default_factory=list[_Phone])
    social_media: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    websites: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    addresses: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    job_id: int | None = None
    external_id: Annotated[str, Field(min_length=1)]
    notes: str | None = None
    prospect_pool_id: int | None = None
    prospect_pool_stage_id: int | None = None
    prospect_owner_email: str | None = None
    referrer: _Referrer | None = None


class _Refused(Exception):
    def __init__(self, status: int, *errors: tuple[str, str | None]) -> None:
        super().__init__(str(status))
        self.reply = Reply(status, {"errors": [{"message": message, "field": name} for message, name in errors]})


class Ingestion:
    """The API of one account. Not safe by itself: it takes the store's lock."""

    def __init__(
        self,
        store: GreenhouseStore,
        partner: Partner,
        on_application_created: ApplicationHook | None,
        calls: dict[str, Counter[str]],
    ) -> None:
        self._store = store
        self._partner = partner
        self._on_application_created = on_application_created
        self._calls = calls
        self._external: dict[int, str] = {}

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request below `PREFIX`."""
        name = f"{method} {PREFIX}/{path}"
        routes = {
            ("POST", "candidates"): self._create,
            ("GET", "candidates"): self._candidates,
            ("GET", "jobs"): self._jobs,
            ("GET", "current_user"): self._current_user,
        }
        with self._store.lock:
            route = routes.get((method, path))
            switches = self._store.switches
            try:
                if route is None or name in switches.operations_absent:
                    raise _Refused(404, ("Resource not found", None))
                user = self._user(headers)
                if name in switches.operations_forbidden:
                    raise _Refused(403, ("Permission denied", None))
                reply = route(user, query, body)
            except _Refused as refused:
                reply = refused.reply
            self._calls.setdefault(name if route else "unknown path", Counter())[str(reply.status)] += 1
        return reply

    def _user(self, headers: Mapping[str, str]) -> Row:
        key = _basic_user(headers.get("authorization", ""))
        if not hmac.compare_digest(key.encode(), self._partner.api_key.encode()):
            raise _Refused(401, ("Invalid Basic Auth credentials", None))
        address = headers.get("on-behalf-of", "").strip().casefold()
        users = [row for row in self._store.rows("users") if address and row["primary_email"].casefold() == address]
        if not users or users[0]["deactivated"]:
            raise _Refused(401, ("On-Behalf-Of is missing or names no active user", None))
        return users[0]

    # ------------------------------------------------------------ writing

    def _create(self, user: Row, query: str, body: bytes) -> Reply:
        try:
            content = json.loads(body)
        except ValueError:
            raise _Refused(422, ("Your request included invalid JSON.", None)) from None
        entries = cast("list[Any]", content) if isinstance(content, list) else [content]
        read = [self._read(entry) for entry in entries]
        made = [self._made(candidate) for candidate in read]
        self._store.flush()
        # Whoever sent one object gets one back; the documentation shows both.
        return Reply(200, made if isinstance(content, list) else made[0])

    def _read(self, entry: Any) -> _Candidate:
        try:
            candidate = _Candidate.model_validate(entry)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            raise _Refused(422, *((p["msg"], str(p["loc"][0]) if p["loc"] else None) for p in problems)) from None
        for name, values in (("emails", candidate.emails), ("phone_numbers", candidate.phone_numbers)):
            if any(value.type not in _TYPES[name] for value in values):
                raise _Refused(422, ("type is not allowed", name))
        if not candidate.prospect:
            try:
                hiring.check_can_apply(self._store, 0, candidate.job_id or 0)
            except Unprocessable as problem:
                raise _Refused(422, (_sentence(problem), "job_id")) from None
        return candidate

    def _made(self, body: _Candidate) -> dict[str, Any]:
        store = self._store
        at = store.clock()
        columns: dict[str, Any] = {
            "first_name": body.first_name,
            "last_name": body.last_name,
            "email_addresses": [{"value": one.email, "type": one.type} for one in body.emails],
            "phone_numbers": [{"value": one.phone_number, "type": one.type} for one in body.phone_numbers],
        }
        columns |= {name: value for name in ("company", "title") if (value := getattr(body, name)) is not None}
        try:
            candidate = people.create_candidate(store, people.prepare(store, columns, at), at)
        except Unprocessable as problem:
            raise _Refused(422, (_sentence(problem), "email")) from None
        store.made_through_api("candidates", candidate["id"])
        self._external[candidate["id"]] = body.external_id
        credit: dict[str, Any] = {"source_id": self._source()}
        if body.referrer is not None:
            credit["referrer_id"] = self._referrer(body.referrer)
        if body.prospect:
            jobs = {"prospective_job_ids": [body.job_id]} if body.job_id is not None else {}
            application = hiring.create_prospect(store, candidate_id=candidate["id"], at=at, values={**credit, **jobs})
        else:
            application = hiring.create_application(
                store, candidate_id=candidate["id"], job_id=body.job_id or 0, at=at, values=credit
            )
        store.made_through_api("applications", application["id"])
        for row in store.find("application_stages", "application_id", application["id"]):
            store.made_through_api("application_stages", row["id"])
        if self._on_application_created is not None:
            store.flush()  # what recruiters do next is another event
            self._on_application_created(dict(candidate), dict(application))
        return {
            "id": candidate["id"],
            "application_id": application["id"],
            "external_id": body.external_id,
            "profile_url": _page(candidate["id"], application["id"]),
        }

    def _referrer(self, referrer: _Referrer) -> int:
        """Who gets credit: the referrer of the user of this address, else one that is made now."""
        address = referrer.email.strip().casefold()
        user = next((row for row in self._store.rows("users") if row["primary_email"].casefold() == address), None)
        if user is not None:
            for row in self._store.rows("referrers"):
                if row["user_id"] == user["id"]:
                    return int(row["id"])
        name = " ".join(part for part in (referrer.first_name, referrer.last_name) if part)
        made = self._store.insert(
            "referrers", {"user_id": user["id"] if user else None, "name": name or referrer.email.partition("@")[0]}
        )
        return int(made["id"])

    def _source(self) -> int:
        """The partner's own source, which what it hands in always has."""
        for row in self._store.rows("sources"):
            if row["name"] == self._partner.source_name:
                return int(row["id"])
        return int(self._store.insert("sources", {"name": self._partner.source_name})["id"])

    # ------------------------------------------------------------ reading

    def _candidates(self, user: Row, query: str, body: bytes) -> Reply:
        asked = ",".join(parse_qs(query).get("candidate_ids", [])).split(",")
        ids = [part.strip() for part in asked if part.strip()]
        if not ids or len(ids) > _MOST_AT_ONCE or not all(part.isdecimal() for part in ids):
            raise _Refused(422, (f"candidate_ids must be 1 to {_MOST_AT_ONCE} ids by commas", "candidate_ids"))
        own = [int(part) for part in ids if int(part) in self._external]
        found = [row for one in own if (row := self._store.get("candidates", one)) is not None]
        return Reply(200, [self._shown(row) for row in found])

    def _shown(self, candidate: Row) -> dict[str, Any]:
        return {
            "id": candidate["id"],
            "name": f"{candidate['first_name']} {candidate['last_name']}",
            "external_id": self._external[candidate["id"]],
            "applications": [
                {
                    "id": row["id"],
                    "job": (self._store.get("jobs", row["job_id"] or 0) or {}).get("name"),
                    "status": _STATUSES.get(row["status"], "Active"),
                    "stage": row.get("stage_name"),
                    "profile_url": _page(candidate["id"], row["id"]),
                }
                for row in self._store.find("applications", "candidate_id", candidate["id"])
            ],
        }

    def _jobs(self, user: Row, query: str, body: bytes) -> Reply:
        rows = [row for row in self._store.rows("jobs") if not row["is_template"]]
        return Reply(
            200,
            [{"id": r["id"], "name": r["name"], "status": r["status"], "public": not r["confidential"]} for r in rows],
        )

    def _current_user(self, user: Row, query: str, body: bytes) -> Reply:
        shown = {"id": user["id"], "first_name": user["first_name"], "last_name": user["last_name"]}
        return Reply(200, {**shown, "full_name": user["name"], "email": user["primary_email"]})


def _basic_user(authorization: str) -> str:
    """The user name of a Basic authorization with an empty password; empty for anything else."""
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return user if colon and not password else ""


def _sentence(problem: Unprocessable) -> str:
    entry = problem.entries[0]
    return entry if isinstance(entry, str) else " ".join(f"{name} {text}" for name, text in entry.items())


def _page(candidate_id: int, application_id: int) -> str:
    return f"https://app.greenhouse.io/people/{candidate_id}?application_id={application_id}"
