"""Offers and their versions.

Belongs here: creating, changing (a new row when it matters), sending, answering and voiding an offer. Does not belong
here: what an offer means for the application (`hiring.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from referral_pipeline.sandbox.greenhouse.errors import unprocessable
from referral_pipeline.sandbox.greenhouse.schema import Row
from referral_pipeline.sandbox.greenhouse.store import GreenhouseStore
from referral_pipeline.sandbox.greenhouse.times import stamp


def current_offer(store: GreenhouseStore, application_id: int) -> Row | None:
    """The newest version of an application's offer, unless it is deprecated."""
    versions = store.find("offers", "application_id", application_id)
    newest = max(versions, key=lambda row: (row["version"], row["id"]), default=None)
    return None if newest is None or newest["status"] == "Deprecated" else newest


def create_offer(store: GreenhouseStore, application: Row, values: Mapping[str, Any], at: datetime) -> Row:
    """Make the first version of an offer, or a further one after a declined or void offer."""
    if application["prospect"] or application["status"] != "in_process":
        raise unprocessable("An offer needs an application in process on a job")
    present = current_offer(store, application["id"])
    if present is not None and present["status"] != "Rejected":
        raise unprocessable("Application already has an offer")
    versions = [row["version"] for row in store.find("offers", "application_id", application["id"])]
    open_ones = [row["id"] for row in store.find("openings", "job_id", application["job_id"]) if row["open"]]
    if values.get("opening_id") is not None and values["opening_id"] not in open_ones:
        raise unprocessable("Opening does not exist or is not open on this job")
    if present is not None:
        store.update("offers", present["id"], at=at, status="Deprecated")
    opening_id = values.get("opening_id", open_ones[0] if len(open_ones) == 1 else None)
    return store.insert(
        "offers",
        {
            "custom_fields": {},
            **values,
            "opening_id": opening_id,
            "version": max(versions, default=0) + 1,
            "application_id": application["id"],
            "job_id": application["job_id"],
            "candidate_id": application["candidate_id"],
        },
        at=at,
    )


def change_offer(store: GreenhouseStore, offer: Row, changes: Mapping[str, Any], at: datetime) -> Row:
    """Change an offer. Another start date, opening or a field marked `trigger_new_version` makes a new row."""
    if offer["status"] == "Deprecated":
        raise unprocessable("Offer is deprecated")
    if not _makes_version(store, offer, changes):
        return store.update("offers", offer["id"], at=at, **changes)
    store.update("offers", offer["id"], at=at, status="Deprecated")
    following = {key: value for key, value in offer.items() if key not in {"id", "created_at", "updated_at"}}
    fresh = {"status": "Created", "sent_on": None, "resolved_at": None, "version": offer["version"] + 1}
    return store.insert("offers", {**following, **fresh, **changes}, at=at)


def _makes_version(store: GreenhouseStore, offer: Row, changes: Mapping[str, Any]) -> bool:
    if any(key in changes and changes[key] != offer[key] for key in ("starts_on", "opening_id")):
        return True
    before, after = offer["custom_fields"], changes.get("custom_fields", offer["custom_fields"])
    triggers = {
        row["name_key"]
        for row in store.rows("custom_fields")
        if row["field_type"] == "offer" and row["trigger_new_version"]
    }
    return any(before.get(key) != after.get(key) for key in triggers)


def answer_offer(store: GreenhouseStore, offer: Row, status: str, *, resolved_at: datetime, at: datetime) -> Row:
    """Record the candidate's answer: Accepted or Rejected."""
    if offer["status"] != "Created":
        raise unprocessable(f"Offer is {offer['status']}")
    return store.update("offers", offer["id"], at=at, status=status, resolved_at=stamp(resolved_at))


def accept_open_offer(store: GreenhouseStore, application_id: int, at: datetime) -> None:
    """Accept an offer that nobody has answered, as a hire may do."""
    offer = current_offer(store, application_id)
    if offer is not None and offer["status"] == "Created":
        answer_offer(store, offer, "Accepted", resolved_at=at, at=at)


def void_open_offer(store: GreenhouseStore, application_id: int, at: datetime) -> None:
    """Void the present offer, as a rejection does."""
    offer = current_offer(store, application_id)
    if offer is not None:
        store.update("offers", offer["id"], at=at, status="Deprecated")


def reopen_offer(store: GreenhouseStore, application_id: int, at: datetime) -> None:
    """Take the answer back, as an unhire on the screen may do."""
    offer = current_offer(store, application_id)
    if offer is not None and offer["status"] == "Accepted":
        store.update("offers", offer["id"], at=at, status="Created", resolved_at=None)
