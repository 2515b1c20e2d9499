"""Greenhouse's endpoints as data, and the two ways of reading them: whole lists by pages, and rows by ids.

Belongs here: paths, parameters, the limits of a request, skipping rows without id. Does not belong here: what rows
mean.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from referral_pipeline.connectors.failures import Invalid
from referral_pipeline.connectors.greenhouse_models import SYSTEM
from referral_pipeline.connectors.http import HttpClient
from referral_pipeline.connectors.records import Entity, Row, Window
from referral_pipeline.connectors.values import instant_text

_LOG = logging.getLogger(__name__)

PAGE_SIZE = 500
"""The largest page; more is refused, not cut."""
IDS_AT_ONCE = 50
"""The longest list of ids in one request."""
_RESTARTS = 2
"""How often a pull begins again when its cursor is refused (a cursor has a life, and nobody says how long)."""


@dataclass(frozen=True)
class Endpoint:
    """One list: its name is its path and its entity. `params` go with every first request."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])


PULLED: Mapping[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint("jobs"),
        Endpoint("job_interview_stages"),
        # Without the text of the post, which is most of its size and of no use here.
        Endpoint(
            "job_posts",
            {"fields": "id,created_at,updated_at,job_id,title,internal,active,live,public_url,location"},
        ),
        Endpoint("candidates"),
        Endpoint("applications"),
        Endpoint("application_stages"),
        Endpoint("offers"),
        Endpoint("openings"),
        Endpoint("sources"),
        Endpoint("rejection_details"),
        # The built-in reasons, among them most that mean a withdrawal, are hidden unless asked for.
        Endpoint("rejection_reasons", {"include_defaults": "true"}),
        Endpoint("departments"),
    )
}
"""What is pulled into the warehouse. Users are not: employees' data is only looked up."""

LOOKED_UP = ("custom_fields", "custom_field_options", "referrers", "users")
"""What is only looked up, when writing."""

ENTITIES: Mapping[str, Entity] = {name: Entity(name) for name in PULLED}


class GreenhouseApi:
    """Reads lists. Safe for threads. `skipped` counts the rows without id, by entity."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.skipped: Counter[str] = Counter()
        self._one_sided = False
        self._lock = threading.Lock()

    def pull(self, entity: str, window: Window) -> Iterator[list[Row]]:
        """(3) Pages of what changed in the window, newest first."""
        endpoint = PULLED[entity]
        refused = 0
        while True:
            seen_any = False
            try:
                for rows in self._pull_once(endpoint, window):
                    seen_any = True
                    yield rows
            except Invalid as failure:
                if not seen_any and self._window_refused(window):
                    continue
                # A cursor that was refused midway: begin again, rows may come twice.
                refused += 1
                if not seen_any or refused > _RESTARTS:
                    raise
                _LOG.info("greenhouse %s: the cursor was refused (%s); the pull begins again", entity, failure.status)
            else:
                return

    def _pull_once(self, endpoint: Endpoint, window: Window) -> Iterator[list[Row]]:
        params = {"per_page": str(PAGE_SIZE), **endpoint.params}
        if window.since is not None:
            params["updated_at"] = f"gte|{instant_text(window.since)}"
            if not self._one_sided:
                params["updated_at"] += f"|lte|{instant_text(window.until)}"
        for answer in self.client.pages(f"{endpoint.name}.list", endpoint.name, params):
            yield self._rows(endpoint.name, answer.data)

    def _window_refused(self, window: Window) -> bool:
        """Whether to try again one-sided: sources disagree on whether both sides may be given."""
        with self._lock:
            if window.since is None or self._one_sided:
                return False
            self._one_sided = True
        _LOG.info("greenhouse takes no two-sided updated_at here; one side is used")
        return True

    def list_all(self, entity: str, params: Mapping[str, str] | None = None) -> Iterator[Row]:
        """Every row of a list."""
        sent = {"per_page": str(PAGE_SIZE), **(params or {})}
        for answer in self.client.pages(f"{entity}.list", entity, sent):
            yield from self._rows(entity, answer.data)

    def first_page(
        self, entity: str, params: Mapping[str, str] | None = None, *, per_page: int = PAGE_SIZE
    ) -> tuple[list[Row], bool]:
        """The newest rows, and whether there are more."""
        sent = {"per_page": str(per_page), **(params or {})}
        answer = self.client.get(f"{entity}.list", entity, sent)
        return self._rows(entity, answer.data), answer.next_url is not None

    def by_ids(
        self, entity: str, ids: Iterable[str], *, by: str = "ids", params: Mapping[str, str] | None = None
    ) -> list[Row]:
        """(1) Rows by their own ids or a parent's (`by`), in as few requests as the limit allows.

        Ids that are not numbers name nothing here and are left out.
        """
        wanted = sorted({item for item in ids if item.isascii() and item.isdigit()}, key=int)
        rows: list[Row] = []
        for start in range(0, len(wanted), IDS_AT_ONCE):
            chunk = ",".join(wanted[start : start + IDS_AT_ONCE])
            rows.extend(self.list_all(entity, {by: chunk, **(params or {})}))
        return rows

    def _rows(self, entity: str, data: object) -> list[Row]:
        """(4) The rows of a page; entries that are no row (`{message}`) are skipped and counted."""
        if not isinstance(data, list):
            raise Invalid(SYSTEM, f"{entity}.list", detail="the answer is no list")
        entries = cast("list[Any]", data)
        rows = [cast("Row", entry) for entry in entries if isinstance(entry, dict) and entry.get("id") is not None]
        if len(rows) < len(entries):
            with self._lock:
                self.skipped[entity] += len(entries) - len(rows)
        return rows


def number(entity: str, value: str) -> int:
    """An id as the number that a body wants.

    Raises:
        Invalid: When it is none; nothing is sent then.
    """
    if value.isascii() and value.isdigit():
        return int(value)
    raise Invalid(SYSTEM, f"{entity}.read", detail="the id is not one of Greenhouse")
