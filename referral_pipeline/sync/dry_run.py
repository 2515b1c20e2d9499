"""A dry run of one referral: what would be written for it now, with personal data masked, and nothing written.

Belongs here: going the lane's way for one referral up to each write, and showing it. Does not belong here: the
decisions themselves (gate, people, assignment, crediting: the very ones of the lane), drawing.

What is shown of a create is the call that it begins with; where a vendor needs several, `fields` names what the later
ones carry. A failure of an earlier attempt is not looked at: the dry run tells what a first attempt would send.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from referral_pipeline.connectors.protocols import AdvocacyConnector, AtsConnector
from referral_pipeline.connectors.records import (
    Advocate,
    AtsApplication,
    NewApplication,
    Referral,
    RowProblem,
    StatusUpdate,
)
from referral_pipeline.connectors.rehearsal import Payload, masked, rehearse
from referral_pipeline.contract.models import Contract
from referral_pipeline.ledger.store import Ledger
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.sync.assignment import Assignment, assign
from referral_pipeline.sync.creation import Creator, candidate_of
from referral_pipeline.sync.crediting import Crediting
from referral_pipeline.sync.lane.mirror import Mirror
from referral_pipeline.sync.lane.people import People
from referral_pipeline.sync.overrides import decisions_on, with_chosen
from referral_pipeline.sync.report import SyncReport
from referral_pipeline.vocabulary import Block


class UnknownReferral(Exception):
    """The advocacy platform does not show this referral, or its row cannot be read."""


@dataclass(frozen=True)
class Field:
    """One field of the application: where its value comes from, whether it is transformed, and what is written."""

    name: str
    source: str
    transformed: bool
    value: str | None


@dataclass(frozen=True)
class DryRun:
    """What would be done for a referral.

    Attributes:
        referral_id: which.
        block: why nothing may be written for it; None when it may.
        does: create_candidate, create_application, update_application or nothing.
        candidate_id, application_id: those in the ATS that it would be written to, where they exist.
        fields: what the application would carry.
        payloads: the calls, masked: the write to the ATS, and the return of the status.
    """

    referral_id: str
    block: Block | None
    does: str
    candidate_id: str | None = None
    application_id: str | None = None
    fields: Sequence[Field] = ()
    payloads: Sequence[Payload] = field(default=(), repr=False)


@dataclass(frozen=True)
class Rehearsal:
    """What a dry run works with. Both connectors must rehearse (`Build.rehearses`): it relies on their guard."""

    contract: Contract
    ledger: Ledger
    ats: AtsConnector
    advocacy: AdvocacyConnector
    mirror: Mirror
    people: People

    def of(self, referral_id: str, *, at: datetime | None = None) -> DryRun:
        """Rehearse one referral.

        Raises:
            UnknownReferral: it is not there, or cannot be read.
            TransientFailure, PermanentFailure: a system could not be read.
        """
        now = at or datetime.now(UTC)
        row = self.advocacy.referral_row(referral_id)
        referral = self.advocacy.referral_of(row) if row is not None else None
        if referral is None:
            raise UnknownReferral(f"{self.advocacy.system} shows no referral of this id")
        if isinstance(referral, RowProblem):
            raise UnknownReferral(f"its {referral.field} {referral.reason} ({referral.shape})")
        self.mirror.prime()
        if row is not None:
            self.mirror.keep("referrals", [row])
        near = self.people.around([referral_id])
        link = near.links.get(referral_id)
        person = near.person_of.get(f"{self.advocacy.system}:{referral_id}", "")
        members = [near.referrals[i] for i in near.members(person, self.advocacy.system) if i in near.referrals]
        forgotten = self.ledger.tombstoned(near.hashes_of.get(referral_id, ()))
        is_erased = bool(forgotten) or (link is not None and link.block is Block.ERASED)
        policy = GatePolicy.of(self.contract)
        written = {i for i, x in near.links.items() if x.application_id}
        block = blocked_by(referral, policy, at=now, erased=is_erased, written=referral_id in written)
        if referral_id in near.unfit:
            raise UnknownReferral(
                f"its {near.unfit[referral_id]} cannot be used; `referral-pipeline quarantine` says why"
            )
        if block is not None or not self.contract.phases.candidate_creation:
            return DryRun(referral_id, block, "nothing")
        allowed = [
            r
            for r in members
            if r.id == referral_id or blocked_by(r, policy, at=now, erased=False, written=r.id in written) is None
        ]
        candidates = near.members(person, self.ats.system)
        applications = self.ats.applications_of(sorted(candidates)) if candidates else []
        linked = {i: x.application_id for i, x in near.links.items() if x.application_id}
        chosen = _assigned(referral_id, assign(allowed, applications, linked=linked))
        candidate_id = chosen.application.candidate_id if chosen.application is not None else None
        if chosen.application is None:
            candidate_id = self._creator().candidate_for(person, allowed, candidates)
            if candidate_id is not None:
                # Right before it would write, the lane looks once more at what the candidate has.
                own = self.ats.applications_of([candidate_id])
                chosen = _assigned(referral_id, assign(chosen.referrals, own, linked={}))
        if chosen.application is None:
            jobs = self.ats.get_jobs([chosen.job_id])
            if chosen.job_id not in jobs or jobs[chosen.job_id].status != "open":
                return DryRun(referral_id, Block.JOB, "nothing")
        return self._write(referral, chosen, allowed, candidate_id, now)

    def _creator(self) -> Creator:
        """How the lane looks for the person in the ATS; nothing is created with it."""
        return Creator(
            ats=self.ats,
            ledger=self.ledger,
            person_of_candidate=self.people.person_of_candidate(),
            report=SyncReport(),
            clock=lambda: datetime.now(UTC),
        )

    def _write(
        self,
        referral: Referral,
        chosen: Assignment,
        allowed: Sequence[Referral],
        candidate_id: str | None,
        now: datetime,
    ) -> DryRun:
        application = chosen.application
        programme = self.mirror.programme(allowed)
        crediting = Crediting(self.contract, lambda: programme)
        same_job = [r for r in allowed if r.job_id in chosen.job_ids]
        personal = _personal(allowed, programme.advocates)
        payloads: list[Payload | None] = []
        if application is not None:
            links = self.ledger.links_of_applications(self.ats.system, [application.id])
            opened_for = {x.referral_id for x in links if x.created_application}
            decisions = decisions_on(self.ledger, self.ats.system, application.id)
            counting = with_chosen(same_job, allowed, decisions)
            tags = crediting.tags(counting, application.applied_at, opened_for, decisions)
            advocate = crediting.advocate_email(tags)
            payloads.append(
                rehearse(lambda: self.ats.update_application(application.id, tags, advocate_email=advocate), personal)
            )
            payloads.append(
                rehearse(lambda: self.advocacy.return_status(self._status(referral, application)), personal)
            )
            does = "update_application" if payloads[0] is not None else "nothing"
        else:
            tags = crediting.tags(same_job, now, {r.id for r in chosen.referrals})
            new = NewApplication(job_id=chosen.job_id, tags=tags, advocate_email=crediting.advocate_email(tags))
            if candidate_id is not None:
                does = "create_application"
                payloads.append(rehearse(lambda: self.ats.create_application(candidate_id, new), personal))
            else:
                does = "create_candidate"
                candidate = candidate_of(chosen.referrals[-1], allowed)
                payloads.append(rehearse(lambda: self.ats.create_candidate(candidate, new), personal))
        return DryRun(
            referral.id,
            None,
            does,
            candidate_id=application.candidate_id if application else candidate_id,
            application_id=application.id if application else None,
            fields=self._fields(tags, personal),
            payloads=[payload for payload in payloads if payload is not None],
        )

    def _status(self, referral: Referral, application: AtsApplication) -> StatusUpdate:
        held = [at for at in (application.status_at, referral.status_at) if at is not None]
        return StatusUpdate(
            referral_id=referral.id,
            status=application.status,
            status_at=max(held),
            ats_system=self.ats.system,
            ats_candidate_id=application.candidate_id,
            ats_application_id=application.id,
            hired_at=application.hired_at,
            starts_on=application.starts_on,
        )

    def _fields(self, tags: Mapping[str, str | None], personal: Sequence[str]) -> list[Field]:
        sources, transforms = self.contract.tag_sources(), self.contract.transforms()
        return [
            Field(
                name,
                f"advocacy.{sources[name]}",
                name in transforms,
                masked(value, personal),
            )
            for name, value in tags.items()
        ]


def _assigned(referral_id: str, assignments: Sequence[Assignment]) -> Assignment:
    return next(one for one in assignments if any(r.id == referral_id for r in one.referrals))


def _personal(referrals: Sequence[Referral], advocates: Mapping[str, Advocate]) -> list[str]:
    """Everything about people that a payload could carry."""
    found: dict[str, list[str]] = defaultdict(list)
    for referral in referrals:
        found["names"] += [part for part in (referral.first_name, referral.last_name) if part]
        found["contact"] += [part for part in (referral.email, referral.phone) if part]
        found["country"] += [referral.country] if referral.country else []
    addresses = (advocate.email for advocate in advocates.values())
    return [text.strip() for some in (*found.values(), [a for a in addresses if a]) for text in some if text.strip()]
