"""From Ashby's rows to canonical records. Pure: nothing here makes a call.

Belongs here: what rows mean together: status, dates, history, tags. Does not belong here: reading rows one by one
(`ashby_models`), fetching them (`ashby_reader`). The numbers in comments are the invariants of `ashby`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from referral_pipeline.connectors.ashby_models import (
    ApplicationRow,
    AshbyRow,
    CandidateRow,
    Contact,
    DepartmentRow,
    HistoryItem,
    HistoryRow,
    JobRow,
    OfferRow,
    PostingRow,
    StageRow,
    read_row,
    title_key,
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

_ACCEPTED = "Accepted"
_STANDING = frozenset({_ACCEPTED, "WaitingOnResponse", "Pending"})
"""Offers that the candidate has, or has accepted."""
_TAKEN_BACK = frozenset({"Cancelled", "Declined"})
_BY_TYPE: Mapping[str, CandidateStatus] = {
    "lead": CandidateStatus.APPLIED,
    "preinterviewscreen": CandidateStatus.APPLIED,
    "offer": CandidateStatus.OFFERED,
}
_ENDS = frozenset({"hired", "archived"})
_JOB_STATUS: Mapping[str, str] = {"Open": "open", "Draft": "draft", "Closed": "closed", "Archived": "closed"}
_R = TypeVar("_R", bound=AshbyRow)


@dataclass
class Facts:
    """Everything around applications that their status and dates depend on. `types`: stage id -> type."""

    types: dict[str, str] = field(default_factory=dict[str, str])
    history: dict[str, Sequence[HistoryItem]] = field(default_factory=dict[str, Sequence[HistoryItem]])
    offers: dict[str, list[OfferRow]] = field(default_factory=lambda: defaultdict(list))

    def add_offers(self, rows: Iterable[OfferRow]) -> None:
        """Add offers."""
        for row in rows:
            self.offers[row.application_id].append(row)


class Assembler:
    """Turns rows into canonical records under one contract.

    Args:
        stage_map: The contract's stage titles and what they are in canonical words.
        field_titles: Logical tag -> title of the custom field.
    """

    def __init__(self, *, stage_map: Mapping[str, CandidateStatus], field_titles: Mapping[str, str]) -> None:
        self._stage_map = {title_key(title): status for title, status in stage_map.items()}
        self._field_titles = field_titles

    def stage(self, raw: RawReader) -> AtsStaged:
        """All raw rows, normalised; rows that cannot be read become problems and the rest goes on."""
        problems: list[RowProblem] = []

        def rows_of(model: type[_R]) -> list[_R]:
            return list(keep(model, raw(model.entity), problems))

        facts = Facts(
            types={row.id: row.type for row in rows_of(StageRow) if row.type},
            history={row.id: row.history for row in rows_of(HistoryRow)},
        )
        offers = rows_of(OfferRow)
        facts.add_offers(offers)
        departments = {row.id: row.name or "" for row in rows_of(DepartmentRow)}
        links = posting_links(rows_of(PostingRow))
        return AtsStaged(
            jobs=[job(row, departments, links.get(row.id)) for row in rows_of(JobRow)],
            candidates=[candidate(row) for row in rows_of(CandidateRow)],
            applications=[self.application(row, facts) for row in rows_of(ApplicationRow)],
            offers=[made for row in offers if (made := _offer(row)) is not None],
            problems=problems,
        )

    def application(self, row: ApplicationRow, facts: Facts) -> AtsApplication:
        """One application with its facts in canonical words."""
        offers = facts.offers.get(row.id, [])
        items = sorted(facts.history.get(row.id, ()), key=lambda item: item.entered_at)
        status, unmapped = self._status(row, offers)
        visited = self._visited(items, row, facts)
        offered_at = _first(
            [entry.entered_at for entry in visited if entry.status is CandidateStatus.OFFERED]
            + [o.version.created_at for o in offers if o.version and o.acceptance in _STANDING]
        )
        is_rejected = status in {CandidateStatus.REJECTED, CandidateStatus.WITHDRAWN}
        rejected_at = row.archived_at if is_rejected else None
        hired_at = _hired_at(row, offers) if status is CandidateStatus.HIRED else None
        stamps = [row.updated_at, row.archived_at, *(item.entered_at for item in items)]
        stamps += [moment for o in offers for moment in (o.decided_at, o.version.created_at if o.version else None)]
        status_at = max(moment for moment in stamps if moment is not None)
        return AtsApplication(
            id=row.id,
            candidate_id=row.candidate.id,
            job_id=row.job.id,
            status=status,
            status_at=status_at,
            applied_at=row.created_at,
            updated_at=row.updated_at,
            stage_name=row.stage.title if row.stage else None,
            unmapped_stage=unmapped,
            interviewed_at=_first(e.entered_at for e in visited if e.status is CandidateStatus.INTERVIEWED),
            offered_at=offered_at,
            hired_at=hired_at,
            starts_on=_starts_on(offers),
            rejected_at=rejected_at,
            source_name=row.source.title if row.source else None,
            referrer_id=row.credited_to.id if row.credited_to else None,
            tags=read_tags(row.custom_fields, self._field_titles),
            history=_history(visited, offered_at, status, hired_at or rejected_at or status_at),
        )

    def _status(self, row: ApplicationRow, offers: Sequence[OfferRow]) -> tuple[CandidateStatus, str | None]:
        """(8) The canonical status, and the stage's title when nobody has mapped it."""
        if row.status == "Hired":
            return CandidateStatus.HIRED, None
        if row.status == "Archived":
            reason = row.archive_reason.reason_type if row.archive_reason else None
            is_theirs = reason == "RejectedByCandidate"
            return (CandidateStatus.WITHDRAWN if is_theirs else CandidateStatus.REJECTED), None
        if row.status not in {"Active", "Lead"}:
            # (4) A word that is new to us is a drift to report, not a reason to stop.
            return CandidateStatus.IN_REVIEW, f"status {row.status}"
        status, unmapped = self._stage_status(
            row.stage.title if row.stage else None, row.stage.type if row.stage else None
        )
        if any(offer.acceptance in _STANDING for offer in offers):
            return CandidateStatus.OFFERED, unmapped
        return status, unmapped

    def _stage_status(self, title: str | None, kind: str | None) -> tuple[CandidateStatus, str | None]:
        mapped = self._stage_map.get(title_key(title)) if title else None
        # What ends an application is its status, never the title of a stage.
        if mapped is not None and mapped not in TERMINAL_STATUSES:
            return mapped, None
        by_type = _BY_TYPE.get((kind or "").casefold())
        if by_type is not None:
            return by_type, None
        if title is None:
            return CandidateStatus.APPLIED, None
        return CandidateStatus.IN_REVIEW, title

    def _visited(self, items: Sequence[HistoryItem], row: ApplicationRow, facts: Facts) -> list[StageEntry]:
        """The stages that were entered, but those in which an application ends: the status tells of these."""
        visited: list[StageEntry] = []
        for item in items:
            kind = facts.types.get(item.stage_id)
            if kind is None and row.stage is not None and row.stage.id == item.stage_id:
                kind = row.stage.type
            if (kind or "").casefold() in _ENDS:
                continue
            status, _ = self._stage_status(item.title, kind)
            visited.append(StageEntry(status, item.title, item.entered_at, item.left_at))
        return visited


