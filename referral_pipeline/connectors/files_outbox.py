"""Telling a platform that has no API: what would be written to it is kept in the book, and goes out as CSV files.

Belongs here: what a status, a recognition, a job and results are as rows of the book, and which are refused. Does not
belong here: the files (`files_book`), reading (`files`). The numbers are the invariants of `files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.connectors.failures import Conflict, Evidence, HttpFailure, Invalid
from referral_pipeline.connectors.files_book import Book
from referral_pipeline.connectors.http import WriteGuard
from referral_pipeline.connectors.records import AdvocateResults, AtsJob, StatusUpdate
from referral_pipeline.connectors.values import instant_text


class Outbox:
    """Keeps what is told. Safe for threads."""

    def __init__(self, book: Book, system: str, guard: WriteGuard | None) -> None:
        self._book = book
        self._system = system
        self._guard = guard

    def return_status(self, update: StatusUpdate) -> bool:
        """(8, 9) Keep a status for the outbox. False when a later one is held."""
        values: dict[str, Any] = {
            "referral_id": update.referral_id,
            "status": update.status.value,
            "status_at": instant_text(update.status_at),
            "ats_system": update.ats_system,
            "ats_candidate_id": update.ats_candidate_id,
            "ats_application_id": update.ats_application_id,
            "hired_at": instant_text(update.hired_at) if update.hired_at else None,
            "starts_on": update.starts_on.isoformat() if update.starts_on else None,
            "told_at": instant_text(datetime.now(UTC)),
        }
        self._ask("statuses", values)
        return self._book.tell_status(values)

    def _ask(self, table: str, values: Mapping[str, Any]) -> None:
        """(8) What is kept for the platform counts as written to it: the same guard stands before it."""
        if self._guard is None:
            return
        try:
            self._guard(self._system, f"{table}.keep")
        except HttpFailure as refused:
            refused.evidence = Evidence("KEEP", f"{table}.csv", dict(values))
            raise

    def _keep(self, table: str, values: Mapping[str, Any]) -> None:
        self._ask(table, values)
        self._book.put(table, values)

    def put_job(self, job: AtsJob) -> None:
        """(8) Keep a job posting for the outbox."""
        values = {"job_id": job.id, "title": job.title, "status": job.status}
        self._keep("jobs", {**values, "location": job.location or None, "url": job.url or None})

    def put_results(self, results: AdvocateResults) -> bool:
        """(8) Keep an advocate's results for the outbox. False when later ones are held."""
        held = self._book.result_of(results.advocate_id)
        if held is not None and held > results.as_of:
            return False
        counts = ("shares", "clicks", "referrals", "applications", "interviews", "offers", "hires")
        day = results.next_eligible_on
        self._keep(
            "results",
            {
                "advocate_id": results.advocate_id,
                "as_of": instant_text(results.as_of),
                **{name: getattr(results, name) for name in counts},
                "credit": f"{results.credit:f}",
                "next_eligible_on": day.isoformat() if day is not None else None,
            },
        )
        return True

    def recognise(
        self,
        referral_id: str,
        kind: str,
        amount_cents: int,
        currency: str,
        key: str,
    ) -> None:
        """(9) Keep a recognition for the outbox; the same key again changes nothing.

        Raises:
            Conflict: It stands already under another key, or there is nothing to reverse.
            Invalid: The key stands for another recognition.
        """
        values = {"referral_id": referral_id, "kind": kind, "amount_cents": amount_cents, "currency": currency}
        before = self._book.recognitions_of(referral_id)
        same = next((one for one in before if one["key"] == key), None)
        if same is not None:
            if any(same[name] != value for name, value in values.items()):
                raise Invalid(self._system, "recognitions.create", detail="the key stands for another recognition")
            self._book.export_soon()  # the process that kept it may have been killed before it wrote the file
            return
        since = max((i + 1 for i, one in enumerate(before) if one["kind"] == "reversed"), default=0)
        standing = {one["kind"] for one in before[since:]}
        if kind in standing or (kind == "reversed" and not standing):
            raise Conflict(
                self._system, "recognitions.create", detail="it stands already, or there is nothing to reverse"
            )
        self._keep("recognitions", {"key": key, **values, "told_at": instant_text(datetime.now(UTC))})
