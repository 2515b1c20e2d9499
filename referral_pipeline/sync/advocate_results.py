"""Results to advocates: what each one's dashboard shows goes back to the advocacy platform, once per change.

Belongs here: which results are due, and sending them. Does not belong here: counting them (kpis), the platform's words
(connectors).

Results are due when what the platform was last told differs from what stands now. The moment at which they were counted
is no change by itself: an advocate for whom nothing happened is not told again. Ids and counts only; no candidate is
named.

Idempotent by state: the intent is committed before the call and the confirmation after it. Whoever is killed in between
leaves a delivery that is not confirmed, and the next run puts the same results again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict

from referral_pipeline.connectors.failures import NotFound, PermanentFailure, TransientFailure
from referral_pipeline.connectors.protocols import AdvocacyConnector
from referral_pipeline.connectors.records import AdvocateResults
from referral_pipeline.ledger.store import DeliveryIntent, Ledger
from referral_pipeline.sync.creation import digest
from referral_pipeline.sync.evidence import Sealer
from referral_pipeline.sync.report import SyncFailure, SyncReport

__all__ = ["content_hash", "results_due", "results_key", "send_results"]

_BATCH = 50
"""Results whose intents and confirmations share a commit: a repeat is harmless, the call is idempotent by state."""
_KEY_PREFIX = "results:"


def send_results(
    results: Sequence[AdvocateResults],
    *,
    advocacy: AdvocacyConnector,
    ledger: Ledger,
    progress: Callable[[int, int], None] | None = None,
    rounds: int = 3,
    workers: int = 4,
    sealer: Sealer | None = None,
) -> SyncReport:
    """Put the results of every advocate for whom they changed; passing failures are repeated.

    Args:
        results: of every advocate, as they stand now.
        advocacy: the platform that is told; its connector keeps to the rate limit.
        ledger: what it was told so far.
        progress: called with (done, total).
        rounds: how often a passing failure is taken up.
        workers: how many calls are on their way at once.
        sealer: keeps request and answer of what is refused for good.
    """
    report = SyncReport()
    due = results_due(results, ledger=ledger)
    report.count("results_unchanged", len(results) - len(due))
    sending = _Sending(advocacy, ledger, sealer or Sealer(None), report, workers)
    done, total = 0, len(due)
    for number in range(1, rounds + 1):
        again: list[AdvocateResults] = []
        for start in range(0, len(due), _BATCH):
            batch = due[start : start + _BATCH]
            left = sending.send(batch, is_last_round=number == rounds)
            again.extend(left)
            done += len(batch) - (len(left) if number < rounds else 0)
            if progress is not None:
                progress(done, total)
        due = again if number < rounds else []
    return report


def results_due(results: Iterable[AdvocateResults], *, ledger: Ledger) -> list[AdvocateResults]:
    """The results that differ from what the platform was last told, in the order given."""
    told = ledger.confirmed_hashes(_KEY_PREFIX)
    return [one for one in results if told.get(results_key(one.advocate_id)) != content_hash(one)]


def results_key(advocate_id: str) -> str:
    """The key of the delivery that tells an advocate's results."""
    return f"{_KEY_PREFIX}{advocate_id}"


def content_hash(results: AdvocateResults) -> str:
    """What is told, as one hash; when it was counted is left out."""
    content = asdict(results)
    del content["as_of"]
    return digest(content)


class _Sending:
    """Sends batches, each with its intents before and its outcomes after in one commit."""

    def __init__(
        self, advocacy: AdvocacyConnector, ledger: Ledger, sealer: Sealer, report: SyncReport, workers: int
    ) -> None:
        self._advocacy = advocacy
        self._ledger = ledger
        self._sealer = sealer
        self._report = report
        self._workers = workers

    def send(self, batch: Sequence[AdvocateResults], *, is_last_round: bool) -> list[AdvocateResults]:
        """Send a batch; answers what failed in passing."""
        self._ledger.begin_many([self._intent(one) for one in batch])
        again: list[AdvocateResults] = []
        confirmed: list[tuple[str, dict[str, object]]] = []
        refused: list[tuple[str, str]] = []
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="advocate-results") as pool:
            futures = {pool.submit(self._advocacy.put_results, one): one for one in batch}
            for future in as_completed(futures):
                one = futures[future]
                key = results_key(one.advocate_id)
                try:
                    accepted = future.result()
                except TransientFailure as failure:
                    again.append(one)
                    if is_last_round:
                        self._failed(one, failure, transient=True)
                except NotFound:
                    # The next full pull shows it too, and the advocate is counted no more.
                    self._report.count("results_of_deleted_advocates")
                    refused.append((key, "the platform has no such advocate any more"))
                except PermanentFailure as failure:
                    self._failed(one, failure, transient=False)
                else:
                    self._report.count("results_sent" if accepted else "results_superseded")
                    if accepted:
                        confirmed.append((key, {"as_of": one.as_of.isoformat()}))
                    else:
                        refused.append((key, "older than what the platform holds"))
        with self._ledger.atomic():
            self._ledger.confirm_many(confirmed)
            for key, why in refused:
                self._ledger.fail(key, why, dead=False)
        return again

    def _intent(self, one: AdvocateResults) -> DeliveryIntent:
        return DeliveryIntent(
            key=results_key(one.advocate_id),
            system=self._advocacy.system,
            operation="put_results",
            target=one.advocate_id,
            request_hash=content_hash(one),
        )

    def _failed(self, one: AdvocateResults, failure: Exception, *, transient: bool) -> None:
        request, response = (None, None) if transient else self._sealer.of(failure)
        self._ledger.fail(
            results_key(one.advocate_id), str(failure), dead=not transient, request=request, response=response
        )
        self._report.fail(SyncFailure(one.advocate_id, "put_results", str(failure), transient=transient))
