"""The webhooks of Radancy: which act sends which, snake_case, times in two forms, many in one delivery, unsigned.

Belongs here: types, bodies, batches. Does not belong here: sending (`sandbox.webhooks`), the acts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from referral_pipeline.sandbox.advocacy.store import Row, encode
from referral_pipeline.sandbox.radancy.account import Account, status_of
from referral_pipeline.sandbox.radancy.ids import COMPANY, LOCATION, REWARD, id_of
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event

MOST_IN_ONE = 10
"""Events in one delivery. The vendor names no number."""

TYPES = {
    "referral.submitted": "job_application.received",
    "referral.updated": "job_application.edited",
    "referral.withdrawn": "job_application.closed",
    "candidate.erased": "job_application.deleted",
    "application.hired": "job_application.hired",
    "application.closed": "job_application.closed",
}
"""What happens in the store -> the vendor's event. Shares, clicks and a re-opening send none."""

_ODD = timezone(timedelta(hours=1, minutes=39))
"""An offset as the vendor's samples have it."""


class NoSigner:
    """Nothing identifies or signs a delivery."""

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """No line."""
        return b""


class Herald:
    """Tells what happens; what happens within `together` goes in as few deliveries as can be."""

    def __init__(self, account: Account, emitter: Emitter) -> None:
        self._account = account
        self._emitter = emitter
        self._waiting: list[tuple[str, Row]] = []
        self._gathers = False

    def announce(self, kind: str, row: Row) -> None:
        """Something happened in the store."""
        if kind == "consent.updated":
            kind = "candidate.erased" if not (row["consent"] or {}).get("granted") else "referral.updated"
        if kind not in TYPES or not self._emitter.is_on:
            return
        self._waiting.append((TYPES[kind], row))
        if not self._gathers:
            self._flush()

    @contextmanager
    def together(self) -> Generator[None]:
        """Gather what happens until the block ends."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST_IN_ONE):
            self._emitter.emit(self._batch(waiting[start : start + MOST_IN_ONE]))

    def describe(self, kind: str, record_id: str) -> Event:
        """The event of a type about an application as it is now."""
        if kind not in TYPES.values():
            raise LookupError(f"type must be one of {', '.join(sorted(set(TYPES.values())))}")
        row = self._account.store.tables["referrals"].rows.get(record_id)
        return self._batch([(kind, row if row is not None else {"id": record_id})])

    def _batch(self, events: Sequence[tuple[str, Row]]) -> Event:
        body = [{"event_name": kind, "event": self._content(kind, row)} for kind, row in events]
        first = events[0][1]
        return Event(events[0][0], f"referral:{first.get('referral_id', first['id'])}", encode(body))

    def _content(self, kind: str, row: Row) -> dict[str, Any]:
        application_id = row.get("referral_id", row["id"])
        known = "candidate" in row
        job = self._account.job_of(row["job_id"]) if known else None
        content: dict[str, Any] = {
            "job_application": {
                "id": application_id,
                **({"job_id": job["id"]} if job else {}),
                "status": status_of(row) if known else "CLOSED",
            },
            "company_id": COMPANY,
            "date_time": _moment(kind),
        }
        if kind == "job_application.received" and job is not None:
            content |= _received(row, job)
        elif kind == "job_application.closed":
            content["close_reason"] = row.get("close_reason") or "CANDIDATE_WITHDRAWN"
        elif kind == "job_application.hired":
            content |= {"pay_reward": row.get("pay_reward", False), "first_day_of_work": row.get("starts_on")}
        return content


def _received(row: Row, job: Row) -> dict[str, Any]:
    candidate = row["candidate"]
    person = {"first_name": "first_name", "last_name": "last_name", "email": "email", "phone_number": "phone"}
    return {
        "applicant": {
            "id": id_of("applicants", row["id"]),
            **{name: candidate[own] for name, own in person.items() if candidate[own] is not None},
        },
        "referrer": {"id": row["advocate_id"], "company_id": COMPANY, "status": "ACTIVE"},
        **({"share_id": row["share_id"]} if row.get("share_id") else {}),
        "job": {
            "id": job["id"],
            "company_id": COMPANY,
            "location_id": LOCATION,
            "reward_id": REWARD,
            "reference_number": job["referenceNumber"],
            "title": job["title"],
            "status": job["status"],
        },
        "type": "share" if row.get("share_id") else "referral",
    }


def _moment(kind: str) -> str:
    """Now, in one of the two forms that the samples have."""
    now = datetime.now(UTC)
    if kind.endswith(("hired", "closed")):
        return now.astimezone(_ODD).isoformat(timespec="milliseconds").replace("+01:39", "+0139")
    return now.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
