"""How stored rows look on the wire under the present switches.

Belongs here: everything a switch does to a row that is shown. Does not belong here: which rows are shown (`lists.py`).
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from referral_pipeline.sandbox.greenhouse.schema import CUSTOM_FIELD_TYPES, Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.switches import Switches
from referral_pipeline.sandbox.greenhouse.times import read_stamp

_TERMINAL = frozenset({"rejected", "hired"})
_STAGE_COLUMNS = ("stage_id", "job_interview_stage_id", "stage_name")
NEWER_APPLICATION_FIELDS = ("job_interview_stage_id", "rejection_reason_id")
"""Application columns that the documents of March and July do not know."""

_CUSTOM_FIELD_COLUMNS = ("custom_fields", "question_custom_fields")


def show(store: GreenhouseStore, entity: str, row: Row) -> Row:
    """One row as the API answers it."""
    switches = store.switches
    shown = stage_view(entity, row, switches)
    if entity == "applications":
        shown = _application(shown, switches)
    elif entity == "offers" and switches.offer_dates == "datetime":
        shown = shown | {day: _as_datetime(shown[day]) for day in ("starts_on", "sent_on")}
    elif entity == "users" and switches.user_emails != "list":
        shown = {key: value for key, value in shown.items() if key != "emails"}
        if switches.user_emails == "null":
            shown["emails"] = None
    elif entity == "application_stages":
        shown = {**shown, "days_in_stage": _days_in_stage(store, shown)}
    for column in _CUSTOM_FIELD_COLUMNS:
        if column in row:
            shown = shown | {column: _custom_fields(store, entity, row[column])}
    if switches.undocumented_fields:
        shown = shown | {"undocumented": {"anything": [1, None]}}
    if switches.stamps != "millis_z":
        shown = {key: _restamp(value, switches) if key.endswith("_at") else value for key, value in shown.items()}
    return shown


def stage_view(entity: str, row: Row, switches: Switches) -> Row:
    """A row with its stage as filters and readers see it: of an application in a terminal state perhaps emptied."""
    if entity != "applications":
        return row
    if switches.terminal_stage == "nulled" and row["status"] in _TERMINAL:
        return {**row, **dict.fromkeys(_STAGE_COLUMNS)}
    if switches.stage_id_shows == "job_interview_stage":
        return {**row, "stage_id": row["job_interview_stage_id"]}
    return row


def _application(row: Row, switches: Switches) -> Row:
    shown = row
    if not switches.newer_application_fields:
        shown = {key: value for key, value in row.items() if key not in NEWER_APPLICATION_FIELDS}
    if switches.answers == "null":
        shown = {**shown, "answers": None}
    elif switches.answers == "null_answers":
        shown = {**shown, "answers": [*shown["answers"], {"question": "Anything else?", "answer": None}]}
    return shown


def _custom_fields(store: GreenhouseStore, entity: str, values: dict[str, Any] | None) -> dict[str, Any] | None:
    switches = store.switches
    shown = dict(values or {})
    if switches.custom_field_map == "all_defined":
        wanted = CUSTOM_FIELD_TYPES[entity]
        for definition in store.rows("custom_fields"):
            if definition["field_type"] == wanted and definition["active"]:
                empty = {"name": definition["name"], "type": definition["value_type"], "value": None}
                shown.setdefault(definition["name_key"], empty)
    if switches.number_values == "string":
        shown = {key: _number_as_text(entry) for key, entry in shown.items()}
    if not shown and switches.empty_custom_fields == "null":
        return None
    return shown


def _number_as_text(entry: dict[str, Any]) -> dict[str, Any]:
    if entry["type"] == "number" and entry["value"] is not None:
        return {**entry, "value": str(entry["value"])}
    return entry


def _as_datetime(day: str | None) -> str | None:
    return None if day is None else f"{day}T00:00:00.000Z"


def _days_in_stage(store: GreenhouseStore, row: Row) -> int:
    if row["entered_at"] is None or row["entered_at"] == row["exited_at"]:
        return 0
    end = store.clock() if row["exited_at"] is None else read_stamp(row["exited_at"])
    return max(0, (end - read_stamp(row["entered_at"])).days)


def _restamp(value: Any, switches: Switches) -> str | None:
    if value is None:
        return None
    moment = read_stamp(value).astimezone(UTC)
    if switches.stamps == "seconds_z":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.isoformat(timespec="milliseconds")
