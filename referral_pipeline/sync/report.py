"""What a run of the sync did, in counts that a person and a test can compare.

Belongs here: tallies and failures without personal data. Does not belong here: logging, metrics, decisions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock


@dataclass(frozen=True)
class SyncFailure:
    """One write that did not happen. `subject` is an id (person, referral, job); `error` holds no personal data."""

    subject: str
    operation: str
    error: str
    transient: bool


@dataclass
class SyncReport:
    """Counts by name, gate outcomes by reason, and failures; safe to fill from several threads."""

    counts: Counter[str] = field(default_factory=Counter[str])
    blocked: Counter[str] = field(default_factory=Counter[str])
    failures: list[SyncFailure] = field(default_factory=list[SyncFailure])
    touched_applications: set[str] = field(default_factory=set[str])
    created_applications: set[str] = field(default_factory=set[str])
    updated_candidates: set[str] = field(default_factory=set[str])
    _held: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self.counts[name] += by

    def block(self, referral_id: str, reason: str) -> None:
        """Count a referral that the gate held back; once, under its latest reason, however often it is judged."""
        with self._lock:
            before = self._held.get(referral_id)
            if before is not None:
                self.blocked[before] -= 1
            self._held[referral_id] = reason
            self.blocked[reason] += 1

    def update(self, candidate_id: str) -> None:
        """Count an application of this candidate that was brought up to date."""
        with self._lock:
            self.counts["applications_updated"] += 1
            self.updated_candidates.add(candidate_id)

    def touch(self, application_id: str, *, created: bool = False) -> None:
        """Remember an application that was written, so that its rows are read again after the write."""
        with self._lock:
            self.touched_applications.add(application_id)
            if created:
                self.created_applications.add(application_id)

    def fail(self, failure: SyncFailure) -> None:
        """Record a failure."""
        with self._lock:
            self.failures.append(failure)
