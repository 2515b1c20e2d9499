"""Creating in an ATS exactly once, though no vendor offers an idempotency key.

Belongs here: intents, the search before a create, and what to do when nobody knows whether a create happened. Does not
belong here: which referrals deserve an application (assignment), what is written on it (facts), links (candidates).

The rules
1. The intent is committed to the ledger before a create is sent: one key per person for a candidate, one per referral
   for an application.
2. An intent found again is ambiguous (a crash, a timeout after sending): the ATS is read first, and only when its
   visibility lag has passed since the last attempt. What is found is adopted; only nothing at all is created anew.
3. A confirmed intent answers with the ids it was confirmed with, so a crash before the link was saved costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication, AtsCandidate, NewApplication, NewCandidate, Referral
from referral_pipeline.identity.canonical import canonical_phone
from referral_pipeline.identity.names import Name, names_contradict, names_equal
from referral_pipeline.ledger.store import Delivery, DeliveryIntent, Ledger
from referral_pipeline.sync.assignment import assign
from referral_pipeline.sync.report import SyncReport


class NotYetVisibleError(Exception):
    """An ambiguous create cannot be resolved before `until`: a fresh candidate may not be found earlier."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"whether the create happened cannot be known before {until.isoformat()}")
        self.until = until


@dataclass(frozen=True)
class Opened:
    """An application that now exists: its ids, and whether this run created it and its candidate.

    `application` is the record when the ATS showed it, else None (it may not be visible yet).
    """

    candidate_id: str
    application_id: str
    created_candidate: bool
    created_application: bool
    application: AtsApplication | None = None


class Creator:
    """Opens applications for persons, with their candidate where there is none. Safe from several threads.

    One person must be handled by one thread at a time.
    """

    def __init__(
        self,
        *,
        ats: AtsConnector,
        ledger: Ledger,
        person_of_candidate: Mapping[str, str],
        report: SyncReport,
        clock: Callable[[], datetime],
    ) -> None:
        self._ats = ats
        self._ledger = ledger
        self._person_of_candidate = person_of_candidate
        self._report = report
        self._clock = clock
        self._lag = timedelta(seconds=ats.visibility_lag_seconds)

    def open_application(
        self,
        person_id: str,
        referrals: Sequence[Referral],
        new: NewApplication,
        *,
        candidate_ids: Sequence[str],
        all_referrals: Sequence[Referral],
    ) -> Opened:
        """Open one application for these referrals (one person, one job, at least one), and a candidate if need be.

        Args:
            person_id: whose application.
            referrals: the referrals it is opened for, oldest touch first.
            new: job and tags.
            candidate_ids: ATS candidates known to be this person.
            all_referrals: every referral of the person that may be written, any job: where contact details come from.

        Raises:
            NotYetVisibleError: an earlier attempt may have succeeded; come back later.
            TransientFailure, PermanentFailure: from the connector.
        """
        candidate_key = f"candidate:{self._ats.system}:{person_id}"
        earlier = self._ledger.delivery(candidate_key)
        candidate_id = self._known_candidate(person_id, all_referrals, candidate_ids, earlier)
        if candidate_id is not None:
            if earlier is not None and earlier.state != "confirmed":
                self._ledger.confirm(candidate_key, {"candidate_id": candidate_id})
                self._report.count("candidates_adopted")
            return self._application_for(candidate_id, referrals, new)
        return self._candidate_with_application(candidate_key, referrals, new, all_referrals)

    # ------------------------------------------------------------ candidate

    def _known_candidate(
        self, person_id: str, referrals: Sequence[Referral], candidate_ids: Sequence[str], earlier: Delivery | None
    ) -> str | None:
        ids = set(candidate_ids)
        if earlier is not None and earlier.state == "confirmed" and earlier.result:
            created_id = str(earlier.result["candidate_id"])
            if self._clock() < earlier.last_attempt_at + self._lag:
                return created_id  # ours and fresh: it need not be visible yet
            ids.add(created_id)
        if ids:
            known = self._ats.get_candidates(sorted(ids))
            if known:
                return _oldest(list(known.values())).id
        if earlier is not None and earlier.state != "confirmed":
            self._wait_for_visibility(earlier)
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
        candidate_key: str,
        referrals: Sequence[Referral],
        new: NewApplication,
        all_referrals: Sequence[Referral],
    ) -> Opened:
        self._begin(candidate_key, "create_candidate", new.job_id, referrals)
        created = self._ats.create_candidate(_details(referrals[-1], all_referrals), new)
        candidate_id = created.candidate.id
        application = created.application
        self._report.count("candidates_created")
        if application is None:
            # The answer did not show the application. Whether it exists can be seen once it must be visible.
            self._begin(self._application_key(referrals), "create_application", candidate_id, referrals)
            self._ledger.confirm(candidate_key, {"candidate_id": candidate_id})
            raise NotYetVisibleError(self._clock() + self._lag)
        with self._ledger.atomic():
            self._ledger.confirm(candidate_key, {"candidate_id": candidate_id})
            self._confirm_application(referrals, candidate_id, application.id, created=True)
        return Opened(candidate_id, application.id, created_candidate=True, created_application=True)

    # ------------------------------------------------------------ application

    def _application_for(self, candidate_id: str, referrals: Sequence[Referral], new: NewApplication) -> Opened:
        key = self._application_key(referrals)
        earlier = self._ledger.delivery(key)
        if earlier is not None and earlier.state == "confirmed" and earlier.result:
            application_id = str(earlier.result["application_id"])
            return Opened(candidate_id, application_id, created_candidate=False, created_application=False)
        if earlier is not None:
            self._wait_for_visibility(earlier)
        # A recruiter may have opened it meanwhile, or an earlier attempt did: look once more, right before the write.
        existing = self._own_application(self._ats.applications_of([candidate_id]), referrals)
        if existing is not None:
            self._confirm_application(referrals, existing.candidate_id, existing.id, created=earlier is not None)
            self._report.count("applications_adopted")
            return Opened(existing.candidate_id, existing.id, False, earlier is not None, existing)
        self._begin(key, "create_application", candidate_id, referrals)
        application = self._ats.create_application(candidate_id, new)
        self._confirm_application(referrals, candidate_id, application.id, created=True)
        return Opened(candidate_id, application.id, created_candidate=False, created_application=True)

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
        key = self._application_key(referrals)
        with self._ledger.atomic():
            if self._ledger.delivery(key) is None:
                self._begin(key, "create_application", candidate_id, referrals)
            self._ledger.confirm(key, {"candidate_id": candidate_id, "application_id": application_id})
        if created:
            self._report.count("applications_created")
        self._report.touch(application_id, created=created)

    # ------------------------------------------------------------ intents

    def _application_key(self, referrals: Sequence[Referral]) -> str:
        return f"application:{self._ats.system}:{referrals[0].id}"

    def _begin(self, key: str, operation: str, target: str, referrals: Sequence[Referral]) -> None:
        self._ledger.begin(
            DeliveryIntent(
                key=key,
                system=self._ats.system,
                operation=operation,
                target=target,
                request_hash=digest({"referrals": [r.id for r in referrals], "target": target}),
                referral_id=referrals[0].id,
            )
        )

    def _wait_for_visibility(self, earlier: Delivery) -> None:
        visible_at = earlier.last_attempt_at + self._lag
        if self._clock() < visible_at:
            raise NotYetVisibleError(visible_at)


def digest(value: Mapping[str, Any]) -> str:
    """A short, stable hash of what is asked for; equal requests have equal digests."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _details(named: Referral, all_referrals: Sequence[Referral]) -> NewCandidate:
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
