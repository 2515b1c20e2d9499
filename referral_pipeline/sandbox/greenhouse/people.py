"""What may happen to a candidate, whoever does it: create, change, tag, merge, anonymize, delete.

Belongs here: the rules and their traces in other tables. Does not belong here: applications (`hiring.py`), shapes of
requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse.errors import unprocessable
from referral_pipeline.sandbox.greenhouse.hiring import delete_application
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore

_EMAIL = re.compile(r"[^\s@,;]+@[^\s@,;]+\.[^\s@,;]+")
_CONTACTS = ("phone_numbers", "addresses", "email_addresses", "website_addresses", "social_media_addresses")
_CLEARED = ("preferred_name", "company", "title")

ANONYMIZED: Mapping[str, Mapping[str, Any]] = {
    "full_name": {},
    "current_company": {"company": None},
    "current_title": {"title": None},
    "tags": {"tags": []},
    "phone_numbers": {"phone_numbers": []},
    "emails": {"email_addresses": []},
    "social_media_links": {"social_media_addresses": []},
    "websites": {"website_addresses": []},
    "addresses": {"addresses": []},
    "custom_candidate_fields": {"custom_fields": {}},
    "location": {},
    "source": {},
    "recruiter": {},
    "coordinator": {},
    "attachments": {},
    "application_questions": {},
    "referral_questions": {},
    "notes": {},
    "rejection_notes": {},
    "email_addresses": {"email_addresses": []},
    "activity_items": {},
    "innotes": {},
    "inmails": {},
    "rejection_reason": {},
    "scorecards_and_interviews": {},
    "offers": {},
    "credited_to": {},
    "headline": {},
    "all_offer_versions": {},
    "follow_up_reminder": {},
    "custom_application_fields": {},
    "education": {},
    "employment": {},
    "candidate_stage_data": {},
    "prospect_jobs": {},
    "prospect_owner": {},
    "custom_rejection_question_fields": {},
    "touchpoints": {},
}
"""What can be anonymized (the vocabulary of v1, the only one published), and what each empties on the candidate."""


def prepare(store: GreenhouseStore, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Columns for what was written: the read side's names, tags made or refused, texts cleared, e-mails checked."""
    columns = dict(values)
    if "is_private" in columns:
        columns["private"] = columns.pop("is_private")
    for column in _CLEARED:
        if columns.get(column) == "":
            columns[column] = None
    for item in columns.get("email_addresses", ()):
        if not _EMAIL.fullmatch(item["value"]):
            raise unprocessable("Email address is invalid")
    for user_id in columns.get("linked_user_ids", ()):
        if store.get("users", user_id) is None:
            raise unprocessable("Linked user does not exist")
    if "tags" in columns:
        columns["tags"] = list(dict.fromkeys(columns["tags"]))
        for name in columns["tags"]:
            tag_named(store, name, at)
    return columns


def tag_named(store: GreenhouseStore, name: str, at: datetime) -> Row:
    """The tag of this name (case counts), made when the switch says so."""
    found = store.find("candidate_tags", "name", name)
    if found:
        return found[0]
    if store.switches.unknown_tag == "refused":
        raise unprocessable("Tag does not exist")
    return store.insert("candidate_tags", {"name": name}, at=at)


def create_candidate(store: GreenhouseStore, columns: Mapping[str, Any], at: datetime) -> Row:
    """Store a new candidate. Duplicates are not refused."""
    row = store.insert("candidates", columns, at=at)
    _sync_applied_tags(store, row, at)
    return row


def change_candidate(store: GreenhouseStore, candidate_id: int, columns: Mapping[str, Any], at: datetime) -> Row:
    """Change a candidate; lists are whole lists."""
    row = store.update("candidates", candidate_id, at=at, **columns)
    _sync_applied_tags(store, row, at)
    return row


