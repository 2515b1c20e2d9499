"""From Lever's records to canonical ones. Pure: nothing here makes a call.

Belongs here: what records mean together: status, dates, history, people. Does not belong here: reading them one by one
(`lever_models`), fetching them. The numbers in comments are the invariants of `lever`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

from referral_pipeline.connectors.lever_models import (
    LeverOptions,
    LeverRow,
    OfferRow,
    OpportunityRow,
    PostingRow,
    ReasonRow,
    StageRow,
    read_row,
)
from referral_pipeline.connectors.lever_tags import read_tags
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

HIRED = "hired"
FIRST_STAGES = frozenset({"lead-new", "applicant-new"})
"""Lever's own first stages, which every account has."""
UNKNOWN_REASON = "an archive reason that is not known"

_OPEN = frozenset({"published", "internal"})
_OFFER_RANK = {"signed": 0, "denied": 2}
_SENT = frozenset({"sent", "sent-manually", "opened", "signed"})
_R = TypeVar("_R", bound=LeverRow)


@dataclass
class Facts:
    """Everything around opportunities that their status and dates depend on."""

    stages: Mapping[str, StageRow] = field(default_factory=dict[str, StageRow])
    reasons: Mapping[str, ReasonRow] = field(default_factory=dict[str, ReasonRow])
    offers: Mapping[str, Sequence[OfferRow]] = field(default_factory=dict[str, Sequence[OfferRow]])


class Assembler:
    """Turns records into canonical ones under one contract."""

    def __init__(self, *, stage_map: Mapping[str, CandidateStatus], options: LeverOptions) -> None:
        self._stage_map = {folded(name): status for name, status in stage_map.items()}
        self._labels = options.custom_fields
        self._withdrawn = {folded(name) for name in options.withdrawn_reasons}
        self._source = folded(options.source_name or "")

    def stage(self, raw: RawReader) -> AtsStaged:
        """All raw rows, normalised; rows that cannot be read become problems and the rest goes on."""
        problems: list[RowProblem] = []

        def read(model: type[_R]) -> list[_R]:
            return list(keep(model, raw(model.entity), problems))

        offers = read(OfferRow)
        facts = Facts(
            stages={row.id: row for row in read(StageRow)},
            reasons={row.id: row for row in read(ReasonRow)},
            offers=by_opportunity(offers),
        )
        opportunities = read(OpportunityRow)
        return AtsStaged(
            jobs=[job(row) for row in read(PostingRow)],
            candidates=candidates(opportunities),
            applications=[self.application(row, facts) for row in opportunities if row.posting is not None],
            offers=[_offer(row) for row in offers],
            problems=problems,
        )

    def application(self, row: OpportunityRow, facts: Facts, *, posting: str | None = None) -> AtsApplication:
        """One opportunity as an application. `posting` is what it is for, where the record does not say so."""
        stage = facts.stages.get(row.stage or "")
        status, unmapped = self.status(row, facts)
        visited = self._visited(row, facts)
        has_offer = status in {CandidateStatus.HIRED, CandidateStatus.OFFERED}
        offers = facts.offers.get(row.id, ()) if has_offer else ()
        offered_at = min(
            [
                *(entry.entered_at for entry in visited if entry.status is CandidateStatus.OFFERED),
                *(max(o.sent_at, o.created_at) for o in offers if o.sent_at is not None and o.status in _SENT),
            ],
            default=None,
        )
        ended = row.ended
        ended_at = ended.at if ended is not None else None
        is_rejected = status in {CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN}
        application = row.applications[0] if row.applications else None
        referrer = application.user if application is not None and application.type == "referral" else None
        return AtsApplication(
            id=row.id,
            candidate_id=row.contact,
            job_id=row.posting or posting,
            status=status,
            status_at=row.changed_at,
            applied_at=row.created_at,
            updated_at=row.changed_at,
            stage_name=stage.text if stage is not None else row.stage,
            unmapped_stage=unmapped,
            interviewed_at=min(
                (entry.entered_at for entry in visited if entry.status is CandidateStatus.INTERVIEWED), default=None
            ),
            offered_at=offered_at,
            hired_at=ended_at if status is CandidateStatus.HIRED else None,
            starts_on=_starts_on(offers),
            rejected_at=ended_at if is_rejected else None,
            source_name=self._source_of(row),
            referrer_id=referrer,
            tags=read_tags(row.tags, self._labels),
            history=_history(visited, offered_at, status, ended_at or row.changed_at),
        )

    def status(self, row: OpportunityRow, facts: Facts) -> tuple[CandidateStatus, str | None]:
        """(9) The canonical status, and what nobody has mapped."""
        ended = row.ended
        if ended is None:
            return self.stage_status(row.stage, facts.stages)
        if ended.reason is None:
            return CandidateStatus.REJECTED, None
        reason = facts.reasons.get(ended.reason)
        if reason is None:
            return CandidateStatus.IN_REVIEW, UNKNOWN_REASON
        if reason.type == HIRED:
            return CandidateStatus.HIRED, None
        withdrew = folded(reason.text) in self._withdrawn
        return (CandidateStatus.WITHDRAWN if withdrew else CandidateStatus.REJECTED), None

    def stage_status(self, stage_id: str | None, stages: Mapping[str, StageRow]) -> tuple[CandidateStatus, str | None]:
        """What a stage means, and its name when nobody has mapped it."""
        stage = stages.get(stage_id or "")
        mapped = self._stage_map.get(folded(stage.text)) if stage is not None else None
        # What ends an opportunity is that it is archived, never the name of a stage.
        if mapped is not None and mapped not in TERMINAL_STATUSES:
            return mapped, None
        if stage_id is None or stage_id in FIRST_STAGES:
            return CandidateStatus.APPLIED, None
        return CandidateStatus.IN_REVIEW, stage.text if stage is not None else stage_id

    def _visited(self, row: OpportunityRow, facts: Facts) -> list[StageEntry]:
        """The stages that were entered, in order."""
        changes = sorted(row.stage_changes, key=lambda one: one.at)
        visited: list[StageEntry] = []
        for place, one in enumerate(changes, start=1):
            end = changes[place].at if place < len(changes) else None
            status, _ = self.stage_status(one.to_stage, facts.stages)
            stage = facts.stages.get(one.to_stage)
            visited.append(StageEntry(status, stage.text if stage is not None else None, one.at, end))
        return visited

    def _source_of(self, row: OpportunityRow) -> str | None:
        """Ours where it is among the sources, else the first."""
        return next((name for name in row.sources if folded(name) == self._source), next(iter(row.sources), None))