def keep(model: type[_R], rows: Iterable[Row], problems: list[RowProblem]) -> Iterable[_R]:
    """The rows that can be read; the others are added to `problems`."""
    for row in rows:
        read = read_row(model, row)
        if isinstance(read, RowProblem):
            problems.append(read)
        else:
            yield read


def candidate(row: CandidateRow) -> AtsCandidate:
    """(9) A candidate in canonical form. Ashby keeps one name: its first word is taken for the first name."""
    first, _, last = " ".join((row.name or "").split()).partition(" ")
    return AtsCandidate(
        id=row.id,
        first_name=first or None,
        last_name=last or None,
        emails=_values(row.primary_email, row.emails),
        phones=_values(row.primary_phone, row.phones),
        created_at=row.created_at,
        updated_at=row.updated_at or row.created_at,
    )


def job(row: JobRow, departments: Mapping[str, str], link: str | None) -> AtsJob:
    """A job in canonical form."""
    return AtsJob(
        id=row.id,
        title=row.title or "",
        status=_JOB_STATUS.get(row.status, "draft"),
        department=departments.get(row.department_id) if row.department_id else None,
        location=row.location.name if row.location else None,
        url=link,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        updated_at=row.updated_at,
    )


def posting_links(rows: Iterable[PostingRow]) -> dict[str, str | None]:
    """Job id -> the address of the posting that people outside can see, the first by id."""
    links: dict[str, str | None] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if row.is_listed is not False:
            links.setdefault(row.job_id, row.link or row.apply_link)
    return links


def field_values(custom_fields: object) -> dict[str, Any]:
    """The values of a record's custom fields by folded title."""
    if not isinstance(custom_fields, list):
        return {}
    entries = [cast("Mapping[str, Any]", one) for one in cast("list[Any]", custom_fields) if isinstance(one, Mapping)]
    return {title_key(entry.get("title")): entry.get("value") for entry in entries}


def read_tags(custom_fields: object, titles: Mapping[str, str]) -> dict[str, str | None]:
    """(5) Every logical tag as text, None where empty."""
    values = field_values(custom_fields)
    return {name: tag_text(values.get(title_key(title))) for name, title in titles.items()}


def tag_text(value: object) -> str | None:
    """A value as one text, whatever the type of its field."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(filter(None, (tag_text(item) for item in cast("list[Any]", value)))) or None
    if isinstance(value, Mapping):
        return tag_text(cast("Mapping[str, Any]", value).get("value"))
    return str(value).strip() or None


def _values(primary: Contact | None, others: Sequence[Contact]) -> tuple[str, ...]:
    found = [contact.value for contact in (*([primary] if primary else []), *others) if contact.value]
    return tuple(dict.fromkeys(found))


def _hired_at(row: ApplicationRow, offers: Sequence[OfferRow]) -> datetime | None:
    """(7) When the offer was accepted, else when the opening was filled, else nobody knows."""
    accepted = [o.decided_at for o in offers if o.acceptance == _ACCEPTED and o.decided_at is not None]
    if accepted:
        return max(accepted)
    return max((opening.closed_at for opening in row.openings if opening.closed_at), default=None)


def _starts_on(offers: Sequence[OfferRow]) -> Any:
    dated = [o for o in offers if o.version and o.version.starts_on and o.acceptance not in _TAKEN_BACK]
    best = min(dated, key=lambda o: o.acceptance != _ACCEPTED, default=None)
    return best.version.starts_on if best and best.version else None


def _offer(row: OfferRow) -> AtsOffer | None:
    made_at = row.version.created_at if row.version else None
    updated_at = row.decided_at or made_at
    if updated_at is None:
        return None
    return AtsOffer(
        id=row.id,
        application_id=row.application_id,
        status=row.acceptance or row.status or "",
        sent_on=None,
        resolved_at=row.decided_at,
        starts_on=row.version.starts_on if row.version else None,
        updated_at=updated_at,
    )


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
