"""From Greenhouse's flat tables to canonical records. Pure: nothing here makes a call.

Belongs here: what rows mean together: status, dates, history, tags. Does not belong here: reading rows one by one
(`greenhouse_models`), fetching them (`greenhouse`). The numbers in comments are the invariants of `greenhouse`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TypeVar

from referral_pipeline.connectors.greenhouse_fields import read_tags
from referral_pipeline.connectors.greenhouse_models import (
    ApplicationRow,
    ApplicationStageRow,
    CandidateRow,
    GreenhouseRow,
    JobPostRow,
    JobRow,
    JobStageRow,
    NamedRow,
    OfferRow,
    OpeningRow,
    RejectionDetailRow,
    RejectionReasonRow,
    read_row,
)
from referral_pipeline.connectors.protocols import RawReader
from referral_pipeline.connectors.records import (
    AtsApplication,
    AtsCandidate,
    AtsJob,
    AtsOffer,
    AtsStaged,
    Row,
    RowProblem,
    StageEntry,
)
from referral_pipeline.vocabulary import TERMINAL_STATUSES, CandidateStatus

WITHDRAWN_REASON_TYPE = "THEY_REJECTED_US"
_OFFER_RANK = {"Accepted": 0, "Created": 1, "Rejected": 2}
_R = TypeVar("_R", bound=GreenhouseRow)


@dataclass
class Facts:
    """Everything around applications that their status and dates depend on."""

    stages: dict[str, JobStageRow] = field(default_factory=dict[str, JobStageRow])
    stages_of_job: dict[str, list[JobStageRow]] = field(default_factory=lambda: defaultdict(list))
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    reason_types: Mapping[str, str] = field(default_factory=dict[str, str])
    entries: dict[str, list[ApplicationStageRow]] = field(default_factory=lambda: defaultdict(list))
    offers: dict[str, list[OfferRow]] = field(default_factory=lambda: defaultdict(list))
    openings: dict[str, list[OpeningRow]] = field(default_factory=lambda: defaultdict(list))
    details: dict[str, list[RejectionDetailRow]] = field(default_factory=lambda: defaultdict(list))

    def add_stages(self, rows: Iterable[JobStageRow]) -> None:
        """Add stages of jobs."""
        for row in rows:
            self.stages[row.id] = row
            self.stages_of_job[row.job_id].append(row)

    def add_entries(self, rows: Iterable[ApplicationStageRow]) -> None:
        """Add stage rows of applications."""
        for row in rows:
            self.entries[row.application_id].append(row)

    def add_offers(self, rows: Iterable[OfferRow]) -> None:
        """Add versions of offers."""
        for row in rows:
            self.offers[row.application_id].append(row)

    def add_openings(self, rows: Iterable[OpeningRow]) -> None:
        """Add openings; open ones belong to no application."""
        for row in rows:
            if row.application_id is not None:
                self.openings[row.application_id].append(row)

    def add_details(self, rows: Iterable[RejectionDetailRow]) -> None:
        """Add rejection details."""
        for row in rows:
            self.details[row.application_id].append(row)


class Assembler:
    """Turns rows into canonical records under one contract.

    Args:
        stage_map: The contract's stage names and what they are in canonical words.
        field_keys: Logical tag -> name_key.
    """

    def __init__(self, *, stage_map: Mapping[str, CandidateStatus], field_keys: Mapping[str, str]) -> None:
        self._stage_map = {stage_key(name): status for name, status in stage_map.items()}
        self._field_keys = field_keys

    def stage(self, raw: RawReader) -> AtsStaged:
        """All raw rows, normalised; rows that cannot be read become problems and the rest goes on."""
        reader = _Reader(raw)
        facts = Facts(
            sources={row.id: row.name or "" for row in reader.all(NamedRow, "sources")},
            reason_types=reason_types(reader.all(RejectionReasonRow)),
        )
        facts.add_stages(reader.all(JobStageRow))
        facts.add_entries(reader.all(ApplicationStageRow))
        facts.add_offers(reader.all(OfferRow))
        facts.add_openings(reader.all(OpeningRow))
        facts.add_details(reader.all(RejectionDetailRow))
        applications = [
            self.application(row, facts) for row in reader.all(ApplicationRow) if row.is_candidate_application
        ]
        departments = {row.id: row.name or "" for row in reader.all(NamedRow, "departments")}
        posts = public_posts(reader.all(JobPostRow))
        return AtsStaged(
            jobs=[job(row, departments, posts.get(row.id)) for row in reader.all(JobRow) if not row.is_template],
            candidates=[candidate(row) for row in reader.all(CandidateRow)],
            applications=applications,
            offers=[_offer(current) for rows in facts.offers.values() if (current := current_offer(rows))],
            problems=reader.problems,
        )

    def application(self, row: ApplicationRow, facts: Facts) -> AtsApplication:
        """One application with its facts in canonical words. The row must be a candidate's application."""
        entries = facts.entries.get(row.id, [])
        offers = facts.offers.get(row.id, [])
        details = facts.details.get(row.id, [])
        stage = _current_stage(row, entries, facts)
        stage_name = stage.name if stage else row.stage_name
        status, unmapped = self._status(row, stage, stage_name, offers, details, facts)
        visited = self._visited(entries, facts)
        offered_at = _first(
            [entry.entered_at for entry in visited if entry.status is CandidateStatus.OFFERED]
            + [moment for offer in offers if (moment := _sent_at(offer))]
        )
        rejected = status in {CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN}
        rejected_at = (row.rejected_at or _first(d.rejected_at for d in details)) if rejected else None
        hired_at = _hired_at(offers, facts.openings.get(row.id, [])) if status is CandidateStatus.HIRED else None
        stamps = [row.updated_at, *(o.updated_at for o in offers)]
        stamps += [r.updated_at for r in (*entries, *details) if r.updated_at]
        status_at = max(stamps)
        return AtsApplication(
            id=row.id,
            candidate_id=row.candidate_id,
            job_id=row.job_id,
            status=status,
            status_at=status_at,
            applied_at=row.created_at,
            updated_at=row.updated_at,
            stage_name=stage_name,
            unmapped_stage=unmapped,
            interviewed_at=_first(e.entered_at for e in visited if e.status is CandidateStatus.INTERVIEWED),
            offered_at=offered_at,
            hired_at=hired_at,
            starts_on=_starts_on(offers),
            rejected_at=rejected_at,
            source_name=facts.sources.get(row.source_id) if row.source_id else None,
            referrer_id=row.referrer_id,
            tags=read_tags(row.custom_fields, self._field_keys),
            history=_history(visited, offered_at, status, hired_at or rejected_at or status_at),
        )

    def _status(
        self,
        row: ApplicationRow,
        stage: JobStageRow | None,
        stage_name: str | None,
        offers: Sequence[OfferRow],
        details: Sequence[RejectionDetailRow],
        facts: Facts,
    ) -> tuple[CandidateStatus, str | None]:
        """The canonical status, and the stage's name when nobody has mapped it."""
        if row.status == "hired":
            return CandidateStatus.HIRED, None
        if row.status == "rejected":
            reason = row.rejection_reason_id or next(
                (d.rejection_reason_id for d in details if d.rejection_reason_id), None
            )
            withdrawn = reason is not None and facts.reason_types.get(reason) == WITHDRAWN_REASON_TYPE
            return (CandidateStatus.WITHDRAWN if withdrawn else CandidateStatus.REJECTED), None
        if row.status not in {"in_process", "active"}:
            # (4) A word that is new to us is a drift to report, not a reason to stop.
            return CandidateStatus.IN_REVIEW, f"status {row.status}"
        status, unmapped = self._stage_status(stage, stage_name, facts)
        current = current_offer(offers)
        if current is not None and current.status in {"Created", "Accepted"} and _sent_at(current) is not None:
            return CandidateStatus.OFFERED, unmapped
        return status, unmapped

    def _stage_status(
        self, stage: JobStageRow | None, name: str | None, facts: Facts
    ) -> tuple[CandidateStatus, str | None]:
        mapped = self._stage_map.get(stage_key(name)) if name else None
        # What ends an application is its status, never the name of a stage.
        if mapped is not None and mapped not in TERMINAL_STATUSES:
            return mapped, None
        if stage is not None and _is_first(stage, facts.stages_of_job.get(stage.job_id, [])):
            return CandidateStatus.APPLIED, None
        if name is None:
            return CandidateStatus.APPLIED, None
        return CandidateStatus.IN_REVIEW, name

    def _visited(self, entries: Sequence[ApplicationStageRow], facts: Facts) -> list[StageEntry]:
        """(8) The stages that were entered, in order; rows without a time are only the plan."""
        visited: list[StageEntry] = []
        for entry in entries:
            if entry.entered_at is None:
                continue
            stage = facts.stages.get(entry.job_interview_stage_id or "")
            status, _ = self._stage_status(stage, stage.name if stage else "", facts)
            visited.append(StageEntry(status, stage.name if stage else None, entry.entered_at, entry.exited_at))
        return sorted(visited, key=lambda entry: entry.entered_at)


