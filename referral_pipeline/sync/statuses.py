"""Status return: what the ATS knows of each application goes back to the advocacy platform, once per change.

Belongs here: which status is due for which referral, and sending it. Does not belong here: what a vendor's stage means
(connectors), rewards for a hire.

A status is due when what the platform was last told differs from what the ATS says now: status, hire date, first day or
ids. The time stamp alone is no change: our own write to an application moves it.

A status that the platform refuses as older than what it holds (409) was not told: the next run has pulled what it holds
and tells it with that time or a later one. A referral that the platform has no more takes no status, which is
no failure.

Two ways to the same rule: `run` for all that a pull showed, in batches; `tell` for one application as it is read now.
Both hold the application's lock while they tell, so that an older word never follows a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime

from referral_pipeline.connectors.failures import NotFound, PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector
from referral_pipeline.connectors.records import AtsApplication, Referral, StatusUpdate
from referral_pipeline.contract.systems import shown_status
from referral_pipeline.ledger.store import Delivery, DeliveryIntent, DeliveryState, Ledger, Link, StatusFact
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.evidence import Sealer
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
        known_until: datetime | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        """Bind it to its systems.

        Args:
            advocacy: the platform that is told.
            ledger: what it was told so far.
            ats_system: name of the ATS.
            clock: the time, aware.
            workers: how many statuses are on their way at once.
            known_until: when the applications were pulled; what was told after it is newer and stands.
            sealer: keeps request and answer of what is refused for good.
        """
        self._known_until = known_until
        self._sealer = sealer or Sealer(None)
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
        due = statuses_due(
            links,
            applications,
            referrals,
            ledger=self._ledger,
            ats_system=self._ats_system,
            advocacy_system=self._advocacy.system,
        )
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

    def tell(
        self,
        links: Sequence[Link],
        application: AtsApplication,
        *,
        again: Callable[[], AtsApplication | None],
        read_at: datetime | None = None,
        fact: StatusFact | None = None,
    ) -> dict[str, str]:
        """Tell the platform one application's status for each of its referrals, where it differs from what it knows.

        The caller holds the lock of the application and has read it since.

        Args:
            links: of the application, fresh from the ledger; blocked ones are left alone.
            application: as the ATS holds it now.
            again: reads it once more, for when the platform says that it knows something newer.
            read_at: when `application` was read, where that was before the lock was had: what was told since stands.
            fact: what the status history learns with it.

        Returns:
            By referral id: sent, unchanged, superseded (the platform insists that it knows better) or gone.

        Raises:
            TransientFailure, PermanentFailure: from the platform. What was told before it is kept.
        """
        outcomes: dict[str, str] = {}
        open_links = [link for link in links if link.block is None]
        told = self._ledger.deliveries_by_key(status_key(link.referral_id) for link in open_links)
        for link in open_links:
            update = _update(link, application, None, self._ats_system)
            delivery = told.get(status_key(link.referral_id))
            if delivery is not None and delivery.state is DeliveryState.CONFIRMED:
                is_newer = read_at is not None and delivery.last_attempt_at >= read_at
                if is_newer or delivery.request_hash == request_hash(update):
                    outcomes[link.referral_id] = "unchanged"
                    continue
            if delivery is not None and read_at is not None:
                # What was read before the lock was had may have been true only then, and been told as over since.
                fresh = again() or application
                if fact is not None:
                    fact = replace(fact, status=fresh.status, at=_happened_at(fresh))
                return outcomes | self.tell(open_links, fresh, again=again, fact=fact)
            with self._ledger.atomic():
                self._ledger.begin(self._intent(update))
                if fact is not None:
                    self._ledger.append_status(fact)
            outcomes[link.referral_id] = self._tell_one(link, update, again)
        return outcomes

    def _tell_one(self, link: Link, update: StatusUpdate, again: Callable[[], AtsApplication | None]) -> str:
        key = status_key(link.referral_id)
        try:
            accepted = self._advocacy.return_status(update)
            if not accepted:
                # Somebody told it something later. Under the application's lock what the ATS holds now is the truth.
                held = self._advocacy.get_referral(link.referral_id)
                application = again()
                if held is not None and application is not None:
                    update = _update(link, application, held, self._ats_system)
                    self._ledger.begin(self._intent(update))
                    accepted = self._advocacy.return_status(update)
        except NotFound:
            self._ledger.fail(key, "the platform has no such referral any more", dead=False)
            return "gone"
        except (PermanentFailure, TransientFailure) as failure:
            dead = isinstance(failure, PermanentFailure)
            request, response = self._sealer.of(failure) if dead else (None, None)
            self._ledger.fail(key, str(failure), dead=dead, request=request, response=response)
            raise
        if not accepted:
            self._ledger.fail(key, "older than what the platform holds", dead=False)
            return "superseded"
        with self._ledger.atomic():
            self._ledger.confirm(key, {"status": update.status.value})
            now = replace(link, status=update.status, status_at=update.status_at)
            # Not the whole link: whoever blocked or moved it while the platform was told has written the rest.
            self._ledger.change_links([now], "status", "status_at")
            self._ledger.change_links([now], "state", unless_blocked=True)
        return "sent"

    def _intent(self, update: StatusUpdate) -> DeliveryIntent:
        return DeliveryIntent(
            key=status_key(update.referral_id),
            system=self._advocacy.system,
            operation="return_status",
            target=update.referral_id,
            request_hash=request_hash(update),
            referral_id=update.referral_id,
        )

    def _record_history(self, links: Sequence[Link], applications: Mapping[str, AtsApplication]) -> None:
        ids = sorted({link.application_id for link in links if link.application_id})
        facts = [
            StatusFact(
                system=self._ats_system,
                application_id=i,
                status=applications[i].status,
                at=_happened_at(applications[i]),
                source_event="pull",
            )
            for i in ids
            if i in applications
        ]
        self._ledger.append_statuses(facts)

    def _send(self, batch: Sequence[tuple[Link, StatusUpdate]], *, final: bool) -> list[tuple[Link, StatusUpdate]]:
        batch = self._without_known_better(batch)
        self._ledger.begin_many([self._intent(update) for _, update in batch])
        failed: list[tuple[Link, StatusUpdate]] = []
        refused: list[tuple[str, str]] = []
        superseded: list[DeliveryIntent] = []
        confirmed: list[tuple[str, dict[str, object]]] = []
        accepted_links: list[Link] = []
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="status-return") as pool:
            futures = {pool.submit(self._return, update): (link, update) for link, update in batch}
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
                    refused.append((status_key(update.referral_id), "the platform has no such referral any more"))
                except PermanentFailure as failure:
                    self._failed(update, failure, transient=False)
                else:
                    self.report.count("statuses_sent" if accepted else "statuses_superseded")
                    if not accepted:
                        superseded.append(self._intent(update))
                        refused.append((status_key(update.referral_id), "older than what the platform holds"))
                        continue
                    confirmed.append((status_key(update.referral_id), {"status": update.status.value}))
                    accepted_links.append(replace(link, status=update.status, status_at=update.status_at))
        with self._ledger.atomic():
            self._ledger.confirm_many(confirmed)
            self._ledger.change_links(accepted_links, "status", "status_at")
            # The lane may have told a later word meanwhile and confirmed it under our request: this one was not told.
            self._ledger.begin_many(superseded, anew=True)
            for key, why in refused:
                self._ledger.fail(key, why, dead=False)
        return failed

    def _without_known_better(self, batch: Sequence[tuple[Link, StatusUpdate]]) -> Sequence[tuple[Link, StatusUpdate]]:
        """Without the statuses told since the pull, from what the ATS showed later than it."""
        if self._known_until is None:
            return batch
        told = self._ledger.deliveries_by_key(status_key(update.referral_id) for _, update in batch)
        newer = {key for key, delivery in told.items() if self._is_newer(delivery)}
        self.report.count("statuses_known_better", len(newer))
        return [item for item in batch if status_key(item[1].referral_id) not in newer]

    def _is_newer(self, delivery: Delivery) -> bool:
        is_told = delivery.state is DeliveryState.CONFIRMED
        return is_told and self._known_until is not None and delivery.last_attempt_at >= self._known_until

    def _return(self, update: StatusUpdate) -> bool:
        with self._ledger.exclusive([lock_of(self._ats_system, update.ats_application_id)]):
            return self._advocacy.return_status(update)

    def _failed(self, update: StatusUpdate, failure: Exception, *, transient: bool) -> None:
        request, response = (None, None) if transient else self._sealer.of(failure)
        self._ledger.fail(
            status_key(update.referral_id), str(failure), dead=not transient, request=request, response=response
        )
        self.report.fail(SyncFailure(update.referral_id, "return_status", str(failure), transient=transient))


def _happened_at(application: AtsApplication) -> datetime:
    return application.hired_at or application.rejected_at or application.status_at


def lock_of(ats_system: str, application_id: str) -> str:
    """The lock under which an application is read and told."""
    return f"application:{ats_system}:{application_id}"


def statuses_due(
    links: Iterable[Link],
    applications: Mapping[str, AtsApplication],
    referrals: Mapping[str, Referral],
    *,
    ledger: Ledger,
    ats_system: str,
    advocacy_system: str,
) -> list[tuple[Link, StatusUpdate]]:
    """What the platform was not told as the ATS has it now; blocked referrals are left alone.

    Args:
        links: what was written for each referral.
        applications: the ATS's applications by id.
        referrals: the platform's referrals by id: what it believes already.
        ledger: for what the platform was last told.
        ats_system: name of the ATS.
        advocacy_system: name of the platform, which may show a status in fewer words than it was told.
    """
    told = ledger.confirmed_hashes(_KEY_PREFIX)
    return [
        (link, update)
        for link in links
        if link.block is None and link.application_id and (application := applications.get(link.application_id))
        for referral in [referrals.get(link.referral_id)]
        for update in [_update(link, application, referral, ats_system)]
        if _is_due(link, update, referral, told.get(status_key(link.referral_id)), advocacy_system)
    ]


def _update(link: Link, application: AtsApplication, referral: Referral | None, ats_system: str) -> StatusUpdate:
    # status_at never goes back for one referral, whatever record of the ATS carried it, and whoever told it.
    held = referral.status_at if referral else None
    status_at = max(at for at in (application.status_at, link.status_at, held) if at is not None)
    return StatusUpdate(
        referral_id=link.referral_id,
        status=application.status,
        status_at=status_at,
        ats_system=ats_system,
        ats_candidate_id=application.candidate_id,
        ats_application_id=application.id,
        hired_at=application.hired_at,
        starts_on=application.starts_on,
    )


def _is_due(link: Link, update: StatusUpdate, referral: Referral | None, told: str | None, system: str) -> bool:
    if referral is None:
        return False
    # The platform accepted this status once and shows another now: it was lost there, so it is told again.
    lost = link.status is update.status and referral.status is not shown_status(system, update.status)
    return told != request_hash(update) or lost


def status_key(referral_id: str) -> str:
    """The key of the delivery that tells a referral's status."""
    return f"{_KEY_PREFIX}{referral_id}"


def request_hash(update: StatusUpdate) -> str:
    """What is told, as one hash: status, dates and ids. The time stamp alone is no change."""
    return digest(
        {
            "status": update.status.value,
            "hired_at": update.hired_at.isoformat() if update.hired_at else None,
            "starts_on": update.starts_on.isoformat() if update.starts_on else None,
            "ats": [update.ats_system, update.ats_candidate_id, update.ats_application_id],
        }
    )
