"""The part of an audit of Ashby that writes: one candidate there and back, in a sandbox only.

Belongs here: what is written, what is read again, what is taken back. Does not belong here: questions that reading
answers (`ashby_audit`).

The API deletes nothing: the audit's candidate is archived and anonymized. It is known by its name and address, so that
one left behind by an audit that died is anonymized by the next. Where what a write needs is not there it is sent with
an empty body, which names no record and must be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from referral_pipeline.connectors.ashby_api import AshbyApi
from referral_pipeline.connectors.ashby_assemble import read_tags
from referral_pipeline.connectors.ashby_models import AshbyOptions, title_key
from referral_pipeline.connectors.ashby_questions import (
    APPLY,
    CONTACT,
    CREATE,
    CREDIT,
    DELETE,
    END,
    FIELDS_BY_API,
    FOUND,
    HOOKS_BY_API,
    ONLY_WRITING,
    REQUIRED,
    SOURCE,
    TAG,
    UPDATE,
)
from referral_pipeline.connectors.ashby_writer import FIRST_STAGE
from referral_pipeline.connectors.capabilities import NO_WRITES, Capability, Question
from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, Invalid
from referral_pipeline.connectors.records import Row

AUDIT_EMAIL = "api-audit@example.com"
"""The address of the one candidate that an audit makes (a domain that RFC 2606 keeps for examples)."""
AUDIT_NAME = "API Audit"
_SECOND_EMAIL = "api-audit-2@example.com"
_PHONE = "+12025550143"
"""A number that is kept for fiction."""
_VALUE = "api-audit"
_LOOK_EVERY_SECONDS = 0.5
_CREATES = 4
"""How often a create is tried whose answer was lost."""


class RoundTrip:
    """One candidate there and back. `rows` are the lists that could be read, by call."""

    def __init__(
        self, api: AshbyApi, options: AshbyOptions, rows: Mapping[str, Sequence[Row]], *, may_write: bool
    ) -> None:
        self._api = api
        self._client = api.client
        self._options = options
        self._rows = rows
        self._may_write = may_write
        self._candidate: str | None = None
        self._application: str | None = None
        self._is_lost = False  # whether a create may have made a candidate that we do not know

    def lines(self) -> list[Capability]:
        """Every line that needs a write; where none may be made, each says so."""
        if not self._may_write:
            return [question.not_verified(NO_WRITES) for question in ONLY_WRITING]
        lines: list[Capability] = []
        try:
            self._sweep()
            lines += [self._required(), self._create(), self._found(), self._apply(), self._source()]
            lines += [self._update(), self._credit(), self._tag(), self._contact()]
            lines += [self._refusal(FIELDS_BY_API), self._refusal(HOOKS_BY_API)]
        finally:
            lines += self._take_back()
        return lines

    # ------------------------------------------------------------ there

    def _required(self) -> Capability:
        try:
            self._api.write("candidate.create", {}, repeatable=True)
        except Invalid as refused:
            told = f"one without a name is refused: {refused.detail or 'for want of what is not told'}"
            return REQUIRED.covered(told)
        except HttpFailure as failure:
            return REQUIRED.not_verified(str(failure))
        return REQUIRED.partial("one without a name is taken: look for it, and delete it by hand")

    def _create(self) -> Capability:
        body = {"name": AUDIT_NAME, "email": AUDIT_EMAIL, "phoneNumber": _PHONE}
        try:
            made = self._sure(lambda: self._api.write("candidate.create", body), self._sweep)
        except HttpFailure as failure:
            return CREATE.failed(failure)
        self._candidate = _id_of(made)
        if self._candidate is None:
            self._is_lost = True
            return CREATE.partial("it answers without the candidate's id", "the candidate is found by a search only")
        return CREATE.covered("created")

    def _sure(self, write: Callable[[], Any], undo: Callable[[], None]) -> Any:
        """What a create answers. One whose answer was lost is taken back, and made again."""
        for attempt in range(1, _CREATES):
            try:
                return write()
            except AmbiguousOutcome:
                self._is_lost = True
                self._client.pause(attempt)
                undo()
        return write()

    def _found(self) -> Capability:
        if self._candidate is None:
            return FOUND.not_verified("no candidate could be created")
        clock = self._client.clock
        began = clock.monotonic()
        try:
            while True:
                rows = self._api.read_all("candidate.search", {"email": AUDIT_EMAIL}, paged=False)
                took = clock.monotonic() - began
                if any(row["id"] == self._candidate for row in rows):
                    return FOUND.covered(f"found by its address after {took:.1f} s")
                if took > self._options.visibility_lag_seconds:
                    return FOUND.missing(f"not found by its address within {took:.0f} s")
                clock.sleep(_LOOK_EVERY_SECONDS)
        except HttpFailure as failure:
            return FOUND.not_verified(f"candidates cannot be searched: {failure}")

    def _apply(self) -> Capability:
        job = next((str(row["id"]) for row in self._rows.get("job.list", ()) if row.get("status") == "Open"), None)
        if self._candidate is None or job is None:
            return self._refusal(APPLY)
        body: dict[str, Any] = {"candidateId": self._candidate, "jobId": job, "interviewStageId": FIRST_STAGE}
        if (source := self._source_id()) is not None:
            body["sourceId"] = source
        try:
            # One whose answer was lost hangs on the same candidate, and is archived with it.
            made = self._sure(lambda: self._api.write("application.create", body), lambda: None)
        except HttpFailure as failure:
            return APPLY.failed(failure)
        self._application = _id_of(made)
        if self._application is None:
            return APPLY.partial("it answers without the application's id", "the application is looked for")
        return APPLY.covered("opened in the first stage of an open job")

    def _source(self) -> Capability:
        wanted, row = self._source_id(), self._read()
        if wanted is None:
            return SOURCE.partial("there is none to give, or none can be read")
        if row is None:
            return SOURCE.not_verified("no application could be created, or it cannot be read")
        if _named(row, "source") == wanted:
            return SOURCE.covered("given at creation, and read back")
        return SOURCE.missing("given at creation, and not there when read back")

    def _update(self) -> Capability:
        wanted = self._source_id()
        if self._application is None or wanted is None:
            return self._refusal(UPDATE)
        body = {"applicationId": self._application, "sourceId": wanted, "sendNotifications": False}
        try:
            self._api.write("application.update", body, repeatable=True)
        except HttpFailure as failure:
            return UPDATE.failed(failure)
        return UPDATE.covered("the source that is there already was taken")

    def _credit(self) -> Capability:
        if self._application is None:
            return CREDIT.not_verified("no application could be created")
        try:
            users = self._api.read("user.list", {"limit": 1})
            user = _id_of(cast("list[Any]", users)[0]) if isinstance(users, list) and users else None
            if user is None:
                return CREDIT.not_verified("there is no user")
            body = {"applicationId": self._application, "creditedToUserId": user, "sendNotifications": False}
            self._api.write("application.update", body, repeatable=True)
        except HttpFailure as failure:
            return CREDIT.failed(failure)
        row = self._read()
        if row is None:
            return CREDIT.partial("taken, and cannot be read back", "what was written cannot be verified")
        if _named(row, "creditedToUser") != user:
            return CREDIT.missing("taken, and not there when read back")
        return CREDIT.covered("given without a notification, and read back")

    def _tag(self) -> Capability:
        found = self._text_field()
        if self._application is None or found is None:
            return self._refusal(TAG)
        tag, field = found
        body = {
            "objectId": self._application,
            "objectType": "Application",
            "values": [{"fieldId": field, "fieldValue": _VALUE}],
        }
        try:
            self._api.write("customField.setValues", body, repeatable=True)
        except HttpFailure as failure:
            return TAG.failed(failure)
        row = self._read()
        if row is None:
            return TAG.partial(f"{tag} was taken, and cannot be read back", "what was written cannot be verified")
        if read_tags(row.get("customFields"), self._options.custom_fields).get(tag) != _VALUE:
            return TAG.missing(f"{tag} was taken, and is not there when read back")
        return TAG.covered(f"{tag} written and read back")

    def _contact(self) -> Capability:
        if self._candidate is None:
            return self._refusal(CONTACT)
        body = {"candidateId": self._candidate, "alternateEmail": _SECOND_EMAIL, "sendNotifications": False}
        try:
            self._api.write("candidate.update", body, repeatable=True)
        except HttpFailure as failure:
            return CONTACT.failed(failure)
        try:
            row = self._api.read_one("candidate.info", {"id": self._candidate})
        except HttpFailure:
            row = None
        if row is None:
            return CONTACT.partial("an address was taken, and cannot be read back", "what was written is not verified")
        if len(row.get("emailAddresses") or ()) < 2:
            return CONTACT.missing("a second address was taken, and is not there when read back")
        return CONTACT.covered("a second address written, both read back")

    def _refusal(self, question: Question) -> Capability:
        """Whether a call is there: it must refuse a body that names nothing. Nothing is changed."""
        call = (question.endpoint or "").removeprefix("POST /")
        try:
            self._api.write(call, {}, repeatable=True)
        except Invalid:
            return question.partial("it is there and permitted: an empty body is refused", "not tried to its end")
        except HttpFailure as failure:
            return question.failed(failure)
        return question.partial("it takes an empty body", "wrong bodies are not refused")

    # ------------------------------------------------------------ what is there

    def _source_id(self) -> str | None:
        wanted = title_key(self._options.source_name) if self._options.source_name else None
        rows = self._rows.get("source.list", ())
        return next((str(row["id"]) for row in rows if title_key(row.get("title")) == wanted), None)

    def _text_field(self) -> tuple[str, str] | None:
        """A tag that takes any text, by which no application is taken for one of ours, with its field's id."""
        rows = [row for row in self._rows.get("customField.list", ()) if row.get("objectType") == "Application"]
        texts = {
            title_key(row.get("title")): str(row["id"])
            for row in rows
            if row.get("fieldType") in {"String", "LongText"} and not row.get("isArchived")
        }
        for tag in ("campaign_tag", "content_id", "share_id"):
            field = texts.get(title_key(self._options.custom_fields[tag]))
            if field is not None:
                return tag, field
        return None

    def _read(self) -> Row | None:
        if self._application is None:
            return None
        try:
            return self._api.read_one("application.info", {"applicationId": self._application})
        except HttpFailure:
            return None

    # ------------------------------------------------------------ and back

    def _sweep(self, *, but: str | None = None) -> None:
        """Anonymize what an audit left behind; where that cannot be, the line on it says so."""
        try:
            for row in self._api.read_all("candidate.search", {"email": AUDIT_EMAIL}, paged=False):
                if row["id"] != but and row.get("name") == AUDIT_NAME:
                    self._archive(str(row["id"]))
                    self._api.write("candidate.anonymize", {"candidateId": row["id"]}, repeatable=True)
        except HttpFailure:
            return

    def _archive(self, candidate: str) -> int:
        """Archive every application of a candidate that is open; how many."""
        row = self._api.read_one("candidate.info", {"id": candidate}) or {}
        ids = [str(one) for one in row.get("applicationIds") or ()]
        known = [] if self._application is None or candidate != self._candidate else [self._application]
        reason = next((str(one["id"]) for one in self._rows.get("archiveReason.list", ())), "")
        done = 0
        for application in dict.fromkeys([*ids, *known]):
            there = self._api.read_one("application.info", {"applicationId": application})
            if there is None or there.get("status") in {"Archived", "Hired"}:
                continue
            plan = cast("Row", there.get("currentInterviewStage") or {}).get("interviewPlanId")
            stages = self._api.read_all("interviewStage.list", {"interviewPlanId": plan}, paged=False)
            stage = next((str(one["id"]) for one in stages if one.get("type") == "Archived"), "")
            body = {"applicationId": application, "interviewStageId": stage, "archiveReasonId": reason}
            self._api.write("application.changeStage", body, repeatable=True)
            done += 1
        return done

    def _take_back(self) -> list[Capability]:
        if self._is_lost:
            # A create whose answer was lost may have made one that no search has shown yet.
            self._client.clock.sleep(self._options.visibility_lag_seconds)
            self._sweep(but=self._candidate)
        if self._candidate is None:
            return [question.not_verified("there was nothing to take back") for question in (END, DELETE)]
        left = f"candidate {self._candidate} is left: delete it by hand"
        try:
            done = self._archive(self._candidate)
        except HttpFailure as failure:
            return [END.missing(f"{failure}; {left}"), DELETE.not_verified(f"its application is open; {left}")]
        end = END.covered("archived by a reason") if done else END.not_verified("there was no application to end")
        try:
            self._api.write("candidate.anonymize", {"candidateId": self._candidate}, repeatable=True)
        except HttpFailure as failure:
            return [end, DELETE.missing(f"{failure}; {left}")]
        return [end, DELETE.covered("what was written is anonymized")]


def _id_of(row: object) -> str | None:
    found = cast("Row", row).get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) else None


def _named(row: Row, name: str) -> str | None:
    return _id_of(row.get(name))
