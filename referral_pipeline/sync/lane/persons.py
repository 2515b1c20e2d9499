"""Bringing people level: whatever happened to a referral or a candidate, both systems end up saying what is true.

Belongs here: one person's way from resolution over the write to the returned status and the recognition, and the short
way of an application's status. Does not belong here: which event asks for it (handlers), threads and leases (engine),
telling a status (telling), recognising a hire (hires), what the ATS no longer shows (gone).

Level-triggered: nothing here looks at the event. Facts are read anew, compared with what each system was told, and only
the difference is written; so any order and any number of events ends the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, AtsJob, Referral
from referral_pipeline.ledger.store import Link
from referral_pipeline.sync.candidates import CandidateWriteBack
from referral_pipeline.sync.cases import PersonCase, case_of
from referral_pipeline.sync.creation import NotYetVisibleError
from referral_pipeline.sync.lane.gone import Gone
from referral_pipeline.sync.lane.hires import Hires, may_be_rewarded
from referral_pipeline.sync.lane.jobs import Jobs
from referral_pipeline.sync.lane.mirror import Fresh
from referral_pipeline.sync.lane.people import Neighbourhood
from referral_pipeline.sync.lane.systems import Systems
from referral_pipeline.sync.lane.telling import Telling, told_word
from referral_pipeline.sync.lifecycle import Event
from referral_pipeline.sync.statuses import lock_of

_MOST_ROUNDS = 10
_MOST_ASIDE = 16
"""Two for each of the engine's threads: the search, and what an application is to say."""


@dataclass(frozen=True)
class _Written:
    """A person as written to the ATS: the case, the applications as read or made, the links since."""

    case: PersonCase
    applications: Mapping[str, AtsApplication]
    links: Mapping[str, Link]
    write_back: CandidateWriteBack
    read_at: datetime


