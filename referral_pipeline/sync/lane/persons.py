"""Bringing people level: whatever happened to a referral or a candidate, both systems end up saying what is true.

Belongs here: one person's way from resolution over the write to the returned status and the recognition, and the short
way of an application's status. Does not belong here: which event asks for it (handlers), threads and leases (engine).

Level-triggered: nothing here looks at the event. Facts are read anew, compared with what each system was told, and only
the difference is written; so any order and any number of events ends the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Lock

from referral_pipeline.attribution.models import Credit
from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, AtsJob, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.records import Recognition
from referral_pipeline.ledger.store import Ledger, Link, StatusFact
from referral_pipeline.sync.candidates import CandidateWriteBack
from referral_pipeline.sync.cases import PersonCase, case_of, most_gone
from referral_pipeline.sync.creation import NotYetVisibleError
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.facts import credited_referral
from referral_pipeline.sync.lane.mirror import Fresh, Mirror
from referral_pipeline.sync.lane.people import Neighbourhood, People
from referral_pipeline.sync.lifecycle import Event, Facts, State, advance
from referral_pipeline.sync.overrides import decisions_on, with_chosen
from referral_pipeline.sync.owners import links_of_owner, owner_of
from referral_pipeline.sync.recognition_decision import HireCase
from referral_pipeline.sync.recognitions import Recogniser, Settlement
from referral_pipeline.sync.statuses import StatusReturn, lock_of
from referral_pipeline.vocabulary import Block, CandidateStatus

_JOBS_REMEMBERED = timedelta(minutes=10)
_MOST_ROUNDS = 10
_MOST_ASIDE = 16
"""Two for each of the engine's threads: the search, and what an application is to say."""
_GONE_WITHIN = timedelta(days=1)
_LOOK_AGAIN_FOR_GONE = timedelta(minutes=10)


@dataclass(frozen=True)
class Systems:
    """What the lane works with."""

    contract: Contract
    ledger: Ledger
    ats: AtsConnector
    advocacy: AdvocacyConnector
    mirror: Mirror
    people: People
    statuses: StatusReturn
    recogniser: Recogniser
    sealer: Sealer
    on_unmapped_stage: Callable[[str], None] = lambda stage: None
    on_refused_recognition: Callable[[Recognition], None] = lambda recognition: None
    on_many_gone: Callable[[], None] = lambda: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True)
class _Written:
    """A person as written to the ATS: the case, the applications as read or made, the links since."""

    case: PersonCase
    applications: Mapping[str, AtsApplication]
    links: Mapping[str, Link]
    write_back: CandidateWriteBack
    read_at: datetime


@dataclass(frozen=True)
class _Gathered:
    """An application's person: their links, those of them to the application, and their referrals."""

    links: Mapping[str, Link]
    own: Sequence[Link]
    referrals: Sequence[Referral]


class Jobs:
    """Jobs of the ATS by id, remembered for a while. Safe for threads."""

    def __init__(self, ats: AtsConnector, clock: Callable[[], datetime]) -> None:
        self._ats = ats
        self._clock = clock
        self._known: dict[str, tuple[datetime, AtsJob]] = {}
        self._lock = Lock()

    def get(self, ids: Collection[str]) -> list[AtsJob]:
        """These jobs; unknown ones are read, absent ones left out."""
        now = self._clock()
        with self._lock:  # the first of many threads reads, the others find it read
            missing = sorted(i for i in ids if i not in self._known or now - self._known[i][0] > _JOBS_REMEMBERED)
            if missing:
                for job in self._ats.get_jobs(missing).values():
                    self._known[job.id] = (now, job)
            return [self._known[i][1] for i in ids if i in self._known]

    def read_again(self, ids: Collection[str]) -> list[AtsJob]:
        """These jobs as they are now."""
        with self._lock:
            for job_id in ids:
                self._known.pop(job_id, None)
        return self.get(ids)


