"""Hires: what an application has earned its referrals, recognised, and taken back where it ends.

Belongs here: gathering an application's person, and which applications are to be settled. Does not belong here: what is
told and how often (sync.recognitions), who has the credit (sync.crediting), the status itself (telling).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from referral_pipeline.attribution.models import Credit
from referral_pipeline.connectors.records import AtsApplication, Referral
from referral_pipeline.ledger.store import Link
from referral_pipeline.sync.cases import PersonCase
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.sync.facts import credited_referral
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lane.telling import Telling
from referral_pipeline.sync.lifecycle import Event
from referral_pipeline.sync.overrides import decisions_on, with_chosen
from referral_pipeline.sync.owners import links_of_owner, owner_of
from referral_pipeline.sync.recognition_decision import HireCase
from referral_pipeline.sync.recognitions import Settlement
from referral_pipeline.vocabulary import Block, CandidateStatus


@dataclass(frozen=True)
class _Gathered:
    """An application's person: their links, those of them to the application, and their referrals."""

    links: Mapping[str, Link]
    own: Sequence[Link]
    referrals: Sequence[Referral]


class Hires:
    """Settles the recognitions of applications. Safe for threads."""

    def __init__(self, systems: Systems) -> None:
        self._s = systems
        self._telling = Telling(systems)

    def recognise(
        self,
        case: PersonCase,
        applications: Mapping[str, AtsApplication],
        links: Mapping[str, Link],
        crediting: Crediting,
    ) -> None:
        """Settle what the applications of a case have earned; `applications` and `links` are as they are after it."""
        # What belongs to somebody else's candidate is settled with its own person: two would take it back in turns.
        by_application: dict[str, list[Link]] = defaultdict(list)
        for link in links.values():
            if link.application_id:
                by_application[link.application_id].append(link)
        recognised = self.recognised(by_application)
        for application_id, mine in by_application.items():
            application = applications.get(application_id)
            if application is None:
                continue
            if application_id in recognised or may_be_rewarded(application, [*mine, *_links_before(case, mine)]):
                linked = self._s.ledger.links_of_applications(self._s.ats.system, [application_id])
                own = [*mine, *(link for link in linked if link.referral_id not in links)]
                if self._owner(application, own) == case.person_id:
                    self._settle(application, own, mine, case.referrals, links, crediting)
                else:
                    # Settled with all of its own person: two persons would take it back from each other for ever.
                    self.recognise_by_links(application, own)

    def recognised(self, application_ids: Iterable[str]) -> set[str]:
        """Those for which anybody was recognised: the status alone forgets a hire once its end has been told."""
        return {row.application_id for row in self._s.ledger.recognitions(application_ids=application_ids)}

    def recognise_by_links(self, application: AtsApplication, own: Sequence[Link]) -> None:
        """Like `recognise`, for an application whose person was not gathered."""
        person = self._gathered(application, own)
        if person.referrals:
            self._settle(
                application, own, person.own, person.referrals, person.links, self._crediting(person.referrals)
            )

    def _owner(self, application: AtsApplication, own: Sequence[Link]) -> str | None:
        """Whose the application is."""
        s = self._s
        return owner_of(s.ledger, s.advocacy.system, s.ats.system, application.candidate_id, own)

    def _gathered(self, application: AtsApplication, own: Sequence[Link]) -> _Gathered:
        """The application's person with all that was referred for it, from the ledger and the mirror."""
        ledger, advocacy = self._s.ledger, self._s.advocacy.system
        owned = links_of_owner(ledger, advocacy, self._owner(application, own), own)
        links = {link.referral_id: link for link in owned}
        mine = [link for link in own if link.referral_id in links]
        return _Gathered(links, mine, list(self._s.mirror.referrals(links).read.values()) if links else [])

    def recognise_due(self) -> None:
        """Settle what comes with time alone: a waiting period that is over, a recognition that was never answered."""
        self._hear(self._s.recogniser.due(self._hire_cases))

    def recognise_applications(self, application_ids: Sequence[str]) -> None:
        """Settle the recognitions of these applications, each read anew.

        Raises:
            TransientFailure, PermanentFailure: from a connector; those before it are settled.
        """
        for case in self._hire_cases(application_ids):
            self._hear(self._s.recogniser.settle(case.application, case.referrals, case.credits, erased=case.erased))

    def recognisable(self, applications: Mapping[str, AtsApplication]) -> list[str]:
        """The applications whose recognitions are not level, by what a pull showed and what the platform was told.

        Looked at are all hires but those that are paid for in full, by exports that nobody can cancel any more; all
        that ever were recognised and stand no more as hired; and those of a recognised referral that was blocked since.
        Each is held against the credit as it is now, from ledger and mirror alone, since credit moves by much that no
        event tells: a late referral, a merge of persons, another contract. What payroll gave back is always among them.
        """
        ledger, bonus = self._s.ledger, self._s.contract.rules.bonus
        returned = {entry.key for entry in ledger.payroll_entries(state="returned")}
        open_exports = {export.id for export in ledger.payroll_exports() if export.state == "open"}
        paid: dict[str, int] = defaultdict(int)
        for entry in ledger.payroll_entries(state="paid"):
            if entry.currency == bonus.currency and entry.export_id not in open_exports:
                paid[entry.application_id] += entry.amount_cents
        standing: dict[str, str] = {}
        given_back: dict[str, str] = {}
        for row in sorted(ledger.recognitions(), key=lambda row: (row.cycle, row.created_at)):
            if row.kind == "reversed":
                standing.pop(row.referral_id, None)
                given_back.pop(row.referral_id, None)
            else:
                standing[row.referral_id] = row.application_id
                if row.key in returned:
                    given_back[row.referral_id] = row.application_id
        linked: set[str] = set()
        blocked: set[str] = set()
        for link in ledger.links():
            if link.block is None and link.application_id:
                linked.add(link.application_id)
            elif link.block != Block.ERASED and link.referral_id in standing:
                blocked.add(standing[link.referral_id])
        known = set(standing.values())
        prefix = f"{self._s.ats.system}:"
        decided = {one.application_key.removeprefix(prefix) for one in ledger.overrides()}
        hired = {i for i, a in applications.items() if a.status is CandidateStatus.HIRED}
        open_hires = {i for i in hired & (linked | known) if not bonus.amount_cents or paid[i] < bonus.amount_cents}
        looked_at = (open_hires | (known - hired) | blocked | (decided & (hired | known))) & applications.keys()
        sure = set(given_back.values()) & applications.keys()
        return sorted(sure | {i for i in looked_at - sure if not self._is_level(applications[i])})

    def _is_level(self, application: AtsApplication) -> bool:
        """Whether the platform was told what an application has earned, by the ledger and the mirror alone."""
        own = self._s.ledger.links_of_applications(self._s.ats.system, [application.id])
        return self._s.recogniser.is_level(self._hire_case(application, own))

    def _hear(self, settlement: Settlement) -> None:
        for recognition in settlement.refused:
            self._s.on_refused_recognition(recognition)

    def _hire_cases(self, application_ids: Sequence[str]) -> Iterable[HireCase]:
        s = self._s
        live = s.ats.get_applications(application_ids)
        for application in live.values():
            own = s.ledger.links_of_applications(s.ats.system, [application.id])
            case = self._hire_case(application, own)
            if application.status is CandidateStatus.HIRED:
                credited = {credited_referral(part.touch, case.referrals).id for part in case.credits}
                self._note_hire(application, own, credited)
            yield case

    def _hire_case(self, application: AtsApplication, own: Sequence[Link]) -> HireCase:
        """An application with all that its person was referred for it; `own` are all its links."""
        person = self._gathered(application, own)
        may_count, credits = self._credited(
            application, person.own, person.referrals, person.links, self._crediting(person.referrals)
        )
        return HireCase(application, may_count, credits, erased=_erased([*person.links.values(), *own]))

    def _settle(
        self,
        application: AtsApplication,
        own: Sequence[Link],
        mine: Sequence[Link],
        referrals: Sequence[Referral],
        links: Mapping[str, Link],
        crediting: Crediting,
    ) -> None:
        """Settle one application: `own` are all its links, `mine` those of its person, as are the rest."""
        may_count, credits = self._credited(application, mine, referrals, links, crediting)
        erased = _erased([*links.values(), *own])
        self._hear(self._s.recogniser.settle(application, may_count, credits, erased=erased))
        if application.status is CandidateStatus.HIRED:
            self._note_hire(application, own, {credited_referral(part.touch, may_count).id for part in credits})

    def _note_hire(self, application: AtsApplication, own: Sequence[Link], credited: Collection[str]) -> None:
        """Keep where the referrals of a hire stand: the hire, or the bonus that is due."""
        fresh = self._s.ledger.links_for(link.referral_id for link in own)
        moved = [
            replace(link, state=state.value)
            for link in fresh.values()
            for state in [
                self._telling.stands(link, application, Event.TIME_PASSED, credited=link.referral_id in credited)
            ]
            if link.state != state.value
        ]
        if moved:
            self._s.ledger.change_links(moved, "state", unless_blocked=True)

    def _credited(
        self,
        application: AtsApplication,
        own: Sequence[Link],
        referrals: Sequence[Referral],
        links: Mapping[str, Link],
        crediting: Crediting,
    ) -> tuple[list[Referral], list[Credit]]:
        """The referrals that may count for an application, and who earned it."""
        jobs = {application.job_id, *(link.job_id for link in own)}
        may_count = [
            r for r in referrals if r.job_id in jobs and (link := links.get(r.id)) is not None and link.block is None
        ]
        opened_for = {x.referral_id for x in own if x.created_application}
        decisions = decisions_on(self._s.ledger, self._s.ats.system, application.id)
        unblocked = [r for r in referrals if (link := links.get(r.id)) is not None and link.block is None]
        may_count = with_chosen(may_count, unblocked, decisions)
        return may_count, crediting.credits(may_count, application.applied_at, opened_for, decisions)

    def _crediting(self, referrals: Sequence[Referral]) -> Crediting:
        return Crediting(self._s.contract, cache(lambda: self._s.mirror.programme(referrals)))


def _links_before(case: PersonCase, links: Iterable[Link]) -> list[Link]:
    return [before for link in links if (before := case.links.get(link.referral_id)) is not None]


def _erased(links: Iterable[Link]) -> frozenset[str]:
    """The referrals whose person was forgotten: of their recognitions nothing is taken back, and nothing is added."""
    return frozenset(link.referral_id for link in links if link.block == Block.ERASED)


def may_be_rewarded(application: AtsApplication, links: Iterable[Link]) -> bool:
    """Whether there is, or was, a hire to recognise."""
    return application.status is CandidateStatus.HIRED or any(x.status is CandidateStatus.HIRED for x in links)
