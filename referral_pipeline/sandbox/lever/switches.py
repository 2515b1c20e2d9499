"""What public sources about Lever leave open, and how fast it may be called.

Belongs here: one field per open question beside those of the store. Does not belong here: what is certain.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from referral_pipeline.sandbox.greenhouse.switches import Switches


class LeverSwitches(Switches):
    """One setting of all switches. Those of the store stay in force as far as they mean anything here."""

    duplicate_application: Literal["refused", "refused_any", "allowed"] = "allowed"
    """A second opportunity on the same posting. Certain: a repeated create makes one."""
    calls_per_second: float = Field(default=10, gt=0)
    """What refills the bucket. Documented (10); settable so that a test or a demonstration need not wait."""
    burst: float = Field(default=20, ge=1)
    """What the bucket holds. Documented (20)."""
    archived_shape: Literal["nested", "flat"] = "nested"
    """`archived: {reason, archivedAt}`, or `archivedAt` and `archiveReason` as the published sample shows."""
    create_tells_deduped: bool = True
    """`deduped: true` beside `data` where an address led to a contact: recorded live, in no document."""
    updated_at: Literal["present", "null_when_old"] = "present"
    """`updatedAt` of opportunities that were made before the field was."""
    personal_data: Literal["shown", "withheld_when_archived"] = "shown"
    """Name and addresses of archived opportunities came back empty to a key of narrow scope."""
    webhook_create_answer: Literal["single", "double"] = "single"
    """One `data` as recorded live, or `data.data` as documented."""
