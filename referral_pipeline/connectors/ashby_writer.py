"""Creating and changing in Ashby: candidates, applications, their custom fields, source and credit.

Belongs here: the calls that write, reading before each that changes something. Does not belong here: whether to create,
and exactly once (`sync`), what fields are to say. The numbers in comments are the invariants of `ashby`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from referral_pipeline.connectors.ashby_api import AshbyApi, is_id
from referral_pipeline.connectors.ashby_assemble import candidate as canonical_candidate
from referral_pipeline.connectors.ashby_assemble import read_tags, tag_text
from referral_pipeline.connectors.ashby_models import SYSTEM, ApplicationRow, AshbyOptions, CandidateRow, R, read_row
from referral_pipeline.connectors.ashby_reader import Reader
from referral_pipeline.connectors.ashby_reference import Definition, Form, Reference
from referral_pipeline.connectors.failures import AmbiguousOutcome, Forbidden, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.records import AtsApplication, Created, NewApplication, NewCandidate, Row, RowProblem

_LOG = logging.getLogger(__name__)
_WRITES = 5
"""How often a change is tried when nobody knows whether the one before was done; each is preceded by a read."""
FIRST_STAGE = "FirstPreInterviewScreen"
"""The vendor's word for the first stage of a plan; without it an application would be a lead only."""

_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
_TEXTS = frozenset({"String", "LongText", "Url", "Email", "Phone"})


