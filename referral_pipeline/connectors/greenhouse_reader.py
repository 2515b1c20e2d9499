"""Reading Greenhouse's records live: candidates, jobs, and applications with all that hangs on them.

Belongs here: which lists are asked for which record, in as few calls as possible. Does not belong here: pulls of whole
lists (`greenhouse_api`), what rows mean together (`greenhouse_assemble`). The numbers in comments are the invariants of
`greenhouse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.greenhouse_api import IDS_AT_ONCE, PULLED, GreenhouseApi
from referral_pipeline.connectors.greenhouse_assemble import Assembler, Facts, keep, public_posts
from referral_pipeline.connectors.greenhouse_assemble import candidate as canonical_candidate
from referral_pipeline.connectors.greenhouse_assemble import job as canonical_job
from referral_pipeline.connectors.greenhouse_models import (
    SYSTEM,
    ApplicationRow,
    ApplicationStageRow,
    CandidateRow,
    JobPostRow,
    JobRow,
    NamedRow,
    OfferRow,
    OpeningRow,
    RejectionDetailRow,
)
from referral_pipeline.connectors.greenhouse_reference import Reference
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, AtsJob, Row, RowProblem


class Reader:
    """Reads one account. Safe for threads."""

    def __init__(self, api: GreenhouseApi, assembler: Assembler, reference: Reference) -> None:
        self._api = api
        self._assembler = assembler
        self._reference = reference

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
        self.add_reference(facts, batch, entries)
        return facts

    def add_reference(
        self, facts: Facts, batch: Sequence[ApplicationRow], entries: Iterable[ApplicationStageRow] = ()
    ) -> None:
        """Add the stages, sources and reasons that these applications, and their stage `entries`, name."""
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


def _same(row: Any) -> Any:
    return row


def _ids_where(applications: Sequence[Row], status: str) -> list[str]:
    return [str(row["id"]) for row in applications if row.get("status") == status]
