"""Creating candidates and applications in Greenhouse.

Belongs here: the two create calls, and the record that their answers describe. Does not belong here: whether to create,
and exactly once (`sync`), changing what is there (`greenhouse_updater`). The numbers in comments are the invariants of
`greenhouse`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, Invalid
from referral_pipeline.connectors.greenhouse_api import number
from referral_pipeline.connectors.greenhouse_assemble import Assembler, Facts
from referral_pipeline.connectors.greenhouse_assemble import candidate as canonical_candidate
from referral_pipeline.connectors.greenhouse_fields import FieldCatalog, changed_tags, merged, new_values
from referral_pipeline.connectors.greenhouse_ingestion import Ingestion
from referral_pipeline.connectors.greenhouse_models import (
    SYSTEM,
    ApplicationRow,
    CandidateRow,
    GreenhouseOptions,
    R,
    read_row,
)
from referral_pipeline.connectors.greenhouse_reader import Reader
from referral_pipeline.connectors.greenhouse_reference import Reference
from referral_pipeline.connectors.greenhouse_updater import Updater
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import (
    AtsApplication,
    AtsCandidate,
    Created,
    NewApplication,
    NewCandidate,
    Row,
    RowProblem,
)
from referral_pipeline.vocabulary import CandidateStatus

_LOG = logging.getLogger(__name__)


class Creator:
    """Creates in one account. Safe for threads."""

    def __init__(
        self,
        client: HttpClient,
        options: GreenhouseOptions,
        reference: Reference,
        catalog: FieldCatalog,
        reader: Reader,
        updater: Updater,
        assembler: Assembler,
        ingestion: Ingestion | None = None,
    ) -> None:
        self._ingestion = ingestion
        self._client = client
        self._options = options
        self._reference = reference
        self._catalog = catalog
        self._reader = reader
        self._updater = updater
        self._assembler = assembler
        self._nested_fields_refused = False

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(11) Create a candidate with its application in one call, by Harvest or, where it is set up, by Ingestion.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was created; search before trying again.
        """
        if self._ingestion is not None:
            return self._handed_in(self._ingestion, candidate, application)
        body: dict[str, Any] = {"first_name": candidate.first_name, "last_name": candidate.last_name}
        if candidate.email:
            body["email_addresses"] = [{"value": candidate.email, "type": "personal"}]
        if candidate.phone:
            body["phone_numbers"] = [{"value": candidate.phone, "type": "mobile"}]
        nested = self._application_body(application)
        answer = self._post_candidate(body, nested)
        made, opened = _unwrapped(answer)
        created = canonical_candidate(_understood(CandidateRow, made, "candidates.create"))
        if opened is None:
            return Created(candidate=created, application=None)
        return Created(candidate=created, application=self._tagged(opened, application))

    def _handed_in(self, ingestion: Ingestion, candidate: NewCandidate, application: NewApplication) -> Created:
        """A candidate made by Ingestion. It exists now: what Harvest cannot add yet is brought by the next look."""
        now = datetime.now(UTC)
        ids = ingestion.create(candidate, application)
        row: Row = {
            "id": int(ids.application_id),
            "candidate_id": int(ids.candidate_id),
            "job_id": number("jobs", application.job_id),
            "status": "in_process",
            "prospect": False,
            "created_at": now.isoformat(),
            "updated_at": now.isoformat(),
            "custom_fields": {},
        }
        made = AtsCandidate(
            id=ids.candidate_id,
            first_name=candidate.first_name,
            last_name=candidate.last_name,
            emails=(candidate.email,) if candidate.email else (),
            phones=(candidate.phone,) if candidate.phone else (),
            created_at=now,
            updated_at=now,
        )
        return Created(candidate=made, application=self._tagged(row, application))

    def create_application(self, candidate_id: str, application: NewApplication) -> AtsApplication:
        """Open an application for a candidate that exists.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was opened; look before trying again.
        """
        body = {"candidate_id": number("candidates", candidate_id), **self._application_body(application)}
        answer = self._client.call("applications.create", "POST", "applications", json=body)
        return self._from_answer(_row(answer.data, "applications.create"))

    def _application_body(self, application: NewApplication) -> dict[str, Any]:
        body: dict[str, Any] = {"job_id": number("jobs", application.job_id)}
        if self._options.source_name:
            body["source_id"] = self._reference.source_id(self._options.source_name)
        if application.advocate_email:
            referrer = self._reference.referrer_id(application.advocate_email)
            if referrer is not None:
                body["referrer_id"] = referrer
        given = {name: value for name, value in application.tags.items() if value is not None}
        changes = changed_tags(None, given, self._options.custom_fields)
        if changes:
            body["custom_fields"] = new_values(changes, self._catalog)
        return body

    def _post_candidate(self, body: Mapping[str, Any], nested: Mapping[str, Any]) -> Row:
        """The create call. Whether the nested application may carry custom fields is not known of every tenant."""
        if self._nested_fields_refused:
            nested = {key: value for key, value in nested.items() if key != "custom_fields"}
        try:
            answer = self._client.call(
                "candidates.create", "POST", "candidates", json={**body, "application": dict(nested)}
            )
        except Invalid:
            if "custom_fields" not in nested:
                raise
            # Refused as a whole, so nothing was made. Without the fields it is another request; they follow by PATCH.
            plain = {key: value for key, value in nested.items() if key != "custom_fields"}
            answer = self._client.call("candidates.create", "POST", "candidates", json={**body, "application": plain})
            self._nested_fields_refused = True
        return _row(answer.data, "candidates.create", key=None)

    def _tagged(self, row: Row, application: NewApplication) -> AtsApplication:
        """The application of a create, with the tags written now where the create did not take them.

        The candidate exists: whatever happens here must not look like a create that failed.
        """
        given = {name: value for name, value in application.tags.items() if value is not None}
        try:
            changes = changed_tags(row.get("custom_fields"), given, self._options.custom_fields)
            if changes:
                body = {"custom_fields": merged(row.get("custom_fields"), changes, self._catalog)}
                row = self._updater.patch("applications", str(row["id"]), body) or row
        except HttpFailure as failure:
            _LOG.warning("a new application has not got its fields yet: %s", failure)
        return self._from_answer(row)

    def _from_answer(self, row: Row) -> AtsApplication:
        """An application from the answer to a create: it has no history yet, and lists may not show it yet."""
        read = _understood(ApplicationRow, row, "applications.create")
        facts = Facts()
        try:
            self._reader.add_reference(facts, [read])
        except HttpFailure as failure:
            # It exists; what could not be looked up is only the name of its stage, and a new one is in the first.
            _LOG.warning("a new application is described without its stage: %s", failure)
            return replace(
                self._assembler.application(read, facts), status=CandidateStatus.APPLIED, unmapped_stage=None
            )
        return self._assembler.application(read, facts)


def _row(data: object, operation: str, *, key: str | None = "id") -> Row:
    """The row of a write's answer. One that is none came too late to undo anything: nobody knows what was done."""
    if isinstance(data, dict) and (key is None or cast("Row", data).get(key) is not None):
        return cast("Row", data)
    raise AmbiguousOutcome(SYSTEM, operation, detail="the answer shows no record")


def _understood(model: type[R], row: Row, operation: str) -> R:
    """The row that a create answered. It exists by now, so one that cannot be read is no refusal."""
    read = read_row(model, row)
    if isinstance(read, RowProblem):
        raise AmbiguousOutcome(SYSTEM, operation, detail=f"the answer cannot be read: {read.field} is {read.reason}")
    return read


def _unwrapped(answer: Row) -> tuple[Row, Row | None]:
    """(11) Candidate and application of a create's answer, which is wrapped or flat."""
    inner = answer.get("candidate")
    if isinstance(inner, dict):
        opened = answer.get("application")
        shown = isinstance(opened, dict) and cast("Row", opened).get("id") is not None
        return _row(cast("Row", inner), "candidates.create"), cast("Row", opened) if shown else None
    return _row(answer, "candidates.create"), None