def keep(model: type[_R], rows: Iterable[Row], problems: list[RowProblem]) -> Iterable[_R]:
    """The rows that can be read; the others are added to `problems`."""
    for row in rows:
        read = read_row(model, row)
        if isinstance(read, RowProblem):
            problems.append(read)
        else:
            yield read


def candidates(rows: Iterable[OpportunityRow]) -> list[AtsCandidate]:
    """(8) The contacts of opportunities. The newest that shows a detail tells it: blank means withheld, not cleared."""
    of_contact: dict[str, list[OpportunityRow]] = defaultdict(list)
    for row in rows:
        of_contact[row.contact].append(row)
    return [_candidate(contact, own) for contact, own in of_contact.items()]


def _candidate(contact: str, rows: Sequence[OpportunityRow]) -> AtsCandidate:
    newest_first = sorted(rows, key=lambda row: (row.changed_at, row.id), reverse=True)
    name = next((row.name for row in newest_first if row.name and row.name.strip()), None)
    first, last = split_name(name)
    emails = next((row.emails for row in newest_first if row.emails), ())
    phones = next((row.phones for row in newest_first if row.phones), ())
    return AtsCandidate(
        id=contact,
        first_name=first,
        last_name=last,
        emails=tuple(dict.fromkeys(email for email in emails if email)),
        phones=tuple(dict.fromkeys(phone.value for phone in phones if phone.value)),
        created_at=min(row.created_at for row in rows),
        updated_at=newest_first[0].changed_at,
    )


def split_name(name: str | None) -> tuple[str | None, str | None]:
    """The vendor keeps one text: the first word passes for the first name, the rest for the last."""
    first, _, last = " ".join((name or "").split()).partition(" ")
    return first or None, last or None


def by_opportunity(offers: Iterable[OfferRow]) -> dict[str, list[OfferRow]]:
    """Offers by the opportunity that they belong to."""
    found: dict[str, list[OfferRow]] = defaultdict(list)
    for offer in offers:
        found[offer.opportunity].append(offer)
    return found


def job(row: PostingRow) -> AtsJob:
    """A posting in canonical form."""
    status = "open" if row.state in _OPEN else "closed" if row.state == "closed" else "draft"
    categories = row.categories
    return AtsJob(
        id=row.id,
        title=row.text,
        status=status,
        department=categories.department if categories else None,
        location=categories.location if categories else None,
        url=row.urls.show if row.urls and row.state == "published" else None,
        opened_at=row.created_at,
        closed_at=row.updated_at if status == "closed" else None,
        updated_at=row.updated_at,
    )


def folded(name: str) -> str:
    """How names of stages and reasons are compared: without regard to case and blanks."""
    return " ".join(name.split()).casefold()


def _starts_on(offers: Iterable[OfferRow]) -> date | None:
    dated = [offer for offer in offers if offer.starts_on is not None]
    best = min(dated, key=lambda o: (_OFFER_RANK.get(o.status, 1), -o.created_at.timestamp()), default=None)
    return best.starts_on if best is not None else None


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


def _offer(row: OfferRow) -> AtsOffer:
    return AtsOffer(
        id=row.id,
        application_id=row.opportunity,
        status=row.status,
        sent_on=row.sent_at.date() if row.sent_at is not None else None,
        resolved_at=None,
        starts_on=row.starts_on,
        updated_at=row.created_at,
    )
