"""What public sources about HubSpot leave open, what an account's plan decides, and how fast it may be called.

Belongs here: one field per question. Does not belong here: what is certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

CONTACTS_READ = "crm.objects.contacts.read"
CONTACTS_WRITE = "crm.objects.contacts.write"
SCHEMAS_READ = "crm.schemas.contacts.read"
SCHEMAS_WRITE = "crm.schemas.contacts.write"
SCOPES = (CONTACTS_READ, CONTACTS_WRITE, SCHEMAS_READ, SCHEMAS_WRITE)


class HubSpotSwitches(BaseModel):
    """One setting of all switches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_limit: int = Field(default=190, ge=1)
    """Calls in ten seconds. Documented (190 for paid accounts, 100 for free ones)."""
    search_per_second: int = Field(default=5, ge=1)
    """Searches in one second. Documented (5; 4 in older texts)."""
    daily_limit: int = Field(default=650_000, ge=1)
    """Calls a day. Documented by plan."""
    search_lag_seconds: float = Field(default=1.0, ge=0)
    """How long a new or changed contact may stay unseen by search. "A few moments" in the documentation."""
    conflict_tells_id: bool = True
    """"Existing ID: 1" in the message of a conflict: seen in reports, missing in the published sample."""
    blocklist: bool = True
    """Whether the address of a person who was erased is refused afterwards. Documented as "added to a blocklist"; how
    the API answers is not."""
    scopes: tuple[str, ...] = SCOPES
    """What the private app was granted."""
    operations_absent: tuple[str, ...] = ()
    """Operations that this account does not have: 404."""
    operations_forbidden: tuple[str, ...] = ()
    """Operations that are refused: 403."""

    def changed(self, changes: Mapping[str, Any]) -> HubSpotSwitches:
        """These with changes. pydantic.ValidationError for what is unknown."""
        return HubSpotSwitches.model_validate({**self.model_dump(), **changes})
