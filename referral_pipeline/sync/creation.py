"""Creating in an ATS exactly once, though no vendor offers an idempotency key.

Belongs here: intents, the search before a create, and what to do when nobody knows whether a create happened. Does not
belong here: which referrals deserve an application (assignment), what is written on it (facts), links (candidates).

The rules
1. Intents are on the ledger's disk before a create is sent: one per person for a candidate, and one for each
   referral that the application is for. They are looked for under every referral of the person, because the next
   attempt may find other referrals together, or the person under another id.
2. A pending intent is ambiguous (a crash, a timeout after sending): the ATS is read first, and only when its visibility
   lag has passed. The lag counts from the attempt, and for an attempt of an earlier process from the start of this one:
   a call may have waited long for the rate limit before it was sent. What is found is adopted; only nothing at all is
   created anew.
3. A confirmed intent answers with the ids it was confirmed with, so a crash before the link was saved costs nothing.
4. A refused create is dead: nothing was made, so nothing is waited for. The next run may try again, what it lacked (a
   right, a field, a valid address) may be there by then.
5. A candidate belongs to one person: it is not taken for another, be it known from resolution or made in this run.
"""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from referral_pipeline.connectors.failures import Invalid, NotFound, PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, NewApplication, NewCandidate, Referral
from referral_pipeline.identity.canonical import canonical_phone
from referral_pipeline.identity.names import Name, names_contradict, names_equal
from referral_pipeline.ledger.store import Delivery, DeliveryIntent, DeliveryState, Ledger
from referral_pipeline.sync.assignment import assign
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import ATTRIBUTION_FIELDS

_CLOCKS_APART = timedelta(seconds=5)
"""How far the vendor's clock may be behind ours when the age of a record decides whose create made it."""


class NotYetVisibleError(Exception):
    """An ambiguous create cannot be resolved before `until`: a fresh candidate may not be found earlier."""

    def __init__(self, until: datetime, why: str = "") -> None:
        super().__init__(why or f"whether the create happened cannot be known before {until.isoformat()}")
        self.until = until


@dataclass(frozen=True)
class Opened:
    """An application that now exists: its ids, and whether this run created it and its candidate.

    `application` is the record when the ATS showed it, else None (it may not be visible yet). `made` is the record that
    the answer to our own create described. `settle` confirms the intents, in the transaction that keeps the links.
    """

    candidate_id: str
    application_id: str
    created_candidate: bool
    created_application: bool
    application: AtsApplication | None = None
    made: AtsApplication | None = None
    settle: Callable[[], None] = lambda: None


