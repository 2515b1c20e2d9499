"""Webhooks of Lever: which records an event is about.

Belongs here: the events and where each hides its ids. Does not belong here: signatures, statuses, any value of the body
but ids and times: `data` is not covered by the signature, so what it tells is fetched anew, deletions too.

1.  A body is `{"event", "triggeredAt", "token", "signature", "data", "id"}`; a test delivery carries an empty `data`.
2.  `data` may lie in another `data`: the documentation shows it so, recordings of live events do not.
3.  An opportunity is named by `opportunityId`, its contact by `contactId`; `candidateId` is an old name of either.
4.  There is no event of a merge, and none of a posting, an offer, a tag: reconciliation finds these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from referral_pipeline.connectors.hints import Hint, id_or_none, ids, part, unknown, word_or_none
from referral_pipeline.connectors.lever_models import parse_millis
from referral_pipeline.connectors.records import Row

_OF_OPPORTUNITIES = frozenset(
    {"applicationCreated", "candidateHired", "candidateStageChange", "candidateArchiveChange"}
)
_DELETED = frozenset({"candidateDeleted", "candidateDelete"})
_OF_CONTACTS = frozenset({"contactCreated", "contactUpdated"})
TYPES = _OF_OPPORTUNITIES | _DELETED | _OF_CONTACTS


def read_lever_event(payload: Any) -> Hint:
    """What an event of Lever is about. Never raises."""
    if not isinstance(payload, dict):
        return unknown(None)
    body = cast("Row", payload)
    event = word_or_none(body.get("event"))
    if event is None or event not in TYPES:
        return unknown(event)
    data = part(body, "data")
    data = part(data, "data") or data
    if not data:
        return Hint(event)  # a test delivery
    return _hint(event, data, body.get("triggeredAt")) or unknown(event)


def _hint(event: str, data: Mapping[str, Any], triggered_at: object) -> Hint | None:
    contact = id_or_none(data.get("contactId"))
    if event in _OF_CONTACTS:
        contact = contact or id_or_none(data.get("id"))
        if contact is None:
            return None
        return Hint(event, f"candidate:{contact}", _moment(triggered_at), candidate_ids=(contact,))
    opportunity = id_or_none(data.get("opportunityId")) or id_or_none(data.get("candidateId"))
    if opportunity is None:
        return None
    return Hint(
        event,
        f"application:{opportunity}",
        _moment(triggered_at),
        application_ids=(opportunity,),
        candidate_ids=ids(contact),
        gone_applications=(opportunity,) if event in _DELETED else (),
    )


def _moment(value: object) -> Any:
    try:
        return parse_millis(value)
    except (ValueError, OverflowError):
        return None
