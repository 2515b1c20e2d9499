"""From changed contacts to HubSpot's webhooks: arrays of up to a hundred events, signed by scheme v3.

Belongs here: the events' bodies, the signature. Does not belong here: sending (`sandbox.webhooks`).
"""

from __future__ import annotations

import base64
import hmac
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from referral_pipeline.sandbox.hubspot.book import Book, Change
from referral_pipeline.sandbox.webhooks.emitter import Emitter, Event

MOST_EVENTS = 100
PORTAL_ID = 44_237_313
APP_ID = 1_160_452
SUBSCRIPTIONS: Mapping[str, int] = {
    kind: 25 + number
    for number, kind in enumerate(
        (
            "contact.creation",
            "contact.propertyChange",
            "contact.deletion",
            "contact.privacyDeletion",
            "contact.merge",
            "contact.restore",
        )
    )
}


class HubSpotSigner:
    """Base64 HMAC-SHA256 over method, full URI, body and timestamp (ms). Of two keys the id picks one."""

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address

    def headers(self, delivery_id: str, body: bytes, secrets: Sequence[str], at: float) -> bytes:
        """`X-HubSpot-Signature-v3`, `X-HubSpot-Request-Timestamp`."""
        secret = secrets[zlib.crc32(delivery_id.encode()) % len(secrets)]
        timestamp = str(int(at * 1000))
        signed = b"POST" + self._address().encode() + body + timestamp.encode()
        mark = base64.b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()
        return f"X-HubSpot-Signature-v3: {mark}\r\nX-HubSpot-Request-Timestamp: {timestamp}\r\n".encode()


def made_emitter(secrets: tuple[str, str]) -> Emitter:
    """The emitter of HubSpot's webhooks; the address that is signed is where they go."""
    emitter = Emitter("hubspot", HubSpotSigner(lambda: f"{emitter.modes.url}/webhooks/hubspot"), secrets, "")
    return emitter


def connect(book: Book, emitter: Emitter) -> None:
    """Let the emitter tell what changes in the book: the changes of one act in one delivery."""
    numbers = count(100)

    def told(changes: list[Change]) -> None:
        if not emitter.is_on:
            return
        for start in range(0, len(changes), MOST_EVENTS):
            emitter.emit(event(changes[start : start + MOST_EVENTS], book.clock(), numbers.__next__))

    def describe(kind: str, record_id: str) -> Event:
        if kind not in SUBSCRIPTIONS or not record_id.isdecimal():
            raise LookupError(f"this sandbox cannot send {kind[:40]} about {record_id[:40]}")
        return event([Change(kind, record_id)], book.clock(), numbers.__next__)

    book.told = told
    emitter.describe = describe


def event(changes: Iterable[Change], at: float, number: Callable[[], int]) -> Event:
    """One delivery of these changes."""
    bodies: list[dict[str, Any]] = [
        {
            "eventId": number(),
            "subscriptionId": SUBSCRIPTIONS[change.kind],
            "portalId": PORTAL_ID,
            "appId": APP_ID,
            "occurredAt": int(at * 1000),
            "subscriptionType": change.kind,
            "attemptNumber": 0,
            "objectId": int(change.contact_id),
            "changeSource": "CRM",
            **change.details,
        }
        for change in changes
    ]
    first = bodies[0]
    return Event(first["subscriptionType"], f"contact:{first['objectId']}", json.dumps(bodies).encode())
