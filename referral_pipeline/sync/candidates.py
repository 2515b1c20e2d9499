"""Candidate write-back: each person becomes one candidate in the ATS, each referral an application with its advocate.

Belongs here: the order of gate, assignment, update or create, and what the ledger remembers of it. Does not belong
here: vendor formats (connectors), identity rules (identity), who earned it (crediting), links (linking), creating
exactly once (creation), writing fields (tags).

Updates are compared with what the ATS holds: equal means no call. A failure of one person never stops the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import sleep as _sleep

from referral_pipeline.connectors.failures import AmbiguousOutcome, NotFound, PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication, AtsJob, NewApplication, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.sync.assignment import Assignment, assign
from referral_pipeline.sync.cases import PersonCase
from referral_pipeline.sync.creation import Creator, NotYetVisibleError
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.facts import Programme
from referral_pipeline.sync.linking import Linking
from referral_pipeline.sync.overrides import decisions_on, with_chosen
from referral_pipeline.sync.owners import owner_of
from referral_pipeline.sync.report import SyncFailure, SyncReport
from referral_pipeline.sync.tags import TagWriter
from referral_pipeline.vocabulary import Block

Progress = Callable[[int, int], None]
"""Called with (done, total) as cases are finished."""


class CandidateWriteBack:
    """Writes person cases to the ATS; one instance a run. Several threads, but one case is always one thread."""

    def __init__(
        self,
        *,
        ats: AtsConnector,
        ledger: Ledger,
        contract: Contract,
        programme: Callable[[], Programme],
        jobs: Mapping[str, AtsJob],
        person_of_candidate: Mapping[str, str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = _sleep,
        workers: int = 4,
        started_at: datetime | None = None,
        known_until: datetime | None = None,
        sealer: Sealer | None = None,
        on_links: Callable[[Sequence[Link]], None] | None = None,
        aside: Executor | None = None,
    ) -> None:
        """Bind the write-back to its systems.

        Args:
            ats: the connector to write to.
            ledger: for intents, links and aliases.
            contract: rules, phases, mappings and privacy.
            programme: gives advocates, shares and content, the same each time; asked when credit is judged,
                perhaps in a thread of `aside`.
            jobs: of the ATS, by id.
            person_of_candidate: ATS candidate id -> person id, from identity resolution; a candidate that belongs to
                somebody else is never adopted, whatever its mailbox.
            clock: the time, aware UTC.
            sleep: how to wait; a test may compress it.
            workers: how many cases are written at once.
            started_at: when this process began to write; None: now. Attempts of earlier processes count from here.
            known_until: when the cases were pulled. What was written after it is known better by whoever wrote it, and
                is left alone. None: the cases are fresh.
            sealer: keeps request and answer of what is refused for good.
            on_links: told the links that changed, inside the transaction that keeps them.
            aside: where what a create waits for is done meanwhile (see `Creator`).
        """
        self._ats = ats
        self._ledger = ledger
        self._contract = contract
        self._jobs = jobs
        self._clock = clock
        self._sleep = sleep
        self._workers = workers
        self._policy = GatePolicy.of(contract)
        self._lag = timedelta(seconds=ats.visibility_lag_seconds)
        self._known_until = known_until
        self._sealer = sealer or Sealer(None)
        self.report = SyncReport()
        self.records: dict[str, AtsApplication] = {}
        self.crediting = Crediting(contract, programme)
        self._linking = Linking(
            ledger=ledger,
            ats_system=ats.system,
            report=self.report,
            clock=clock,
            known_until=known_until,
            on_links=on_links,
        )
        self.links = self._linking.links
        self._tag_writer = TagWriter(
            ats=ats, ledger=ledger, sealer=self._sealer, report=self.report, known_until=known_until
        )
        self._creator = Creator(
            ats=ats,
            ledger=ledger,
            person_of_candidate=person_of_candidate,
            report=self.report,
            clock=clock,
            started_at=started_at,
            sealer=self._sealer,
            aside=aside,
        )

    def run(self, cases: Sequence[PersonCase], *, progress: Progress | None = None, rounds: int = 4) -> SyncReport:
        """Write every case; what failed in passing, or is ambiguous, is taken up again, up to `rounds` times in all."""
        pending = list(cases)
        for number in range(1, rounds + 1):
            pending, wait_until = self._round(pending, number, final=number == rounds, progress=progress)
            if not pending:
                break
            if wait_until is not None:
                self._sleep(max(0.0, (wait_until - self._clock()).total_seconds()))
        return self.report

    def _round(
        self, cases: Sequence[PersonCase], number: int, *, final: bool, progress: Progress | None
    ) -> tuple[list[PersonCase], datetime | None]:
        again: list[PersonCase] = []
        waits: list[datetime] = []
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="write-back") as pool:
            futures = {pool.submit(self._write_case, case, again=number > 1): case for case in cases}
            for done, future in enumerate(as_completed(futures), start=1):
                case = futures[future]
                try:
                    future.result()
                except (NotYetVisibleError, TransientFailure) as failure:
                    if final:
                        self.report.fail(SyncFailure(case.person_id, "write_back", str(failure), transient=True))
                    else:
                        again.append(case)
                        waits.extend(self._wait_after(failure))
                except PermanentFailure as failure:
                    self.report.fail(SyncFailure(case.person_id, "write_back", str(failure), transient=False))
                if progress is not None:
                    progress(done, len(cases))
        return again, max(waits, default=None)

    def _wait_after(self, failure: Exception) -> list[datetime]:
        if isinstance(failure, NotYetVisibleError):
            return [failure.until]
        if isinstance(failure, AmbiguousOutcome):
            return [self._clock() + self._lag]
        return []

    # ------------------------------------------------------------ one person

    def write(self, case: PersonCase) -> None:
        """Write one case now.

        `records` then holds the applications that were made, as the ATS described them, `links` all links judged.

        Raises:
            NotYetVisibleError: an earlier attempt may have succeeded; come back at its time.
            TransientFailure, PermanentFailure: from the connector; what was done before it is kept in the ledger.
        """
        self._write_case(case, again=False)

    def _write_case(self, case: PersonCase, *, again: bool) -> None:
        now = self._clock()
        # A case that is taken up again may have written some of its links before it failed.
        links = {r.id: self._ledger.link(r.id) if again else case.links.get(r.id) for r in case.referrals}
        allowed: list[Referral] = []
        blocked: list[Link] = []
        for referral in case.referrals:
            link = links[referral.id]
            is_written = link is not None and link.application_id is not None
            erased = referral.id in case.erased
            block = blocked_by(referral, self._policy, at=now, erased=erased, written=is_written)
            if block is None:
                allowed.append(referral)
            else:
                blocked.append(self._linking.link(case, referral, links, block=block))
        self._linking.save(blocked, links)
        if not self._contract.phases.candidate_creation:
            return
        visible = {a.id for a in case.applications}
        linked = {i: link.application_id for i, link in links.items() if link is not None and link.application_id}
        # Linked to an application that the ATS does not show yet: it is fresh, and there is nothing to do for it.
        open_questions = [r for r in allowed if linked.get(r.id) is None or linked[r.id] in visible]
        taken = set(case.foreign)
        for assignment in assign(open_questions, case.applications, linked=linked, foreign=case.foreign):
            self._linking.save(self._write_assignment(case, assignment, allowed, links), links)
            if assignment.application is not None:
                taken.add(assignment.application.id)
        self._bring_decided(case, allowed, taken)

    def _bring_decided(self, case: PersonCase, allowed: Sequence[Referral], taken: Set[str]) -> None:
        """Bring what the owner decided to applications whose own referrals are all held back: no other write does."""
        named: dict[str, set[str]] = defaultdict(set)
        opened_for: dict[str, set[str]] = defaultdict(set)
        for referral in case.referrals:
            link = case.links.get(referral.id)
            if link is not None and link.application_id and referral.id not in case.erased:
                named[link.application_id].add(referral.job_id)
                if link.created_application:
                    opened_for[link.application_id].add(referral.id)
        for application in case.applications:
            if application.id in taken or application.id not in named:
                continue
            decisions = decisions_on(self._ledger, self._ats.system, application.id)
            if not decisions:
                continue
            same_job = [r for r in allowed if r.job_id in {*named[application.id], application.job_id}]
            may_count = with_chosen(same_job, allowed, decisions)
            tags = self.crediting.tags(may_count, application.applied_at, opened_for[application.id], decisions)
            with suppress(NotFound):  # deleted since it was read: there is nothing left to say
                self._bring_tags(application, tags)

    def _write_assignment(
        self,
        case: PersonCase,
        assignment: Assignment,
        allowed: Sequence[Referral],
        links: Mapping[str, Link | None],
    ) -> list[Link]:
        same_job = [r for r in allowed if r.job_id in assignment.job_ids]
        application = assignment.application
        if application is not None:
            try:
                if application.id in case.foreign and not self._is_owned(application, case):
                    self._leave(application, case)
                    return [self._linking.link(case, r, links, application=application) for r in assignment.referrals]
                opened_for = {i for i, x in links.items() if x is not None and _was_opened_for(x, application)}
                decisions = decisions_on(self._ledger, self._ats.system, application.id)
                may_count = with_chosen(same_job, allowed, decisions)
                self._bring_tags(
                    application, self.crediting.tags(may_count, application.applied_at, opened_for, decisions)
                )
            except NotFound:
                if self._ats.get_applications([application.id]):
                    raise
                # Deleted since the last pull: what the ATS deleted is not created again from the same referral.
                return [self._linking.link(case, r, links, block=Block.ERASED) for r in assignment.referrals]
            return [self._linking.link(case, r, links, application=application) for r in assignment.referrals]
        job = self._jobs.get(assignment.job_id)
        if job is None or job.status != "open":
            return [self._linking.link(case, r, links, block=Block.JOB) for r in assignment.referrals]
        opened_for = {r.id for r in assignment.referrals}
        applies_at = self._clock()

        def new() -> NewApplication:
            tags = self.crediting.tags(same_job, applies_at, opened_for)
            return NewApplication(
                job_id=assignment.job_id, tags=tags, advocate_email=self.crediting.advocate_email(tags)
            )

        with self._ledger.exclusive(case.lock_keys):
            if case.lock_keys:
                written = self._ledger.links_for(opened_for)
                if any(x.application_id or self._linking.is_known_better(links.get(i), x) for i, x in written.items()):
                    return []  # another process has opened it, or held it back, since this case was made
            opened = self._creator.open_application(
                case.person_id,
                assignment.referrals,
                assignment.job_id,
                new,
                candidate_ids=case.candidate_ids,
                all_referrals=allowed,
                of_person=case.referrals,
            )
            # Linked before the lock is let go: who waits for it must see what was made.
            new_links = [self._linking.link(case, r, links, opened=opened) for r in assignment.referrals]
            with self._ledger.atomic():
                opened.settle()
                self._linking.save(new_links, links)
        if opened.made is not None:
            self.records[opened.made.id] = opened.made
        if opened.application is not None:
            # Not visible yet: it exists and is linked, and the next run brings what it lacks.
            with suppress(NotFound):
                made_for = opened_for if opened.created_application else frozenset[str]()
                decisions = decisions_on(self._ledger, self._ats.system, opened.application.id)
                may_count = with_chosen(same_job, allowed, decisions)
                applied_at = opened.application.applied_at
                self._bring_tags(opened.application, self.crediting.tags(may_count, applied_at, made_for, decisions))
            self.records[opened.application.id] = opened.application
        return []

    def _is_owned(self, application: AtsApplication, case: PersonCase) -> bool:
        """Whether an application of somebody else's candidate is this person's all the same."""
        ats = self._ats.system
        linked = self._ledger.links_of_applications(ats, [application.id])
        owner = owner_of(self._ledger, self._contract.advocacy.connector, ats, application.candidate_id, linked)
        return owner == case.person_id

    def _leave(self, application: AtsApplication, case: PersonCase) -> None:
        """What somebody else's application says of this person's referrals goes; its own person brings the rest."""
        if application.tags.get("referral_id") in {referral.id for referral in case.referrals}:
            self._bring_tags(application, self.crediting.nothing())

    # ------------------------------------------------------------ tags

    def _bring_tags(self, application: AtsApplication, tags: Mapping[str, str | None]) -> None:
        # Where credit moved, what only the advocate before had (a share, a campaign) is emptied: None clears.
        self._tag_writer.bring(application, tags, advocate_email=lambda: self.crediting.advocate_email(tags))


def _was_opened_for(link: Link, application: AtsApplication) -> bool:
    return link.created_application and link.application_id == application.id
