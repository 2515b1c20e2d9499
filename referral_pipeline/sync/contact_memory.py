"""What the ledger remembers of contacts in the CRM: which were written, for which referrals, and how they ended.

Belongs here: reading it, noting an end that the CRM tells. Does not belong here: what a contact holds (contacts),
erasing (contact_erasure).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from referral_pipeline.ledger.store import Delivery, DeliveryState, Ledger

PUT = "put_contact"
ERASE = "erase_contact"
DELETED, ERASED, RESTORED = "deleted", "erased", "restored"


@dataclass(frozen=True)
class Known:
    """A contact that was written before. `gone` is deleted, erased, or None while it lives as far as we know."""

    key: str
    contact_id: str
    referral_ids: frozenset[str]
    request_hash: str
    gone: str | None
    is_confirmed: bool


def contact_key(person_id: str) -> str:
    """The key of the delivery of a person's contact."""
    return f"contact:{person_id}"


def known_contacts(ledger: Ledger, system: str) -> list[Known]:
    """Every contact that was ever written, in order of the last attempt."""
    return [one for d in ledger.deliveries(system=system, operation=PUT) if (one := known_of(d)) is not None]


def known_of(delivery: Delivery) -> Known | None:
    """What a delivery knows of its contact; None while nobody knows whether there is one."""
    result = delivery.result or {}
    if not result.get("contact_id"):
        return None
    return Known(
        key=delivery.key,
        contact_id=str(result["contact_id"]),
        referral_ids=frozenset(map(str, result.get("referral_ids", ()))),
        request_hash=delivery.request_hash,
        gone=result.get("gone"),
        is_confirmed=delivery.state is DeliveryState.CONFIRMED,
    )


def note_end(ledger: Ledger, system: str, contact_id: str, end: str) -> str:
    """Remember that the CRM told of a contact's end (5), or that it was restored; the outcome: noted, or not_ours."""
    own = [one for one in known_contacts(ledger, system) if one.contact_id == contact_id]
    if end == ERASED:
        ledger.add_tombstone("contact", f"{system}:{contact_id}", "contact.privacyDeletion")
    for one in own:
        if one.gone != ERASED:
            ledger.confirm(one.key, result_of(contact_id, one.referral_ids, None if end == RESTORED else end))
    return "noted" if own else "not_ours"


def result_of(contact_id: str, referral_ids: Iterable[str], gone: str | None) -> dict[str, Any]:
    """What is kept of a contact."""
    return {"contact_id": contact_id, "referral_ids": sorted(referral_ids), "gone": gone}
