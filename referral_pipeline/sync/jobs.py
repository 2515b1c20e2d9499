"""Job postings: what the ATS has open or closed is published on the advocacy platform, once per change.

Belongs here: which job is due. Does not belong here: how a vendor words a job's state (connectors).

Drafts are not sent. A job that was published, or may have been, and went back to draft is withdrawn as closed, so that
nobody shares it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from referral_pipeline.connectors.failures import PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector
from referral_pipeline.connectors.records import AtsJob
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.report import SyncFailure, SyncReport

_KEY_PREFIX = "job:"


def publish_jobs(
    jobs: Sequence[AtsJob],
    *,
    advocacy: AdvocacyConnector,
    ledger: Ledger,
    progress: Callable[[int, int], None] | None = None,
    rounds: int = 3,
) -> SyncReport:
    """Publish every job whose posting differs from what the platform was last told; passing failures are repeated."""
    report = SyncReport()
    due, unchanged, drafts = jobs_due(jobs, ledger=ledger)
    report.count("jobs_unchanged", unchanged)
    report.count("jobs_draft", drafts)
    for number in range(1, rounds + 1):
        due = _send(due, advocacy=advocacy, ledger=ledger, report=report, final=number == rounds, progress=progress)
        if not due:
            break
    return report


def jobs_due(jobs: Iterable[AtsJob], *, ledger: Ledger) -> tuple[list[AtsJob], int, int]:
    """The jobs as they are to be told, how many the platform holds as they are, and how many are drafts."""
    due: list[AtsJob] = []
    unchanged = drafts = 0
    hashes = ledger.confirmed_hashes(_KEY_PREFIX)
    for job in jobs:
        told = hashes.get(job_key(job.id))
        if job.status == "draft":
            if told is None and ledger.delivery(job_key(job.id)) is None:
                drafts += 1
                continue
            job = replace(job, status="closed")
        if told == posting_hash(job):
            unchanged += 1
        else:
            due.append(job)
    return due, unchanged, drafts


def _send(
    jobs: Sequence[AtsJob],
    *,
    advocacy: AdvocacyConnector,
    ledger: Ledger,
    report: SyncReport,
    final: bool,
    progress: Callable[[int, int], None] | None,
) -> list[AtsJob]:
    again: list[AtsJob] = []
    for done, job in enumerate(jobs, start=1):
        try:
            tell_job(job, advocacy=advocacy, ledger=ledger)
        except TransientFailure as failure:
            again.append(job)
            if final:
                report.fail(SyncFailure(job.id, "put_job", str(failure), transient=True))
        except PermanentFailure as failure:
            report.fail(SyncFailure(job.id, "put_job", str(failure), transient=False))
        else:
            report.count("jobs_published")
        if progress is not None:
            progress(done, len(jobs))
    return again


def tell_job(job: AtsJob, *, advocacy: AdvocacyConnector, ledger: Ledger, sealer: Sealer | None = None) -> None:
    """Publish one posting, with its intent before and its outcome after.

    Raises:
        TransientFailure, PermanentFailure: from the platform; noted with the delivery.
    """
    key = job_key(job.id)
    ledger.begin(
        DeliveryIntent(
            key=key,
            system=advocacy.system,
            operation="put_job",
            target=job.id,
            request_hash=posting_hash(job),
            referral_id=None,
        )
    )
    try:
        advocacy.put_job(job)
    except (TransientFailure, PermanentFailure) as failure:
        dead = isinstance(failure, PermanentFailure)
        request, response = (sealer or Sealer(None)).of(failure) if dead else (None, None)
        ledger.fail(key, str(failure), dead=dead, request=request, response=response)
        raise
    ledger.confirm(key, {"status": job.status})


def job_key(job_id: str) -> str:
    """The key of the delivery that tells a job's posting."""
    return f"{_KEY_PREFIX}{job_id}"


def posting_hash(job: AtsJob) -> str:
    """What the platform is told of a job, as one hash."""
    return digest({"title": job.title, "status": job.status, "location": job.location, "url": job.url})
