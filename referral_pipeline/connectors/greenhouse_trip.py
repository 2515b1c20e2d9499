"""The part of an audit of Greenhouse that writes: one candidate there and back, in a sandbox only.

Belongs here: what is written, what is read again, what is taken back. Does not belong here: questions that reading
answers (`greenhouse_audit`).

Each write is tried for real on a candidate that the audit makes and deletes. Where what it needs is not there (nothing
could be created, for instance) it is sent with a key that the vendor must refuse, which shows that the operation is
there and permitted, and changes nothing. The candidate is known by its name and address, so that one left behind by an
audit that died is deleted by the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from referral_pipeline.connectors.capabilities import (
    NO_WRITES,
    Capability,
    Question,
)
from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.greenhouse_api import GreenhouseApi
from referral_pipeline.connectors.greenhouse_fields import tag_text
from referral_pipeline.connectors.greenhouse_models import SYSTEM, GreenhouseOptions, field_map
from referral_pipeline.connectors.greenhouse_questions import (
    APPLY,
    CONTACT,
    CREATE,
    DELETE,
    FIELDS_BY_API,
    FOUND,
    MERGE,
    ONLY_WRITING,
    REFERRER,
    REQUIRED,
    SOURCE,
    TAG,
)
from referral_pipeline.connectors.records import Row

AUDIT_EMAIL = "api-audit@example.com"
"""The address of the one candidate that an audit makes (a domain that RFC 2606 keeps for examples)."""
FIRST_NAME, LAST_NAME = "API", "Audit"
_PHONES = ("+12025550143", "+12025550144")
"""Numbers that are kept for fiction."""
_VALUE = "api-audit"
_REFUSED: Mapping[str, Any] = {"api_audit": True}
"""A body that no operation may take: the vendor forbids keys that it does not know."""
_LOOK_EVERY_SECONDS = 0.5
_CREATES = 4
"""How often a create is tried whose answer was lost."""
_TEXTS = frozenset({"short_text", "long_text"})


def find_source(rows: Sequence[Row], name: str) -> Row | None:
    """The source of this name, spaces and case aside."""
    wanted = " ".join(name.split()).casefold()
    return next((row for row in rows if " ".join(str(row.get("name") or "").split()).casefold() == wanted), None)


class RoundTrip:
    """One candidate there and back. `rows` are the lists that could be read, by entity."""

    def __init__(
        self, api: GreenhouseApi, options: GreenhouseOptions, rows: Mapping[str, Sequence[Row]], *, may_write: bool
    ) -> None:
        self._api = api
        self._client = api.client
        self._options = options
        self._rows = rows
        self._may_write = may_write
        self._candidate: int | None = None
        self._is_lost = False  # whether a create may have made a candidate that we do not know
        self._application: int | None = None
        self._job: int | None = None

    def lines(self) -> list[Capability]:
        """Every line that needs a write; where none may be made, each says so."""
        if not self._may_write:
            return [question.not_verified(NO_WRITES) for question in ONLY_WRITING]
        lines: list[Capability] = []
        try:
            self._sweep()
            lines += [self._required(), self._create()]
            lines += [self._found(), *self._tagging(), self._apply(), self._tag(), self._contact()]
            lines += [self._merge()]
            lines += [self._refusal(FIELDS_BY_API, "custom_fields.create", "POST", "custom_fields")]
        finally:
            lines += [self._take_back()]
        return lines

    # ------------------------------------------------------------ there

    def _required(self) -> Capability:
        try:
            # Refused for a key that it cannot know as well: a tenant that asks for nothing must not make one of it.
            self._client.call("candidates.create", "POST", "candidates", json=dict(_REFUSED), repeatable=True)
        except Invalid as refused:
            names = [name for name in _fields_at_fault(refused) if name not in _REFUSED]
            if not names:
                return REQUIRED.not_verified("one without names is refused, and not told for want of what")
            beyond = sorted(set(names) - {"first_name", "last_name"})
            told = f"an empty one is refused for want of {', '.join(names)}"
            return REQUIRED.partial(told) if beyond else REQUIRED.covered(told)
        except HttpFailure as failure:
            return REQUIRED.not_verified(str(failure))
        return REQUIRED.partial("one without any name is taken: look for it, and delete it by hand")

    def _create(self) -> Capability:
        body: dict[str, Any] = {
            "first_name": FIRST_NAME,
            "last_name": LAST_NAME,
            "email_addresses": [{"value": AUDIT_EMAIL, "type": "personal"}],
            "phone_numbers": [{"value": _PHONES[0], "type": "mobile"}],
        }
        job_id = next(iter(self._open_jobs()), None)
        try:
            made = self._posted(body if job_id is None else {**body, "application": self._opening(job_id)})
        except HttpFailure as failure:
            return CREATE.failed(failure)
        candidate = made.get("candidate")
        shown = cast("Row", candidate) if isinstance(candidate, dict) else made
        if not isinstance(shown.get("id"), int):
            self._is_lost = True
            return CREATE.partial("it answers without the candidate's id", "the candidate is found by a search only")
        self._candidate, self._job = shown["id"], job_id
        if job_id is None:
            return CREATE.covered("created without an application: no open job could be read")
        application = made.get("application")
        if isinstance(application, dict):
            self._application = cast("Row", application).get("id")
            return CREATE.covered("created with its application")
        # Some tenants answer the candidate alone.
        row = self._read_back("applications", shown["id"], by="candidate_ids")
        if row is None:
            return CREATE.partial("created, and no application is there", "a second call opens the application")
        self._application = row["id"]
        return CREATE.covered("created with its application, which the answer does not show")

    def _posted(self, body: Mapping[str, Any]) -> Row:
        """What a create answers. One whose answer was lost is taken back, and made again."""
        for attempt in range(1, _CREATES):
            try:
                return self._post(body)
            except AmbiguousOutcome:
                self._is_lost = True
                self._client.pause(attempt)
                self._sweep()
        return self._post(body)

    def _post(self, body: Mapping[str, Any]) -> Row:
        answer = self._client.call("candidates.create", "POST", "candidates", json=body)
        return _shown("candidates.create", answer.data)

    def _opening(self, job_id: int) -> dict[str, Any]:
        source, referrer = self._source(), self._referrer()
        return {
            "job_id": job_id,
            **({"source_id": source["id"]} if source else {}),
            **({"referrer_id": referrer["id"]} if referrer else {}),
        }

    def _found(self) -> Capability:
        if self._candidate is None:
            return FOUND.not_verified("no candidate could be created")
        clock = self._client.clock
        began = clock.monotonic()
        try:
            while True:
                rows, _ = self._api.first_page("candidates", {"email": AUDIT_EMAIL})
                took = clock.monotonic() - began
                if any(row["id"] == self._candidate for row in rows):
                    return FOUND.covered(f"found by its address after {took:.1f} s")
                if took > self._options.visibility_lag_seconds:
                    return FOUND.missing(f"not found by its address within {took:.0f} s")
                clock.sleep(_LOOK_EVERY_SECONDS)
        except HttpFailure as failure:
            return FOUND.not_verified(f"candidates cannot be searched: {failure}")

    def _tagging(self) -> Iterator[Capability]:
        row = self._read_back("applications", self._application)
        for question, wanted, field in (
            (SOURCE, self._source(), "source_id"),
            (REFERRER, self._referrer(), "referrer_id"),
        ):
            if wanted is None:
                yield question.partial("there is none to give, or none can be read")
            elif row is None:
                yield question.not_verified("no application could be created, or it cannot be read")
            elif row.get(field) == wanted["id"]:
                yield question.covered("given at creation, and read back")
            else:
                yield question.missing("given at creation, and not there when read back")

    def _apply(self) -> Capability:
        job_id = next((job for job in self._open_jobs() if job != self._job), None)
        if self._candidate is None or job_id is None:
            return self._refusal(APPLY, "applications.create", "POST", "applications")
        body = {"candidate_id": self._candidate, **self._opening(job_id)}
        try:
            made = self._applied(body)
        except HttpFailure as failure:
            return APPLY.failed(failure)
        if self._application is None:
            self._application = made.get("id")
        return APPLY.covered("opened on another job" if self._job is not None else "opened")

    def _applied(self, body: Mapping[str, Any]) -> Row:
        """The application that was opened. Where the answer was lost it is looked for, and else opened again."""
        for attempt in range(1, _CREATES):
            try:
                return self._open(body)
            except AmbiguousOutcome:
                self._client.pause(attempt)
                mine = self._api.by_ids("applications", [str(self._candidate)], by="candidate_ids")
                there = next((row for row in mine if row.get("job_id") == body["job_id"]), None)
                if there is not None:
                    return there
        return self._open(body)

    def _open(self, body: Mapping[str, Any]) -> Row:
        answer = self._client.call("applications.create", "POST", "applications", json=body)
        return _shown("applications.create", answer.data)

    def _tag(self) -> Capability:
        field = self._text_field()
        if self._application is None or field is None:
            there = self._known("applications", "application_id")
            path = f"applications/{self._application or there}"
            return self._refusal(TAG, "applications.update", "PATCH", path, exists=bool(self._application or there))
        body = {"custom_fields": [{"name_key": field, "value": _VALUE}]}
        path = f"applications/{self._application}"
        try:
            self._client.call("applications.update", "PATCH", path, json=body)
        except HttpFailure as failure:
            return TAG.failed(failure)
        row = self._read_back("applications", self._application)
        if row is None:
            return TAG.partial(f"{field} was taken, and cannot be read back", "what was written cannot be verified")
        if tag_text(field_map(row.get("custom_fields")).get(field, {}).get("value")) != _VALUE:
            return TAG.missing(f"{field} was taken, and is not there when read back")
        return TAG.covered(f"{field} written and read back")

    def _contact(self) -> Capability:
        if self._candidate is None:
            there = self._known("candidates", "candidate_id")
            return self._refusal(CONTACT, "candidates.update", "PATCH", f"candidates/{there}", exists=bool(there))
        body = {"phone_numbers": [{"value": number, "type": "mobile"} for number in _PHONES]}
        try:
            path = f"candidates/{self._candidate}"
            self._client.call("candidates.update", "PATCH", path, json=body)
        except HttpFailure as failure:
            return CONTACT.failed(failure)
        row = self._read_back("candidates", self._candidate)
        if row is None:
            return CONTACT.partial("a number was taken, and cannot be read back", "what was written is not verified")
        if len(row.get("phone_numbers") or ()) != len(_PHONES):
            return CONTACT.missing("a second number was taken, and is not there when read back")
        return CONTACT.covered("a second number written, both read back")

    def _merge(self) -> Capability:
        """Only ever on the audit's own candidate: a merge cannot be undone."""
        path = f"candidates/{self._candidate or 0}/merge"
        return self._refusal(MERGE, "candidates.merge", "POST", path, exists=self._candidate is not None)

    def _refusal(
        self, question: Question, operation: str, method: str, path: str, *, exists: bool = True
    ) -> Capability:
        """Whether an operation is there: it must refuse a key that it cannot know. Nothing is changed."""
        try:
            self._client.call(operation, method, path, json=dict(_REFUSED), repeatable=True)
        except Invalid as refused:
            shown = f"it is there and permitted: a wrong body is refused with {refused.status}"
            return question.partial(shown, "not tried to its end")
        except NotFound as failure:
            return question.failed(failure) if exists else question.not_verified("there was no record to try it on")
        except HttpFailure as failure:
            return question.failed(failure)
        return question.partial("it takes a body with a key that it cannot know", "wrong bodies are not refused")

    # ------------------------------------------------------------ what is there

    def _known(self, entity: str, reference: str) -> int:
        """The id of a record that exists, as any list that can be read names one; 0 when none does."""
        for name, rows in self._rows.items():
            for row in rows:
                found = row.get("id" if name == entity else reference)
                if isinstance(found, int):
                    return found
        return 0

    def _open_jobs(self) -> list[int]:
        rows = self._rows.get("jobs", ())
        return [row["id"] for row in rows if row.get("status") == "open" and not row.get("is_template")]

    def _source(self) -> Row | None:
        name = self._options.source_name
        return find_source(self._rows.get("sources", ()), name) if name else None

    def _referrer(self) -> Row | None:
        return next((row for row in self._rows.get("referrers", ()) if row.get("user_id")), None)

    def _text_field(self) -> str | None:
        """A tag that takes any text, and by which no application would be taken for one of the integration's."""
        kinds = {str(row.get("name_key")): row for row in self._rows.get("custom_fields", ())}
        for tag in ("campaign_tag", "content_id", "share_id"):
            row = kinds.get(self._options.custom_fields.get(tag, ""))
            if row and row.get("value_type") in _TEXTS and row.get("active") is not False:
                return str(row["name_key"])
        return None

    def _read_back(self, entity: str, record_id: int | None, *, by: str = "ids") -> Row | None:
        """A record as the lists show it, once they do; None when they do not, or cannot be read."""
        if record_id is None:
            return None
        clock = self._client.clock
        began = clock.monotonic()
        try:
            while True:
                rows = self._api.by_ids(entity, [str(record_id)], by=by)
                if rows or clock.monotonic() - began > self._options.visibility_lag_seconds:
                    return next(iter(rows), None)
                clock.sleep(_LOOK_EVERY_SECONDS)
        except HttpFailure:
            return None

    # ------------------------------------------------------------ and back

    def _sweep(self, *, but: int | None = None) -> None:
        """Delete what an audit left behind; where that cannot be, the line on deleting says so."""
        try:
            rows = list(self._api.list_all("candidates", {"email": AUDIT_EMAIL}))
            for row in rows:
                if row["id"] != but and (row.get("first_name"), row.get("last_name")) == (FIRST_NAME, LAST_NAME):
                    self._client.call("candidates.delete", "DELETE", f"candidates/{row['id']}")
        except HttpFailure:
            return

    def _take_back(self) -> Capability:
        if self._is_lost:
            # A create whose answer was lost may have made one that no search has shown yet.
            self._client.clock.sleep(self._options.visibility_lag_seconds)
            self._sweep(but=self._candidate)
        if self._candidate is None:
            return DELETE.not_verified("there was nothing to take back")
        try:
            self._client.call("candidates.delete", "DELETE", f"candidates/{self._candidate}")
        except NotFound as failure:
            if self._read_back("candidates", self._candidate) is None:
                return DELETE.covered("what was written is gone")
            return self._left(failure)
        except HttpFailure as failure:
            return self._left(failure)
        return DELETE.covered("what was written is deleted")

    def _left(self, failure: HttpFailure) -> Capability:
        return DELETE.missing(f"{failure}; candidate {self._candidate} is left: delete it by hand")


def _fields_at_fault(refused: HttpFailure) -> list[str]:
    """The keys that a 422 names: entries of one key each, or `{message, field}`."""
    try:
        errors: Any = json.loads(refused.evidence.answer)["errors"] if refused.evidence else []
    except (ValueError, KeyError, TypeError):
        return []
    named: list[str] = []
    for entry in cast("list[Any]", errors) if isinstance(errors, list) else []:
        if isinstance(entry, dict):
            one = cast("dict[str, Any]", entry)
            named += [str(one["field"])] if "field" in one else [str(key) for key in one]
    return sorted(set(named))


def _shown(operation: str, data: object) -> Row:
    """The row of a create's answer, empty for one of another form. Of an empty answer nobody knows what was done."""
    if data is None:
        raise AmbiguousOutcome(SYSTEM, operation, detail="the answer shows no record")
    return cast("Row", data) if isinstance(data, dict) else {}
