"""What an Ashby knows beside the rows of the store: what changed when, leads, the key, the switches.

Belongs here: the order of changes that syncTokens are told by, sealed texts (cursors, tokens), leads. Does not belong
here: rows (`sandbox.greenhouse.store`), paging (`paging`).
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.ashby.switches import Switches
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.switches import Switches as StoreSwitches

_OF: Mapping[str, tuple[str, str]] = {
    "candidates": ("candidates", "id"),
    "applications": ("applications", "id"),
    "application_stages": ("applications", "application_id"),
    "openings": ("applications", "application_id"),
    "offers": ("offers", "application_id"),
    "jobs": ("jobs", "id"),
    "job_posts": ("jobs", "job_id"),
}
"""Table of the store -> (what of Ashby changes with it, the column that names that)."""

ApplicationHook = Callable[[Row, Row], None]


class World:
    """One Ashby over a store. Callers hold the store's lock.

    Make it after the webhooks are connected to the store: it listens to the same changes.
    """

    def __init__(
        self,
        store: GreenhouseStore,
        switches: Switches,
        *,
        api_key: str,
        on_application_created: ApplicationHook | None = None,
    ) -> None:
        self.store = store
        self.api_key = api_key
        self.on_application_created = on_application_created
        self.leads: set[int] = set()
        self.webhooks: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, dict[int, int]] = {kind: {} for kind, _ in _OF.values()}
        self._sequence = 0
        self._key = secrets.token_bytes(32)
        self.switches = switches
        self.set_switches(switches)
        for table in store.tables.values():
            table.on_change = self._listening(table.on_change)

    def set_switches(self, switches: Switches) -> None:
        """Take new switches; those that the rules of the store ask for too go there."""
        self.switches = switches
        self.store.switches = StoreSwitches(
            visibility_lag_seconds=switches.visibility_lag_seconds,
            duplicate_application=switches.duplicate_application,
            custom_fields_patch="merge",
            select_write="id_or_name",
        )

    def now(self) -> datetime:
        """The server's time."""
        return self.store.clock()

    # ------------------------------------------------------------ what changed

    @property
    def sequence(self) -> int:
        """How many changes there were."""
        return self._sequence

    def changed_at(self, kind: str, row_id: int) -> int:
        """The number of a record's newest change; 0 for one that is as it was loaded."""
        return self._changed.get(kind, {}).get(row_id, 0)

    def _listening(
        self, told: Callable[[str, int, Row | None, Row | None], None] | None
    ) -> Callable[[str, int, Row | None, Row | None], None]:
        def listen(entity: str, row_id: int, old: Row | None, new: Row | None) -> None:
            if told is not None:
                told(entity, row_id, old, new)
            if entity not in _OF:
                return
            kind, column = _OF[entity]
            self._sequence += 1
            for row in (old, new):
                if row is not None and row[column] is not None:
                    self._changed[kind][int(row[column])] = self._sequence
            if entity == "applications" and old is not None:
                moved = new is None or (old["job_interview_stage_id"], old["status"]) != (
                    new["job_interview_stage_id"],
                    new["status"],
                )
                # A lead that anything happened to is one no longer; entering its first stage is part of being made.
                if moved and old["job_interview_stage_id"] is not None:
                    self.leads.discard(row_id)

        return listen

    # ------------------------------------------------------------ sealed texts

    def sealed(self, content: Mapping[str, Any]) -> str:
        """A text that only this server can read or write."""
        raw = json.dumps(content, separators=(",", ":")).encode()
        mark = hmac.digest(self._key, raw, "sha256")[:9]
        return base64.urlsafe_b64encode(mark + raw).decode().rstrip("=")

    def opened(self, text: str) -> dict[str, Any] | None:
        """The content of a sealed text; None for any other."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        if not hmac.compare_digest(hmac.digest(self._key, raw[9:], "sha256")[:9], raw[:9]):
            return None
        return json.loads(raw[9:])
