"""From changed rows to the vendor's webhooks.

Belongs here: which change is which action, for whoever made it (the API or a person on the screen). Does not belong
here: the shape of payloads (`payloads.py`), signing and sending (`sandbox.webhooks`).

The vendor tells a merge instead of the deletion of the merged candidate, and a deleted candidate instead of each of
its applications.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from referral_pipeline.sandbox.greenhouse.journal import Changes
from referral_pipeline.sandbox.greenhouse.payloads import Payloads
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event

_QUIET_COLUMNS = frozenset({"updated_at", "last_activity_at"})
_STAGE_COLUMNS = frozenset({"stage_id", "stage_name", "job_interview_stage_id"})
_STATUS_COLUMNS = frozenset({"status", "rejected_at", "rejection_reason_id"})
_BY_STATUS = {
    ("in_process", "hired"): "hire_candidate",
    ("hired", "in_process"): "unhire_candidate",
    ("in_process", "rejected"): "reject_candidate",
    ("rejected", "in_process"): "unreject_candidate",
}

Told = tuple[str, int, Row | None]
"""(action, id of the record, the row as it was when it is gone)."""


def connect(store: GreenhouseStore, emitter: Emitter) -> None:
    """Let the emitter tell what changes in the store."""
    payloads = Payloads(store)

    def told(changes: Changes) -> None:
        if emitter.is_on:
            for action, record_id, gone in actions(store, changes):
                payload = payloads.make(action, record_id, gone, changes.anonymized.get(record_id))
                emitter.emit(event_of(action, payload))

    def describe(action: str, record_id: str) -> Event:
        if not record_id.isdecimal():
            raise LookupError("id must be a number")
        with store.lock:
            return event_of(action, payloads.make(action, int(record_id), None, None))

    store.watch(told)
    emitter.describe = describe
    emitter.greeting = lambda: event_of("ping", {"web_hook_id": 4_900_000_001, "name": "referral pipeline"})


def event_of(action: str, payload: dict[str, Any]) -> Event:
    """The event with its body as the vendor writes it: everything beyond ASCII, and what HTML minds, is escaped."""
    text = json.dumps({"action": action, "payload": payload}, separators=(",", ":"))
    for letter, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(letter, escaped)
    return Event(action, subject_of(payload), text.encode("ascii"))


def subject_of(payload: dict[str, Any]) -> str | None:
    """The record that a payload is about."""
    if "application" in payload:
        return f"application:{payload['application']['id']}"
    offer: dict[str, Any] = payload.get("offer", payload)
    if "application_id" in offer:
        return f"application:{offer['application_id']}"
    for key, noun in (("person", "candidate"), ("candidate", "candidate"), ("job", "job")):
        if key in payload:
            return f"{noun}:{payload[key]['id']}"
    if "candidate_id" in payload:
        return f"candidate:{payload['candidate_id']}"
    post: dict[str, Any] = payload.get("job_post", payload)
    return f"job:{post['job_id']}" if "job_id" in post else None


def actions(store: GreenhouseStore, changes: Changes) -> Iterator[Told]:
    """What the vendor tells of these changes, in their order."""
    gone_people = {
        row_id for (entity, row_id) in changes.before if entity == "candidates" and store.get(entity, row_id) is None
    }
    gone_applications: dict[int, list[int]] = {}
    for (entity, row_id), old in changes.before.items():
        if entity == "applications" and old is not None and store.get(entity, row_id) is None:
            gone_applications.setdefault(old["candidate_id"], []).append(row_id)
    for (entity, row_id), old in changes.before.items():
        new = store.get(entity, row_id)
        if old is None and new is None:
            continue
        if entity == "applications":
            if new is not None or (old and old["candidate_id"] not in gone_people):
                yield from _application(row_id, old, new)
        elif entity == "candidates":
            yield from _candidate(store, row_id, old, new, changes, gone_applications.get(row_id, []))
        elif entity == "offers":
            is_of_gone = old is not None and store.get("applications", old["application_id"]) is None
            if not is_of_gone:
                yield from _plain("offer", row_id, old, new)
        elif entity == "jobs":
            yield from _plain("job", row_id, old, new)
        else:
            yield from _plain("job_post", row_id, old, new)


def _application(row_id: int, old: Row | None, new: Row | None) -> Iterator[Told]:
    if new is None:
        yield "delete_application", row_id, old
        return
    if old is None:
        yield "new_prospect_application" if new["prospect"] else "new_candidate_application", row_id, None
        return
    differs = _changed(old, new)
    action = _BY_STATUS.get((old["status"], new["status"]))
    if old["prospect"] and not new["prospect"]:
        action = "new_candidate_application"
    elif action is None and differs & {"job_id", "job_interview_stage_id"}:
        action = "candidate_stage_change"
    if action is not None:
        yield action, row_id, None
    if differs - _STAGE_COLUMNS - {"job_id", "prospect", "candidate_id"} - _STATUS_COLUMNS or (
        action is None and differs & _STATUS_COLUMNS
    ):
        yield "application_updated", row_id, None


def _candidate(
    store: GreenhouseStore, row_id: int, old: Row | None, new: Row | None, changes: Changes, applications: list[int]
) -> Iterator[Told]:
    if new is None:
        gone = {**(old or {}), "deleted_application_ids": applications}
        yield "merge_candidate" if row_id in store.merged else "delete_candidate", row_id, gone
    elif row_id in changes.anonymized:
        yield "candidate_anonymized", row_id, None
    elif old is not None and _changed(old, new):
        yield "update_candidate", row_id, None


def _plain(noun: str, row_id: int, old: Row | None, new: Row | None) -> Iterator[Told]:
    if new is None:
        yield f"{noun}_deleted", row_id, old
    elif old is None:
        yield f"{noun}_created", row_id, None
    elif _changed(old, new):
        yield f"{noun}_updated", row_id, None


def _changed(old: Row, new: Row) -> set[str]:
    return {column for column, value in new.items() if old.get(column) != value} - _QUIET_COLUMNS
