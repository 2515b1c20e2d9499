"""Where public sources about Ashby are silent: one field per open question, its default the likelier reading.

Belongs here: the questions. Does not belong here: what is certain. A client must work under every setting.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    """One setting of all switches. Frozen: a change makes a new one (`changed`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rate_limit: int = Field(default=1_000, ge=1)
    """Calls per key and minute. No number is published."""
    visibility_lag_seconds: float = Field(default=0, ge=0)
    """How long what was made through the API stays out of lists and searches (`*.info` shows it at once)."""
    permissions_missing: tuple[str, ...] = ()
    """Permissions that the key lacks, such as candidatesWrite: HTTP 403 with missing_endpoint_permission."""
    operations_forbidden: tuple[str, ...] = ()
    """Calls, such as candidate.create, that the key may not make: HTTP 403 with missing_endpoint_permission."""
    operations_absent: tuple[str, ...] = ()
    """Calls, such as referral.create, that the plan does not have (404)."""
    default_limit: int = Field(default=100, ge=1, le=100)
    """Rows of a page when nobody says how many. Documented: 100; settable so that a test need not make so many."""
    cursor_lifetime_seconds: float | None = Field(default=None, gt=0)
    """Life of a cursor (next_cursor_expired); nobody says how long. None: no end."""
    sync_tokens: bool = True
    """Whether the last page brings a syncToken. Optional in the specification."""
    sync_token_lifetime_seconds: float | None = Field(default=None, gt=0)
    """Life of a syncToken (sync_token_expired)."""
    incremental_sync_limit: int | None = Field(default=None, ge=0)
    """More changes than these are refused: incremental_sync_too_large."""
    cleared_field: Literal["absent", "empty_text"] = "absent"
    """What is shown of a custom field to which an empty text was written. The specification knows no null."""
    phone_update: Literal["replaces", "adds"] = "replaces"
    """What candidate.update does to a phone number that is there when it is given another."""
    duplicate_application: Literal["allowed", "refused"] = "allowed"
    """A second application of a candidate on one job. Allowed by default: it must be the client that takes care."""
    webhook_ping: Literal["answered", "refused"] = "answered"
    """What the ping meets that follows a registration: one that is refused leaves the webhook disabled."""
    referrals: bool = True
    """Whether the plan has the referral form."""

    def changed(self, changes: dict[str, Any]) -> Switches:
        """These switches with some of them changed. Raises pydantic.ValidationError for a name or value unknown."""
        return Switches.model_validate({**self.model_dump(), **changes})
