"""Ashby's ids: UUIDs made from the ids of the store, and read back from them.

Belongs here: both directions, and which column of which row holds an id of what. Does not belong here: anything else.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

_UUID = re.compile(r"([0-9a-f]{8})-0000-4000-8000-([0-9a-f]{12})")

ENTITIES = (
    "candidates",
    "applications",
    "application_stages",
    "jobs",
    "job_interview_stages",
    "job_posts",
    "openings",
    "offers",
    "users",
    "referrers",
    "custom_fields",
    "custom_field_options",
    "sources",
    "rejection_reasons",
    "rejection_details",
    "departments",
    "offices",
    "close_reasons",
    "candidate_tags",
    "applied_candidate_tags",
    "notes",
    "tracking_links",
)
"""Tables of the store. Beside them: what Ashby has and the store has not, each named after the row it hangs on."""
INTERVIEW_PLANS = "interview_plans"
"""By job."""
LEAD_STAGES, HIRED_STAGES, ARCHIVED_STAGES = "lead_stages", "hired_stages", "archived_stages"
"""By job."""
ENDS = "ends"
"""The last item of the history of an application that has ended, by application."""
OFFER_PROCESSES = "offer_processes"
"""An offer with all its versions, by application."""

_MARKS: Mapping[str, str] = {
    entity: f"{zlib.crc32(entity.encode()):08x}"
    for entity in (*ENTITIES, INTERVIEW_PLANS, LEAD_STAGES, HIRED_STAGES, ARCHIVED_STAGES, ENDS, OFFER_PROCESSES)
}
_BY_MARK: Mapping[str, str] = {mark: entity for entity, mark in _MARKS.items()}

COLUMNS: Mapping[str, str] = {
    "candidate_id": "candidates",
    "application_id": "applications",
    "job_id": "jobs",
    "job_interview_stage_id": "job_interview_stages",
    "stage_id": "application_stages",
    "source_id": "sources",
    "referrer_id": "referrers",
    "user_id": "users",
    "recruiter_id": "users",
    "coordinator_id": "users",
    "rejected_by_id": "users",
    "opening_id": "openings",
    "job_post_id": "job_posts",
    "department_id": "departments",
    "rejection_reason_id": "rejection_reasons",
    "close_reason_id": "close_reasons",
    "custom_field_id": "custom_fields",
    "candidate_tag_id": "candidate_tags",
    "rejection_note_id": "notes",
    "copied_from_id": "jobs",
}
"""What a column that names one record names; with an s for several."""


def uuid_of(entity: str, row_id: int) -> str:
    """The UUID of a record."""
    return f"{_MARKS[entity]}-0000-4000-8000-{row_id:012x}"


def uuid_or_none(entity: str, row_id: int | None) -> str | None:
    """The UUID of a record that there may be."""
    return None if row_id is None else uuid_of(entity, row_id)


def read(text: str) -> tuple[str, int] | None:
    """(entity, id) of a UUID of ours; None for any other text."""
    found = _UUID.fullmatch(text)
    entity = _BY_MARK.get(found[1]) if found else None
    return None if found is None or entity is None else (entity, int(found[2], 16))


def id_of(entity: str, text: str) -> int | None:
    """The store's id of a UUID, None when it is not one of this entity."""
    found = read(text)
    return found[1] if found is not None and found[0] == entity else None


def outward(entity: str | None, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the store with UUIDs instead of ids. `entity` None: a row that has no id of its own."""
    shown = dict(row)
    if entity is not None and isinstance(shown.get("id"), int):
        shown["id"] = uuid_of(entity, shown["id"])
    for column, named in COLUMNS.items():
        if entity == "openings" and column == "opening_id":
            continue  # there it is a text that people chose
        if isinstance(shown.get(column), int):
            shown[column] = uuid_of(named, shown[column])
        several = shown.get(f"{column}s")
        if isinstance(several, list):
            shown[f"{column}s"] = [uuid_of(named, one) if isinstance(one, int) else one for one in several]
    return shown


def inward(value: Any) -> Any:
    """What a person's act names, with the store's ids for UUIDs wherever they stand."""
    if isinstance(value, str):
        found = read(value)
        return found[1] if found is not None else value
    if isinstance(value, list):
        return [inward(one) for one in value]
    if isinstance(value, dict):
        return {key: inward(one) for key, one in value.items()}
    return value
