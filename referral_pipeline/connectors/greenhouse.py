"""The connector for Greenhouse Harvest v3 (v1 and v2 were switched off on 31 August 2026).

Belongs here: the vendor's ways of reading and writing, behind the ATS protocol. Does not belong here: decisions about
referrals, stores. Its parts: `greenhouse_api` (endpoints, pages), `greenhouse_models` (rows, options),
`greenhouse_assemble` (canonical records), `greenhouse_fields` (custom fields), `greenhouse_reference` (caches),
`greenhouse_probe` (looking at a tenant), `greenhouse_audit` and `greenhouse_trip` (what a tenant can do).

Invariants of the vendor's API, each with a test of the same number
1.  There is no GET of a single record: rows are fetched by `ids`, at most 50; what is not found is simply absent.
2.  A cursor stands alone: the `next` link is followed exactly as given; a refused cursor begins the pull again.
3.  Lists come newest first (by id); a pull asks for a two-sided `updated_at`, one-sided where that is refused.
4.  Unknown fields and unknown words never stop a pull; rows without id (`{message}`) are skipped and counted.
5.  PATCH replaces arrays and custom fields as a whole: they are read, merged and written back in full.
6.  The status filter says `active` where rows say `in_process`: no filter by status is used at all.
7.  A hire is dated by the accepted offer's `resolved_at`, else by `closed_at` of the opening it filled, never by last
    activity or by receipt.
8.  A row in application_stages does not mean that the stage was visited: `entered_at` does.
9.  `stage_id` of an application is the id of its own stage row; status and stage are never inferred from it.
10. `referrer_id` is an id of `referrers`, found only by user address -> user -> referrer; none can be created.
11. A created candidate is answered wrapped with its application, or flat without; both are read.
12. A write answers 200 or 201 with a row, or 204 and nothing; all are successes.
13. No write has an idempotency key: a create is never repeated here, a PATCH only after reading again.
14. The source and our own fields are filled; a source, referrer or foreign field that is set already is left as it is.
15. The closed words of the status are not ours: an application ends by its status, never by the name of a stage.
16. A merge cannot be undone, answers 200 or 201, and deletes the secondary: it is sent again only where both are there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from referral_pipeline.connectors.capabilities import AuditScope, Capability
from referral_pipeline.connectors.failures import AmbiguousOutcome, HttpFailure, Invalid, NotFound
from referral_pipeline.connectors.greenhouse_api import ENTITIES, IDS_AT_ONCE, PULLED, GreenhouseApi, number
from referral_pipeline.connectors.greenhouse_assemble import Assembler, Facts, keep, public_posts
from referral_pipeline.connectors.greenhouse_assemble import candidate as canonical_candidate
from referral_pipeline.connectors.greenhouse_assemble import job as canonical_job
from referral_pipeline.connectors.greenhouse_audit import audit
from referral_pipeline.connectors.greenhouse_fields import FieldCatalog, changed_tags, merged, new_values
from referral_pipeline.connectors.greenhouse_models import (
    SYSTEM,
    TAG_NAMES,
    ApplicationRow,
    ApplicationStageRow,
    CandidateRow,
    GreenhouseOptions,
    JobPostRow,
    JobRow,
    NamedRow,
    OfferRow,
    OpeningRow,
    R,
    RejectionDetailRow,
    read_row,
)
from referral_pipeline.connectors.greenhouse_probe import probe
from referral_pipeline.connectors.greenhouse_reference import Reference
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import (
    AtsApplication,
    AtsCandidate,
    AtsJob,
    AtsStaged,
    Created,
    Entity,
    Finding,
    NewApplication,
    NewCandidate,
    Row,
    RowProblem,
    Window,
)
from referral_pipeline.vocabulary import CandidateStatus

_LOG = logging.getLogger(__name__)
_WRITES = 5
"""How often a PATCH is tried when nobody knows whether the one before was done; each is preceded by a read."""


class GreenhouseConnector:
    """Implements `protocols.AtsConnector` and `protocols.MergesCandidates`. Safe for threads.

    Args:
        client: The session, already with credentials and budget.
        options: `ats.options` of the contract.
        stage_map: The contract's stage names in canonical words.
        tags: The logical tags that the contract writes; `probe` asks for their fields.
    """

    system: str = SYSTEM
    entities: Mapping[str, Entity] = ENTITIES

    def __init__(
        self,
        client: HttpClient,
        options: GreenhouseOptions,
        *,
        stage_map: Mapping[str, CandidateStatus],
        tags: Iterable[str] = TAG_NAMES,
    ) -> None:
        self.visibility_lag_seconds = options.visibility_lag_seconds
        self._client = client
        self._options = options
        self._stage_map = dict(stage_map)
        self._tags = tuple(tags)
        self._api = GreenhouseApi(client)
        self._assembler = Assembler(stage_map=stage_map, field_keys=options.custom_fields)
        self._reference = Reference(self._api)
        self._catalog = FieldCatalog(
            lambda: self._api.list_all("custom_fields", {"field_type": "application"}),
            lambda ids: self._api.by_ids("custom_field_options", ids, by="custom_field_ids"),
        )
        self._nested_fields_refused = False

    # ------------------------------------------------------------ reading

    @property
    def skipped_rows(self) -> Mapping[str, int]:
        """(4) How many entries without id lists have held so far, by entity."""
        return dict(self._api.skipped)

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(3) Pages of raw rows that changed in the window."""
        return self._api.pull(entity, window)

    def stage(self, raw: RawReader) -> AtsStaged:
        """Normalise raw rows to canonical records. Pure."""
        return self._assembler.stage(raw)

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """Candidates with this address, by the vendor's exact and case-insensitive filter."""
        return list(self._read(CandidateRow, self._api.list_all("candidates", {"email": email}), canonical_candidate))

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Candidates by id; absent ones are left out."""
        found = self._read(CandidateRow, self._api.by_ids("candidates", ids), canonical_candidate)
        return {one.id: one for one in found}

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Candidate applications by id, assembled live."""
        return {one.id: one for one in self._assembled(self._api.by_ids("applications", ids))}

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Jobs by id, live, with department and public posting; templates and absent ones are left out."""
        jobs = [row for row in self._read(JobRow, self._api.by_ids("jobs", ids), _same) if not row.is_template]
        if not jobs:
            return {}
        wanted = {row.department_id for row in jobs if row.department_id}
        departments = {row.id: row.name or "" for row in self._named("departments", wanted)}
        found = self._api.by_ids("job_posts", [row.id for row in jobs], by="job_ids", params=PULLED["job_posts"].params)
        posts = public_posts(self._read(JobPostRow, found, _same))
        return {row.id: canonical_job(row, departments, posts.get(row.id)) for row in jobs}

    def _named(self, entity: str, ids: Iterable[str]) -> Iterable[NamedRow]:
        return keep(NamedRow, self._api.by_ids(entity, ids), [], entity=entity)

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every candidate application of these candidates, assembled live."""
        return self._assembled(self._api.by_ids("applications", candidate_ids, by="candidate_ids"))

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these applications and all that hangs on them."""
        applications = self._api.by_ids("applications", application_ids)
        ids = [str(row["id"]) for row in applications]
        people = [str(row["candidate_id"]) for row in applications if row.get("candidate_id") is not None]
        return {
            "applications": applications,
            "candidates": self._api.by_ids("candidates", people),
            "application_stages": self._api.by_ids("application_stages", ids, by="application_ids"),
            "offers": self._api.by_ids("offers", ids, by="application_ids"),
            "openings": self._api.by_ids("openings", _ids_where(applications, "hired"), by="application_ids"),
            "rejection_details": self._api.by_ids(
                "rejection_details", _ids_where(applications, "rejected"), by="application_ids"
            ),
        }

    def _assembled(self, rows: Sequence[Row]) -> list[AtsApplication]:
        """Applications with all their facts, from as few calls as possible."""
        done: list[AtsApplication] = []
        readable = [row for row in self._read(ApplicationRow, rows, _same) if row.is_candidate_application]
        for start in range(0, len(readable), IDS_AT_ONCE):
            batch = readable[start : start + IDS_AT_ONCE]
            facts = self._facts(batch)
            done.extend(self._assembler.application(row, facts) for row in batch)
        return done

    def _facts(self, batch: Sequence[ApplicationRow]) -> Facts:
        ids = [row.id for row in batch]
        facts = Facts()
        entries = list(self._related(ApplicationStageRow, ids))
        facts.add_entries(entries)
        facts.add_offers(self._related(OfferRow, ids))
        # An accepted offer dates a hire; only where there is none the opening is asked.
        undated = [
            row.id
            for row in batch
            if row.status == "hired"
            and not any(o.status == "Accepted" and o.resolved_at for o in facts.offers.get(row.id, []))
        ]
        facts.add_openings(self._related(OpeningRow, undated))
        rejected = [row.id for row in batch if row.status == "rejected"]
        facts.add_details(self._related(RejectionDetailRow, rejected))
        self._add_reference(facts, batch, entries)
        return facts

    def _add_reference(
        self, facts: Facts, batch: Sequence[ApplicationRow], entries: Iterable[ApplicationStageRow] = ()
    ) -> None:
        stage_ids = {row.job_interview_stage_id for row in (*batch, *entries) if row.job_interview_stage_id}
        jobs = {row.job_id for row in batch if row.job_id}
        facts.add_stages(self._reference.stages_of(jobs, stage_ids))
        sources = {row.source_id for row in batch if row.source_id}
        facts.sources = self._reference.source_names(sources) if sources else {}
        reasons = {row.rejection_reason_id for row in batch if row.rejection_reason_id}
        reasons |= {d.rejection_reason_id for rows in facts.details.values() for d in rows if d.rejection_reason_id}
        facts.reason_types = self._reference.reason_types(reasons) if reasons else {}

    def _related(self, model: type[Any], application_ids: Sequence[str]) -> Iterable[Any]:
        if not application_ids:
            return []
        return self._read(model, self._api.by_ids(model.entity, application_ids, by="application_ids"), _same)

    def _read(self, model: type[Any], rows: Iterable[Row], make: Callable[[Any], Any]) -> Iterator[Any]:
        """Rows read live. One that cannot be understood is an error here: silence would look like a deletion."""
        problems: list[RowProblem] = []
        for row in keep(model, rows, problems):
            yield make(row)
        if problems:
            first = problems[0]
            detail = f"a row cannot be read: {first.field} is {first.reason} ({first.shape})"
            raise Invalid(SYSTEM, f"{first.entity}.list", detail=detail)

    # ------------------------------------------------------------ creating

    def create_candidate(self, candidate: NewCandidate, application: NewApplication) -> Created:
        """(11) Create a candidate with its application in one call.

        Raises:
            AmbiguousOutcome: Nobody knows whether it was created; search before trying again.
        """
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
                row = self._patch("applications", str(row["id"]), body) or row
        except HttpFailure as failure:
            _LOG.warning("a new application has not got its fields yet: %s", failure)
        return self._from_answer(row)

    def _from_answer(self, row: Row) -> AtsApplication:
        """An application from the answer to a create: it has no history yet, and lists may not show it yet."""
        read = _understood(ApplicationRow, row, "applications.create")
        facts = Facts()
        try:
            self._add_reference(facts, [read])
        except HttpFailure as failure:
            # It exists; what could not be looked up is only the name of its stage, and a new one is in the first.
            _LOG.warning("a new application is described without its stage: %s", failure)
            return replace(
                self._assembler.application(read, facts), status=CandidateStatus.APPLIED, unmapped_stage=None
            )
        return self._assembler.application(read, facts)

    # ------------------------------------------------------------ updating

    def update_application(
        self, application_id: str, tags: Mapping[str, str | None], *, advocate_email: str | None = None
    ) -> bool:
        """(5, 14) Bring our fields to `tags` (None clears); fill source and referrer where they are empty.

        Returns:
            Whether something was written; False when nothing differed.

        Raises:
            NotFound: The application is not there (deleted, or not visible yet).
            AmbiguousOutcome: Every try ended without an answer.
        """

        def change(row: Row, with_archived: bool) -> dict[str, Any]:
            body: dict[str, Any] = {}
            there = row.get("custom_fields")
            changes = changed_tags(there, tags, self._options.custom_fields)
            if changes:
                body["custom_fields"] = merged(there, changes, self._catalog, with_archived=with_archived)
            if row.get("source_id") is None and self._options.source_name:
                body["source_id"] = self._reference.source_id(self._options.source_name)
            if row.get("referrer_id") is None and advocate_email:
                referrer = self._reference.referrer_id(advocate_email)
                if referrer is not None:
                    body["referrer_id"] = referrer
            return body

        return self._bring("applications", application_id, change) is not None

    def add_contact_details(self, candidate_id: str, *, email: str | None, phone: str | None) -> bool:
        """(5) Add an address or number that is not there yet; all others stay. True when something was written."""

        def change(row: Row, _: bool) -> dict[str, Any]:
            body: dict[str, Any] = {}
            for name, value, kind, same in (
                ("email_addresses", email, "personal", _same_address),
                ("phone_numbers", phone, "mobile", _same_number),
            ):
                present = [dict(c) for c in row.get(name) or [] if isinstance(c, Mapping) and c.get("value")]
                if value and not any(same(str(contact["value"]), value) for contact in present):
                    kept = [{key: c[key] for key in ("value", "type") if c.get(key)} for c in present]
                    body[name] = [*kept, {"value": value, "type": kind}]
            return body

        return self._bring("candidates", candidate_id, change) is not None

    def merge_candidates(self, primary_id: str, secondary_id: str) -> None:
        """(16) Merge one candidate into another; read again before every further try.

        Raises:
            NotFound: One of the two is not there, and nothing was sent.
            AmbiguousOutcome: Every try ended without an answer, and the secondary is there still.
        """
        lost: AmbiguousOutcome | None = None
        try:
            for attempt in range(1, _WRITES + 1):
                there = {str(row["id"]) for row in self._api.by_ids("candidates", [primary_id, secondary_id])}
                if lost is not None and secondary_id not in there and primary_id in there:
                    return
                if not {primary_id, secondary_id} <= there:
                    raise lost or NotFound(SYSTEM, "candidates.list", detail="a candidate to merge is not there")
                try:
                    self._merge(primary_id, secondary_id)
                except AmbiguousOutcome as failure:
                    lost = failure
                    self._client.pause(attempt)
                except (NotFound, Invalid):
                    # An earlier try may have been done since it was looked at: then there is nothing left to merge.
                    if lost is None or self._api.by_ids("candidates", [secondary_id]):
                        raise
                    return
                else:
                    return
            if self._api.by_ids("candidates", [secondary_id]):
                raise lost or AssertionError("a try ends in an answer or is lost")
        except HttpFailure as failure:
            if lost is None or failure is lost or isinstance(failure, NotFound | Invalid):
                raise
            raise lost from failure  # this try was certainly not done, of the earlier one nobody knows

    def _merge(self, primary_id: str, secondary_id: str) -> None:
        body = {"secondary_candidate_id": number("candidates", secondary_id)}
        path = f"candidates/{number('candidates', primary_id)}/merge"
        self._client.call("candidates.merge", "POST", path, json=body, repeatable=False)

    def _bring(self, entity: str, record_id: str, change: Callable[[Row, bool], dict[str, Any]]) -> Row | None:
        """(13) Read, and write what `change` asks for; read again before every further try.

        A tenant may refuse values of fields that it has archived itself (not documented either way); then, and only
        then, `change` is asked to leave them out.

        Returns:
            The row afterwards; None when there was nothing to write from the beginning.
        """
        lost: AmbiguousOutcome | None = None
        with_archived = True
        for attempt in range(1, _WRITES + 1):
            row = self._fresh(entity, record_id)
            body = change(row, with_archived)
            if not body:
                return row if lost is not None else None
            try:
                return self._patch(entity, record_id, body) or self._fresh(entity, record_id)
            except Invalid as failure:
                if not with_archived or change(row, False) == body:
                    raise
                _LOG.warning("greenhouse refused archived custom fields, they are left out: %s", failure)
                with_archived = False
            except AmbiguousOutcome as failure:
                lost = failure
                self._client.pause(attempt)
        assert lost is not None
        raise lost

    def _fresh(self, entity: str, record_id: str) -> Row:
        rows = self._api.by_ids(entity, [record_id])
        if not rows:
            raise NotFound(SYSTEM, f"{entity}.list", detail="the record is not there")
        return rows[0]

    def _patch(self, entity: str, record_id: str, body: Mapping[str, Any]) -> Row | None:
        """(12) One PATCH; the row it answers, None when it answers nothing usable."""
        path = f"{entity}/{number(entity, record_id)}"
        answer = self._client.call(f"{entity}.update", "PATCH", path, json=body, repeatable=False)
        data: object = answer.data
        if isinstance(data, dict) and str(cast("Row", data).get("id")) == record_id:
            return cast("Row", data)
        return None

    # ------------------------------------------------------------ looking

    def probe(self) -> list[Finding]:
        """Look, without writing, whether the tenant is reachable and set up as the contract needs."""
        return probe(self._api, self._catalog, self._options, tags=self._tags, stage_map=self._stage_map)

    def audit(self, scope: AuditScope) -> list[Capability]:
        """Ask the tenant for each capability; writes, and takes back, only what `scope` allows."""
        return audit(self._api, self._options, scope, tags=self._tags)

    def close(self) -> None:
        """Close the session."""
        self._client.close()


def _same(row: Any) -> Any:
    return row


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


def _ids_where(applications: Sequence[Row], status: str) -> list[str]:
    return [str(row["id"]) for row in applications if row.get("status") == status]


def _same_address(left: str, right: str) -> bool:
    return left.strip().casefold() == right.strip().casefold()


def _same_number(left: str, right: str) -> bool:
    """Numbers as digits; a national form equals an international one that ends in it."""
    one, other = sorted(("".join(filter(str.isdigit, text)).lstrip("0") for text in (left, right)), key=len)
    return one == other or (len(one) >= 7 and other.endswith(one))
