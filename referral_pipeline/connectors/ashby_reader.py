"""Reading Ashby's records live, and the two pulls that a list alone does not give.

Belongs here: which calls are made for which record. Does not belong here: pages (`ashby_api`), what rows mean together
(`ashby_assemble`). The numbers in comments are the invariants of `ashby`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from referral_pipeline.connectors.ashby_api import AshbyApi, is_id
from referral_pipeline.connectors.ashby_assemble import Assembler, Facts, keep, posting_links
from referral_pipeline.connectors.ashby_assemble import candidate as canonical_candidate
from referral_pipeline.connectors.ashby_assemble import job as canonical_job
from referral_pipeline.connectors.ashby_models import (
    SYSTEM,
    ApplicationRow,
    AshbyRow,
    CandidateRow,
    DepartmentRow,
    HistoryRow,
    JobRow,
    OfferRow,
    PostingRow,
)
from referral_pipeline.connectors.ashby_reference import Reference
from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, AtsJob, Row, RowProblem, Window

_AT_ONCE = 6
_M = TypeVar("_M", bound=AshbyRow)


class Reader:
    """Reads one account. Safe for threads."""

    def __init__(self, api: AshbyApi, assembler: Assembler, reference: Reference, *, with_history: bool) -> None:
        self._api = api
        self._assembler = assembler
        self._reference = reference
        self._with_history = with_history

    # ------------------------------------------------------------ pulls

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """Pages of raw rows that changed in the window."""
        if entity == "interview_stages":
            for plans in self._api.pull(entity, window):
                for plan in plans:
                    yield self._api.read_all("interviewStage.list", {"interviewPlanId": plan["id"]}, paged=False)
        elif entity == "application_history":
            if self._with_history:
                yield from self._histories(window)
        else:
            yield from self._api.pull(entity, window)

    def _histories(self, window: Window) -> Iterator[list[Row]]:
        """The histories of the applications that changed: a call for each, several at a time."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ashby histories") as pool:
            for page in self._api.pull("application_history", window):
                yield [row for row in pool.map(self._history_row, page) if row is not None]

    def _history_row(self, application: Row) -> Row | None:
        info = self._api.read_one("application.info", {"applicationId": application["id"]})
        return _history_of(info) if info is not None else None

    # ------------------------------------------------------------ candidates and jobs

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """(6) Candidates with this address. What the search found besides is left out."""
        rows = self._api.read_all("candidate.search", {"email": email.strip()}, paged=False)
        wanted = email.strip().casefold()
        found = map(canonical_candidate, self._understood(CandidateRow, rows))
        return [one for one in found if wanted in {address.strip().casefold() for address in one.emails}]

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Candidates by id; absent ones are left out."""
        rows = self.candidate_rows(ids)
        return {one.id: one for one in map(canonical_candidate, self._understood(CandidateRow, rows))}

    def candidate_rows(self, ids: Iterable[str]) -> list[Row]:
        """Raw rows of candidates. One that was merged answers under another id, and is left out too."""
        read = ((one, self._api.read_one("candidate.info", {"id": one})) for one in _distinct(ids))
        return [row for one, row in read if row is not None and row["id"] == one]

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Jobs by id, live, with department and public posting; absent ones are left out."""
        read = (self._api.read_one("job.info", {"id": one, "expand": ["location"]}) for one in _distinct(ids))
        jobs = list(self._understood(JobRow, [row for row in read if row is not None]))
        if not jobs:
            return {}
        departments = self._understood(DepartmentRow, self._api.read_all("department.list", {"includeArchived": True}))
        names = {row.id: row.name or "" for row in departments}
        postings = self._api.read_all("jobPosting.list", {"listedOnly": True}, paged=False)
        links = posting_links(self._understood(PostingRow, postings))
        return {row.id: canonical_job(row, names, links.get(row.id)) for row in jobs}

    # ------------------------------------------------------------ applications

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Applications by id, assembled live."""
        return {one.id: one for one in map(self.assembled, self.application_rows(ids))}

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every application of these candidates, assembled live."""
        candidates = self._understood(CandidateRow, self.candidate_rows(candidate_ids))
        ids = [one for candidate in candidates for one in candidate.application_ids]
        return list(self.get_applications(ids).values())

    def application_row(self, application_id: str) -> Row | None:
        """The raw row of an application with its history; None when it is not there."""
        if not is_id(application_id):
            return None
        return self._api.read_one("application.info", {"applicationId": application_id, "expand": ["openings"]})

    def application_rows(self, ids: Iterable[str]) -> list[Row]:
        """Raw rows of applications, each with its history."""
        return [row for one in _distinct(ids) if (row := self.application_row(one)) is not None]

    def assembled(self, row: Row) -> AtsApplication:
        """An application from its row, with its offers read live."""
        (application,) = self._understood(ApplicationRow, [row])
        (history,) = self._understood(HistoryRow, [_history_of(row)])
        plan_id = application.stage.plan_id if application.stage else None
        types = self._reference.stage_types(plan_id, {item.stage_id for item in history.history}) if plan_id else {}
        facts = Facts(types=dict(types), history={application.id: history.history})
        facts.add_offers(self._understood(OfferRow, self._offers(application.id)))
        return self._assembler.application(application, facts)

    def fresh(self, row: Row) -> AtsApplication:
        """An application from the answer to a create: it has neither history nor offers."""
        (application,) = self._understood(ApplicationRow, [row])
        return self._assembler.application(application, Facts())

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these applications and all that hangs on them."""
        infos = self.application_rows(application_ids)
        people = [str(row["candidate"]["id"]) for row in infos if isinstance(row.get("candidate"), dict)]
        return {
            "applications": [
                {name: value for name, value in row.items() if name not in {"applicationHistory", "referrals"}}
                for row in infos
            ],
            "application_history": [_history_of(row) for row in infos] if self._with_history else [],
            "candidates": self.candidate_rows(people),
            "offers": [offer for row in infos for offer in self._offers(str(row["id"]))],
        }

    def _offers(self, application_id: str) -> list[Row]:
        return self._api.read_all("offer.list", {"applicationId": application_id})

    def _understood(self, model: type[_M], rows: Iterable[Row]) -> list[_M]:
        """Rows read live. One that cannot be understood is an error here: silence would look like a deletion."""
        problems: list[RowProblem] = []
        read = list(keep(model, rows, problems))
        if problems:
            first = problems[0]
            detail = f"a row cannot be read: {first.field} is {first.reason} ({first.shape})"
            raise Invalid(SYSTEM, f"{first.entity}.read", detail=detail)
        return read


def _distinct(ids: Iterable[str]) -> list[str]:
    return [one for one in dict.fromkeys(ids) if is_id(one)]


def _history_of(info: Row) -> Row:
    """The history of an application as a row of its own, under the application's id."""
    items: Any = info.get("applicationHistory")
    return {"id": info["id"], "updatedAt": info.get("updatedAt"), "history": items if isinstance(items, list) else []}
