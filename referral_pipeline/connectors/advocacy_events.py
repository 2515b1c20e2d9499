"""Webhooks of the advocacy platform, by our own contract (DESIGN section 6).

Belongs here: the types and where each names its record. Does not belong here: canonical records (`advocacy`).

1.  A body is `{"type", "timestamp", "data"}`.
2.  `data` is the whole row: of the referral for `referral.*` and `consent.updated`, of the share, of the click.
3.  For `candidate.erased` it is the evidence: {id, referral_id, erased_at}.
4.  Shares and clicks come by the thousand and are nobody's wait: they are bulk.
"""

from __future__ import annotations

from typing import Any, cast

from referral_pipeline.connectors.hints import Hint, id_or_none, instant_or_none, part, unknown, word_or_none
from referral_pipeline.connectors.records import Row

ERASED = "candidate.erased"
PING = "ping"

REFERRAL_TYPES = frozenset({"referral.submitted", "referral.updated", "referral.withdrawn", "consent.updated"})
_BULK = {"share.created": ("shares", "share"), "click.recorded": ("clicks", "click")}

TYPES = frozenset({*REFERRAL_TYPES, *_BULK, ERASED, PING})


def read_advocacy_event(payload: Any) -> Hint:
    """What an event of the advocacy platform is about. Never raises."""
    if not isinstance(payload, dict):
        return unknown(None)
    body = cast("Row", payload)
    event_type, data = word_or_none(body.get("type")), cast("Row", part(body, "data"))
    occurred_at = instant_or_none(body.get("timestamp"))
    if event_type == PING:
        return Hint(event_type, occurred_at=occurred_at)
    if event_type in REFERRAL_TYPES:
        referral_id = id_or_none(data.get("id"))
        if referral_id is not None:
            return Hint(
                event_type,
                f"referral:{referral_id}",
                occurred_at,
                row=data,
                entity="referrals",
                referral_id=referral_id,
            )
    elif event_type in _BULK:
        entity, noun = _BULK[event_type]
        record_id = id_or_none(data.get("id"))
        if record_id is not None:
            return Hint(event_type, f"{noun}:{record_id}", occurred_at, bulk=True, row=data, entity=entity)
    elif event_type == ERASED:
        referral_id = id_or_none(data.get("referral_id"))
        if referral_id is not None:
            return Hint(event_type, f"referral:{referral_id}", occurred_at, row=data, referral_id=referral_id)
    return unknown(event_type)
