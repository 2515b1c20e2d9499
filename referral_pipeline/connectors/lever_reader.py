"""Reading Lever's records live: contacts, postings, and opportunities with their offers.

Belongs here: which calls a record takes. Does not belong here: pulls of whole lists (`lever_api`), what records mean
together (`lever_assemble`). The numbers in comments are the invariants of `lever`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.lever_api import LeverApi, at_once
from referral_pipeline.connectors.lever_assemble import HIRED, Assembler, Facts, by_opportunity, candidates, job, keep
from referral_pipeline.connectors.lever_mailboxes import mailbox_of
from referral_pipeline.connectors.lever_models import SYSTEM, LeverRow, OfferRow, OpportunityRow, PostingRow
from referral_pipeline.connectors.lever_reference import Reference
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, AtsJob, Row, RowProblem
from referral_pipeline.vocabulary import CandidateStatus

_R = TypeVar("_R", bound=LeverRow)
_WITH_OFFERS = frozenset({CandidateStatus.HIRED, CandidateStatus.OFFERED})


class Reader:
    """Reads one account. Safe for threads."""

    def __init__(self, api: LeverApi, assembler: Assembler, reference: Reference) -> None:
        self._api = api
        self._assembler = assembler
        self._reference = reference

    def found_by(self, email: str) -> list[OpportunityRow]:
        """(4) What Lever finds under an address, which may be another spelling of the same mailbox."""
        return read(OpportunityRow, self._api.opportunities(email=email.strip()))

    def search_candidates(self, email: str) -> list[AtsCandidate]:
        """(4) Contacts that carry this address: the vendor compares its own way, so what it finds is looked at."""
        return [one for one in candidates(self.found_by(email)) if carries(one, email)]

    def get_candidates(self, ids: Sequence[str]) -> dict[str, AtsCandidate]:
        """Contacts by id, from their opportunities; absent ones are left out."""
        return {one.id: one for one in candidates(self._of_contacts(ids))}

    def get_applications(self, ids: Sequence[str]) -> dict[str, AtsApplication]:
        """Opportunities on a posting by id, with their offers."""
        return {one.id: one for one in self._assembled(read(OpportunityRow, self._opportunities(ids)))}

    def get_jobs(self, ids: Sequence[str]) -> dict[str, AtsJob]:
        """Postings by id; absent ones are left out."""
        rows = at_once(lambda one: self._api.get("postings", one), list(dict.fromkeys(ids)))
        return {row.id: job(row) for row in read(PostingRow, (row for row in rows if row is not None))}

    def applications_of(self, candidate_ids: Sequence[str]) -> list[AtsApplication]:
        """Every opportunity on a posting of these contacts."""
        return self._assembled(self._of_contacts(candidate_ids))

    def tagged(self, tag: str) -> list[OpportunityRow]:
        """Opportunities that carry a tag."""
        return read(OpportunityRow, self._api.opportunities(tag=tag))

    def raw_rows(self, application_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Raw rows by entity of these opportunities and all that hangs on them."""
        found = self._opportunities(application_ids)
        rows = read(OpportunityRow, found)
        facts = self.facts(rows, with_offers=False)
        return {"opportunities": found, "offers": self._offers(rows, facts)}

    def offer_filters(self) -> list[Mapping[str, str]]:
        """Filters of the opportunities whose offers matter: hires, and those that stand where an offer is made."""
        reasons = [row.id for row in self._reference.reasons().values() if row.type == HIRED]
        stages = self._reference.stages()
        offered = [i for i in stages if self._assembler.stage_status(i, stages)[0] is CandidateStatus.OFFERED]
        return [
            *({"archive_reason_id": one} for one in reasons),
            *({"stage_id": one, "archived": "false"} for one in offered),
        ]

    def facts(self, rows: Sequence[OpportunityRow], *, with_offers: bool = True) -> Facts:
        """What these opportunities depend on."""
        stages = {one for row in rows for one in (row.stage, *(c.to_stage for c in row.stage_changes)) if one}
        reasons = {row.ended.reason for row in rows if row.ended is not None and row.ended.reason is not None}
        facts = Facts(stages=self._reference.stages(stages), reasons=self._reference.reasons(reasons))
        if with_offers:
            facts.offers = by_opportunity(read(OfferRow, self._offers(rows, facts)))
        return facts

    def _offers(self, rows: Sequence[OpportunityRow], facts: Facts) -> list[Row]:
        """The offers of those of these opportunities where they matter."""
        wanted = [row.id for row in rows if self._assembler.status(row, facts)[0] in _WITH_OFFERS]
        return [offer for own in at_once(self._api.offers_of, wanted) for offer in own]

    def _opportunities(self, ids: Sequence[str]) -> list[Row]:
        return [row for row in at_once(self._api.opportunity, list(dict.fromkeys(ids))) if row is not None]

    def _of_contacts(self, ids: Sequence[str]) -> list[OpportunityRow]:
        def of_one(contact: str) -> list[OpportunityRow]:
            rows = read(OpportunityRow, self._api.opportunities(contact_id=contact))
            return [row for row in rows if row.contact == contact]

        return [row for own in at_once(of_one, list(dict.fromkeys(ids))) for row in own]

    def _assembled(self, rows: Iterable[OpportunityRow]) -> list[AtsApplication]:
        own = [row for row in rows if row.posting is not None]
        facts = self.facts(own) if own else Facts()
        return [self._assembler.application(row, facts) for row in own]


def read(model: type[_R], rows: Iterable[Row]) -> list[_R]:
    """Rows read live. One that cannot be understood is an error here: silence would look like a deletion."""
    problems: list[RowProblem] = []
    found = list(keep(model, rows, problems))
    if problems:
        first = problems[0]
        detail = f"a row cannot be read: {first.field} is {first.reason} ({first.shape})"
        raise Invalid(SYSTEM, f"{first.entity}.list", detail=detail)
    return found


def carries(candidate: AtsCandidate, email: str) -> bool:
    """Whether a contact has this address, or another spelling of the same mailbox where that is known."""
    return mailbox_of(email) in {mailbox_of(one) for one in candidate.emails}
