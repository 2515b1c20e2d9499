"""The webhooks of the advocacy contract: which act sends which, and what their bodies say.

Belongs here: types, bodies, subjects. Does not belong here: signing and sending (`sandbox.webhooks`), the acts.
"""

from __future__ import annotations

from referral_pipeline.sandbox.advocacy import clock
from referral_pipeline.sandbox.advocacy.store import AdvocacyStore, Row, encode
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event

_ENTITIES = {"share.created": "shares", "click.recorded": "clicks"}
_NOUNS = {"shares": "share", "clicks": "click", "referrals": "referral"}
TYPES = (
    "referral.submitted",
    "referral.updated",
    "referral.withdrawn",
    "share.created",
    "click.recorded",
    "consent.updated",
    "candidate.erased",
)
"""Every type of the contract."""


def connect(store: AdvocacyStore, emitter: Emitter) -> None:
    """Let the emitter tell what happens in the store."""

    def announce(event_type: str, data: Row) -> None:
        if emitter.is_on:
            emitter.emit(event_of(event_type, data, clock.stamp(store.now())))

    def describe(event_type: str, record_id: str) -> Event:
        if event_type not in TYPES:
            raise LookupError(f"type must be one of {', '.join(TYPES)}")
        stamp = clock.stamp(store.now())
        if event_type == "candidate.erased":
            data = {"id": store.new_id("ers"), "referral_id": record_id, "erased_at": stamp}
        else:
            data = store.get(_ENTITIES.get(event_type, "referrals"), record_id)
        return event_of(event_type, data, stamp)

    store.announce = announce
    emitter.describe = describe


def event_of(event_type: str, data: Row, stamp: str) -> Event:
    """The event about a row."""
    noun = _NOUNS[_ENTITIES.get(event_type, "referrals")]
    record_id = data["referral_id"] if event_type == "candidate.erased" else data["id"]
    return Event(event_type, f"{noun}:{record_id}", encode({"type": event_type, "timestamp": stamp, "data": data}))