class Creator:
    """Opens applications for persons, with their candidate where there is none. Safe from several threads.

    One person must be handled by one thread at a time. With `aside` the search for a person of whom no attempt is
    known, and what the application is to say, come from there while the intents go to disk; they are taken back when
    the search finds somebody.
    """

    def __init__(
        self,
        *,
        ats: AtsConnector,
        ledger: Ledger,
        person_of_candidate: Mapping[str, str],
        report: SyncReport,
        clock: Callable[[], datetime],
        started_at: datetime | None = None,
        sealer: Sealer | None = None,
        aside: Executor | None = None,
    ) -> None:
        self._aside = aside
        self._ats = ats
        self._ledger = ledger
        # What is learnt on the way lies above what is known: the mapping given may be a view of the whole ledger.
        self._person_of_candidate = ChainMap[str, str]({}, cast("dict[str, str]", person_of_candidate))
        self._report = report
        self._clock = clock
        self._started_at = started_at or clock()
        self._sealer = sealer or Sealer(None)
        self._lag = timedelta(seconds=ats.visibility_lag_seconds)

    def open_application(
        self,
        person_id: str,
        referrals: Sequence[Referral],
        job_id: str,
        new: Callable[[], NewApplication],
        *,
        candidate_ids: Sequence[str],
        all_referrals: Sequence[Referral],
        of_person: Sequence[Referral],
    ) -> Opened:
        """Open one application for these referrals (one person, one job, at least one), and a candidate if need be.

        Args:
            person_id: whose application.
            referrals: the referrals it is opened for, oldest touch first.
            job_id: for which job.
            new: works out job and tags; asked once.
            candidate_ids: ATS candidates known to be this person.
            all_referrals: every referral of the person that may be written, any job: where contact details come from.
            of_person: every referral of the person, blocked ones too: what earlier attempts were made for.

        Raises:
            NotYetVisibleError: an earlier attempt may have succeeded; come back later.
            TransientFailure, PermanentFailure: from the connector.
        """
        candidate_key = f"candidate:{self._ats.system}:{person_id}"
        earlier = self._ledger.deliveries_by_key([candidate_key, *(self._application_key(r) for r in of_person)])
        aside = None if earlier or candidate_ids else self._aside
        # The search, which waits longest, goes first.
        searching = aside.submit(self._search, person_id, all_referrals) if aside is not None else None
        intents = [self._intent(candidate_key, "create_candidate", job_id, referrals)]
        intents += self._application_intents(job_id, referrals)
        if aside is not None and searching is not None:
            candidate_id, described = self._begun_meanwhile(aside, intents, searching, new)
        else:
            described = new()
            candidate_id = self._known_candidate(person_id, all_referrals, candidate_ids, list(earlier.values()))
        if candidate_id is None:
            return self._candidate_with_application(
                person_id, intents, referrals, described, all_referrals, aside is not None
            )
        self._person_of_candidate.setdefault(candidate_id, person_id)
        unsettled = earlier.get(candidate_key)
        if unsettled is not None and unsettled.state is not DeliveryState.CONFIRMED:
            self._ledger.confirm(candidate_key, {"candidate_id": candidate_id})
            # Ours, whose answer was lost: counted where it is confirmed, so that all runs together count it once.
            made_by_us = self._is_younger(candidate_id, unsettled.first_attempt_at)
            self._report.count("candidates_created" if made_by_us else "candidates_adopted")
        same_job = [self._application_key(r) for r in of_person if r.job_id == job_id]
        unclear = [earlier[key] for key in same_job if key in earlier and _is_unclear(earlier[key])]
        own = [earlier[key] for r in referrals if (key := self._application_key(r)) in earlier]
        try:
            return self._application_for(candidate_id, referrals, described, own, unclear)
        except (Invalid, NotFound) as refusal:
            until = self._hidden_until(candidate_id, earlier.values())
            if until is None:
                raise
            # Ours and fresh, it was taken unread: it may be gone already, which shows once it must be visible.
            raise NotYetVisibleError(until) from refusal

    def _begun_meanwhile(
        self,
        aside: Executor,
        intents: Sequence[DeliveryIntent],
        searching: Future[list[AtsCandidate]],
        new: Callable[[], NewApplication],
    ) -> tuple[str | None, NewApplication]:
        """Begin the intents of a create; whom the search found instead, and what the application says.

        Three waits in one: for the search, for the disk that keeps the intents, and for what the programme knows.
        """
        self._ledger.begin_many(intents, anew=True, durable=False)
        try:
            describing = aside.submit(new)
            self._ledger.sync()
            described = describing.result()
            found = searching.result()
        except Exception:  # also a stop of the process: nothing was sent, so nothing need be waited for
            self._ledger.withdraw(intent.key for intent in intents)
            raise
        if found:
            self._ledger.withdraw(intent.key for intent in intents)
        return (_oldest(found).id if found else None), described

    def _hidden_until(self, candidate_id: str, earlier: Iterable[Delivery]) -> datetime | None:
        """Until when a candidate that we made need not be visible; None when it must be."""
        made = (d.last_attempt_at for d in earlier if d.result and str(d.result.get("candidate_id")) == candidate_id)
        until = max((at + self._lag for at in made), default=None)
        return until if until is not None and self._clock() < until else None

    def _is_younger(self, candidate_id: str, moment: datetime) -> bool:
        candidate = self._ats.get_candidates([candidate_id]).get(candidate_id)
        return candidate is not None and candidate.created_at >= moment - _CLOCKS_APART

    # ------------------------------------------------------------ candidate

    def candidate_for(self, person_id: str, referrals: Sequence[Referral], candidate_ids: Sequence[str]) -> str | None:
        """The candidate that a first attempt would take for this person: one that is known, else one that is found."""
        return self._known_candidate(person_id, referrals, candidate_ids, [])

    def _known_candidate(
        self,
        person_id: str,
        referrals: Sequence[Referral],
        candidate_ids: Sequence[str],
        earlier: Sequence[Delivery],
    ) -> str | None:
        ids = set(candidate_ids)
        for delivery in earlier:
            if delivery.state is not DeliveryState.CONFIRMED or not delivery.result:
                continue
            created_id = str(delivery.result["candidate_id"])
            if self._person_of_candidate.get(created_id, person_id) != person_id:
                continue  # after a split of persons: it stayed with the other one
            if self._clock() < delivery.last_attempt_at + self._lag:
                return created_id  # ours and fresh: it need not be visible yet
            ids.add(created_id)
        if ids:
            known = self._ats.get_candidates(sorted(ids))
            if known:
                return _oldest(list(known.values())).id
        self._wait_for_visibility(delivery for delivery in earlier if _is_unclear(delivery))
        found = self._search(person_id, referrals)
        return _oldest(found).id if found else None

    def _search(self, person_id: str, referrals: Sequence[Referral]) -> list[AtsCandidate]:
        """Candidates in the ATS that are this person: same mailbox, names that agree, nobody else's."""
        found: dict[str, AtsCandidate] = {}
        for address in sorted({r.email.strip().lower() for r in referrals if r.email}):
            found.update({c.id: c for c in self._ats.search_candidates(address)})
        names = [Name(r.first_name, r.last_name) for r in referrals]
        mine = [
            c
            for c in found.values()
            if self._person_of_candidate.get(c.id, person_id) == person_id
            and not any(names_contradict(Name(c.first_name, c.last_name), name) for name in names)
        ]
        if len(mine) == len(found):
            return mine
        # A mailbox that other people use too proves nothing by itself: then the name must be the same name.
        return [c for c in mine if any(names_equal(Name(c.first_name, c.last_name), name) for name in names)]

    def _candidate_with_application(
        self,
        person_id: str,
        intents: Sequence[DeliveryIntent],
        referrals: Sequence[Referral],
        new: NewApplication,
        all_referrals: Sequence[Referral],
        is_begun: bool,
    ) -> Opened:
        candidate_key = intents[0].key
        with self._attempt(intents, is_begun=is_begun):
            created = self._ats.create_candidate(candidate_of(referrals[-1], all_referrals), new)
        candidate_id = created.candidate.id
        application = created.application
        self._person_of_candidate[candidate_id] = person_id
        self._report.count("candidates_created")
        if application is None:
            # The answer did not show the application. Whether it exists can be seen once it must be visible.
            self._ledger.confirm(candidate_key, {"candidate_id": candidate_id})
            raise NotYetVisibleError(self._clock() + self._lag)
        self._count_created(application.id)
        result = _result(candidate_id, application)

        def settle() -> None:
            keys = [self._application_key(r) for r in referrals]
            self._ledger.confirm_many([(candidate_key, {"candidate_id": candidate_id}), *((k, result) for k in keys)])

        return Opened(candidate_id, application.id, True, True, made=application, settle=settle)

    # ------------------------------------------------------------ application

    def _application_for(
        self,
        candidate_id: str,
        referrals: Sequence[Referral],
        new: NewApplication,
        own: Sequence[Delivery],
        unclear: Sequence[Delivery],
    ) -> Opened:
        for delivery in own:
            if delivery.state is DeliveryState.CONFIRMED and delivery.result:
                application_id = str(delivery.result["application_id"])
                return Opened(candidate_id, application_id, created_candidate=False, created_application=False)
        self._wait_for_visibility(unclear)
        # A recruiter may have opened it meanwhile, or an earlier attempt did: look once more, right before the write.
        existing = self._own_application(self._ats.applications_of([candidate_id]), referrals)
        if existing is not None:
            # An intent alone does not make it ours: the process may have ended before anything was sent.
            created = any(existing.applied_at >= delivery.first_attempt_at - _CLOCKS_APART for delivery in unclear)
            self._confirm_application(referrals, existing.candidate_id, existing.id, created=created)
            self._report.count("applications_adopted")
            return Opened(existing.candidate_id, existing.id, False, created, existing)
        with self._attempt(self._application_intents(candidate_id, referrals)):
            application = self._ats.create_application(candidate_id, new)
        self._count_created(application.id)
        result = _result(candidate_id, application)

        def settle() -> None:
            self._ledger.confirm_many([(self._application_key(r), result) for r in referrals])

        return Opened(candidate_id, application.id, False, True, made=application, settle=settle)

    def _own_application(
        self, applications: Sequence[AtsApplication], referrals: Sequence[Referral]
    ) -> AtsApplication | None:
        """The application that already is what is asked for: by its tag, else by the rules of assignment."""
        ids = {r.id for r in referrals}
        tagged = [a for a in applications if a.tags.get("referral_id") in ids]
        if tagged:
            return tagged[0]
        assigned = assign(referrals, applications, linked={})
        return next((a.application for a in assigned if a.application is not None), None)

    def _confirm_application(
        self, referrals: Sequence[Referral], candidate_id: str, application_id: str, *, created: bool
    ) -> None:
        intents = {intent.key: intent for intent in self._application_intents(candidate_id, referrals)}
        result = {"candidate_id": candidate_id, "application_id": application_id}
        with self._ledger.atomic():
            begun = self._ledger.deliveries_by_key(intents)
            self._ledger.begin_many([intent for key, intent in intents.items() if key not in begun])
            self._ledger.confirm_many([(key, result) for key in intents])
        if created:
            self._count_created(application_id)
        else:
            self._report.touch(application_id)

    def _count_created(self, application_id: str) -> None:
        self._report.count("applications_created")
        self._report.touch(application_id, created=True)

    # ------------------------------------------------------------ intents

    @contextmanager
    def _attempt(self, intents: Sequence[DeliveryIntent], *, is_begun: bool = False) -> Generator[None]:
        """Begin these intents anew for the one call inside, and note with each why the call failed."""
        if not is_begun:
            self._ledger.begin_many(intents, anew=True)
        try:
            yield
        except (PermanentFailure, TransientFailure) as failure:
            with self._ledger.atomic():
                dead = isinstance(failure, PermanentFailure)
                request, response = self._sealer.of(failure) if dead else (None, None)
                for intent in intents:
                    self._ledger.fail(intent.key, str(failure), dead=dead, request=request, response=response)
            raise

    def _application_key(self, referral: Referral) -> str:
        return f"application:{self._ats.system}:{referral.id}"

    def _application_intents(self, target: str, referrals: Sequence[Referral]) -> list[DeliveryIntent]:
        return [self._intent(self._application_key(r), "create_application", target, [r]) for r in referrals]

    def _intent(self, key: str, operation: str, target: str, referrals: Sequence[Referral]) -> DeliveryIntent:
        return DeliveryIntent(
            key=key,
            system=self._ats.system,
            operation=operation,
            target=target,
            request_hash=digest({"referrals": [r.id for r in referrals], "target": target}),
            referral_id=referrals[0].id,
        )

    def _wait_for_visibility(self, unclear: Iterable[Delivery]) -> None:
        visible_at = max((self._sent_by(d) + self._lag for d in unclear), default=None)
        if visible_at is not None and self._clock() < visible_at:
            raise NotYetVisibleError(visible_at)

    def _sent_by(self, delivery: Delivery) -> datetime:
        """When an attempt was sent at the latest: those of an earlier process, before this one began."""
        return max(delivery.last_attempt_at, self._started_at)


