"""Status return: what the ATS knows of each application goes back to the advocacy platform, once per change.

Belongs here: which status is due for which referral, and sending it. Does not belong here: what a vendor's stage means
(connectors), rewards for a hire.

A status is due when what the platform was last told differs from what the ATS says now: status, hire date, first day or
ids. The time stamp alone is no change: our own write to an application moves it.

A status that the platform refuses as older than what it holds (409) was not told: the next run has pulled what it holds
and tells it with that time or a later one. A referral that the platform has no more takes no status, which is
no failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime

from referral_pipeline.connectors.failures import NotFound, PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector
from referral_pipeline.connectors.records import AtsApplication, Referral, StatusUpdate
from referral_pipeline.ledger.store import DeliveryIntent, Ledger, Link, StatusFact
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.report import SyncFailure, SyncReport

_BATCH = 50
"""Statuses whose intents and confirmations share a commit: a repeat is harmless, the call is idempotent by state."""
_KEY_PREFIX = "status:"


class StatusReturn:
    """Returns statuses to the advocacy platform."""

    def __init__(
        self,
        *,
        advocacy: AdvocacyConnector,
        ledger: Ledger,
        ats_system: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        workers: int = 4,
    ) -> None:
        self._advocacy = advocacy
        self._ledger = ledger
        self._ats_system = ats_system
        self._clock = clock
        self._workers = workers
        self.report = SyncReport()

    def run(
        self,
        links: Sequence[Link],
        applications: Mapping[str, AtsApplication],
        referrals: Mapping[str, Referral],
        *,
        progress: Callable[[int, int], None] | None = None,
        rounds: int = 3,
    ) -> SyncReport:
        """Send every status that is due.

        Args:
            links: what was written for each referral; blocked ones are left alone (no consent, no further word).
            applications: the ATS's applications by id, as of the last pull.
            referrals: the platform's referrals by id, as of the last pull: what it believes already.
            progress: called with (done, total).
            rounds: how often a passing failure is taken up again.
        """
        self._record_history(links, applications)
        told = self._ledger.confirmed_hashes(_KEY_PREFIX)
        due = [
            (link, update)
            for link in links
            if link.block is None and link.application_id and (application := applications.get(link.application_id))
            for update in [self._update(link, application, referrals.get(link.referral_id))]
            if self._is_due(link, update, referrals.get(link.referral_id), told.get(_key(link.referral_id)))
        ]
        self.report.count(
            "statuses_unchanged", sum(1 for x in links if x.block is None and x.application_id) - len(due)
        )
        done = 0
        for number in range(1, rounds + 1):
            failed: list[tuple[Link, StatusUpdate]] = []
            for start in range(0, len(due), _BATCH):
                batch = due[start : start + _BATCH]
                failed.extend(self._send(batch, final=number == rounds))
                done = min(done + len(batch), len(due))
                if progress is not None:
                    progress(done, len(due))
            due = failed
            if not due:
                break
        return self.report

    def _record_history(self, links: Sequence[Link], applications: Mapping[str, AtsApplication]) -> None:
        ids = sorted({link.application_id for link in links if link.application_id})
        facts = [
            StatusFact(
                system=self._ats_system,
                application_id=i,
                status=applications[i].status,
                at=applications[i].hired_at or applications[i].rejected_at or applications[i].status_at,
                source_event="pull",
            )
            for i in ids
            if i in applications
        ]
        self._ledger.append_statuses(facts)

    def _update(self, link: Link, application: AtsApplication, referral: Referral | None) -> StatusUpdate:
        # status_at never goes back for one referral, whatever record of the ATS carried it, and whoever told it.
        held = referral.status_at if referral else None
        status_at = max(at for at in (application.status_at, link.status_at, held) if at is not None)
        return StatusUpdate(
            referral_id=link.referral_id,
            status=application.status,
            status_at=status_at,
            ats_system=self._ats_system,
            ats_candidate_id=application.candidate_id,
            ats_application_id=application.id,
            hired_at=application.hired_at,
            starts_on=application.starts_on,
        )

    def _is_due(self, link: Link, update: StatusUpdate, referral: Referral | None, told: str | None) -> bool:
        if referral is None:
            return False
        # The platform accepted this status once and shows another now: it was lost there, so it is told again.
        lost = link.status is update.status and referral.status is not update.status
        return told != _request_hash(update) or lost

    def _send(self, batch: Sequence[tuple[Link, StatusUpdate]], *, final: bool) -> list[tuple[Link, StatusUpdate]]:
        self._ledger.begin_many(
            [
                DeliveryIntent(
                    key=_key(update.referral_id),
                    system=self._advocacy.system,
                    operation="return_status",
                    target=update.referral_id,
                    request_hash=_request_hash(update),
                    referral_id=update.referral_id,
                )
                for _, update in batch
            ]
        )
        failed: list[tuple[Link, StatusUpdate]] = []
        refused: list[tuple[str, str]] = []
        confirmed: list[tuple[str, dict[str, object]]] = []
        accepted_links: list[Link] = []
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="status-return") as pool:
            futures = {pool.submit(self._advocacy.return_status, update): (link, update) for link, update in batch}
            for future in as_completed(futures):
                link, update = futures[future]
                try:
                    accepted = future.result()
                except TransientFailure as failure:
                    failed.append((link, update))
                    if final:
                        self._failed(update, failure, transient=True)
                except NotFound:
                    self.report.count("statuses_of_deleted_referrals")
                    refused.append((_key(update.referral_id), "the platform has no such referral any more"))
                except PermanentFailure as failure:
                    self._failed(update, failure, transient=False)
                else:
                    self.report.count("statuses_sent" if accepted else "statuses_superseded")
                    if not accepted:
                        refused.append((_key(update.referral_id), "older than what the platform holds"))
                        continue
                    confirmed.append((_key(update.referral_id), {"status": update.status.value}))
                    accepted_links.append(replace(link, status=update.status, status_at=update.status_at))
        with self._ledger.atomic():
            self._ledger.confirm_many(confirmed)
            self._ledger.save_links(accepted_links)
            for key, why in refused:
                self._ledger.fail(key, why, dead=False)
        return failed

    def _failed(self, update: StatusUpdate, failure: Exception, *, transient: bool) -> None:
        self._ledger.fail(_key(update.referral_id), str(failure), dead=not transient)
        self.report.fail(SyncFailure(update.referral_id, "return_status", str(failure), transient=transient))


def _key(referral_id: str) -> str:
    return f"{_KEY_PREFIX}{referral_id}"


def _request_hash(update: StatusUpdate) -> str:
    return digest(
        {
            "status": update.status.value,
            "hired_at": update.hired_at.isoformat() if update.hired_at else None,
            "starts_on": update.starts_on.isoformat() if update.starts_on else None,
            "ats": [update.ats_system, update.ats_candidate_id, update.ats_application_id],
        }
    )