class Writer:
    """Writes to one account. Safe for threads."""

    def __init__(self, api: AshbyApi, options: AshbyOptions, reference: Reference, reader: Reader) -> None:
        self._api = api
        self._options = options
        self._reference = reference
        self._reader = reader

    # ------------------------------------------------------------ creating

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(11) Create a candidate, then its application. What fails after the first of them is left to be seen.

        Raises:
            AmbiguousOutcome: Nobody knows whether the candidate was created; search before trying again.
        """
        referred = self._referred(candidate, application)
        if referred is not None:
            return referred
        body: dict[str, Any] = {"name": _full_name(candidate)}
        if candidate.email:
            body["email"] = candidate.email
        if candidate.phone:
            body["phoneNumber"] = candidate.phone
        row = _shown(self._api.write("candidate.create", body), "candidate.create")
        created = canonical_candidate(_understood(CandidateRow, row, "candidate.create"))
        try:
            opened = self.create_application(created.id, application)
        except HttpFailure as failure:
            # The candidate exists: this must not look like a create that failed. The application is looked for next.
            _LOG.warning("a new candidate has not got an application yet: %s", failure)
            return Created(candidate=created, application=None)
        return Created(candidate=created, application=opened)

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """(12) Open an application in the first stage of the job's plan.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was opened; look before trying again.
        """
        if not is_id(candidate_id) or not is_id(application.job_id):
            raise Invalid(SYSTEM, "application.create", detail="an id is not one of Ashby")
        body: dict[str, Any] = {
            "candidateId": candidate_id,
            "jobId": application.job_id,
            "interviewStageId": FIRST_STAGE,
            **self._credit(application.advocate_email),
        }
        row = _shown(self._api.write("application.create", body), "application.create")
        return self._tagged(row, application)

    def _tagged(self, row: Row, application: NewApplication) -> AtsApplication:
        """The application of a create, with its fields written, as far as that goes.

        It exists: whatever happens here must not look like a create that failed.
        """
        opened = self._reader.fresh(_checked(row, "application.create"))
        given = {name: value for name, value in application.tags.items() if value is not None}
        try:
            values = self._changed(row.get("customFields"), given)
            if values:
                # Nobody else has seen it yet, so that the same values once more do no harm.
                self._set(opened.id, values, repeatable=True)
                row = {**row, "customFields": [{"title": d.title, "value": value} for d, value in values]}
        except HttpFailure as failure:
            _LOG.warning("a new application has not got its fields yet: %s", failure)
        return self._reader.fresh(row)

    def _credit(self, advocate_email: str | None) -> dict[str, Any]:
        credit: dict[str, Any] = {}
        if self._options.source_name:
            credit["sourceId"] = self._reference.source_id(self._options.source_name)
        user_id = self._user(advocate_email)
        if user_id is not None:
            credit["creditedToUserId"] = user_id
        return credit

    def _user(self, email: str | None) -> str | None:
        """(10) The user that an advocate is; None also where the key may not look users up."""
        if not email or not self._options.credit_users:
            return None
        try:
            return self._reference.user_id(email)
        except Forbidden as failure:
            _LOG.info("nobody is credited natively: %s", failure)
            return None

    # ------------------------------------------------------------ the referral form

    def _referred(self, candidate: NewCandidate, application: NewApplication) -> Created | None:
        """(13) Create by the referral form; None where that is not asked for, or not possible."""
        user_id = self._user(application.advocate_email) if self._options.referral_form else None
        form = self._reference.form() if user_id is not None else None
        filled = _submissions(form, candidate, application.job_id) if form is not None else None
        if form is None or filled is None:
            return None
        body = {"id": form.id, "creditedToUserId": user_id, "fieldSubmissions": filled}
        try:
            row = _shown(self._api.write("referral.create", body), "referral.create")
        except (Forbidden, Invalid, NotFound) as refusal:
            # Refused, so nothing was made; the plain way may do.
            _LOG.info("the referral form was refused, the plain way is taken: %s", refusal)
            return None
        opened = self._tagged(row, application)
        try:
            if self._options.source_name and row.get("source") is None:
                source_id = self._reference.source_id(self._options.source_name)
                self._update(opened.id, {"sourceId": source_id})
            found = self._reader.get_candidates([opened.candidate_id]).get(opened.candidate_id)
        except HttpFailure as failure:
            raise AmbiguousOutcome(SYSTEM, "referral.create", detail="what it made cannot be read yet") from failure
        if found is None:
            raise AmbiguousOutcome(SYSTEM, "referral.create", detail="the candidate that it made is not there yet")
        return Created(candidate=found, application=opened)

    # ------------------------------------------------------------ changing

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """(5, 14) Bring our fields to `tags` (None clears); fill source and credit where they are empty.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The application is not there.
            AmbiguousOutcome: Every try ended without an answer.
        """

        def change() -> bool:
            row = self._reader.application_row(application_id)
            if row is None:
                raise NotFound(SYSTEM, "application.info", detail="the application is not there")
            there = _understood(ApplicationRow, row, "application.info")
            values = self._changed(row.get("customFields"), tags)
            credit: dict[str, Any] = {}
            if there.source is None and self._options.source_name:
                credit["sourceId"] = self._reference.source_id(self._options.source_name)
            if there.credited_to is None and (user_id := self._user(advocate_email)) is not None:
                credit["creditedToUserId"] = user_id
            if values:
                self._set(application_id, values)
            if credit:
                self._update(application_id, credit)
            return bool(values or credit)

        return self._bring(change)

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """(15) Add an address, or the first number. True when something was written.

        A second number is not written: the vendor does not say that the first would stay.
        """

        def change() -> bool:
            rows = self._reader.candidate_rows([candidate_id])
            if not rows:
                raise NotFound(SYSTEM, "candidate.info", detail="the candidate is not there")
            there = canonical_candidate(_understood(CandidateRow, rows[0], "candidate.info"))
            body: dict[str, Any] = {}
            known = {address.strip().casefold() for address in there.emails}
            if email and email.strip().casefold() not in known:
                body["alternateEmail" if known else "email"] = email.strip()
            if phone and not there.phones:
                body["phoneNumber"] = phone
            if body:
                self._api.write("candidate.update", {"candidateId": candidate_id, "sendNotifications": False, **body})
            return bool(body)

        return self._bring(change)

    def _bring(self, change: Callable[[], bool]) -> bool:
        """(16) Read, and write what differs; read again before every further try."""
        lost: AmbiguousOutcome | None = None
        for attempt in range(1, _WRITES + 1):
            try:
                return change() or lost is not None
            except AmbiguousOutcome as failure:
                lost = failure
                self._api.client.pause(attempt)
        assert lost is not None
        raise lost

    def _update(self, application_id: str, credit: Mapping[str, Any]) -> None:
        self._api.write("application.update", {"applicationId": application_id, **credit, "sendNotifications": False})

    # ------------------------------------------------------------ custom fields

    def _changed(self, custom_fields: object, wanted: Mapping[str, str | None]) -> list[tuple[Definition, Any]]:
        """(5) What must be written to bring our fields to `wanted`.

        Raises:
            Invalid: a field does not exist, or a value does not fit it.
        """
        titles = self._options.custom_fields
        if unknown := sorted(set(wanted) - set(titles)):
            raise Invalid(SYSTEM, "customField.setValues", detail=f"no field is named for the tag {unknown[0]}")
        present = read_tags(custom_fields, titles)
        differs = {name: tag_text(value) for name, value in wanted.items() if tag_text(value) != present.get(name)}
        found = [(self._reference.field(titles[name]), value) for name, value in differs.items()]
        return [(definition, _fitted(definition, value)) for definition, value in found]

    def _set(self, application_id: str, values: list[tuple[Definition, Any]], *, repeatable: bool = False) -> None:
        """All at once: one by one they would race each other, as the vendor warns."""
        self._api.write(
            "customField.setValues",
            {
                "objectId": application_id,
                "objectType": "Application",
                "values": [{"fieldId": d.id, "fieldValue": value} for d, value in values],
            },
            repeatable=repeatable,
        )


def _fitted(definition: Definition, value: str | None) -> Any:
    """A value in the form that its field takes. The specification knows no null: an empty text clears a text."""
    kind = definition.kind
    if kind in _TEXTS or not kind:
        return value or ""
    if value is None:
        raise _misfit(definition, f"is of type {kind}, which the API cannot clear; define it as a short text")
    if kind == "Number":
        try:
            number = float(value)
        except ValueError:
            raise _misfit(definition, "is defined as a number") from None
        return int(number) if number.is_integer() else number
    if kind == "Boolean" and value.casefold() in _YES | _NO:
        return value.casefold() in _YES
    if kind in {"ValueSelect", "MultiValueSelect"} and value in definition.options:
        return value if kind == "ValueSelect" else [value]
    raise _misfit(definition, f"is of type {kind}, which does not take it; define it as a short text")


def _misfit(definition: Definition, why: str) -> Invalid:
    return Invalid(SYSTEM, "customField.setValues", detail=f"the custom field {definition.title} {why}")


def _submissions(form: Form, candidate: NewCandidate, job_id: str) -> list[dict[str, Any]] | None:
    """The form filled in; None when it requires something that we do not have."""
    filled: list[dict[str, Any]] = []
    for one in form.fields:
        value: Any = None
        if one.kind == "email":
            value = candidate.email
        elif one.kind == "phone":
            value = candidate.phone
        elif one.kind == "job":
            value = {"title": "", "value": job_id}
        elif one.path.casefold().endswith("name") and one.title in {"name", "full name", "candidate name"}:
            value = _full_name(candidate)
        if value:
            filled.append({"path": one.path, "value": value})
        elif one.is_required:
            return None
    has_job = any(one.kind == "job" for one in form.fields)
    return filled if has_job else None


def _full_name(candidate: NewCandidate) -> str:
    return f"{candidate.first_name} {candidate.last_name}".strip()


def _shown(data: object, operation: str) -> Row:
    """The row of a write's answer. One that is none came too late to undo anything: nobody knows what was done."""
    if isinstance(data, dict) and cast("Row", data).get("id") is not None:
        return cast("Row", data)
    raise AmbiguousOutcome(SYSTEM, operation, detail="the answer shows no record")


def _checked(row: Row, operation: str) -> Row:
    _understood(ApplicationRow, row, operation)
    return row


def _understood(model: type[R], row: Row, operation: str) -> R:
    """A row that a write answered, or is about to change. It exists, so one that cannot be read is no refusal."""
    read = read_row(model, row)
    if isinstance(read, RowProblem):
        raise AmbiguousOutcome(SYSTEM, operation, detail=f"the answer cannot be read: {read.field} is {read.reason}")
    return read