class Leveller:
    """Brings persons and applications level. Safe for threads: the ledger's locks keep two from one person."""

    def __init__(self, systems: Systems, *, started_at: datetime) -> None:
        self._s = systems
        self._started_at = started_at
        self.jobs = Jobs(systems.ats, systems.clock)
        self.gone = Gone(systems)
        self.hires = Hires(systems)
        self._telling = Telling(systems)
        self._aside = ThreadPoolExecutor(_MOST_ASIDE, thread_name_prefix="aside")

    def close(self) -> None:
        """Wait for what was begun aside and is not needed any more."""
        self._aside.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------ persons

    def bring_referrals(
        self,
        referral_ids: Collection[str],
        keys: Iterable[str],
        *,
        candidates: Sequence[AtsCandidate] = (),
        deleted: Collection[str] = (),
        fresh: Mapping[str, Fresh] | None = None,
    ) -> dict[str, str]:
        """Bring the persons behind these referrals level; what came of each referral, in a word.

        Args:
            referral_ids: at least one, all kept in the mirror or fresh.
            keys: keyed hashes of their contact details: what the lock is taken on to begin with.
            candidates: candidates of the ATS that were read a moment ago and may be these persons.
            fresh: rows of these referrals that events brought, kept in the mirror on the way.
            deleted: applications of which the ATS said so; of any other it only shows that it hides them.

        Raises:
            NotYetVisibleError: an earlier create may have succeeded, or too many applications vanished; come back at
                its time.
            TransientFailure, PermanentFailure: from a connector.
        """
        self._s.mirror.prime()
        held = {*keys, *(f"referral:{i}" for i in referral_ids)}
        for _ in range(_MOST_ROUNDS):
            with self._s.ledger.exclusive(held):
                found = self._s.people.around(referral_ids, candidates=candidates, fresh=fresh)
                # Whoever works on a neighbour may make a candidate that is ours too: its keys are needed as well.
                outcomes, written = (
                    self._write(found, referral_ids, candidates, deleted) if found.keys <= held else ({}, None)
                )
            if written is None:
                held |= found.keys
                continue
            # Telling takes the locks of the applications, and locks are not taken inside locks.
            for one in written:
                outcomes |= self._follow_up(one)
            return {i: outcomes[i] for i in referral_ids}
        raise NotYetVisibleError(self._s.clock() + timedelta(seconds=1))

    def _write(
        self,
        found: Neighbourhood,
        referral_ids: Collection[str],
        candidates: Sequence[AtsCandidate],
        deleted: Collection[str],
    ) -> tuple[dict[str, str], list[_Written]]:
        advocacy, ats = self._s.advocacy.system, self._s.ats.system
        persons = {p for i in referral_ids if (p := found.person_of.get(f"{advocacy}:{i}")) is not None}
        outcomes = dict.fromkeys(referral_ids, "unknown")
        written: list[_Written] = []
        self._s.people.remember(
            found, [*(f"{advocacy}:{i}" for i in referral_ids), *(f"{ats}:{c.id}" for c in candidates)]
        )
        for person_id in sorted(persons | found.changed_persons | self._owners(referral_ids, found)):
            members = [found.referrals[i] for i in found.members(person_id, advocacy) if i in found.referrals]
            if members:
                strangers, one = self._write_person(person_id, members, found, deleted)
                outcomes |= strangers
                written.extend([one] if one is not None else [])
        named = {*outcomes, *(r.id for one in written for r in one.case.referrals)}
        outcomes |= {i: f"quarantined:{found.unfit[i]}" for i in named if i in found.unfit}
        return outcomes, written

    def _owners(self, referral_ids: Collection[str], found: Neighbourhood) -> set[str]:
        """Whose the candidates are that these referrals were written to: nearly always the referrals' own persons."""
        linked = (found.links[i].candidate_id for i in referral_ids if i in found.links)
        records = (f"{self._s.ats.system}:{found.aliases.get(c, c)}" for c in linked if c)
        return {found.person_of[record] for record in records if record in found.person_of}

    def _write_person(
        self, person_id: str, members: Sequence[Referral], found: Neighbourhood, deleted: Collection[str]
    ) -> tuple[dict[str, str], _Written | None]:
        """Write one person to the ATS; referrals that cannot be written, and what is to be told of the others."""
        s = self._s
        advocates = s.mirror.advocates(members)
        fit = [r for r in members if r.advocate_id in advocates]
        outcomes = {r.id: "quarantined:advocate_id" for r in members if r not in fit}
        if not fit:
            return outcomes, None
        read_at = s.clock()
        case, applications = self._case(person_id, fit, found, deleted)
        jobs = {j.id: j for j in self.jobs.get({r.job_id for r in fit})}
        write_back = self._write_back(fit, jobs, lambda links: self._remember_candidates(person_id, fit, links, found))
        try:
            write_back.write(case)
        except Invalid:
            # A job may have closed since it was read: then the referral is held back, and nothing was wrong with it.
            were_open = {job.id for job in jobs.values() if job.status == "open"}
            if were_open <= {job.id for job in self.jobs.read_again(were_open) if job.status == "open"}:
                raise
            raise NotYetVisibleError(s.clock()) from None
        links = {**case.links, **write_back.links}
        return outcomes, _Written(case, {**applications, **write_back.records}, links, write_back, read_at)

    def _follow_up(self, written: _Written) -> dict[str, str]:
        """Tell what was written, and recognise what was earned; the outcome of each referral."""
        links = written.links
        wanted = {link.application_id for link in links.values() if link.application_id}
        applications = {i: a for i, a in written.applications.items() if i in wanted}
        told = self._telling.tell(applications, links, read_at=written.read_at)
        self.hires.recognise(written.case, applications, links, written.write_back.crediting)
        return {
            r.id: _outcome(written.case.links.get(r.id), links.get(r.id), written.write_back, told)
            for r in written.case.referrals
        }

    def _case(
        self, person_id: str, referrals: Sequence[Referral], found: Neighbourhood, deleted: Collection[str]
    ) -> tuple[PersonCase, dict[str, AtsApplication]]:
        s = self._s
        prefix = f"{s.ats.system}:"
        links = self._with_merges(found)
        own = [links[r.id] for r in referrals if r.id in links]
        candidates = {*found.members(person_id, s.ats.system), *(x.candidate_id for x in own if x.candidate_id)}
        live = {a.id: a for a in s.ats.applications_of(sorted(candidates))} if candidates else {}
        missing = {x.application_id for x in own if x.application_id} - live.keys()
        if missing:
            live |= s.ats.get_applications(sorted(missing))
        applications_of: dict[str, list[AtsApplication]] = defaultdict(list)
        for application in live.values():
            applications_of[application.candidate_id].append(application)
        for link in own:
            application = live.get(link.application_id or "")
            if application is not None and link.candidate_id and application.candidate_id != link.candidate_id:
                s.ledger.alias(s.ats.system, link.candidate_id, application.candidate_id)
        case = case_of(
            person_id,
            referrals,
            candidate_ids=found.members(person_id, s.ats.system),
            applications_of=applications_of,
            by_application=live,
            links=links,
            person_of_candidate=lambda candidate_id: found.person_of.get(f"{prefix}{candidate_id}"),
            erased=self.gone.erased(referrals, links, live, found, deleted),
        )
        return case, live

    def _with_merges(self, found: Neighbourhood) -> dict[str, Link]:
        """The links under the ids that their candidates live on under."""
        return {
            i: replace(x, candidate_id=found.aliases.get(x.candidate_id, x.candidate_id)) if x.candidate_id else x
            for i, x in found.links.items()
        }

    def _write_back(
        self,
        referrals: Sequence[Referral],
        jobs: Mapping[str, AtsJob],
        on_links: Callable[[Sequence[Link]], None],
    ) -> CandidateWriteBack:
        s = self._s
        return CandidateWriteBack(
            ats=s.ats,
            ledger=s.ledger,
            contract=s.contract,
            programme=cache(lambda: s.mirror.programme(referrals)),
            jobs=jobs,
            person_of_candidate=s.people.person_of_candidate(),
            clock=s.clock,
            started_at=self._started_at,
            sealer=s.sealer,
            on_links=on_links,
            aside=self._aside,
        )

    def _remember_candidates(
        self, person_id: str, referrals: Sequence[Referral], links: Sequence[Link], found: Neighbourhood
    ) -> None:
        """A candidate that was made or taken now is this person's, before the next pull shows it."""
        by_id = {referral.id: referral for referral in referrals}
        for link in links:
            if link.candidate_id is None or f"{self._s.ats.system}:{link.candidate_id}" in found.person_of:
                continue
            self._s.people.remember_candidate(link.candidate_id, by_id[link.referral_id], person_id)

    # ------------------------------------------------------------ applications

    def bring_applications(self, application_ids: Collection[str]) -> dict[str, str]:
        """Tell the platform how these applications stand; what came of each, in a word.

        "unlinked" is one that no referral is linked to, "missing" one that the ATS does not show.

        Raises:
            TransientFailure, PermanentFailure: from a connector.
        """
        s = self._s
        with s.ledger.exclusive(lock_of(s.ats.system, i) for i in application_ids):
            links_of: dict[str, list[Link]] = defaultdict(list)
            for link in s.ledger.links_of_applications(s.ats.system, application_ids):
                if link.application_id:
                    links_of[link.application_id].append(link)
            outcomes = {i: "unlinked" for i in application_ids if i not in links_of}
            if not links_of:
                return outcomes
            live = s.ats.get_applications(sorted(links_of))
            outcomes |= {i: "missing" for i in links_of if i not in live}
            recognised = self.hires.recognised(live)
            rewarded: list[AtsApplication] = []
            for application in live.values():
                links = [self._telling.moved(link, application) for link in links_of[application.id]]
                told = self._telling.tell_one(links, application, Event.APPLICATION_CHANGED, read_at=None)
                outcomes[application.id] = told_word(told)
                if may_be_rewarded(application, links) or application.id in recognised:
                    rewarded.append(application)
        for application in rewarded:
            self.hires.recognise_by_links(application, links_of[application.id])
        return outcomes


def _outcome(before: Link | None, after: Link | None, write_back: CandidateWriteBack, told: Mapping[str, str]) -> str:
    """What came of one referral: what was written to the ATS, else what the platform was told, else nothing."""
    if after is None:
        return "not_written"
    if after.block is not None:
        return f"blocked:{after.block}"
    report = write_back.report
    if after.application_id in report.created_applications:
        return "created" if after.created_candidate else "application_opened"
    if before is None or before.application_id is None:
        return "matched"
    if after.application_id in report.touched_applications:
        return "updated"
    word = told.get(after.application_id or "", "")
    return word if word and word != "status_unchanged" else "unchanged"
