"""What has been told and is not over: each open alert once, for whoever looks at health.

Belongs here: an open alert in short, read from its rows in the ledger. Does not belong here: firing and telling
(alerts), drawing (page, the command line).

Nothing in it is personal data: an alert's name and subject are names of ours and ids. Its sentence is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from referral_pipeline.ledger.records import AlertRecord
from referral_pipeline.ledger.store import Ledger

_ROWS = 1000


@dataclass(frozen=True)
class StandingAlert:
    """An alert that is open. `times` is how often it happened, or how many there are, as its message tells it."""

    name: str
    subject: str
    severity: str
    since: datetime
    times: int

    def as_json(self) -> dict[str, Any]:
        """Every field in a form that goes into JSON."""
        return {
            "name": self.name,
            "subject": self.subject,
            "severity": self.severity,
            "since": self.since.astimezone(UTC).isoformat(),
            "times": self.times,
        }


def open_alerts(ledger: Ledger) -> tuple[StandingAlert, ...]:
    """Every open alert, errors first, then the newest first; one that was told on several channels counts once."""
    found: dict[str, StandingAlert] = {}
    for record in ledger.alerts(open_only=True, limit=_ROWS):
        one = StandingAlert(
            name=record.name,
            subject=record.fingerprint.removeprefix(f"{record.name}/"),
            severity=record.severity,
            since=since_of(record),
            times=count_of(record),
        )
        before = found.setdefault(record.fingerprint, one)
        if before.times < one.times:
            found[record.fingerprint] = one
    return tuple(sorted(found.values(), key=lambda one: (one.severity != "error", -one.since.timestamp())))


def since_of(record: AlertRecord) -> datetime:
    """Since when: as whoever fired it knew, else since it was fired."""
    since = record.details.get("since")
    return datetime.fromisoformat(since) if since else record.fired_at


def count_of(record: AlertRecord) -> int:
    """How many: as whoever fired it knew, or how often it was fired; the larger."""
    count = record.details.get("count")
    return max(record.times, count) if isinstance(count, int) else record.times
