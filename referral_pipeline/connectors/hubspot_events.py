"""Reading HubSpot's webhooks: arrays of events about contacts.

Belongs here: the vendor's words for events, taking an array apart. Does not belong here: signatures, acting on them.

A contact's new values are never taken from an event: whoever acts reads the contact anew. `eventId` is not unique by
the vendor's own word, so an event is told from the others by all that it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from referral_pipeline.connectors.hints import Hint, id_or_none, instant_or_none, unknown
from referral_pipeline.connectors.hubspot_signature import event_digest

MOST_EVENTS = 100
DELETED = "contact.deletion"
ERASED = "contact.privacyDeletion"
RESTORED = "contact.restore"
MERGED = "contact.merge"
_KNOWN = ("contact.creation", "contact.propertyChange", DELETED, ERASED, RESTORED, MERGED)


def events_of(payload: Any) -> Sequence[tuple[str, Any]]:
    """The events of a delivery, in order, each told once.

    Raises:
        ValueError: it is no array of objects, or holds more than a hundred.
    """
    if not isinstance(payload, list):
        raise ValueError("no array")
    events = cast("list[Any]", payload)
    if not events or len(events) > MOST_EVENTS or not all(isinstance(one, dict) for one in events):
        raise ValueError("no array of 1 to 100 events")
    return list({event_digest(one)[:32]: one for one in events}.items())


def read_hubspot_event(payload: Any) -> Hint:
    """What one event is about. Never raises."""
    if not isinstance(payload, dict):
        return unknown(None)
    event = cast("Mapping[str, Any]", payload)
    kind = event.get("subscriptionType")
    # A merge names the contact that lives on apart from the one that the subscription is about.
    contact_id = id_or_none(event.get("newObjectId") if kind == MERGED else event.get("objectId"))
    contact_id = contact_id or id_or_none(event.get("objectId"))
    if kind not in _KNOWN or contact_id is None:
        return unknown(kind)
    return Hint(
        event_type=kind,
        subject=f"contact:{contact_id}",
        occurred_at=instant_or_none(event.get("occurredAt")),
        bulk=kind in ("contact.creation", "contact.propertyChange"),
        end={DELETED: "deleted", ERASED: "erased", RESTORED: "restored"}.get(kind),
    )