class Leveller:
    """Brings persons and applications level. Safe for threads: the ledger's locks keep two from one person."""

    def __init__(self, systems: Systems, *, started_at: datetime) -> None:
        self._s = systems
        self._started_at = started_at
        self._lag = timedelta(seconds=systems.ats.visibility_lag_seconds)
        self.jobs = Jobs(systems.ats, systems.clock)
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
        told = self._tell(applications, links, read_at=written.read_at)
        self._recognise(written.case, applications, links, written.write_back)
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
            erased=self._erased(referrals, links, live, found, deleted),
        )
        return case, live

    def _with_merges(self, found: Neighbourhood) -> dict[str, Link]:
        """The links under the ids that their candidates live on under."""
        return {
            i: replace(x, candidate_id=found.aliases.get(x.candidate_id, x.candidate_id)) if x.candidate_id else x
            for i, x in found.links.items()
        }

    def _erased(
        self,
        referrals: Sequence[Referral],
        links: Mapping[str, Link],
        live: Mapping[str, AtsApplication],
        found: Neighbourhood,
        deleted: Collection[str],
    ) -> frozenset[str]:
        now = self._s.clock()
        gone: set[str] = set()
        hidden: set[str] = set()
        for referral in referrals:
            link = links.get(referral.id)
            if link is None:
                continue
            if link.block == Block.ERASED:
                gone.add(referral.id)
                continue
            # A fresh application may not be visible yet: absence counts only after the lag.
            is_old = link.updated_at is None or now >= link.updated_at + self._lag
            if link.application_id and link.application_id not in live and is_old:
                gone.add(referral.id)
                hidden |= {link.application_id} - set(deleted)
        if hidden:
            self._refuse_many_gone(now)
        hashes = {r.id: found.hashes_of.get(r.id, frozenset[str]()) for r in referrals}
        forgotten = self._s.ledger.tombstoned({h for some in hashes.values() for h in some})
        return frozenset(gone | {i for i, some in hashes.items() if not forgotten.isdisjoint(some)})

    def _refuse_many_gone(self, now: datetime) -> None:
        """As for a pull: deletions are few, and a right that was taken away hides many. Then nothing is judged."""
        if self.are_many_gone():
            self._s.on_many_gone()
            why = "the ATS hides more linked applications than deletions explain; nothing was changed"
            raise NotYetVisibleError(now + _LOOK_AGAIN_FOR_GONE, why)

    def are_many_gone(self) -> bool:
        """Whether so many applications were taken for deleted within a day that no more of them are."""
        now, linked, lately = self._s.clock(), 0, set[str]()
        for link in self._s.ledger.links():
            if link.application_id and link.block != Block.ERASED:
                linked += 1
            elif link.application_id and link.updated_at is not None and link.updated_at > now - _GONE_WITHIN:
                lately.add(link.application_id)
        return len(lately) >= most_gone(linked + len(lately))

    def _write_back(
        self,
        referrals: Sequence[Referral],
        jobs: Mapping[str, AtsJob] | None = None,
        on_links: Callable[[Sequence[Link]], None] | None = None,
    ) -> CandidateWriteBack:
        s = self._s
        return CandidateWriteBack(
            ats=s.ats,
            ledger=s.ledger,
            contract=s.contract,
            programme=cache(lambda: s.mirror.programme(referrals)),
            jobs=jobs or {},
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
            recognised = self._recognised(live)
            rewarded: list[AtsApplication] = []
            for application in live.values():
                links = [self._moved(link, application) for link in links_of[application.id]]
                told = self._tell_one(links, application, Event.APPLICATION_CHANGED, read_at=None)
                outcomes[application.id] = _told_word(told)
                if _may_be_rewarded(application, links) or application.id in recognised:
                    rewarded.append(application)
        for application in rewarded:
            self._recognise_by_links(application, links_of[application.id])
        return outcomes

    def _moved(self, link: Link, application: AtsApplication) -> Link:
        """The link under the candidate that holds the application now: candidates are merged."""
        if link.candidate_id in {None, application.candidate_id}:
            return link
        assert link.candidate_id is not None
        self._s.ledger.alias(self._s.ats.system, link.candidate_id, application.candidate_id)
        moved = replace(link, candidate_id=application.candidate_id)
        self._s.ledger.change_links([moved], "candidate_id")
        return moved

    def _tell(
        self, applications: Mapping[str, AtsApplication], links: Mapping[str, Link], *, read_at: datetime
    ) -> dict[str, str]:
        told: dict[str, str] = {}
        s = self._s
        for application in applications.values():
            with s.ledger.exclusive([lock_of(s.ats.system, application.id)]):
                own = [x for x in links.values() if x.application_id == application.id]
                told[application.id] = _told_word(
                    self._tell_one(own, application, Event.REFERRAL_CHANGED, read_at=read_at)
                )
        return told

    def _tell_one(
        self, links: Sequence[Link], application: AtsApplication, event: Event, *, read_at: datetime | None
    ) -> list[str]:
        if not self._s.contract.phases.status_return:
            self._s.ledger.append_statuses([self._fact(application)])
            return []
        standing = [replace(link, state=self._stands(link, application, event).value) for link in links]
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

    def _stands(self, link: Link, application: AtsApplication, event: Event, *, credited: bool | None = None) -> State:
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

    # ------------------------------------------------------------ recognitions

    def _recognise(
        self,
        case: PersonCase,
        applications: Mapping[str, AtsApplication],
        links: Mapping[str, Link],
        write_back: CandidateWriteBack,
    ) -> None:
        # What belongs to somebody else's candidate is settled with its own person: two would take it back in turns.
        by_application: dict[str, list[Link]] = defaultdict(list)
        for link in links.values():
            if link.application_id:
                by_application[link.application_id].append(link)
        recognised = self._recognised(by_application)
        for application_id, mine in by_application.items():
            application = applications.get(application_id)
            if application is None:
                continue
            if application_id in recognised or _may_be_rewarded(application, [*mine, *_links_before(case, mine)]):
                linked = self._s.ledger.links_of_applications(self._s.ats.system, [application_id])
                own = [*mine, *(link for link in linked if link.referral_id not in links)]
                if self._owner(application, own) == case.person_id:
                    self._settle(application, own, mine, case.referrals, links, write_back)
                else:
                    # Settled with all of its own person: two persons would take it back from each other for ever.
                    self._recognise_by_links(application, own)

    def _recognised(self, application_ids: Iterable[str]) -> set[str]:
        """Those for which anybody was recognised: the status alone forgets a hire once its end has been told."""
        return {row.application_id for row in self._s.ledger.recognitions(application_ids=application_ids)}

    def _recognise_by_links(self, application: AtsApplication, own: Sequence[Link]) -> None:
        """Like `_recognise`, for an application whose person was not gathered."""
        person = self._gathered(application, own)
        if person.referrals:
            self._settle(
                application, own, person.own, person.referrals, person.links, self._write_back(person.referrals)
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
            application, person.own, person.referrals, person.links, self._write_back(person.referrals)
        )
        return HireCase(application, may_count, credits, erased=_erased([*person.links.values(), *own]))

    def _settle(
        self,
        application: AtsApplication,
        own: Sequence[Link],
        mine: Sequence[Link],
        referrals: Sequence[Referral],
        links: Mapping[str, Link],
        write_back: CandidateWriteBack,
    ) -> None:
        """Settle one application: `own` are all its links, `mine` those of its person, as are the rest."""
        may_count, credits = self._credited(application, mine, referrals, links, write_back)
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
            for state in [self._stands(link, application, Event.TIME_PASSED, credited=link.referral_id in credited)]
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
        write_back: CandidateWriteBack,
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
        return may_count, write_back.crediting.credits(may_count, application.applied_at, opened_for, decisions)


def _links_before(case: PersonCase, links: Iterable[Link]) -> list[Link]:
    return [before for link in links if (before := case.links.get(link.referral_id)) is not None]


def _erased(links: Iterable[Link]) -> frozenset[str]:
    """The referrals whose person was forgotten: of their recognitions nothing is taken back, and nothing is added."""
    return frozenset(link.referral_id for link in links if link.block == Block.ERASED)


def _may_be_rewarded(application: AtsApplication, links: Iterable[Link]) -> bool:
    """Whether there is, or was, a hire to recognise."""
    return application.status is CandidateStatus.HIRED or any(x.status is CandidateStatus.HIRED for x in links)


def _told_word(outcomes: Iterable[str]) -> str:
    """The one word for what was told to all referrals of an application."""
    found = set(outcomes)
    for word in ("sent", "superseded", "gone"):
        if word in found:
            return f"status_{word}"
    return "status_unchanged"


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
