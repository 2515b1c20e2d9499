"""Reconciliation: what webhooks missed on either side enters the inbox as hints.

Belongs here: comparing what a pull shows with what the ledger remembers of our own work, and naming the difference as
inbox deliveries. Does not belong here: pulling (warehouse), bringing a record level (the lane), when this runs.

Nothing is compared with earlier pulls: a pull that was read is no proof that anything was done about it. Compared is
what should follow from a record (its link, its gate, what the other side was told) with what did. So a finding that is
handled is gone by itself, and one that is not comes again.

Left out, because nobody missed it: changes so young that their webhook may be under way, subjects that wait in the
inbox, what was handled since the pull, and subjects whose event is dead and which have not changed since: that one
waits for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from referral_pipeline.connectors.protocols import AtsConnector
from referral_pipeline.connectors.records import AtsApplication, AtsJob, Referral
from referral_pipeline.contract.models import Contract
from referral_pipeline.contract.systems import facts_of
from referral_pipeline.identity.admission import referral_record
from referral_pipeline.ledger.records import InboxDelivery
from referral_pipeline.ledger.store import Ledger, Link
from referral_pipeline.privacy.crypto import keyed_hash
from referral_pipeline.privacy.gate import GatePolicy, blocked_by
from referral_pipeline.sync.cases import gone_applications
from referral_pipeline.sync.jobs import job_key, jobs_due, posting_hash
from referral_pipeline.sync.statuses import request_hash, status_key, statuses_due
from referral_pipeline.vocabulary import Block

ORIGIN = "reconciliation"
GRACE = timedelta(minutes=2)
"""A change younger than this is left to its webhook."""
COUNTER_PREFIX = "reconcile.missed."

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DEAD = 10_000
_SHORT = 24
"""Digits of a hash in a delivery id: enough to tell states of one record apart."""


@dataclass(frozen=True)
class Pulled:
    """What one pull of both systems showed. `at` is the moment up to which each system was asked, by system."""

    referrals: Sequence[Referral]
    applications: Sequence[AtsApplication]
    jobs: Sequence[AtsJob]
    at: Mapping[str, datetime]


@dataclass(frozen=True)
class _Finding:
    system: str
    kind: str
    record_id: str
    truth: str
    """What is true of the record, short: the same finding has the same text."""
    changed_at: datetime | None
    handled_at: datetime | None = None
    """When it was last worked on, as far as the ledger knows."""

    @property
    def subject(self) -> str:
        return f"{self.kind}:{self.record_id}"

    @property
    def delivery_id(self) -> str:
        return f"reconcile:{self.subject}:{self.truth}"


def missed(
    pulled: Pulled,
    *,
    ledger: Ledger,
    ats: AtsConnector,
    contract: Contract,
    hash_key: str,
    now: datetime,
    grace: timedelta = GRACE,
    most: int | None = None,
) -> list[InboxDelivery]:
    """What was missed, oldest first, ready for the inbox. A finding that is there already is not among them.

    Args:
        pulled: what both systems show; referrals that cannot be read or written are left out by the caller.
        ledger: what was done so far.
        ats: to look up live which linked applications are really gone.
        contract: rules, phases and privacy.
        hash_key: for keyed hashes of contact details.
        now: the time.
        grace: how young a change may be without being called missed; none where a system has no API to tell it by.
        most: at most so many; the rest is found again next time. A long backlog would stand before fresh events.

    Raises:
        MassDisappearanceError: the ATS hides so many linked applications at once that it is no deletion.
        TransientFailure, PermanentFailure: from the look-ups of what a pull did not show.
    """
    links = ledger.links()
    advocacy = contract.advocacy.connector
    findings = [
        *_referrals(pulled, links, ledger, contract, advocacy, hash_key, now),
        *_applications(pulled, links, ledger, ats, contract, now),
        *_jobs(pulled.jobs, ledger, ats.system),
    ]
    findings.sort(key=lambda f: (f.changed_at or _LONG_AGO, f.delivery_id))
    silent = {s.connector for s in contract.systems().values() if (f := facts_of(s.connector)) and f.auth == "none"}
    graces = {system: timedelta(0) if system in silent else grace for system in pulled.at}
    fresh = _not_waiting(_settled(findings, pulled.at, graces), ledger)
    found = [delivery for finding in fresh if (delivery := _delivery(finding, ledger, pulled.at)) is not None]
    return found if most is None else found[:most]


def enter(deliveries: Sequence[InboxDelivery], *, ledger: Ledger, systems: Iterable[str]) -> Counter[str]:
    """Put findings in the inbox and count them; answers how many are new, by system."""
    counts: Counter[str] = Counter(dict.fromkeys(systems, 0))
    with ledger.atomic():
        for delivery, is_new in zip(deliveries, ledger.receive_many(deliveries), strict=True):
            counts[delivery.system] += is_new
        ledger.add_counts({f"{COUNTER_PREFIX}{system}": count for system, count in counts.items()})
    return counts


# ---------------------------------------------------------------- the advocacy platform


def _referrals(
    pulled: Pulled,
    links: Sequence[Link],
    ledger: Ledger,
    contract: Contract,
    system: str,
    hash_key: str,
    now: datetime,
) -> Iterator[_Finding]:
    """Referrals of which nothing is known, or whose link is not what follows from them now."""
    if not contract.phases.candidate_creation:
        return
    link_of = {link.referral_id: link for link in links}
    jobs = {job.id: job for job in pulled.jobs}
    policy = GatePolicy.of(contract)
    known_keys: dict[str, set[str]] = {}
    for key in ledger.keys_of(f"{system}:{r.id}" for r in pulled.referrals):
        known_keys.setdefault(key.record_id.partition(":")[2], set()).add(key.key_hash)
    for referral in pulled.referrals:
        link = link_of.get(referral.id)
        if link is not None and link.block == Block.ERASED:
            continue  # for good
        if link is not None and not (
            _differs(referral, link, policy, jobs.get(referral.job_id), now)
            or _moved(referral, known_keys.get(referral.id), system, hash_key)
        ):
            continue
        yield _Finding(
            system,
            "referral",
            referral.id,
            referral.updated_at.isoformat(),
            referral.updated_at,
            link.updated_at if link is not None else None,
        )


def _differs(referral: Referral, link: Link, policy: GatePolicy, job: AtsJob | None, now: datetime) -> bool:
    if (referral.job_id, referral.advocate_id, referral.share_id, referral.campaign_tag, referral.touched_at) != (
        link.job_id,
        link.advocate_id,
        link.share_id,
        link.campaign_tag,
        link.touched_at,
    ):
        return True
    verdict = blocked_by(referral, policy, at=now, erased=False, written=link.application_id is not None)
    if verdict is None and link.block == Block.JOB:
        return job is not None and job.status == "open"
    return verdict != link.block


def _moved(referral: Referral, known: set[str] | None, system: str, hash_key: str) -> bool:
    """Whether the contact details are others than those that the person was recognised by."""
    if not known:
        return False
    record = referral_record(referral, system)
    return known != {keyed_hash(key, hash_key) for kind in ("email", "phone") for key in record.keys(kind)}


# ---------------------------------------------------------------- the ATS


def _applications(
    pulled: Pulled, links: Sequence[Link], ledger: Ledger, ats: AtsConnector, contract: Contract, now: datetime
) -> Iterator[_Finding]:
    """Linked applications that are gone, moved to another candidate, or whose status was not told."""
    system = ats.system
    applications = {a.id: a for a in pulled.applications}
    gone = gone_applications(links, applications, ats=ats, now=now)
    aliases = ledger.aliases(system)
    seen: set[str] = set()
    for link in links:
        application = applications.get(link.application_id or "")
        if link.application_id in gone and link.application_id and link.block != Block.ERASED:
            truth, changed_at = "gone", None
        elif (
            application is not None
            and link.candidate_id is not None
            and link.candidate_id != application.candidate_id
            and aliases.get(link.candidate_id) != application.candidate_id
        ):
            truth, changed_at = f"candidate {application.candidate_id}", application.updated_at
        else:
            continue
        if link.application_id and link.application_id not in seen:
            seen.add(link.application_id)
            yield _Finding(system, "application", link.application_id, truth, changed_at)
    if not contract.phases.status_return:
        return
    referrals = {r.id: r for r in pulled.referrals}
    advocacy = contract.advocacy.connector
    due = statuses_due(links, applications, referrals, ledger=ledger, ats_system=system, advocacy_system=advocacy)
    told = ledger.deliveries_by_key(status_key(link.referral_id) for link, _ in due)
    for link, update in due:
        application_id = update.ats_application_id
        delivery = told.get(status_key(link.referral_id))
        handled_at = delivery.last_attempt_at if delivery is not None else None
        if application_id not in seen:
            seen.add(application_id)
            changed_at = applications[application_id].updated_at
            yield _Finding(system, "application", application_id, request_hash(update)[:_SHORT], changed_at, handled_at)


def _jobs(jobs: Sequence[AtsJob], ledger: Ledger, system: str) -> Iterator[_Finding]:
    """Jobs whose posting differs from what the platform was told."""
    due, _, _ = jobs_due(jobs, ledger=ledger)
    told = ledger.deliveries_by_key(job_key(job.id) for job in due)
    for job in due:
        delivery = told.get(job_key(job.id))
        handled_at = delivery.last_attempt_at if delivery is not None else None
        yield _Finding(system, "job", job.id, posting_hash(job)[:_SHORT], job.updated_at, handled_at)


# ---------------------------------------------------------------- what is left out


def _settled(
    findings: Iterable[_Finding], at: Mapping[str, datetime], graces: Mapping[str, timedelta]
) -> list[_Finding]:
    """Those that nobody is about to hear of by webhook, and nobody worked on since the pull that shows them."""
    return [
        f
        for f in findings
        if (f.changed_at is None or f.changed_at <= at[f.system] - graces[f.system])
        and (f.handled_at is None or f.handled_at < at[f.system])
    ]


def _not_waiting(findings: Sequence[_Finding], ledger: Ledger) -> list[_Finding]:
    """Those whose subject neither waits in the inbox nor is dead in the state in which it still is."""
    unfinished = ledger.unfinished_subjects({f.subject for f in findings})
    died: dict[str, datetime] = {}
    for event in ledger.inbox_events(state="dead", limit=_MOST_DEAD) if findings else ():
        if event.subject is not None:
            died[event.subject] = max(event.received_at, died.get(event.subject, event.received_at))
    return [
        f
        for f in findings
        if f.subject not in unfinished and not (f.subject in died and (f.changed_at or _LONG_AGO) <= died[f.subject])
    ]


def _delivery(finding: _Finding, ledger: Ledger, at: Mapping[str, datetime]) -> InboxDelivery | None:
    """The delivery of a finding; one that was done before this pull, and is still true, comes again under its time."""
    delivery_id = finding.delivery_id
    before = ledger.inbox_event_by_delivery(finding.system, delivery_id)
    if before is not None:
        if before.done_at is None or before.done_at >= at[finding.system]:
            return None
        delivery_id = f"{delivery_id}:{at[finding.system]:%Y%m%dT%H%M%S}"
    return InboxDelivery(
        system=finding.system,
        delivery_id=delivery_id,
        event_type=f"reconcile.{finding.kind}",
        origin=ORIGIN,
        subject=finding.subject,
        occurred_at=finding.changed_at,
        body=None,
    )
