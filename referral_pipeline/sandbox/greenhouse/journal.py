"""What one request or act has changed: for each row, how it was before.

Belongs here: noting changes of rows, and when an application got its referral tag. Does not belong here: what a change
means to others (`events.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from referral_pipeline.sandbox.greenhouse.schema import Row

WATCHED = ("candidates", "applications", "offers", "jobs", "job_posts")
"""The tables whose changes the vendor tells others."""

_TAG = "referral_id"


@dataclass(frozen=True)
class Changes:
    """Rows as they were before, in the order of their first change (None: new), and what was anonymized."""

    before: Mapping[tuple[str, int], Row | None]
    anonymized: Mapping[int, list[str]]


@dataclass
class Journal:
    """The changes since the last flush. `arrivals` lists when applications got a referral's tag."""

    told: Callable[[Changes], None] | None = None
    before: dict[tuple[str, int], Row | None] = field(default_factory=dict[tuple[str, int], Row | None])
    anonymized: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    arrivals: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def note(self, entity: str, row_id: int, old: Row | None, new: Row | None) -> None:
        """A row is about to count as changed."""
        self.before.setdefault((entity, row_id), old)
        if entity == "applications" and new is not None:
            tag = _tag(new)
            if tag is not None and (old is None or _tag(old) != tag):
                arrival = {"application_id": row_id, "candidate_id": new["candidate_id"], "referral_id": tag}
                self.arrivals.append({**arrival, "at": time.time()})

    def flush(self) -> None:
        """Tell what has changed, and start anew."""
        if self.before or self.anonymized:
            changes = Changes(self.before, self.anonymized)
            self.before, self.anonymized = {}, {}
            if self.told is not None:
                self.told(changes)


def _tag(row: Row) -> str | None:
    entry = (row["custom_fields"] or {}).get(_TAG)
    return None if entry is None or entry["value"] in (None, "") else str(entry["value"])