class _Reader:
    """Reads raw rows as models and collects those that cannot be read."""

    def __init__(self, raw: RawReader) -> None:
        self._raw = raw
        self.problems: list[RowProblem] = []

    def all(self, model: type[_R], entity: str | None = None) -> list[_R]:
        name = entity or model.entity
        return list(keep(model, self._raw(name), self.problems, entity=name))


def keep(
    model: type[_R], rows: Iterable[Row], problems: list[RowProblem], *, entity: str | None = None
) -> Iterable[_R]:
    """The rows that can be read; the others are added to `problems`."""
    for row in rows:
        read = read_row(model, row, entity=entity)
        if isinstance(read, RowProblem):
            problems.append(read)
        else:
            yield read


def candidate(row: CandidateRow) -> AtsCandidate:
    """A candidate in canonical form."""
    return AtsCandidate(
        id=row.id,
        first_name=row.first_name,
        last_name=row.last_name,
        emails=tuple(contact.value for contact in row.email_addresses if contact.value),
        phones=tuple(contact.value for contact in row.phone_numbers if contact.value),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def reason_types(rows: Iterable[RejectionReasonRow]) -> dict[str, str]:
    """Reason id -> type key."""
    return {row.id: row.type.key for row in rows if row.type and row.type.key}


def stage_key(name: str) -> str:
    """How stage names are compared: without regard to case and blanks."""
    return " ".join(name.split()).casefold()


def current_offer(offers: Sequence[OfferRow]) -> OfferRow | None:
    """The version that counts: the newest that was not replaced by another."""
    living = [offer for offer in offers if offer.status != "Deprecated"]
    return max(living, key=lambda offer: (offer.version, offer.created_at), default=None)


def _current_stage(row: ApplicationRow, entries: Sequence[ApplicationStageRow], facts: Facts) -> JobStageRow | None:
    """(9) By the job's stage, by the row that is current, else by name; `stage_id` is another id and is not used."""
    current = next((entry.job_interview_stage_id for entry in entries if entry.current), None)
    for stage_id in (row.job_interview_stage_id, current):
        if stage_id is not None and stage_id in facts.stages:
            return facts.stages[stage_id]
    if row.stage_name and row.job_id:
        wanted = stage_key(row.stage_name)
        return next((s for s in facts.stages_of_job.get(row.job_id, []) if stage_key(s.name) == wanted), None)
    return None


def _is_first(stage: JobStageRow, of_job: Sequence[JobStageRow]) -> bool:
    active = [other.sort_order for other in of_job if other.active is not False]
    return stage.sort_order <= min(active, default=stage.sort_order)


def _sent_at(offer: OfferRow) -> datetime | None:
    """When the candidate had it: the day it was sent, and not before it existed; None while it is only prepared."""
    if offer.sent_on is not None:
        return max(datetime.combine(offer.sent_on, time.min, UTC), offer.created_at)
    return offer.created_at if offer.status == "Accepted" else None


def _hired_at(offers: Sequence[OfferRow], openings: Sequence[OpeningRow]) -> datetime | None:
    """(7) When the offer was accepted, else when the opening was filled, else nobody knows."""
    accepted = [offer for offer in offers if offer.status == "Accepted" and offer.resolved_at is not None]
    if accepted:
        return max(accepted, key=lambda offer: (offer.version, offer.created_at)).resolved_at
    return max((opening.closed_at for opening in openings if opening.closed_at), default=None)


def _starts_on(offers: Sequence[OfferRow]) -> date | None:
    dated = [offer for offer in offers if offer.starts_on is not None and offer.status in _OFFER_RANK]
    best = min(dated, key=lambda offer: (_OFFER_RANK[offer.status], -offer.version), default=None)
    return best.starts_on if best else None


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _history(
    visited: Sequence[StageEntry], offered_at: datetime | None, status: CandidateStatus, ended_at: datetime
) -> tuple[StageEntry, ...]:
    """The visited stages, an offer that no stage tells of, and the end."""
    entries = list(visited)
    if offered_at is not None and not any(entry.status is CandidateStatus.OFFERED for entry in entries):
        entries.append(StageEntry(CandidateStatus.OFFERED, None, offered_at, None))
        entries.sort(key=lambda entry: entry.entered_at)
    if status in TERMINAL_STATUSES:
        entries.append(StageEntry(status, None, ended_at, None))
    return tuple(entries)


def public_posts(rows: Iterable[JobPostRow]) -> dict[str, JobPostRow]:
    """Job id -> the oldest posting that people outside can see."""
    posts: dict[str, JobPostRow] = {}
    for row in sorted(rows, key=lambda row: (len(row.id), row.id)):
        if row.is_public:
            posts.setdefault(row.job_id, row)
    return posts


def job(row: JobRow, departments: Mapping[str, str], post: JobPostRow | None) -> AtsJob:
    """A job in canonical form, with its department's name and its public posting."""
    return AtsJob(
        id=row.id,
        title=row.name,
        status=row.status,
        department=departments.get(row.department_id or ""),
        location=post.location.name if post and post.location else None,
        url=post.public_url if post else None,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        updated_at=row.updated_at,
    )


def _offer(row: OfferRow) -> AtsOffer:
    return AtsOffer(
        id=row.id,
        application_id=row.application_id,
        status=row.status,
        sent_on=row.sent_on,
        resolved_at=row.resolved_at,
        starts_on=row.starts_on,
        updated_at=row.updated_at,
    )