def _sync_applied_tags(store: GreenhouseStore, candidate: Row, at: datetime) -> None:
    """Keep the applied tag rows equal to the tag names on the candidate."""
    wanted = {store.find("candidate_tags", "name", name)[0]["id"] for name in candidate["tags"]}
    held = {
        row["candidate_tag_id"]: row["id"]
        for row in store.find("applied_candidate_tags", "candidate_id", candidate["id"])
    }
    for tag_id in sorted(wanted - set(held)):
        store.insert("applied_candidate_tags", {"candidate_id": candidate["id"], "candidate_tag_id": tag_id}, at=at)
    for tag_id in set(held) - wanted:
        store.delete("applied_candidate_tags", held[tag_id])


def merge(store: GreenhouseStore, primary: Row, secondary: Row, at: datetime) -> Row:
    """Merge: contacts, tags and applications move to the primary, the secondary is deleted."""
    if primary["id"] == secondary["id"]:
        raise unprocessable("A candidate cannot be merged with itself")
    changes: dict[str, Any] = {
        column: [*primary[column], *(item for item in secondary[column] if not _holds(primary[column], item))]
        for column in _CONTACTS
    }
    changes["tags"] = list(dict.fromkeys([*primary["tags"], *secondary["tags"]]))
    changes["custom_fields"] = {**(secondary["custom_fields"] or {}), **(primary["custom_fields"] or {})}
    last = [moment for moment in (primary["last_activity_at"], secondary["last_activity_at"]) if moment]
    changes["last_activity_at"] = max(last, default=None)
    for entity in ("applications", "offers", "notes"):
        for row in store.find(entity, "candidate_id", secondary["id"]):
            store.update(entity, row["id"], at=at, candidate_id=primary["id"])
    _delete_person(store, secondary["id"])
    store.merged[secondary["id"]] = primary["id"]
    row = change_candidate(store, primary["id"], changes, at)
    return store.touch("candidates", row["id"], at)  # also when the secondary brought nothing new


def _holds(items: Sequence[Mapping[str, Any]], item: Mapping[str, Any]) -> bool:
    return any(str(held["value"]).casefold() == str(item["value"]).casefold() for held in items)


def anonymize(store: GreenhouseStore, candidate: Row, fields: Sequence[str], at: datetime) -> Row:
    """Empty the fields named, for good."""
    unknown = [name for name in fields if name not in ANONYMIZED]
    if unknown:
        raise unprocessable(f"{unknown[0][:40]} cannot be anonymized")
    changes: dict[str, Any] = {}
    for name in fields:
        changes.update(ANONYMIZED[name])
    if "full_name" in fields:
        changes.update(first_name="Anonymized", last_name=str(candidate["id"]), preferred_name=None)
    applications: dict[str, Any] = {}
    if "custom_application_fields" in fields:
        applications["custom_fields"] = {}
    if "source" in fields:
        applications["source_id"] = None
    if "credited_to" in fields:
        applications["referrer_id"] = None
    if "application_questions" in fields:
        applications["answers"] = []
    if applications:
        for row in store.find("applications", "candidate_id", candidate["id"]):
            store.update("applications", row["id"], at=at, **applications)
    store.anonymized.add(candidate["id"])
    store.journal.anonymized[candidate["id"]] = list(fields)
    return change_candidate(store, candidate["id"], changes, at)


def delete_candidate(store: GreenhouseStore, candidate_id: int, at: datetime) -> None:
    """Delete a candidate with all applications, for good."""
    for row in store.find("applications", "candidate_id", candidate_id):
        delete_application(store, row["id"], at)
    for row in store.find("notes", "candidate_id", candidate_id):
        store.delete("notes", row["id"])
    _delete_person(store, candidate_id)


def _delete_person(store: GreenhouseStore, candidate_id: int) -> None:
    for row in store.find("applied_candidate_tags", "candidate_id", candidate_id):
        store.delete("applied_candidate_tags", row["id"])
    store.delete("candidates", candidate_id)
