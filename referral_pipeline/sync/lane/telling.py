"""Telling the platform how an application stands, and keeping where its referrals stand with it.

Belongs here: from an application and its links to what is told and kept. Does not belong here: sending it exactly once
(sync.statuses), the table of states (sync.lifecycle), recognitions (hires).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from referral_pipeline.connectors.records import AtsApplication
from referral_pipeline.ledger.store import Link, StatusFact
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lifecycle import Event, Facts, State, advance
from referral_pipeline.sync.statuses import lock_of
from referral_pipeline.vocabulary import Block


class Telling:
    """Tells of single applications. Safe for threads."""

    def __init__(self, systems: Systems) -> None:
        self._s = systems

    def moved(self, link: Link, application: AtsApplication) -> Link:
        """The link under the candidate that holds the application now: candidates are merged."""
        if link.candidate_id in {None, application.candidate_id}:
            return link
        assert link.candidate_id is not None
        self._s.ledger.alias(self._s.ats.system, link.candidate_id, application.candidate_id)
        moved = replace(link, candidate_id=application.candidate_id)
        self._s.ledger.change_links([moved], "candidate_id")
        return moved

    def tell(
        self, applications: Mapping[str, AtsApplication], links: Mapping[str, Link], *, read_at: datetime
    ) -> dict[str, str]:
        """Tell of each application what all its links say; the word for each, by application id.

        Takes the lock of each application: not to be called inside another.
        """
        told: dict[str, str] = {}
        s = self._s
        for application in applications.values():
            with s.ledger.exclusive([lock_of(s.ats.system, application.id)]):
                own = [x for x in links.values() if x.application_id == application.id]
                told[application.id] = told_word(
                    self.tell_one(own, application, Event.REFERRAL_CHANGED, read_at=read_at)
                )
        return told

    def tell_one(
        self, links: Sequence[Link], application: AtsApplication, event: Event, *, read_at: datetime | None
    ) -> list[str]:
        """Tell how one application stands, under its lock; what came of each of its links.

        `read_at` is when the application was read, None for just now.
        """
        if not self._s.contract.phases.status_return:
            self._s.ledger.append_statuses([self._fact(application)])
            return []
        standing = [replace(link, state=self.stands(link, application, event).value) for link in links]
        outcomes = self._s.statuses.tell(
            standing,
            application,
            again=lambda: self._s.ats.get_applications([application.id]).get(application.id),
            read_at=read_at,
            fact=self._fact(application),
        )
        # A status that was sent is saved with its link; here is what moved without a word to the platform.
        moved = [
            now
            for now, before in zip(standing, links, strict=True)
            if now.state != before.state and outcomes.get(now.referral_id) != "sent"
        ]
        if moved:
            self._s.ledger.change_links(moved, "state", unless_blocked=True)
        return list(outcomes.values())

    def stands(self, link: Link, application: AtsApplication, event: Event, *, credited: bool | None = None) -> State:
        """Where a referral stands now, by the lifecycle's table."""
        before = State(link.state) if link.state else State.RECEIVED
        facts = Facts(
            block=Block(link.block) if link.block else None,
            status=application.status if link.application_id == application.id else None,
            gone=link.block == Block.ERASED,
            credited=credited if credited is not None else before is State.BONUS_ELIGIBLE,
            starts_on=application.starts_on,
            today=self._s.clock().astimezone(UTC).date(),
            waiting_days=self._s.contract.rules.bonus.waiting_days,
            # Asked only where a bonus may have been paid; it decides no state, but what may be asked for.
            paid=before is State.BONUS_ELIGIBLE and bool(self._s.ledger.paid_referrals([link.referral_id])),
        )
        return advance(before, event, facts).state

    def _fact(self, application: AtsApplication) -> StatusFact:
        if application.unmapped_stage is not None:
            self._s.on_unmapped_stage(application.unmapped_stage)
        return StatusFact(
            system=self._s.ats.system,
            application_id=application.id,
            status=application.status,
            at=application.hired_at or application.rejected_at or application.status_at,
            source_event="event",
        )


def told_word(outcomes: Iterable[str]) -> str:
    """The one word for what was told to all referrals of an application."""
    found = set(outcomes)
    for word in ("sent", "superseded", "gone"):
        if word in found:
            return f"status_{word}"
    return "status_unchanged"
