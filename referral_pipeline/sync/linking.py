"""Linking: what the ledger remembers of each referral of a case, which person, candidate and application it is.

Belongs here: the link as it should be after a write or a block, and keeping it. Does not belong here: when either
happens (candidates), the table (ledger), what the platform is told (statuses).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.sync.cases import PersonCase
from referral_pipeline.sync.creation import Opened
from referral_pipeline.sync.lifecycle import State
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import Block


class Linking:
    """Makes and keeps links; one instance a run. `links` then holds all that were judged, by referral id."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        ats_system: str,
        report: SyncReport,
        clock: Callable[[], datetime],
        known_until: datetime | None,
        on_links: Callable[[Sequence[Link]], None] | None,
    ) -> None:
        """Bind to the ledger.

        Args:
            ledger: keeps the links.
            ats_system: whose candidates and applications these are.
            report: counts what was blocked, and what somebody else knows better.
            clock: the time, aware UTC.
            known_until: see `candidates.CandidateWriteBack`.
            on_links: told the links that changed, inside the transaction that keeps them.
        """
        self._ledger = ledger
        self._system = ats_system
        self._report = report
        self._clock = clock
        self._known_until = known_until
        self._on_links = on_links
        self.links: dict[str, Link] = {}

    def save(self, new: Sequence[Link], known: Mapping[str, Link | None]) -> None:
        """Keep the links that are other than `known`, by referral id, and count what was blocked."""
        self.links.update({link.referral_id: link for link in new})
        changed = [link for link in new if link != known.get(link.referral_id)]
        if changed:
            with self._ledger.atomic():
                if self._known_until is not None:
                    changed = self._not_known_better(changed, known)
                # What the platform was told of an application is written by whoever told it.
                self._ledger.save_links(changed, keep=("status", "status_at"))
                if self._on_links is not None:
                    self._on_links(changed)
        for link in new:
            if link.block is not None:
                self._report.block(link.referral_id, link.block)

    def _not_known_better(self, new: Sequence[Link], known: Mapping[str, Link | None]) -> list[Link]:
        """Without the links that somebody wrote since this case was made, from what happened later."""
        stored = self._ledger.links_for(link.referral_id for link in new)
        kept = [x for x in new if not self.is_known_better(known.get(x.referral_id), stored.get(x.referral_id))]
        if len(kept) < len(new):
            self._report.count("links_known_better", len(new) - len(kept))
        return kept

    def is_known_better(self, base: Link | None, now: Link | None) -> bool:
        """Whether a link is another than the one that this case, of a pull that is some time ago, was made from."""
        if self._known_until is None or now is None:
            return False
        return base is None or base.updated_at != now.updated_at

    def link(
        self,
        case: PersonCase,
        referral: Referral,
        links: Mapping[str, Link | None],
        *,
        block: Block | None = None,
        application: AtsApplication | None = None,
        opened: Opened | None = None,
    ) -> Link:
        """The link as it should now be. A block keeps the ids of what was written before it."""
        before = links.get(referral.id)
        candidate_id = before.candidate_id if before else None
        application_id = before.application_id if before else None
        created_candidate = before.created_candidate if before else False
        created_application = before.created_application if before else False
        if application is not None:
            candidate_id, application_id = application.candidate_id, application.id
        if opened is not None:
            candidate_id, application_id = opened.candidate_id, opened.application_id
            created_candidate, created_application = opened.created_candidate, opened.created_application
        method = before.match_method if before else None
        if method is None and block is None:
            method = "created" if opened is not None and opened.created_candidate else "matched"
        unchanged = before is not None and (
            before.person_id,
            before.job_id,
            before.advocate_id,
            before.share_id,
            before.campaign_tag,
            before.touched_at,
            before.block,
            before.candidate_id,
            before.application_id,
        ) == (
            case.person_id,
            referral.job_id,
            referral.advocate_id,
            referral.share_id,
            referral.campaign_tag,
            referral.touched_at,
            block.value if block else None,
            candidate_id,
            application_id,
        )
        if unchanged and before is not None:
            return before
        return Link(
            referral_id=referral.id,
            person_id=case.person_id,
            job_id=referral.job_id,
            advocate_id=referral.advocate_id,
            share_id=referral.share_id,
            campaign_tag=referral.campaign_tag,
            touched_at=referral.touched_at,
            block=block.value if block else None,
            system=self._system,
            candidate_id=candidate_id,
            application_id=application_id,
            match_method=method,
            created_candidate=created_candidate,
            created_application=created_application,
            status=before.status if before else None,
            status_at=before.status_at if before else None,
            updated_at=self._clock(),
            state=_state(before, block).value,
        )


def _state(before: Link | None, block: Block | None) -> State:
    """Where the referral stands after the gate; what its application says comes with the status."""
    if block is not None:
        return State.ERASED if block is Block.ERASED else State.BLOCKED
    known = State(before.state) if before is not None and before.state else State.RECEIVED
    return State.RECEIVED if known is State.BLOCKED else known