def _is_unclear(delivery: Delivery) -> bool:
    return delivery.state in {DeliveryState.PENDING, DeliveryState.SENT}


def digest(value: Mapping[str, Any]) -> str:
    """A short, stable hash of what is asked for; equal requests have equal digests."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def prints(tags: Mapping[str, str | None]) -> dict[str, str]:
    """What is remembered of the fields of attribution as they were written: a digest of each value, by name."""
    return {name: digest({"value": tags[name]})[:12] for name in ATTRIBUTION_FIELDS if name in tags}


def _result(candidate_id: str, application: AtsApplication) -> dict[str, Any]:
    """What is kept of an application that was opened: its ids, and digests of its fields as the answer showed them."""
    return {"candidate_id": candidate_id, "application_id": application.id, "tags": prints(application.tags)}


def candidate_of(named: Referral, all_referrals: Sequence[Referral]) -> NewCandidate:
    """Name and e-mail of one referral; the phone of it, else of the person's latest referral that has a valid one."""
    latest_first = [named, *sorted(all_referrals, key=lambda r: (r.touched_at, r.id), reverse=True)]
    phones = (canonical_phone(r.phone, r.country) for r in latest_first if r.phone)
    return NewCandidate(
        first_name=(named.first_name or "").strip(),
        last_name=(named.last_name or "").strip(),
        email=(named.email or "").strip() or None,
        phone=next((phone for phone in phones if phone), None),
    )


def _oldest(candidates: Sequence[AtsCandidate]) -> AtsCandidate:
    return min(candidates, key=lambda c: (c.created_at, len(c.id), c.id))
